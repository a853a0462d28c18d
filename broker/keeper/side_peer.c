#include "keeper/side_peer.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/keeper_int.h"
#include "keeper/side_caller.h"

struct side_peer {
	struct side_peer *next, **prev;
	struct side_peers *all;
	struct ipc_peer *peer;
	struct side_callers *callers; /* of the console */
};

struct side_peers {
	struct keeper *k;
	struct side_peer *first;
};

static void side_free(struct side_peer *s)
{
	side_callers_free(s->callers);
	dispatch_detach(s->all->k->dispatch, s->peer);
	ipc_peer_free(s->peer);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}

static void lose(struct side_peer *s, int err)
{
	log_event(LOG_LEVEL_WARN, "peer-lost", "role", "%s: %s",
	          ipc_role_name(ipc_peer_role(s->peer)), rk_strerror(err));
	side_free(s);
}

/*
 * Whether the broker is well is nobody's secret, so this question needs no caller. Behind a
 * command it also says that the command was let in.
 */
static bool is_health(const struct side_peer *s, const struct ipc_message *m)
{
	bool runs;

	return m->type == MSG_STATUS_GET &&
	       (!side_callers_know(s->callers, m->id, &runs) || runs);
}

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct side_peer *s = arg;
	struct msg_status status;
	int err;

	if (m->type == MSG_DELIVERED) {
		err = dispatch_delivered(s->all->k->dispatch, m->id, &m->body.delivered);
	} else if (is_health(s, m)) {
		keeper_status(s->all->k, &status);
		err = ipc_peer_send(p, MSG_STATUS, m->id, &status);
	} else {
		err = side_callers_message(s->callers, m);
	}
	if (err)
		lose(s, err);
}

static void on_drained(struct ipc_peer *p, void *arg)
{
	struct side_peer *s = arg;

	(void)p;
	side_callers_drained(s->callers);
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	if (err != RK_E_CLOSED) /* its end is the supervisor's to report */
		log_event(LOG_LEVEL_WARN, "peer-lost", "role", "%s: %s",
		          ipc_role_name(ipc_peer_role(p)), rk_strerror(err));
	side_free(arg);
}

static const struct ipc_peer_ops ops = {
    .message = on_message,
    .closed = on_closed,
    .drained = on_drained,
};

int side_peers_new(struct keeper *k, struct side_peers **out)
{
	struct side_peers *s = calloc(1, sizeof *s);

	if (!s)
		return RK_E_NOMEM;
	s->k = k;
	*out = s;
	return 0;
}

void side_peers_free(struct side_peers *s)
{
	if (!s)
		return;
	while (s->first)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		side_free(s->first);
	free(s);
}

int side_peers_attach(struct side_peers *all, enum ipc_role role, int sock)
{
	struct side_peer *s = calloc(1, sizeof *s);
	int err;

	if (!s) {
		close(sock);
		return RK_E_NOMEM;
	}
	s->all = all;
	err = ipc_peer_new(all->k->loop, sock, IPC_KEEPER, role, &ops, s, &s->peer);
	if (err) {
		free(s);
		return err;
	}
	err = side_callers_new(all->k, s->peer, &s->callers);
	if (err) {
		ipc_peer_free(s->peer);
		free(s);
		return err;
	}
	s->next = all->first;
	s->prev = &all->first;
	if (s->next)
		s->next->prev = &s->next;
	all->first = s;
	if (role == IPC_COURIER)
		dispatch_attach(all->k->dispatch, s->peer);
	return 0;
}
