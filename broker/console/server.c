#include "console/server_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAUSE_S = 1 /* after accept() failed for lack of descriptors or memory */ };

void server_watch(struct server *s)
{
	if (!s->stopping && s->count < SERVER_MAX_CONNECTIONS)
		event_add(s->acceptable, NULL);
	else
		event_del(s->acceptable);
}

void server_kick(struct conn *c)
{
	c->kicked = true;
	loop_at_turn_end(c->server->loop, &c->server->kick_hook);
}

static void on_kick(void *arg)
{
	struct server *s = arg;

	for (unsigned i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
		struct conn *c = s->slot[i];

		if (!c || !c->kicked)
			continue;
		c->kicked = false;
		conn_step(c);
	}
}

/* ---- accepting ---- */

/* A client of IPv6 has a whole /64. */
static bool same_client(const struct rk_ip *a, const struct rk_ip *b)
{
	bool v4 = rk_ip_is_v4(a) || rk_ip_is_v4(b);

	return memcmp(a->b, b->b, v4 ? sizeof a->b : 8) == 0;
}

static unsigned count_of(const struct server *s, const struct rk_ip *ip)
{
	unsigned n = 0;

	for (const struct conn *c = s->conns; c; c = c->next)
		n += same_client(&c->ip, ip);
	return n;
}

static void admit(struct server *s, int fd, const struct sockaddr *from)
{
	static const int one = 1;
	unsigned slot = 0;
	struct rk_ip ip;

	while (s->slot[slot])
		slot++;
	if (rk_ip_from_sockaddr(from, &ip, NULL) || count_of(s, &ip) >= SERVER_MAX_PER_CLIENT) {
		close(fd);
		return;
	}
	/* an answer goes out in several records; the last one must not wait for the client to
	 * confirm those before */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	conn_new(s, slot, fd, &ip);
}

static void on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval pause = {.tv_sec = PAUSE_S};
	struct server *s = arg;

	(void)what;
	while (s->count < SERVER_MAX_CONNECTIONS) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		int fd = accept4((int)listener, (struct sockaddr *)&from, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(s, fd, (struct sockaddr *)&from);
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
	server_watch(s);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	server_watch(arg);
}

/* ---- the server ---- */

static void on_empty(void *arg)
{
	struct server *s = arg;

	s->empty(s->empty_arg);
}

int server_new(struct loop *l, int listener, struct tls_ctx *ctx, const struct server_ops *ops,
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
	                     .ops = ops,
	                     .arg = arg,
	                     .listener = listener,
	                     .empty_hook = {.run = on_empty, .arg = s},
	                     .kick_hook = {.run = on_kick, .arg = s}};
	s->acceptable =
	    event_new(loop_base(l), listener, EV_READ | EV_PERSIST, on_acceptable, s);
	s->pause = evtimer_new(loop_base(l), on_pause_over, s);
	if (!s->acceptable || !s->pause || tls_base_new(l, &s->tls)) {
		server_free(s);
		return RK_E_NOMEM;
	}
	server_watch(s);
	*out = s;
	return 0;
}

void server_set_tls(struct server *s, struct tls_ctx *ctx)
{
	tls_ctx_free(s->ctx);
	s->ctx = ctx;
}

void server_stop(struct server *s, void (*empty)(void *arg), void *arg)
{
	struct conn *next;

	s->stopping = true;
	s->empty = empty;
	s->empty_arg = arg;
	server_watch(s);
	event_del(s->pause);
	close(s->listener);
	s->listener = -1;
	if (s->count == 0)
		loop_at_turn_end(s->loop, &s->empty_hook);
	for (struct conn *c = s->conns; c; c = next) {
		next = c->next;
		if (c->state == CONN_IDLE || c->state == CONN_HANDSHAKE ||
		    c->state == CONN_STREAM)
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
	loop_unhook(s->loop, &s->kick_hook);
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
