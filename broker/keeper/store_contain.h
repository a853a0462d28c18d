/*
 * What containment keeps in the policy store: whether all traffic is stopped. Store worker;
 * each change is one transaction, with what the outside is told of it.
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

#endif
