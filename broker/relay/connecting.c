#include "relay/connecting.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "http/connect.h"

struct connecting {
	int fd;
	struct event *readable, *writable;
	struct rk_secret request; /* with the proxy's credential; gone when it is written */
	size_t off;               /* of it, written */
	size_t n;                 /* of the head, read */
	unsigned interim;
	char head[CONNECT_MAX_HEAD];
};

static void failed(struct upstream_conn *c, const char *detail)
{
	upstream_attempt_failed(c, REASON_UPSTREAM_FAILED, detail);
}

/* The proxy has spoken: its other addresses would say the same. */
static void no_other_address(struct upstream_conn *c)
{
	upstream_address_answers(c);
	c->addr_next = c->addr_count;
}

static void refused(struct upstream_conn *c, const char *detail)
{
	relay_log(c->relay, "egress_proxy_refused", "why", detail);
	no_other_address(c);
	failed(c, detail);
}

static void opened(struct upstream_conn *c)
{
	int fd = c->connecting->fd;

	no_other_address(c);
	c->connecting->fd = -1;
	connecting_end(c);
	upstream_secure(c, fd);
}

/* ---- the answer ---- */

/* Takes bytes off the socket up to the end of the head; their number, 0 for none now, < 0. */
static ssize_t take(struct connecting *k)
{
	size_t known = k->n, room = sizeof k->head - k->n;
	ssize_t n = recv(k->fd, k->head + k->n, room, MSG_PEEK);
	size_t wanted;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : RK_E_IO;
	if (n == 0)
		return RK_E_CLOSED;
	wanted = connect_head_bytes(rk_slice(k->head, known + (size_t)n), known) - known;
	/* they were there a moment ago */
	n = recv(k->fd, k->head + known, wanted, 0);
	if (n != (ssize_t)wanted)
		return RK_E_IO;
	k->n += wanted;
	return n;
}

/* One read. False: wait, or over. */
static bool step(struct upstream_conn *c)
{
	struct connecting *k = c->connecting;
	size_t seen = k->n;
	ssize_t n = take(k);
	enum connect_answer answer;

	if (n <= 0) {
		if (n < 0)
			failed(c, "proxy_closed");
		return false;
	}
	answer = connect_read(rk_slice(k->head, k->n), seen, &c->relay->head);
	switch (answer) {
	case CONNECT_MORE:
		return true;
	case CONNECT_INTERIM:
		if (++k->interim > CONNECT_MAX_INTERIM)
			break;
		k->n = 0;
		return true;
	case CONNECT_OPEN:
		opened(c);
		return false;
	default:
		break;
	}
	refused(c, connect_detail(answer == CONNECT_INTERIM ? CONNECT_BAD : answer));
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_conn *c = arg;

	(void)fd;
	(void)what;
	/* a proxy that never stops sending must not keep the loop */
	for (unsigned i = 0; i < 4 && step(c); i++)
		;
}

/* ---- the request ---- */

static bool is_connected(int fd)
{
	int err = 0;
	socklen_t len = sizeof err;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_conn *c = arg;
	struct connecting *k = c->connecting;
	ssize_t n;

	(void)what;
	if (!is_connected(fd)) {
		failed(c, "proxy_unreachable");
		return;
	}
	/* it is there: what takes long from here on is the way behind it */
	deadline_clear(&c->relay->deadlines, &c->deadline);
	n = send(fd, k->request.p + k->off, k->request.len - k->off, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		failed(c, "proxy_closed");
		return;
	}
	k->off += n < 0 ? 0 : (size_t)n;
	if (k->off < k->request.len) {
		event_add(k->writable, NULL);
		return;
	}
	rk_secret_free(&k->request);
	event_add(k->readable, NULL);
}

/* ---- coming and going ---- */

int connecting_start(struct upstream_conn *c, int fd, struct rk_slice credential)
{
	struct connecting *k = calloc(1, sizeof *k);
	struct event_base *base = loop_base(c->relay->loop);
	int err;

	if (!k) {
		close(fd);
		return RK_E_NOMEM;
	}
	k->fd = fd;
	c->connecting = k;
	err = connect_request(rk_str(c->upstream->host), c->upstream->port, credential,
	                      &k->request);
	if (!err) {
		k->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
		k->writable = event_new(base, fd, EV_WRITE, on_writable, c);
		if (!k->readable || !k->writable || event_add(k->writable, NULL) < 0)
			err = RK_E_NOMEM;
	}
	if (err)
		connecting_end(c);
	return err;
}

void connecting_end(struct upstream_conn *c)
{
	struct connecting *k = c->connecting;

	if (!k)
		return;
	c->connecting = NULL;
	if (k->readable)
		event_free(k->readable);
	if (k->writable)
		event_free(k->writable);
	if (k->fd >= 0)
		close(k->fd);
	rk_secret_free(&k->request);
	free(k);
}
