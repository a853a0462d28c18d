/*
 * Idempotency keys in policy.db: which object a change under a caller's key made. A row is
 * written in the transaction of its change, so that both are there or neither. Rows last
 * STORE_IDEM_TTL_MS; a caller has about STORE_IDEM_PER_CALLER of them, the oldest go first.
 * Store worker only.
 */
#ifndef KEEPER_STORE_IDEM_H
#define KEEPER_STORE_IDEM_H

#include "keeper/store.h"

enum { STORE_IDEM_TTL_MS = 24 * 3600 * 1000, STORE_IDEM_PER_CALLER = 10000 };

struct store_idem {
	struct rk_slice caller, key;
	uint8_t digest[32]; /* SHA-256 of the command */
	struct rk_slice target;
	int64_t created_ms;
};

/*
 * What was done under the key of `q` at most STORE_IDEM_TTL_MS before q->created_ms: > 0 and
 * the id of the object in target[cap] when it was the same command, RK_E_EXISTS when it was
 * another one, 0 when there is nothing.
 */
RK_MUST_CHECK int store_idem_find(struct store *s, const struct store_idem *q, char *target,
                                  size_t cap, struct rk_fault *fault);

/* The next transaction writes this row too; NULL: no longer. Borrows until then. */
void store_idem_note(struct store *s, const struct store_idem *row);

/* For store_end(): in the open transaction. */
RK_MUST_CHECK int store_idem_add(struct store *s, const struct store_idem *row,
                                 struct rk_fault *fault);

#endif
