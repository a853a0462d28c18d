/*
 * Deadlines: one for each state that something can be stuck in. All durations stand in one
 * table (deadline.c). A deadline is a place in the queue of its kind; as all of a kind last
 * equally long, the queue is in order, and setting one costs two pointer writes whatever their
 * number.
 *
 * Coarse: one fires at most DEADLINE_TICK_MS late.
 */
#ifndef RELAY_DEADLINE_H
#define RELAY_DEADLINE_H

#include <stdint.h>

#include "base/err.h"
#include "ipc/loop.h"

enum deadline_kind {
	DEADLINE_HANDSHAKE,     /* client connected, TLS not done */
	DEADLINE_HEAD,          /* first byte of a request, head not complete */
	DEADLINE_QUIET,         /* either side without a request, its first second */
	DEADLINE_IDLE,          /* client connection without a request, then */
	DEADLINE_DECISION,      /* asked the keeper */
	DEADLINE_DIAL,          /* resolve, connect and handshake, all addresses */
	DEADLINE_ATTEMPT,       /* the same, one address of several */
	DEADLINE_BODY,          /* not even TRANSFER_PACE_BYTES of the request body came */
	DEADLINE_RESPONSE_HEAD, /* request sent, no response head */
	DEADLINE_RESPONSE_IDLE, /* response begun, nothing comes */
	DEADLINE_CLIENT_WRITE,  /* the client does not read; of a response, twice */
	DEADLINE_TUNNEL,        /* a WebSocket: nothing moves either way */
	DEADLINE_TUNNEL_END,    /* one of its sides has ended, the other does not */
	DEADLINE_POOL,          /* upstream connection without a request, then */
	DEADLINE_LINGER,        /* answered, waiting for the client to leave */
	DEADLINE_RETIRED,       /* replaced upstream, decisions for it may be on their way */
	DEADLINE_KINDS
};

enum { DEADLINE_TICK_MS = 100 };

struct deadline {
	struct deadline *next, **prev; /* prev NULL: not set */
	int64_t due_us;
	uint8_t kind; /* enum deadline_kind: what it is set to, or was when it expired */
	void (*expired)(void *arg);
	void *arg;
};

struct deadline_queue {
	struct deadline *first, **last;
	int64_t span_us;
};

struct deadlines {
	struct loop *loop;
	struct event *tick;
	struct deadline_queue queue[DEADLINE_KINDS];
	unsigned count;
	bool ticking;
	void (*on_tick)(void *arg); /* after the expired ones; may be NULL */
	void *arg;
};

/* `ms` overrides the table where it is not 0; may be NULL. */
RK_MUST_CHECK int deadlines_init(struct deadlines *d, struct loop *l,
                                 const uint32_t ms[DEADLINE_KINDS]);
void deadlines_free(struct deadlines *d);

/* Sets it, or sets it anew. `expired` and `arg` are the item's own and set before. */
void deadline_set(struct deadlines *d, struct deadline *item, enum deadline_kind kind);
void deadline_clear(struct deadlines *d, struct deadline *item);

#endif
