#include "relay/deadline.h"

static const uint32_t table_ms[DEADLINE_KINDS] = {
    [DEADLINE_HANDSHAKE] = 10000,
    [DEADLINE_HEAD] = 15000,
    [DEADLINE_QUIET] = 1000, /* then there are more seconds of DEADLINE_IDLE or _POOL */
    [DEADLINE_IDLE] = 74000,
    [DEADLINE_DECISION] = 10000,
    [DEADLINE_DIAL] = 10000,
    [DEADLINE_ATTEMPT] = 3000,
    [DEADLINE_BODY] = 60000,
    [DEADLINE_RESPONSE_HEAD] = 300000, /* a large model thinks before it answers */
    [DEADLINE_RESPONSE_IDLE] = 300000,
    [DEADLINE_CLIENT_WRITE] = 30000, /* twice, while a response goes out */
    [DEADLINE_TUNNEL] = 600000,      /* pings, where there are any, come more often */
    [DEADLINE_TUNNEL_END] = 30000,
    [DEADLINE_POOL] = 59000,
    [DEADLINE_LINGER] = 3000,
    [DEADLINE_RETIRED] = 60000,
};

static void tick_again(struct deadlines *d)
{
	static const struct timeval tick = {0, DEADLINE_TICK_MS * 1000};

	if (d->ticking)
		return;
	d->ticking = true;
	event_add(d->tick, &tick);
}

static void run_queue(struct deadlines *d, struct deadline_queue *q, int64_t now_us)
{
	while (q->first && q->first->due_us <= now_us) {
		struct deadline *item = q->first;

		deadline_clear(d, item);
		item->expired(item->arg);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct deadlines *d = arg;
	int64_t now_us = loop_now_us(d->loop);

	(void)fd;
	(void)what;
	d->ticking = false;
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++)
		run_queue(d, &d->queue[kind], now_us);
	if (d->on_tick)
		d->on_tick(d->arg);
	/* nothing to wait for: the process sleeps until someone calls */
	if (d->count)
		tick_again(d);
}

int deadlines_init(struct deadlines *d, struct loop *l, const uint32_t ms[DEADLINE_KINDS])
{
	*d = (struct deadlines){.loop = l};
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++) {
		struct deadline_queue *q = &d->queue[kind];

		q->last = &q->first;
		q->span_us = 1000LL * (ms && ms[kind] ? ms[kind] : table_ms[kind]);
	}
	d->tick = evtimer_new(loop_base(l), on_tick, d);
	return d->tick ? 0 : RK_E_NOMEM;
}

void deadlines_free(struct deadlines *d)
{
	if (d->tick)
		event_free(d->tick);
	d->tick = NULL;
}

void deadline_clear(struct deadlines *d, struct deadline *item)
{
	if (!item->prev)
		return;
	*item->prev = item->next;
	if (item->next)
		item->next->prev = item->prev;
	else
		d->queue[item->kind].last = item->prev;
	item->next = NULL;
	item->prev = NULL;
	d->count--;
}

void deadline_set(struct deadlines *d, struct deadline *item, enum deadline_kind kind)
{
	struct deadline_queue *q = &d->queue[kind];

	deadline_clear(d, item);
	item->due_us = loop_now_us(d->loop) + q->span_us;
	item->kind = (uint8_t)kind;
	item->next = NULL;
	item->prev = q->last;
	*q->last = item;
	q->last = &item->next;
	d->count++;
	tick_again(d);
}
