#include "policy/rate.h"

enum {
	DAY_MS = 86400 * 1000,
	CONCURRENT_RETRY_S = 1, /* nobody knows when a stream ends */
};

/* What is before the beginning of a clock is its beginning. */
static struct rate_now sane(struct rate_now now)
{
	return (struct rate_now){.mono_ms = now.mono_ms > 0 ? now.mono_ms : 0,
	                         .wall_ms = now.wall_ms > 0 ? now.wall_ms : 0};
}

static uint32_t *used_in(struct rate *r, int64_t slot)
{
	return &r->used[slot % RATE_SLOTS];
}

/* Lets the window end at `now`; slots that fall out of it are forgotten. */
static void window_move(struct rate *r, int64_t mono_ms)
{
	int64_t slot = mono_ms / RATE_SLOT_MS;

	if (slot - r->slot >= RATE_SLOTS) {
		memset(r->used, 0, sizeof r->used);
		r->in_window = 0;
		r->slot = slot;
	}
	while (r->slot < slot) {
		uint32_t *oldest = used_in(r, ++r->slot);

		r->in_window -= *oldest;
		*oldest = 0;
	}
}

static void day_move(struct rate *r, int64_t wall_ms)
{
	int64_t day = wall_ms / DAY_MS;

	if (day > r->day)
		r->day_used = 0;
	r->day = day;
}

static uint32_t seconds_up(int64_t ms)
{
	return ms > 0 ? (uint32_t)((ms + 999) / 1000) : 1;
}

/* Until so many slots have left the window that at most `most` requests are in it. */
static uint32_t window_wait_s(struct rate *r, int64_t mono_ms, uint32_t most)
{
	uint32_t left = r->in_window;
	int64_t slot = r->slot > RATE_SLOTS - 1 ? r->slot - (RATE_SLOTS - 1) : 0;

	if (mono_ms < r->slot * RATE_SLOT_MS)
		mono_ms = r->slot * RATE_SLOT_MS;
	for (; slot < r->slot; slot++) {
		left -= *used_in(r, slot);
		if (left <= most)
			break;
	}
	return seconds_up((slot + RATE_SLOTS) * RATE_SLOT_MS - mono_ms);
}

static uint32_t left_of(uint32_t limit, uint32_t used)
{
	return used < limit ? limit - used : 0;
}

static void report_minute(struct rate *r, int64_t mono_ms, uint32_t more,
                          struct rate_report *out)
{
	uint32_t limit = r->limits.per_minute;

	out->minute_limit = limit;
	out->minute_left = left_of(limit, r->in_window + more);
	if (r->in_window)
		out->minute_reset_s = window_wait_s(
		    r, mono_ms, r->in_window < limit ? r->in_window - 1 : limit - 1);
	else
		out->minute_reset_s =
		    seconds_up((int64_t)RATE_SLOTS * RATE_SLOT_MS - mono_ms % RATE_SLOT_MS);
}

static void report_day(const struct rate *r, int64_t wall_ms, uint32_t more,
                       struct rate_report *out)
{
	out->day_limit = r->limits.per_day;
	out->day_left = left_of(r->limits.per_day, r->day_used + more);
	out->day_reset_s = seconds_up((r->day + 1) * DAY_MS - wall_ms);
}

enum reason rate_check(struct rate *r, uint32_t in_flight, struct rate_now now,
                       struct rate_report *out, const char **detail)
{
	const struct rate_limits *l = &r->limits;
	bool crowd = l->max_concurrent && in_flight >= l->max_concurrent;
	bool minute, day;
	uint32_t more;

	*out = (struct rate_report){0};
	now = sane(now);
	window_move(r, now.mono_ms);
	day_move(r, now.wall_ms);
	minute = l->per_minute && r->in_window >= l->per_minute;
	day = l->per_day && r->day_used >= l->per_day;
	more = !crowd && !minute && !day;
	if (l->per_minute)
		report_minute(r, now.mono_ms, more, out);
	if (l->per_day)
		report_day(r, now.wall_ms, more, out);
	out->concurrent_limit = l->max_concurrent;
	out->concurrent_left = left_of(l->max_concurrent, in_flight + more);
	if (more)
		return REASON_OK;
	if (minute)
		out->retry_after_s = out->minute_reset_s;
	if (day && out->retry_after_s < out->day_reset_s)
		out->retry_after_s = out->day_reset_s;
	if (crowd && !out->retry_after_s)
		out->retry_after_s = CONCURRENT_RETRY_S;
	/* of several, the one that lasts longest */
	*detail = day ? "per_day" : minute ? "per_minute" : "concurrent";
	return day || minute ? REASON_RATE_LIMITED : REASON_CONCURRENCY_LIMITED;
}

void rate_take(struct rate *r, struct rate_now now)
{
	now = sane(now);
	if (r->limits.per_minute) {
		window_move(r, now.mono_ms);
		++*used_in(r, r->slot);
		r->in_window++;
	}
	if (r->limits.per_day) {
		day_move(r, now.wall_ms);
		r->day_used++;
	}
}
