/*
 * Management keys in memory: found by SHA-256 of the presented text, by id and by number.
 * Authoritative while the keeper runs; loop thread only. A key is never removed, a revoked one
 * stays what it was in the audit log.
 */
#ifndef KEEPER_MGMT_KEYS_H
#define KEEPER_MGMT_KEYS_H

#include "keeper/minted.h"
#include "keeper/store_mgmt.h"
#include "policy/mgmt_key.h"

enum { MGMT_MAX_KEYS = 10000 };

struct mgmt_keys;

struct mgmt_entry {
	uint32_t number;           /* in the store; in order of creation */
	char id[MGMT_KEY_ID_TEXT]; /* "mkey_..." */
	uint8_t digest[32];
	char hint[RELAY_KEY_HINT];
	uint8_t role; /* enum mgmt_role */
	char name[MSG_MAX_NAME + 1];
	struct rk_slice bounds; /* encoded msg_mint_bounds, owned; empty: none */
	uint32_t revision;
	int64_t created_ms, expires_ms, revoked_ms, last_used_ms;
	struct minted minted;
};

RK_MUST_CHECK int mgmt_keys_new(struct mgmt_keys **out);
void mgmt_keys_free(struct mgmt_keys *m);

/* From the store, at start: the keys, and which relay keys of the index they minted. */
RK_MUST_CHECK int mgmt_keys_load(struct mgmt_keys *m, struct store *s, struct index *ix,
                                 int64_t now_ms, struct rk_fault *fault);

/* RK_E_FULL when there are MGMT_MAX_KEYS. */
RK_MUST_CHECK int mgmt_keys_room(const struct mgmt_keys *m);
RK_MUST_CHECK int mgmt_keys_add(struct mgmt_keys *m, const struct store_mgmt_key *k,
                                struct mgmt_entry **out, struct rk_fault *fault);

/* NULL: there is none. */
struct mgmt_entry *mgmt_keys_by_digest(struct mgmt_keys *m, const uint8_t digest[32]);
struct mgmt_entry *mgmt_keys_by_number(struct mgmt_keys *m, uint32_t number);
struct mgmt_entry *mgmt_keys_by_id(struct mgmt_keys *m, struct rk_slice id);

/* id, whole key (hashed here) or masked form. RK_E_NOTFOUND; RK_E_AMBIGUOUS. */
RK_MUST_CHECK int mgmt_keys_resolve(struct mgmt_keys *m, struct rk_slice ref,
                                    struct mgmt_entry **out, struct rk_fault *fault);

/* In order of creation: NULL to start, NULL at the end. */
struct mgmt_entry *mgmt_keys_next(struct mgmt_keys *m, const struct mgmt_entry *after);

/* A relay key lives longer than it did: so it does for who minted it. */
void mgmt_keys_extended(struct mgmt_keys *m, struct index_key *k, int64_t now_ms);

static inline bool mgmt_entry_live(const struct mgmt_entry *e, int64_t now_ms)
{
	return !e->revoked_ms && (!e->expires_ms || now_ms < e->expires_ms);
}

#endif
