#include "console/server_int.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	HEAD_S = 15,
	BODY_S = 30,
	IDLE_S = 30,
	ANSWER_S = 5,
	STALL_S = 60,
	LINGER_S = 2,
};

void conn_set_state(struct conn *c, enum conn_state state)
{
	static const time_t seconds[] = {
	    [CONN_HANDSHAKE] = HEAD_S, [CONN_IDLE] = IDLE_S,     [CONN_HEAD] = HEAD_S,
	    [CONN_BODY] = BODY_S,      [CONN_ASKED] = ANSWER_S,  [CONN_STREAM] = STALL_S,
	    [CONN_WRITE] = STALL_S,    [CONN_LINGER] = LINGER_S,
	};
	struct timeval tv = {.tv_sec = seconds[state]};

	if (state == CONN_ASKED && c->patience_s)
		tv.tv_sec = c->patience_s;
	c->state = state;
	c->stalled = false;
	event_add(c->deadline, &tv);
}

void conn_free(struct conn *c)
{
	struct server *s = c->server;
	uint64_t id = c->id;
	bool asked = c->state == CONN_ASKED || c->state == CONN_STREAM;

	c->id = 0;
	s->slot[c->slot] = NULL;
	if (id && asked)
		s->ops->gone(id, s->arg);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->doomed)
		tls_abort(c->tls);
	else
		tls_close(c->tls);
	if (c->deadline)
		event_free(c->deadline);
	rk_secret_free(&c->in);
	conn_forget_request(c);
	for (unsigned i = 0; i < REPLY_VAULT; i++)
		rk_secret_free(&c->vault[i]);
	rk_buf_free(&c->out);
	free(c);
	s->count--;
	server_watch(s);
	if (s->stopping && s->count == 0)
		loop_at_turn_end(s->loop, &s->empty_hook);
}

/* ---- steps: each returns true when the next state may go on at once ---- */

/* The owner has it. Whether the client stays is worth knowing; what it says can wait. */
static bool step_asked(struct conn *c)
{
	if (c->in.len >= SERVER_MAX_HEAD) {
		tls_read_off(c->tls);
		return false;
	}
	return conn_fill(c);
}

/* 1: all is out. 0: not yet. The connection is gone after < 0. */
static int write_out(struct conn *c)
{
	int err = conn_flush(c);

	if (err == RK_E_AGAIN)
		return 0;
	if (err) {
		conn_free(c);
		return err;
	}
	return 1;
}

static bool step_stream(struct conn *c)
{
	struct server *s = c->server;
	bool had = c->out.len > 0;
	int done = write_out(c);

	if (done < 0)
		return false;
	if (done && had)
		s->ops->drained(c->id, s->arg);
	return step_asked(c);
}

static bool step_write(struct conn *c)
{
	int done = write_out(c);

	if (done == 0) /* its next request can wait until it has read this answer */
		tls_read_off(c->tls);
	if (done <= 0)
		return false;
	tls_read_on(c->tls);
	if (c->last) {
		tls_shut_write(c->tls);
		conn_set_state(c, CONN_LINGER);
		return true;
	}
	if (c->server->stopping) {
		conn_free(c);
		return false;
	}
	conn_set_state(c, CONN_IDLE);
	return true;
}

/* A body that was not read must not turn our answer into a reset. */
static bool step_linger(struct conn *c)
{
	rk_secret_wipe(&c->in);
	return conn_fill(c);
}

void conn_step(struct conn *c)
{
	bool more = true;

	while (more) {
		if (c->doomed) {
			conn_free(c);
			return;
		}
		switch (c->state) {
		case CONN_IDLE:
		case CONN_HEAD:
			more = conn_read_head(c);
			break;
		case CONN_BODY:
			more = conn_read_body(c);
			break;
		case CONN_ASKED:
			more = step_asked(c);
			break;
		case CONN_STREAM:
			more = step_stream(c);
			break;
		case CONN_WRITE:
			more = step_write(c);
			break;
		case CONN_LINGER:
			more = step_linger(c);
			break;
		case CONN_HANDSHAKE:
			more = false;
			break;
		}
	}
}

static void on_tls(struct tls *t, unsigned events, void *arg)
{
	struct conn *c = arg;

	(void)t;
	if (events & TLS_EV_FAIL) {
		conn_free(c);
		return;
	}
	if (events & TLS_EV_OPEN)
		conn_set_state(c, CONN_IDLE);
	conn_step(c);
}

/* A stream on which nothing waits may be silent for as long as its owner likes. */
static bool only_silent(struct conn *c)
{
	bool waits = c->out.len > 0 || c->state == CONN_WRITE;

	if (c->state != CONN_STREAM && c->state != CONN_WRITE)
		return false;
	if (c->stalled && waits)
		return false;
	conn_set_state(c, c->state);
	c->stalled = waits;
	return true;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct server *s = c->server;
	uint64_t id = c->id;

	(void)fd;
	(void)what;
	if (only_silent(c))
		return;
	if (c->state == CONN_ASKED) {
		c->last = true;
		conn_refuse(c, 503, "keeper_unavailable", "The answer did not come in time.");
		s->ops->gone(id, s->arg);
	} else if (c->state == CONN_BODY) {
		conn_refuse(c, 408, "request_timeout", "The body did not come in time.");
	} else {
		conn_free(c);
		return;
	}
	conn_step(c);
}

void conn_new(struct server *s, unsigned slot, int fd, const struct rk_ip *ip)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c) {
		close(fd);
		return;
	}
	c->server = s;
	c->slot = slot;
	c->ip = *ip;
	rk_buf_init(&c->out, SERVER_MAX_OUT);
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	s->slot[slot] = c;
	s->count++;
	c->deadline = evtimer_new(loop_base(s->loop), on_deadline, c);
	if (!c->deadline) {
		close(fd);
		conn_free(c);
		return;
	}
	conn_set_state(c, CONN_HANDSHAKE);
	if (tls_accept(s->tls, s->ctx, fd, on_tls, c, &c->tls)) {
		c->tls = NULL;
		conn_free(c);
	}
}
