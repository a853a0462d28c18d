/*
 * Management keys in policy.db, and the changes of relay keys that came with them. As
 * keeper/store.h: each mutating call is one transaction, durable when it returns 0; store
 * worker only.
 */
#ifndef KEEPER_STORE_MGMT_H
#define KEEPER_STORE_MGMT_H

#include "keeper/store.h"

struct store_mgmt_key {
	uint32_t number;    /* 1, 2, ...: given by the store */
	struct rk_slice id; /* "mkey_..." */
	uint8_t digest[32]; /* SHA-256 of the key */
	char hint[3];
	uint8_t role; /* enum mgmt_role */
	struct rk_slice name;
	struct rk_slice bounds; /* encoded msg_mint_bounds; empty: none */
	int64_t created_ms;
	int64_t expires_ms; /* 0: never */
	int64_t revoked_ms; /* 0: not */
	uint32_t revision;
};

/* In order of creation. A callback's error ends it and is returned. */
RK_MUST_CHECK int store_mgmt_load(struct store *s,
                                  int (*each)(const struct store_mgmt_key *k, void *arg,
                                              struct rk_fault *fault),
                                  void *arg, struct rk_fault *fault);

RK_MUST_CHECK int store_mgmt_add(struct store *s, const struct store_mgmt_key *k,
                                 uint32_t *number, struct rk_fault *fault);
/* Name and expiry as given. */
RK_MUST_CHECK int store_mgmt_update(struct store *s, struct rk_slice id, struct rk_slice name,
                                    int64_t expires_ms, struct rk_fault *fault);

/* The relay keys that a cascade revoked: ids without "key_", one behind the other. */
struct store_cascade {
	char *ids; /* owned */
	size_t count, cap;
};
void store_cascade_free(struct store_cascade *c);

/* One that is revoked stays so since when it was. With `cascade` (empty; may be NULL), every
 * relay key that it minted as well and in the same transaction: all or none. */
RK_MUST_CHECK int store_mgmt_revoke(struct store *s, uint32_t number, int64_t revoked_ms,
                                    struct store_cascade *cascade, struct rk_fault *fault);

/* The members that `set` (enum key_set) names, of the key with that id. */
RK_MUST_CHECK int store_key_update(struct store *s, const struct store_key *k, uint32_t set,
                                   struct rk_fault *fault);

#endif
