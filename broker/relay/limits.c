#include "relay/limits.h"

#include <stdarg.h>
#include <stdio.h>

struct rate_report limits_of(const struct msg_decision *m)
{
	return (struct rate_report){
	    .minute_limit = m->minute_limit,
	    .minute_left = m->minute_left,
	    .minute_reset_s = m->minute_reset_s,
	    .day_limit = m->day_limit,
	    .day_left = m->day_left,
	    .day_reset_s = m->day_reset_s,
	    .concurrent_limit = m->concurrent_limit,
	    .concurrent_left = m->concurrent_left,
	    .retry_after_s = m->retry_after_s,
	};
}

struct text {
	char *p;
	size_t used;
	const char *before; /* what stands before the next item */
};

static void item(struct text *t, const char *fmt, ...) RK_PRINTF(2, 3);

/* The longest there can be, with ten digits each, fits (see the unit test). */
static void item(struct text *t, const char *fmt, ...)
{
	size_t room = LIMITS_TEXT - t->used;
	va_list ap;
	int n;

	t->used += (size_t)snprintf(t->p + t->used, room, "%s", t->before);
	t->before = ", ";
	va_start(ap, fmt);
	n = vsnprintf(t->p + t->used, LIMITS_TEXT - t->used, fmt, ap);
	va_end(ap);
	t->used += (size_t)n;
}

void limits_text(const struct rate_report *l, char out[LIMITS_TEXT])
{
	struct text t = {.p = out, .before = "RateLimit-Policy: "};

	out[0] = '\0';
	if (!l || !(l->minute_limit || l->day_limit || l->concurrent_limit))
		return;
	if (l->minute_limit)
		item(&t, "\"relaykey-minute\";q=%u;w=60", l->minute_limit);
	if (l->day_limit)
		item(&t, "\"relaykey-day\";q=%u;w=86400", l->day_limit);
	if (l->concurrent_limit)
		item(&t, "\"relaykey-concurrent\";q=%u;qu=\"concurrent-requests\"",
		     l->concurrent_limit);
	t.before = "\r\nRateLimit: ";
	if (l->minute_limit)
		item(&t, "\"relaykey-minute\";r=%u;t=%u", l->minute_left, l->minute_reset_s);
	if (l->day_limit)
		item(&t, "\"relaykey-day\";r=%u;t=%u", l->day_left, l->day_reset_s);
	if (l->concurrent_limit)
		item(&t, "\"relaykey-concurrent\";r=%u", l->concurrent_left);
	t.before = "\r\n";
	item(&t, "%s", "");
}
