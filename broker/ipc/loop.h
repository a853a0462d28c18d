/*
 * The event loop of a role: libevent, with hooks that run at the end of every loop turn, after
 * all active events were handled. That is where peers flush what the turn queued (so that a
 * burst is one datagram) and where closed connections are freed (so that no handler ever meets
 * a freed one).
 */
#ifndef IPC_LOOP_H
#define IPC_LOOP_H

#include <event2/event.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;

struct loop_hook {
	void (*run)(void *arg);
	void *arg;
	struct loop_hook *next; /* the loop's */
	bool queued;            /* the loop's */
};

RK_MUST_CHECK int loop_new(struct loop **out);
void loop_free(struct loop *l);
struct event_base *loop_base(struct loop *l);

/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/*
 * Has `hook` run once at the end of this turn; queueing it again before it ran does nothing. A
 * hook may queue hooks: they run in the same turn. The hook's memory is the caller's and stays
 * valid until it ran or loop_unhook().
 */
void loop_at_turn_end(struct loop *l, struct loop_hook *hook);
void loop_unhook(struct loop *l, struct loop_hook *hook);

/* Monotonic microseconds, taken once a turn. */
int64_t loop_now_us(struct loop *l);

#endif
