/*
 * The management key's format: rk_mgmt_<role>_ and the tail of a relay key (policy/relay_key.h:
 * id, secret, checksum). Its id text is "mkey_<id>". Expression for scanners:
 * \brk_mgmt_(admin|operator|auditor|provisioner)_[0-9A-Za-z]{46}\b
 *
 * As of relay keys, only SHA-256 of the whole text is ever stored. Pure but for the random
 * source of mgmt_key_generate().
 */
#ifndef POLICY_MGMT_KEY_H
#define POLICY_MGMT_KEY_H

#include "policy/mgmt_role.h"
#include "policy/relay_key.h"

enum {
	MGMT_KEY_MAX = 8 + 11 + 1 + RELAY_KEY_TAIL, /* longest text, without NUL */
	MGMT_KEY_MASKED = 32,                       /* bytes for the masked form with NUL */
	MGMT_KEY_ID_TEXT = 5 + RELAY_KEY_ID + 1,    /* "mkey_..." with NUL */
};

struct mgmt_key {
	enum mgmt_role role;
	char id[RELAY_KEY_ID]; /* no NUL */
};

/* Checks shape and checksum; RK_E_INVALID otherwise. Says nothing about whether it was ever
 * issued. */
RK_MUST_CHECK int mgmt_key_parse(struct rk_slice text, struct mgmt_key *out);

/* Makes a new key into text[MGMT_KEY_MAX] (secret memory); returns its length, and its id in
 * *out. The role is one that a key can have. */
size_t mgmt_key_generate(enum mgmt_role role, char *text, struct mgmt_key *out);

/* "rk_mgmt_admin...91k" of a role and the last three characters. */
void mgmt_key_mask(enum mgmt_role role, const char hint[RELAY_KEY_HINT],
                   char out[MGMT_KEY_MASKED]);

/* Reads the masked form back. RK_E_INVALID when text is not one. */
RK_MUST_CHECK int mgmt_key_parse_masked(struct rk_slice text, enum mgmt_role *role,
                                        char hint[RELAY_KEY_HINT]);

#endif
