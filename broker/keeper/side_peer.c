#include "keeper/side_peer.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/keeper_int.h"

struct side_peer {
	struct side_peer *next, **prev;
	struct side_peers *all;
	struct ipc_peer *peer;
};

struct side_peers {
	struct keeper *k;
	struct side_peer *first;
};

static void side_free(struct side_peer *s)
{
	dispatch_detach(s->all->k->dispatch, s->peer);
	ipc_peer_free(s->peer);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct side_peer *s = arg;
	struct msg_status status;

	if (m->type == MSG_DELIVERED) {
		if (dispatch_delivered(s->all->k->dispatch, m->id, &m->body.delivered)) {
			log_event(LOG_LEVEL_WARN, "peer-lost", "role",
			          "courier: no such delivery");
			side_free(s);
		}
		return;
	}
	if (m->type != MSG_STATUS_GET)
		return; /* the catalogue lets nothing else through yet */
	keeper_status(s->all->k, &status);
	if (ipc_peer_send(p, MSG_STATUS, m->id, &status)) {
		log_event(LOG_LEVEL_WARN, "peer-lost", "role", "%s",
		          ipc_role_name(ipc_peer_role(p)));
		side_free(s);
	}
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	if (err != RK_E_CLOSED) /* its end is the supervisor's to report */
		log_event(LOG_LEVEL_WARN, "peer-lost", "role", "%s: %s",
		          ipc_role_name(ipc_peer_role(p)), rk_strerror(err));
	side_free(arg);
}

static const struct ipc_peer_ops ops = {.message = on_message, .closed = on_closed};

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
	s->next = all->first;
	s->prev = &all->first;
	if (s->next)
		s->next->prev = &s->next;
	all->first = s;
	if (role == IPC_COURIER)
		dispatch_attach(all->k->dispatch, s->peer);
	return 0;
}
