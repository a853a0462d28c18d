/*
 * Limits of one relay key: requests in a minute, requests in a day, requests at once. Pure; the
 * caller passes the time.
 *
 * A minute is a sliding window, counted in slots of RATE_SLOT_MS, and a request counts until
 * its whole slot is a minute old. So no 60 seconds, wherever they begin, ever hold more than
 * the limit: a counter that starts anew every minute allows twice the limit around its border,
 * and so does GCRA with the whole limit as its burst (a full burst, then the same again as it
 * refills); with a smaller burst it would refuse what the limit allows. The price is that a
 * request may count up to RATE_SLOT_MS longer than a minute.
 *
 * A day is a UTC day. When the wall clock is set back over midnight the count goes along: it is
 * never forgiven, and a clock that was far ahead locks nobody out for longer than the real day.
 *
 * Memory only. The struct starts as all zeroes but for its limits.
 */
#ifndef POLICY_RATE_H
#define POLICY_RATE_H

#include "base/err.h"
#include "policy/reason.h"

enum {
	RATE_MAX = 1000000000, /* the highest limit there is */
	RATE_SLOT_MS = 2000,
	RATE_SLOTS = 31, /* a minute and the slot under way */
};

struct rate_limits { /* 0: no such limit */
	uint32_t per_minute, per_day, max_concurrent;
};

struct rate {
	struct rate_limits limits;
	uint32_t in_window;        /* sum of used */
	int64_t slot;              /* the newest that was counted in */
	uint32_t used[RATE_SLOTS]; /* by slot number modulo RATE_SLOTS */
	uint32_t day_used;
	int64_t day; /* since 1970, UTC */
};

struct rate_now {
	int64_t mono_ms; /* for the window; one that goes back stands still */
	int64_t wall_ms; /* for the day */
};

/*
 * What a caller is told. A limit of 0: there is none, and nothing to tell of it. `left` is what
 * remains once the request in hand has been counted, `reset_s` when more of it comes.
 */
struct rate_report {
	uint32_t minute_limit, minute_left, minute_reset_s;
	uint32_t day_limit, day_left, day_reset_s;
	uint32_t concurrent_limit, concurrent_left;
	uint32_t
	    retry_after_s; /* refused: seconds until a request can pass, rounded up; or 0 */
};

static inline bool rate_limits_any(const struct rate_limits *l)
{
	return l->per_minute || l->per_day || l->max_concurrent;
}

/*
 * May one more request go on, beside `in_flight` others? REASON_OK, REASON_CONCURRENCY_LIMITED
 * or REASON_RATE_LIMITED; *detail is then static text that names the limit. Counts nothing.
 */
enum reason rate_check(struct rate *r, uint32_t in_flight, struct rate_now now,
                       struct rate_report *out, const char **detail);

/* Counts the request that was just checked, at the same time. */
void rate_take(struct rate *r, struct rate_now now);

#endif
