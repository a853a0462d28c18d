/*
 * Which keys end soon, for those who have to be told. Each key is told of once for each notice
 * before its end, also across restarts: how far the search has got is stored with what it has
 * found. Keys that were never meant to last (a minute's agent key) are not told of.
 *
 * Store worker only. A search that finds nothing costs two look-ups in an index.
 */
#ifndef KEEPER_STORE_EXPIRY_H
#define KEEPER_STORE_EXPIRY_H

#include "ipc/messages.h"
#include "keeper/store.h"

enum { EXPIRY_NOTICES = 2, EXPIRY_PIECE = 100 };

/* How long before the end, the longest first: seven days and one. */
extern const int64_t expiry_before_ms[EXPIRY_NOTICES];

/*
 * Writes notices for at most EXPIRY_PIECE keys into the outbox, in a transaction of its own.
 * *more: there may be others now.
 */
RK_MUST_CHECK int store_expiry_scan(struct store *s, int64_t now_ms, bool *more,
                                    struct rk_fault *fault);

#endif
