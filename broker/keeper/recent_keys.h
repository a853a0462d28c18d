/*
 * The texts of keys that were issued a moment ago under an idempotency key, so that a caller
 * who did not get the answer can ask again. In the secret arena, RECENT_KEYS of them at most,
 * each for RECENT_MS; the oldest one makes room. Loop thread only.
 */
#ifndef KEEPER_RECENT_KEYS_H
#define KEEPER_RECENT_KEYS_H

#include "base/secret.h"
#include "ipc/loop.h"

enum { RECENT_KEYS = 64, RECENT_MS = 10 * 60 * 1000, RECENT_TAG = 32 };

struct recent_keys;

RK_MUST_CHECK int recent_keys_new(struct loop *l, struct recent_keys **out);
/* Wipes what is there. Accepts NULL. */
void recent_keys_free(struct recent_keys *r);

/* Copies; when there is no secret memory left, nothing is kept. */
void recent_keys_put(struct recent_keys *r, const uint8_t tag[RECENT_TAG], struct rk_slice text,
                     int64_t mono_ms);

/* The empty slice when it is gone. Borrows until the loop's next turn. */
struct rk_slice recent_keys_get(struct recent_keys *r, const uint8_t tag[RECENT_TAG],
                                int64_t mono_ms);

#endif
