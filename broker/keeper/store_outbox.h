/*
 * The outbox: what mail servers and webhooks have yet to be told. A row is written in the same
 * transaction as the change that it tells of, so that neither is ever there without the other,
 * and stays until the other side has taken it (at least once) or it failed for good.
 *
 * Store worker only.
 */
#ifndef KEEPER_STORE_OUTBOX_H
#define KEEPER_STORE_OUTBOX_H

#include "keeper/store.h"

enum outbox_kind { OUTBOX_MAIL = 1, OUTBOX_WEBHOOK = 2 };

enum outbox_state {
	OUTBOX_WAITING = 1,
	OUTBOX_SENT = 2,
	OUTBOX_FAILED = 3, /* for good; can be sent again by hand */
};

struct store_outbox {
	uint8_t kind;           /* enum outbox_kind */
	struct rk_slice target; /* mail address, or id of the webhook */
	struct rk_slice notice; /* encoded msg_notice */
	int64_t created_ms;
};

/* Within a transaction that the caller has open (keeper/store_schema.h). */
RK_MUST_CHECK int store_outbox_add(struct store *s, const struct store_outbox *item,
                                   struct rk_fault *fault);

#endif
