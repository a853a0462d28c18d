/*
 * What goes with a webhook's body: its signature.
 *
 *   RelayKey-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, t "." body)>
 *
 * The secret is the whole text, "whsec_..." with it. A receiver compares in constant time and
 * refuses what is older than a few minutes. Pure.
 */
#ifndef COURIER_WEBHOOK_H
#define COURIER_WEBHOOK_H

#include "base/err.h"
#include "base/slice.h"

enum { WEBHOOK_SIGNATURE_TEXT = 128 };

/* The field's line without its end. RK_E_CRYPTO. */
RK_MUST_CHECK int webhook_signature(struct rk_slice secret, int64_t now_s, struct rk_slice body,
                                    char out[WEBHOOK_SIGNATURE_TEXT]);

#endif
