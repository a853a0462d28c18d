/*
 * The relay key's format: rk_<kind>_<id><secret><crc>, base62.
 *   id      12 characters, names the key in logs and lists (id text "key_<id>")
 *   secret  28 characters, 166 random bits
 *   crc      6 characters, CRC-32 of everything before it, so that a scanner can tell a real
 * key offline Regular expression for scanners: \brk_(app|agent|person|vendor)_[0-9A-Za-z]{46}\b
 * Management keys: rk_mgmt_<role>_ with the same tail.
 *
 * Only SHA-256 of the whole text is ever stored. Pure but for the random source of
 * relay_key_generate().
 */
#ifndef POLICY_RELAY_KEY_H
#define POLICY_RELAY_KEY_H

#include "base/err.h"
#include "base/slice.h"

enum holder_kind { HOLDER_APP, HOLDER_AGENT, HOLDER_PERSON, HOLDER_VENDOR, HOLDER_KINDS };

enum {
	RELAY_KEY_ID = 12,
	RELAY_KEY_SECRET = 28,
	RELAY_KEY_CRC = 6,
	RELAY_KEY_TAIL = RELAY_KEY_ID + RELAY_KEY_SECRET + RELAY_KEY_CRC,
	RELAY_KEY_MAX = 3 + 6 + 1 + RELAY_KEY_TAIL, /* longest text, without NUL */
	RELAY_KEY_HINT = 3,                         /* last characters shown: rk_vendor...91k */
	RELAY_KEY_MASKED = 24,                      /* bytes for the masked form with NUL */
	RELAY_KEY_REDACT = RELAY_KEY_ID + 20,       /* so much of a tail is worth hiding */
	RELAY_KEY_ROLE_MAX = 16,                    /* of a management key */
};

/* "app", "agent", "person", "vendor"; "unknown" otherwise. */
const char *holder_kind_name(enum holder_kind kind);
RK_MUST_CHECK int holder_kind_parse(struct rk_slice name, enum holder_kind *out);

struct relay_key {
	enum holder_kind kind;
	char id[RELAY_KEY_ID]; /* no NUL */
};

/* Checks shape and checksum. RK_E_INVALID otherwise. Says nothing about whether it was ever
 * issued. */
RK_MUST_CHECK int relay_key_parse(struct rk_slice text, struct relay_key *out);

/* Makes a new key into text[RELAY_KEY_MAX] (secret memory); returns its length, and its id in
 * *out. */
size_t relay_key_generate(enum holder_kind kind, char *text, struct relay_key *out);

/*
 * What relay and management keys have in common, from `at` on behind the text that names the
 * kind. Adding it needs RELAY_KEY_TAIL bytes of room and returns the length of the whole;
 * checking is RK_E_INVALID unless text ends in a tail there and its checksum is right.
 */
size_t relay_key_add_tail(char *text, size_t at);
RK_MUST_CHECK int relay_key_check_tail(struct rk_slice text, size_t at);

/* "rk_vendor...91k" of a kind and the last three characters. */
void relay_key_mask(enum holder_kind kind, const char hint[RELAY_KEY_HINT],
                    char out[RELAY_KEY_MASKED]);

/* Reads the masked form back. RK_E_INVALID when text is not one. */
RK_MUST_CHECK int relay_key_parse_masked(struct rk_slice text, enum holder_kind *kind,
                                         char hint[RELAY_KEY_HINT]);

/*
 * Overwrites with '*' what stands behind the id of everything in text[n] that looks like a
 * relay or a management key: "rk_<kind>_" or "rk_mgmt_<role>_" and at least RELAY_KEY_REDACT
 * base62 characters; '_' may be written as in a URL, "%5F". For texts that a caller chose and
 * that are written down: people paste keys where they do not belong. Checksums are not looked
 * at, so a key with a typing error or with its end cut off goes too. Linear in n.
 */
void relay_key_redact(char *text, size_t n);

#endif
