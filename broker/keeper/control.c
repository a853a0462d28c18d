#include "keeper/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/keeper_int.h"
#include "keeper/manage.h"

enum {
	QUEUE_BYTES = 128 << 10, /* of a long answer, waiting for a client that reads slowly */
	PAUSE_MS = 1000,         /* after accept(2) failed for want of descriptors or memory */
};

struct client {
	struct manage_caller caller;
	struct control *control;
	struct ipc_peer *peer;
	uint64_t id; /* of the request that runs */
	struct client *next, **prev;
};

struct control {
	struct keeper *k;
	struct manage *manage;
	int fd;
	struct event *readable;
	struct event *pause;
	struct client *clients;
	unsigned count;
};

static struct client *client_of(struct manage_caller *c)
{
	return (struct client *)((char *)c - offsetof(struct client, caller));
}

static void client_free(struct client *c)
{
	manage_forget(&c->caller);
	ipc_peer_free(c->peer);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->control->count--;
	free(c);
}

/* ---- management's side ---- */

static int client_send(struct manage_caller *caller, enum ipc_type type, const void *body)
{
	struct client *c = client_of(caller);

	return ipc_peer_send(c->peer, type, c->id, body);
}

static bool client_room(struct manage_caller *caller)
{
	struct client *c = client_of(caller);

	if (ipc_peer_queued(c->peer) < QUEUE_BYTES)
		return true;
	ipc_peer_want_drained(c->peer);
	return false;
}

static void client_done(struct manage_caller *caller)
{
	client_of(caller)->id = 0;
}

static const struct manage_caller_ops caller_ops = {
    .send = client_send,
    .room = client_room,
    .done = client_done,
};

/* ---- the client's side ---- */

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct client *c = arg;

	(void)p;
	if (c->caller.op) {
		log_event(LOG_LEVEL_WARN, "control-protocol", "actor",
		          "%s: a second request before the first one's answer",
		          c->caller.actor);
		client_free(c);
		return;
	}
	c->id = m->id;
	manage_run(c->control->manage, &c->caller, m->type, &m->body);
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	struct client *c = arg;

	(void)p;
	if (err == RK_E_PROTOCOL)
		log_event(LOG_LEVEL_WARN, "control-protocol", "actor", "%s: malformed message",
		          c->caller.actor);
	client_free(c);
}

static void on_drained(struct ipc_peer *p, void *arg)
{
	struct client *c = arg;

	(void)p;
	manage_drained(&c->caller);
}

static const struct ipc_peer_ops peer_ops = {
    .message = on_message,
    .closed = on_closed,
    .drained = on_drained,
};

/* ---- accepting ---- */

/* One message and the end. The socket is new, so its buffer has room. */
static void turn_away(int sock, int err, const char *text)
{
	struct msg_done done = {.err = err, .text = rk_str(text)};

	if (ipc_send_blocking(sock, MSG_DONE, 0, &done, -1))
		log_event(LOG_LEVEL_DEBUG, "control-refusal-unsent", NULL, "%s", "");
	close(sock);
}

static void client_new(struct control *ctl, int sock, unsigned uid)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c) {
		turn_away(sock, RK_E_NOMEM, "the broker is out of memory");
		return;
	}
	c->control = ctl;
	c->caller.ops = &caller_ops;
	c->caller.role = ROLE_ADMIN; /* root, or the owner of the state directory */
	snprintf(c->caller.actor, sizeof c->caller.actor, "uid:%u", uid);
	if (ipc_peer_new(ctl->k->loop, sock, IPC_KEEPER, IPC_CONTROL, &peer_ops, c, &c->peer)) {
		free(c);
		return;
	}
	c->next = ctl->clients;
	c->prev = &ctl->clients;
	if (c->next)
		c->next->prev = &c->next;
	ctl->clients = c;
	ctl->count++;
}

static void admit(struct control *ctl, int sock)
{
	struct ucred who;
	socklen_t n = sizeof who;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0) {
		close(sock);
	} else if (who.uid != 0 && who.uid != ctl->k->env.owner_uid) {
		log_event(LOG_LEVEL_WARN, "control-denied", "uid", "%u", (unsigned)who.uid);
		turn_away(sock, RK_E_DENIED,
		          "only root and the owner of the state directory may manage this "
		          "broker");
	} else if (ctl->count >= CONTROL_MAX_CLIENTS) {
		turn_away(sock, RK_E_AGAIN,
		          "the broker serves as many control clients as it can");
	} else {
		client_new(ctl, sock, who.uid);
	}
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {.tv_sec = PAUSE_MS / 1000};
	struct control *ctl = arg;
	int sock;

	(void)what;
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (sock >= 0) {
			admit(ctl, sock);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			event_del(ctl->readable);
			event_add(ctl->pause, &pause);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	event_add(ctl->readable, NULL);
}

int control_new(struct keeper *k, int listen_fd, struct control **out)
{
	struct control *c = calloc(1, sizeof *c);
	int flags = fcntl(listen_fd, F_GETFL);

	if (!c) {
		close(listen_fd);
		return RK_E_NOMEM;
	}
	c->k = k;
	c->fd = listen_fd;
	c->readable =
	    event_new(loop_base(k->loop), listen_fd, EV_READ | EV_PERSIST, on_acceptable, c);
	c->pause = evtimer_new(loop_base(k->loop), on_pause_over, c);
	if (!c->readable || !c->pause || flags < 0 ||
	    fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0 || manage_new(k, &c->manage) ||
	    event_add(c->readable, NULL) < 0) {
		control_free(c);
		return RK_E_IO;
	}
	*out = c;
	return 0;
}

struct manage *control_manage(struct control *c)
{
	return c->manage;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		client_free(c->clients);
	manage_free(c->manage);
	if (c->readable)
		event_free(c->readable);
	if (c->pause)
		event_free(c->pause);
	close(c->fd);
	free(c);
}
