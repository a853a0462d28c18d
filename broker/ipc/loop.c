#include "ipc/loop.h"

#include <stdlib.h>

#include "base/clock.h"

struct loop {
	struct event_base *base;
	struct loop_hook *first;
	struct loop_hook **tail;
	int64_t now_us; /* 0: not taken in this turn */
	bool stop;
};

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof *l);
	struct event_config *cfg = event_config_new();

	if (l && cfg) {
		/* one thread owns the loop; time is read where it is needed */
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		l->base = event_base_new_with_config(cfg);
	}
	if (cfg)
		event_config_free(cfg);
	if (!l || !l->base) {
		free(l);
		return RK_E_NOMEM;
	}
	l->tail = &l->first;
	*out = l;
	return 0;
}

static void run_hooks(struct loop *l)
{
	while (l->first) {
		struct loop_hook *hook = l->first;

		l->first = hook->next;
		if (!l->first)
			l->tail = &l->first;
		hook->next = NULL;
		hook->queued = false;
		hook->run(hook->arg);
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_hooks(l); /* what was freed after the last turn */
	event_base_free(l->base);
	free(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

void loop_run(struct loop *l)
{
	run_hooks(l);
	while (!l->stop) {
		/* before the wait: what was read until now is old when it ends */
		l->now_us = 0;
		if (event_base_loop(l->base, EVLOOP_ONCE) != 0)
			break;
		run_hooks(l);
	}
	run_hooks(l);
}

void loop_stop(struct loop *l)
{
	l->stop = true;
	event_base_loopbreak(l->base);
}

void loop_at_turn_end(struct loop *l, struct loop_hook *hook)
{
	if (hook->queued)
		return;
	hook->queued = true;
	hook->next = NULL;
	*l->tail = hook;
	l->tail = &hook->next;
}

void loop_unhook(struct loop *l, struct loop_hook *hook)
{
	struct loop_hook **at = &l->first;

	if (!hook->queued)
		return;
	while (*at && *at != hook)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = hook->next;
	if (l->tail == &hook->next)
		l->tail = at;
	hook->queued = false;
	hook->next = NULL;
}

int64_t loop_now_us(struct loop *l)
{
	if (!l->now_us)
		l->now_us = rk_mono_us();
	return l->now_us;
}
