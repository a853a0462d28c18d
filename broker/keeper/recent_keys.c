#include "keeper/recent_keys.h"

#include <stdlib.h>

#include "base/clock.h"

struct recent {
	uint8_t tag[RECENT_TAG];
	int64_t until_ms; /* monotonic; 0: free */
	struct rk_secret text;
};

struct recent_keys {
	struct recent at[RECENT_KEYS];
	unsigned next; /* the oldest one */
	struct event *timer;
};

static void drop(struct recent *k)
{
	rk_secret_free(&k->text);
	k->until_ms = 0;
}

/* Ends what is over, and comes again for the rest. */
static void sweep(struct recent_keys *r, int64_t mono_ms)
{
	static const struct timeval again = {.tv_sec = RECENT_MS / 1000 / 10};
	bool any = false;

	for (unsigned i = 0; i < RECENT_KEYS; i++) {
		if (r->at[i].until_ms && r->at[i].until_ms <= mono_ms)
			drop(&r->at[i]);
		any = any || r->at[i].until_ms;
	}
	if (any && !evtimer_pending(r->timer, NULL))
		evtimer_add(r->timer, &again);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sweep(arg, rk_mono_us() / 1000);
}

int recent_keys_new(struct loop *l, struct recent_keys **out)
{
	struct recent_keys *r = calloc(1, sizeof *r);

	if (!r)
		return RK_E_NOMEM;
	r->timer = evtimer_new(loop_base(l), on_timer, r);
	if (!r->timer) {
		free(r);
		return RK_E_NOMEM;
	}
	*out = r;
	return 0;
}

void recent_keys_free(struct recent_keys *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < RECENT_KEYS; i++)
		drop(&r->at[i]);
	event_free(r->timer);
	free(r);
}

void recent_keys_put(struct recent_keys *r, const uint8_t tag[RECENT_TAG], struct rk_slice text,
                     int64_t mono_ms)
{
	struct recent *k = &r->at[r->next];

	drop(k);
	if (rk_secret_alloc(&k->text, text.n))
		return;
	if (rk_secret_add(&k->text, text.p, text.n)) {
		drop(k);
		return;
	}
	memcpy(k->tag, tag, sizeof k->tag);
	k->until_ms = mono_ms + RECENT_MS;
	r->next = (r->next + 1) % RECENT_KEYS;
	sweep(r, mono_ms);
}

struct rk_slice recent_keys_get(struct recent_keys *r, const uint8_t tag[RECENT_TAG],
                                int64_t mono_ms)
{
	sweep(r, mono_ms);
	for (unsigned i = 0; i < RECENT_KEYS; i++) {
		struct recent *k = &r->at[i];

		if (k->until_ms && memcmp(k->tag, tag, sizeof k->tag) == 0)
			return rk_secret_slice(&k->text);
	}
	return rk_slice(NULL, 0);
}
