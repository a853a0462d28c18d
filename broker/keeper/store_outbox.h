/*
 * The outbox: what mail servers and webhooks have yet to be told. A row is written in the same
 * transaction as the change that it tells of, so that neither is ever there without the other,
 * and stays until the other side has taken it (at least once) or it failed for good. What was
 * sent is kept for a while, so that people can look it up, and then removed.
 *
 * A lane is one target of its own pace: each webhook has one, all mail has one ("").
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

enum {
	OUTBOX_LANE_MAX = 10000, /* waiting in one lane; the oldest fail beyond it */
	OUTBOX_SENT_KEPT_MS = 7 * 86400 * 1000,
	OUTBOX_FAILED_KEPT_DAYS = 30,
	OUTBOX_DONE_MAX = 100000, /* rows that are over, in all */
	OUTBOX_ERROR_MAX = 256,
	MAIL_TARGET_MAX = 254,
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

/* For changes of the outbox alone: they are no change of the policy. */
RK_MUST_CHECK int store_outbox_begin(struct store *s, struct rk_fault *fault);
RK_MUST_CHECK int store_outbox_end(struct store *s, int err, struct rk_fault *fault);

struct outbox_row {
	int64_t n; /* counts upwards */
	uint8_t kind;
	struct rk_slice target, notice;
	uint8_t state;
	uint32_t attempts;
	uint16_t status; /* HTTP or SMTP, of the last answer */
	int64_t created_ms, next_ms, done_ms;
	struct rk_slice error;
};

/* An error ends the walk and is returned. */
typedef int outbox_row_fn(const struct outbox_row *r, void *arg);

/* What of a lane is due, the longest due first, at most `limit`. */
RK_MUST_CHECK int store_outbox_due(struct store *s, struct rk_slice lane, int64_t now_ms,
                                   unsigned limit, outbox_row_fn *fn, void *arg,
                                   struct rk_fault *fault);

/* When the next one of a lane is due that is not due at now_ms; INT64_MAX: none. */
RK_MUST_CHECK int store_outbox_next(struct store *s, struct rk_slice lane, int64_t now_ms,
                                    int64_t *next_ms, struct rk_fault *fault);

/* How an attempt ended. `notice` replaces what was sent (empty: it stays): what must not be
 * kept of it is no longer in it. */
struct outbox_result {
	uint8_t state; /* enum outbox_state */
	uint32_t attempts;
	uint16_t status;
	int64_t next_ms; /* while it waits */
	int64_t done_ms; /* otherwise */
	struct rk_slice error, notice;
};
RK_MUST_CHECK int store_outbox_result(struct store *s, int64_t n, const struct outbox_result *r,
                                      struct rk_fault *fault);

struct outbox_filter {
	uint8_t kind, state;    /* 0: all */
	struct rk_slice target; /* empty: all */
	int64_t before;         /* only with a smaller number; 0: all */
	unsigned limit;
};
/* The newest first. */
RK_MUST_CHECK int store_outbox_list(struct store *s, const struct outbox_filter *f,
                                    outbox_row_fn *fn, void *arg, struct rk_fault *fault);
/* RK_E_NOTFOUND. */
RK_MUST_CHECK int store_outbox_get(struct store *s, int64_t n, outbox_row_fn *fn, void *arg,
                                   struct rk_fault *fault);

/* One that is over waits again, as if it were new. RK_E_NOTFOUND, RK_E_STATE. */
RK_MUST_CHECK int store_outbox_replay(struct store *s, int64_t n, int64_t now_ms,
                                      struct rk_fault *fault);

/* What waits for a target that is no more fails for good. */
RK_MUST_CHECK int store_outbox_orphan(struct store *s, struct rk_slice target, int64_t now_ms,
                                      struct rk_fault *fault);

/* Removes what was kept long enough, and fails what is over OUTBOX_LANE_MAX. */
RK_MUST_CHECK int store_outbox_prune(struct store *s, int64_t now_ms, struct rk_fault *fault);

#endif
