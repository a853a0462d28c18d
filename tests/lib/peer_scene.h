/*
 * Two ends of a channel on one loop, or one end with a raw socket opposite, for the tests of
 * ipc/peer. Includes cmocka before this.
 */
#ifndef TESTS_LIB_PEER_SCENE_H
#define TESTS_LIB_PEER_SCENE_H

#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "ipc/peer.h"
#include "tests/lib/fd_count.h"

enum { MAX_IDS = 64 };

/* One end: what it heard, and what it does about it. */
struct end {
	struct loop *loop;
	struct ipc_peer *peer;
	uint64_t ids[MAX_IDS];
	unsigned messages, batches, drained, closed;
	int closed_with;
	int fd; /* that came last */
	char text[64];
	uint64_t stop_at; /* id that ends the loop */
	uint64_t free_at; /* id at which the peer frees itself */
	struct end *free_other;
	bool free_in_batch_end, free_in_drained, keep_after_closed;
	unsigned refill; /* messages to send from drained, asking again each time */
};

struct scene {
	struct loop *loop;
	struct end keeper, other;
	size_t arena;
	unsigned fds;
};

static inline void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct end *e = arg;
	struct rk_slice text = rk_str("");

	assert_true(p == e->peer);
	assert_true(e->messages < MAX_IDS);
	e->ids[e->messages++] = m->id;
	if (m->type == MSG_CONN_ROTATE)
		text = m->body.conn_rotate.secret;
	if (text.n)
		assert_true(secret_arena_holds(text.p));
	assert_true(rk_slice_cstr(text, e->text, sizeof e->text));
	if (m->fd >= 0)
		e->fd = m->fd;
	if (m->id == e->free_at) {
		ipc_peer_free(p);
		e->peer = NULL;
	}
	if (e->free_other) {
		ipc_peer_free(e->free_other->peer);
		e->free_other->peer = NULL;
		e->free_other = NULL;
	}
	if (m->id == e->stop_at)
		loop_stop(e->loop);
}

static inline void on_batch_end(struct ipc_peer *p, void *arg)
{
	struct end *e = arg;

	e->batches++;
	if (e->free_in_batch_end) {
		ipc_peer_free(p);
		e->peer = NULL;
	}
}

static inline void on_closed(struct ipc_peer *p, int err, void *arg)
{
	struct end *e = arg;

	e->closed++;
	e->closed_with = err;
	if (!e->keep_after_closed) {
		ipc_peer_free(p);
		e->peer = NULL;
	}
	loop_stop(e->loop);
}

static inline void on_drained(struct ipc_peer *p, void *arg)
{
	struct msg_cut m = {0};
	struct end *e = arg;

	e->drained++;
	if (e->free_in_drained) {
		ipc_peer_free(p);
		e->peer = NULL;
	}
	if (e->refill) {
		e->refill--;
		assert_int_equal(ipc_peer_send(p, MSG_CUT, 100 + e->refill, &m), 0);
		ipc_peer_want_drained(p);
	}
}

static const struct ipc_peer_ops ops = {.message = on_message,
                                        .batch_end = on_batch_end,
                                        .closed = on_closed,
                                        .drained = on_drained};

static inline struct scene *scene_with(enum ipc_role other)
{
	static struct scene s;
	int pair[2];

	s = (struct scene){.arena = secret_arena_in_use(), .fds = fd_count()};
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	s.keeper = (struct end){.loop = s.loop, .fd = -1};
	s.other = (struct end){.loop = s.loop, .fd = -1};
	assert_int_equal(
	    ipc_peer_new(s.loop, pair[0], IPC_KEEPER, other, &ops, &s.keeper, &s.keeper.peer),
	    0);
	assert_int_equal(
	    ipc_peer_new(s.loop, pair[1], other, IPC_KEEPER, &ops, &s.other, &s.other.peer), 0);
	return &s;
}

/* Everything that the scene took is given back. */
static inline void scene_end(struct scene *s)
{
	ipc_peer_free(s->keeper.peer);
	ipc_peer_free(s->other.peer);
	loop_free(s->loop);
	assert_int_equal(secret_arena_in_use(), s->arena);
	assert_int_equal(fd_count(), s->fds);
}

static inline void stop_loop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_stop(arg);
}

/* Runs until somebody stops the loop, which a test that fails would not. */
static inline void run(struct scene *s)
{
	const struct timeval limit = {.tv_sec = 2};
	struct event *guard = evtimer_new(loop_base(s->loop), stop_loop, s->loop);

	event_add(guard, &limit);
	loop_run(s->loop);
	event_free(guard);
}

static inline void send_cut(struct end *e, uint64_t id)
{
	struct msg_cut m = {.reason = 1};

	assert_int_equal(ipc_peer_send(e->peer, MSG_CUT, id, &m), 0);
}

static inline void send_complete(struct end *e, uint64_t id)
{
	struct msg_complete m = {.status = 200};

	assert_int_equal(ipc_peer_send(e->peer, MSG_COMPLETE, id, &m), 0);
}

/* A raw datagram into the keeper's end, past the other peer's checks. */
static inline int raw_channel(struct scene *s, enum ipc_role other)
{
	int pair[2];

	*s = (struct scene){.arena = secret_arena_in_use(), .fds = fd_count()};
	assert_int_equal(loop_new(&s->loop), 0);
	s->keeper = (struct end){.loop = s->loop, .fd = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_peer_new(s->loop, pair[0], IPC_KEEPER, other, &ops, &s->keeper,
	                              &s->keeper.peer),
	                 0);
	return pair[1];
}

static inline int start_arena(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(16 << 20, SECRET_BACKING_BEST, &fault);
}

#endif
