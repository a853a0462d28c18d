#include "relay/arrival.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "http/proxy_v2.h"

struct arrival {
	int fd;
	struct event *readable;
	size_t n;
	char head[PROXY_V2_MAX];
};

static void refuse(struct client *c, const char *why)
{
	relay_log(c->relay, "proxy_header_refused", "why", why);
	client_close(c);
}

static void whole(struct client *c, const struct proxy_v2 *head)
{
	int fd = c->arrival->fd;

	/* from here on it is that client's connection, not the proxy's */
	if (!head->local && !client_is(c, &head->ip)) {
		client_close(c);
		return;
	}
	c->arrival->fd = -1;
	arrival_end(c);
	client_secure(c, fd);
}

/* One read. False: wait, or over. */
static bool step(struct client *c)
{
	struct arrival *a = c->arrival;
	struct proxy_v2 head;
	ssize_t n = recv(a->fd, a->head + a->n, proxy_v2_missing(rk_slice(a->head, a->n)), 0);
	int used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		client_close(c);
		return false;
	}
	a->n += (size_t)n;
	used = proxy_v2_parse(rk_slice(a->head, a->n), &head);
	if (used == 0)
		return true;
	if (used < 0)
		refuse(c, proxy_v2_err_code(used));
	else
		whole(c, &head);
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	while (step(arg))
		;
}

int arrival_start(struct client *c, int fd)
{
	struct arrival *a = calloc(1, sizeof *a);

	if (!a) {
		close(fd);
		return RK_E_NOMEM;
	}
	a->fd = fd;
	c->arrival = a;
	a->readable =
	    event_new(loop_base(c->relay->loop), fd, EV_READ | EV_PERSIST, on_readable, c);
	if (!a->readable || event_add(a->readable, NULL) < 0) {
		arrival_end(c);
		return RK_E_NOMEM;
	}
	return 0;
}

void arrival_end(struct client *c)
{
	struct arrival *a = c->arrival;

	if (!a)
		return;
	c->arrival = NULL;
	if (a->readable)
		event_free(a->readable);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}
