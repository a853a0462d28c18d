#include "console/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/tls.h"

enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,   /* between requests */
	CONN_HEAD,   /* a request has begun */
	CONN_ASKED,  /* the owner has it */
	CONN_WRITE,  /* the answer is on its way */
	CONN_LINGER, /* last answer written: waits for the client to leave */
};

enum {
	HEAD_S = 15,
	IDLE_S = 30,
	ANSWER_S = 5,
	LINGER_S = 2,
	PAUSE_S = 1, /* after accept() failed for lack of descriptors or memory */
	OUT_MAX = 4096,
};

struct conn {
	struct server *server;
	struct conn *next, **prev;
	uint64_t id;
	struct tls *tls;
	struct event *deadline;
	struct rk_buf in, out;
	enum conn_state state;
	bool head_only; /* HEAD */
	bool last;      /* no request after this one */
};

struct server {
	struct loop *loop;
	struct tls_base *tls;
	struct tls_ctx *ctx;
	server_request_fn *request;
	void *arg;
	int listener;
	struct event *acceptable;
	struct event *pause;
	struct conn *conns;
	unsigned count;
	uint64_t next_id;
	struct conn *asking; /* inside the owner's callback: its answer goes on there */
	bool stopping;
	void (*empty)(void *arg);
	void *empty_arg;
	struct loop_hook empty_hook;
};

/* ---- connections ---- */

static void set_state(struct conn *c, enum conn_state state)
{
	static const time_t seconds[] = {
	    [CONN_HANDSHAKE] = HEAD_S, [CONN_IDLE] = IDLE_S,  [CONN_HEAD] = HEAD_S,
	    [CONN_ASKED] = ANSWER_S,   [CONN_WRITE] = HEAD_S, [CONN_LINGER] = LINGER_S,
	};
	const struct timeval tv = {.tv_sec = seconds[state]};

	c->state = state;
	event_add(c->deadline, &tv);
}

static void watch(struct server *s)
{
	if (!s->stopping && s->count < SERVER_MAX_CONNECTIONS)
		event_add(s->acceptable, NULL);
	else
		event_del(s->acceptable);
}

static void conn_free(struct conn *c)
{
	struct server *s = c->server;

	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	tls_close(c->tls);
	if (c->deadline)
		event_free(c->deadline);
	rk_buf_free(&c->in);
	rk_buf_free(&c->out);
	free(c);
	s->count--;
	watch(s);
	if (s->stopping && s->count == 0)
		loop_at_turn_end(s->loop, &s->empty_hook);
}

/* Without memory for the answer the connection ends without one. */
static void answer(struct conn *c, const struct reply *r)
{
	c->last = c->last || c->server->stopping;
	if (reply_render(r, c->head_only, c->last, rk_wall_ms(), &c->out)) {
		rk_buf_consume(&c->out, c->out.len);
		c->last = true;
	}
	set_state(c, CONN_WRITE);
}

static bool refuse(struct conn *c, int err)
{
	char body[REPLY_BODY_MAX];
	struct reply r;
	int status = 400;

	if (err == H1_E_TOO_LARGE || err == H1_E_TOO_MANY)
		status = 431;
	else if (err == H1_E_EXPECT)
		status = 417;
	else if (err == H1_E_VERSION)
		status = 505;
	c->last = true;
	c->head_only = false;
	r = reply_problem(status, h1_err_code(err), "The request is not valid HTTP.", body,
	                  sizeof body);
	answer(c, &r);
	return true;
}

/* ---- steps: each returns true when the next state may go on at once ---- */

/* Bytes into c->in. False when there are none for now, or the connection is gone. */
static bool fill(struct conn *c)
{
	size_t room;
	char *dst = rk_buf_reserve(&c->in, 1, &room);
	ssize_t n;

	if (!dst) {
		conn_free(c);
		return false;
	}
	n = tls_read(c->tls, dst, room);
	if (n == RK_E_AGAIN)
		return false;
	if (n <= 0) {
		conn_free(c);
		return false;
	}
	rk_buf_produced(&c->in, (size_t)n);
	return true;
}

static bool step_head(struct conn *c)
{
	struct server *s = c->server;
	struct h1_head head;
	int used;

	if (c->in.len == 0 && !fill(c))
		return false;
	if (c->state == CONN_IDLE)
		set_state(c, CONN_HEAD);
	used = h1_parse_request(rk_buf_slice(&c->in), SERVER_MAX_HEAD, &head);
	if (used == 0)
		return fill(c);
	if (used < 0)
		return refuse(c, used);
	c->head_only = rk_slice_is(head.method, "HEAD");
	c->last = !head.keep_alive || head.body != H1_BODY_NONE;
	set_state(c, CONN_ASKED);
	s->asking = c;
	s->request(c->id, &head, s->arg);
	s->asking = NULL;
	rk_buf_consume(&c->in, (size_t)used);
	return c->state != CONN_ASKED;
}

