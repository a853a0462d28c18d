/*
 * What containment keeps in the policy store: whether all traffic is stopped, and keys that
 * were reported as leaked. Store worker; each change is one transaction, with what the outside
 * is told of it.
 */
#ifndef KEEPER_STORE_CONTAIN_H
#define KEEPER_STORE_CONTAIN_H

#include "ipc/messages.h"
#include "keeper/panic.h"
#include "keeper/store.h"

RK_MUST_CHECK int store_panic_set(struct store *s, const struct panic *p,
                                  const struct msg_notice *n, struct rk_fault *fault);
/* Nobody ever touched it: off. RK_E_CORRUPT when it cannot be read. */
RK_MUST_CHECK int store_panic_get(struct store *s, struct panic *out, struct rk_fault *fault);

struct store_leak {
	struct rk_slice key_id, key_masked;
	uint8_t holder_kind;
	struct rk_slice holder;
	struct rk_slice source; /* where it was found */
	int64_t revoked_ms;
};

/* Revokes them; tells the webhooks, and by mail each holder that has an address. */
RK_MUST_CHECK int store_keys_leaked(struct store *s, const struct store_leak *leaks,
                                    unsigned count, struct rk_slice actor, int64_t now_ms,
                                    struct rk_fault *fault);

#endif
