/*
 * Webhooks in the policy store. Store worker only; the changes are made within a transaction
 * that the caller has open (keeper/store_schema.h).
 */
#ifndef KEEPER_STORE_WEBHOOK_H
#define KEEPER_STORE_WEBHOOK_H

#include "keeper/store.h"

struct store_webhook {
	struct rk_slice id; /* "hook_..." */
	struct rk_slice name;
	struct rk_slice url;
	uint32_t events; /* mask of 1 << enum notice_kind */
	uint32_t flags;  /* enum hook_flags */
	struct rk_slice ca_pem;
	struct rk_slice blob;    /* signing secret, as token_wrap() made it */
	uint32_t secret_version; /* 1, 2, ... */
	bool enabled;
	int64_t created_ms, updated_ms;
	uint32_t revision; /* 1, 2, ... */
};

typedef int store_webhook_fn(const struct store_webhook *w, void *arg);

/* Each, in order of creation; an error of `fn` ends it and is returned. */
RK_MUST_CHECK int store_webhook_load(struct store *s, store_webhook_fn *fn, void *arg,
                                     struct rk_fault *fault);

/* RK_E_EXISTS when id or name is taken. */
RK_MUST_CHECK int store_webhook_add(struct store *s, const struct store_webhook *w,
                                    struct rk_fault *fault);
/* All of it but id and created_ms. RK_E_NOTFOUND, RK_E_EXISTS. */
RK_MUST_CHECK int store_webhook_update(struct store *s, const struct store_webhook *w,
                                       struct rk_fault *fault);
RK_MUST_CHECK int store_webhook_remove(struct store *s, struct rk_slice id,
                                       struct rk_fault *fault);

#endif