static bool step_write(struct conn *c)
{
	while (c->out.len) {
		ssize_t n = tls_write(c->tls, rk_buf_data(&c->out), c->out.len);

		if (n == RK_E_AGAIN) {
			/* its next request can wait until it has read this answer */
			tls_read_off(c->tls);
			return false;
		}
		if (n < 0) {
			conn_free(c);
			return false;
		}
		rk_buf_consume(&c->out, (size_t)n);
	}
	rk_buf_trim(&c->out);
	tls_read_on(c->tls);
	if (c->last) {
		tls_shut_write(c->tls);
		set_state(c, CONN_LINGER);
		return true;
	}
	if (c->server->stopping) {
		conn_free(c);
		return false;
	}
	if (c->in.len == 0)
		rk_buf_trim(&c->in);
	set_state(c, CONN_IDLE);
	return true;
}

/* A body that was not read must not turn our answer into a reset. */
static bool step_linger(struct conn *c)
{
	rk_buf_consume(&c->in, c->in.len);
	return fill(c);
}

static void conn_step(struct conn *c)
{
	bool more = true;

	while (more) {
		switch (c->state) {
		case CONN_IDLE:
		case CONN_HEAD:
			more = step_head(c);
			break;
		case CONN_WRITE:
			more = step_write(c);
			break;
		case CONN_LINGER:
			more = step_linger(c);
			break;
		case CONN_HANDSHAKE:
		case CONN_ASKED: /* what comes now is the next request: it waits in OpenSSL */
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
		set_state(c, CONN_IDLE);
	if (c->state == CONN_ASKED)
		tls_read_off(c->tls);
	else
		conn_step(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char body[REPLY_BODY_MAX];
	struct reply r;

	(void)fd;
	(void)what;
	if (c->state != CONN_ASKED) {
		conn_free(c);
		return;
	}
	r = reply_health(503, "keeper_unavailable", body, sizeof body);
	server_answer(c->server, c->id, &r);
}

/* ---- accepting ---- */

static void conn_new(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c) {
		close(fd);
		return;
	}
	c->server = s;
	c->id = ++s->next_id;
	rk_buf_init(&c->in, SERVER_MAX_HEAD + 1);
	rk_buf_init(&c->out, OUT_MAX);
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	s->count++;
	c->deadline = evtimer_new(loop_base(s->loop), on_deadline, c);
	if (!c->deadline) {
		close(fd);
		conn_free(c);
		return;
	}
	set_state(c, CONN_HANDSHAKE);
	if (tls_accept(s->tls, s->ctx, fd, on_tls, c, &c->tls)) {
		c->tls = NULL;
		conn_free(c);
	}
}

static void on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval pause = {.tv_sec = PAUSE_S};
	struct server *s = arg;

	(void)what;
	while (s->count < SERVER_MAX_CONNECTIONS) {
		int fd = accept4((int)listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			conn_new(s, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			event_del(s->acceptable);
			event_add(s->pause, &pause);
			return;
		}
		break;
	}
	watch(s);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	watch(arg);
}

/* ---- the server ---- */

static void on_empty(void *arg)
{
	struct server *s = arg;

	s->empty(s->empty_arg);
}

int server_new(struct loop *l, int listener, struct tls_ctx *ctx, server_request_fn *request,
               void *arg, struct server **out)
{
	struct server *s = calloc(1, sizeof *s);

	if (!s) {
		close(listener);
		tls_ctx_free(ctx);
		return RK_E_NOMEM;
	}
	*s = (struct server){.loop = l,
	                     .ctx = ctx,
	                     .request = request,
	                     .arg = arg,
	                     .listener = listener,
	                     .empty_hook = {.run = on_empty, .arg = s}};
	s->acceptable =
	    event_new(loop_base(l), listener, EV_READ | EV_PERSIST, on_acceptable, s);
	s->pause = evtimer_new(loop_base(l), on_pause_over, s);
	if (!s->acceptable || !s->pause || tls_base_new(l, &s->tls)) {
		server_free(s);
		return RK_E_NOMEM;
	}
	watch(s);
	*out = s;
	return 0;
}

void server_set_tls(struct server *s, struct tls_ctx *ctx)
{
	tls_ctx_free(s->ctx);
	s->ctx = ctx;
}

void server_answer(struct server *s, uint64_t id, const struct reply *r)
{
	for (struct conn *c = s->conns; c; c = c->next) {
		if (c->id != id || c->state != CONN_ASKED)
			continue;
		answer(c, r);
		if (c != s->asking)
			conn_step(c);
		return;
	}
}

void server_stop(struct server *s, void (*empty)(void *arg), void *arg)
{
	struct conn *next;

	s->stopping = true;
	s->empty = empty;
	s->empty_arg = arg;
	watch(s);
	event_del(s->pause);
	close(s->listener);
	s->listener = -1;
	if (s->count == 0)
		loop_at_turn_end(s->loop, &s->empty_hook);
	for (struct conn *c = s->conns; c; c = next) {
		next = c->next;
		if (c->state == CONN_IDLE || c->state == CONN_HANDSHAKE)
			conn_free(c);
	}
}

void server_free(struct server *s)
{
	if (!s)
		return;
	s->stopping = true;
	while (s->conns)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		conn_free(s->conns);
	loop_unhook(s->loop, &s->empty_hook);
	tls_base_free(s->tls);
	if (s->acceptable)
		event_free(s->acceptable);
	if (s->pause)
		event_free(s->pause);
	if (s->listener >= 0)
		close(s->listener);
	tls_ctx_free(s->ctx);
	free(s);
}
