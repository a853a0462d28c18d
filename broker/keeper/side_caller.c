#include "keeper/side_caller.h"

#include <stdlib.h>

#include "keeper/control.h"
#include "keeper/keeper_int.h"
#include "keeper/manage.h"
#include "keeper/mgmt_auth.h"

enum {
	QUEUE_BYTES = 1 << 20, /* of all answers, waiting for the console */
	BUCKETS = 256,
};

struct side_caller {
	struct manage_caller caller;
	struct side_callers *all;
	struct side_caller *next, **prev; /* of its bucket */
	uint64_t id;
	uint32_t outstanding; /* bytes that the console has not taken yet */
	int err;              /* why its command is refused */
	bool commanded;
	bool wants_room;
};

struct side_callers {
	struct keeper *k;
	struct ipc_peer *peer;
	struct side_caller *bucket[BUCKETS];
	unsigned count;
};

static struct side_caller *caller_of(struct manage_caller *c)
{
	return (struct side_caller *)((char *)c - offsetof(struct side_caller, caller));
}

static struct side_caller *find(const struct side_callers *s, uint64_t id)
{
	struct side_caller *c = s->bucket[id % BUCKETS];

	while (c && c->id != id)
		c = c->next;
	return c;
}

static void caller_free(struct side_caller *c)
{
	manage_forget(&c->caller);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->all->count--;
	free(c);
}

/* ---- management's side ---- */

static int caller_send(struct manage_caller *caller, enum ipc_type type, const void *body)
{
	struct side_caller *c = caller_of(caller);

	c->outstanding += (uint32_t)record_size(ipc_row(type)->body, body);
	return ipc_peer_send(c->all->peer, type, c->id, body);
}

static bool caller_room(struct manage_caller *caller)
{
	struct side_caller *c = caller_of(caller);

	if (c->outstanding < MSG_WINDOW && ipc_peer_queued(c->all->peer) < QUEUE_BYTES)
		return true;
	c->wants_room = true;
	/* else what the console takes says so */
	if (c->outstanding < MSG_WINDOW)
		ipc_peer_want_drained(c->all->peer);
	return false;
}

static void caller_done(struct manage_caller *caller)
{
	caller_free(caller_of(caller));
}

static const struct manage_caller_ops caller_ops = {
    .send = caller_send,
    .room = caller_room,
    .done = caller_done,
};

/* ---- the console's side ---- */

static int on_caller(struct side_callers *s, uint64_t id, const struct msg_caller *m)
{
	struct side_caller *c;

	if (find(s, id) || s->count == SIDE_MAX_CALLERS)
		return RK_E_PROTOCOL;
	c = calloc(1, sizeof *c);
	if (!c)
		return RK_E_NOMEM;
	c->all = s;
	c->id = id;
	c->caller.ops = &caller_ops;
	memcpy(c->caller.client_ip, m->client_ip, sizeof c->caller.client_ip);
	c->err = mgmt_authenticate(s->k, m, &c->caller);
	c->next = s->bucket[id % BUCKETS];
	c->prev = &s->bucket[id % BUCKETS];
	if (c->next)
		c->next->prev = &c->next;
	*c->prev = c;
	s->count++;
	return 0;
}

static void refuse(struct side_caller *c, int err, const char *text)
{
	struct msg_done done = {.err = err, .text = rk_str(text)};

	/* a channel that fails says so itself */
	(void)!caller_send(&c->caller, MSG_DONE, &done);
	caller_free(c);
}

static int on_command(struct side_callers *s, const struct ipc_message *m)
{
	struct side_caller *c = find(s, m->id);
	struct manage *manage = s->k->control ? control_manage(s->k->control) : NULL;

	if (!c || c->commanded)
		return RK_E_PROTOCOL;
	c->commanded = true;
	if (c->err)
		/* sealed, which is not for want of a good time */
		refuse(c, c->err == RK_E_STATE ? RK_E_TOKEN : c->err, mgmt_auth_text(c->err));
	else if (!manage)
		refuse(c, RK_E_CLOSED, "the broker is stopping");
	else
		manage_run(manage, &c->caller, m->type, &m->body);
	return 0;
}

static void on_taken(struct side_callers *s, uint64_t id, uint32_t bytes)
{
	struct side_caller *c = find(s, id);

	if (!c) /* its answer was complete before this came */
		return;
	c->outstanding -= bytes < c->outstanding ? bytes : c->outstanding;
	if (!c->wants_room || c->outstanding >= MSG_WINDOW)
		return;
	c->wants_room = false;
	manage_drained(&c->caller);
}

int side_callers_message(struct side_callers *s, const struct ipc_message *m)
{
	struct side_caller *c;

	switch (m->type) {
	case MSG_CALLER:
		return on_caller(s, m->id, &m->body.caller);
	case MSG_FORGET:
		c = find(s, m->id);
		if (c)
			caller_free(c);
		return 0;
	case MSG_TAKEN:
		on_taken(s, m->id, m->body.taken.bytes);
		return 0;
	default:
		return on_command(s, m);
	}
}

/* One that waits for the channel; its answer may end, and others with it, when it goes on. */
static struct side_caller *first_waiting(const struct side_callers *s)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct side_caller *c = s->bucket[i]; c; c = c->next) {
			if (c->wants_room && c->outstanding < MSG_WINDOW)
				return c;
		}
	}
	return NULL;
}

void side_callers_drained(struct side_callers *s)
{
	/* as many as wait now: one that asks for room again waits for the next time */
	for (unsigned left = s->count; left > 0; left--) {
		struct side_caller *c = first_waiting(s);

		if (!c || ipc_peer_queued(s->peer) >= QUEUE_BYTES)
			break;
		c->wants_room = false;
		manage_drained(&c->caller);
	}
	if (first_waiting(s))
		ipc_peer_want_drained(s->peer);
}

bool side_callers_know(const struct side_callers *s, uint64_t id, bool *runs)
{
	const struct side_caller *c = find(s, id);

	*runs = c && c->commanded;
	return c != NULL;
}

int side_callers_new(struct keeper *k, struct ipc_peer *p, struct side_callers **out)
{
	struct side_callers *s = calloc(1, sizeof *s);

	if (!s)
		return RK_E_NOMEM;
	s->k = k;
	s->peer = p;
	*out = s;
	return 0;
}

void side_callers_free(struct side_callers *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (s->bucket[i])
			/* NOLINTNEXTLINE: the one before was unlinked through its back pointer
			 */
			caller_free(s->bucket[i]);
	}
	free(s);
}
