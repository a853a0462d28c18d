/*
 * Users in policy.db. As keeper/store.h: each mutating call is one transaction, durable when it
 * returns 0; store worker only.
 */
#ifndef KEEPER_STORE_USER_H
#define KEEPER_STORE_USER_H

#include "keeper/store.h"

struct store_user {
	uint32_t number;    /* 1, 2, ...: given by the store */
	struct rk_slice id; /* "user_..." */
	struct rk_slice name;
	struct rk_slice email;
	uint8_t role; /* enum mgmt_role */
	bool enabled;
	int64_t created_ms, updated_ms;
	uint32_t revision;
};

/* In order of creation. A callback's error ends it and is returned. */
RK_MUST_CHECK int store_user_load(struct store *s,
                                  int (*each)(const struct store_user *u, void *arg,
                                              struct rk_fault *fault),
                                  void *arg, struct rk_fault *fault);

/* RK_E_EXISTS when the name is taken. */
RK_MUST_CHECK int store_user_add(struct store *s, const struct store_user *u, uint32_t *number,
                                 struct rk_fault *fault);
/* Everything but id and creation, of the one with that id. */
RK_MUST_CHECK int store_user_update(struct store *s, const struct store_user *u,
                                    struct rk_fault *fault);
RK_MUST_CHECK int store_user_remove(struct store *s, struct rk_slice id,
                                    struct rk_fault *fault);

#endif
