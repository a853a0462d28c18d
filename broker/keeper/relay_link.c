#include "keeper/relay_link.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/pipeline.h"
#include "keeper/probe.h"
#include "policy/reason.h"

/* Of the table, at once: channels queue in secret memory, which is not plenty. */
enum { SYNC_BYTES = 256 << 10 };

struct relay_links {
	struct loop *loop;
	struct relay_link *first;
	unsigned count, turn;
	struct index *index;       /* NULL until the stores are open */
	struct pipeline *pipeline; /* the same */
	struct msg_gate gate;
	struct loop_hook reap; /* takes lost links out, outside of every walk */
};

/* ---- sending ---- */

static void link_lose(struct relay_link *link, const char *why)
{
	if (link->lost)
		return;
	link->lost = true;
	log_event(LOG_LEVEL_WARN, "relay-lost", "reason", "relay.%u: %s", link->instance, why);
	loop_at_turn_end(link->links->loop, &link->links->reap);
}

int relay_link_try_send(struct relay_link *link, enum ipc_type type, uint64_t id,
                        const void *body)
{
	return link->lost ? RK_E_CLOSED : ipc_peer_send(link->peer, type, id, body);
}

void relay_link_send(struct relay_link *link, enum ipc_type type, uint64_t id, const void *body)
{
	int err = relay_link_try_send(link, type, id, body);

	if (err)
		link_lose(link, rk_strerror(err));
}

/* ---- the public table ---- */

static uint32_t public_flags(const struct index_conn *c)
{
	return c->flags | (auth_style_is_query(&c->auth->style) ? UPSTREAM_QUERY_AUTH : 0) |
	       (c->proxy.blob.n ? UPSTREAM_PROXY_SECRET : 0);
}

static struct rk_slice set_headers(const struct auth_style *a, char *mem, size_t cap)
{
	size_t used = 0;

	for (unsigned i = 0; i < a->count; i++) {
		struct rk_slice name = auth_style_header(a, i);

		if (name.n && record_list_add(mem, cap, &used, name))
			break; /* mem has room for all parts */
	}
	return rk_slice(mem, used);
}

static int push_upstream(struct relay_link *link, const struct index_conn *c, uint32_t replaces)
{
	char headers[AUTH_MAX_PARTS * (AUTH_MAX_NAME + sizeof(uint32_t))];
	struct msg_upstream m = {
	    .upstream_id = c->upstream_id,
	    .replaces = replaces,
	    .conn_id = rk_str(c->id),
	    .name = rk_str(c->name),
	    .host = rk_str(c->url.host),
	    .port = c->url.port,
	    .base_path = rk_str(c->url.path),
	    .flags = public_flags(c),
	    .ca_pem = c->ca_pem,
	    .set_headers = set_headers(&c->auth->style, headers, sizeof headers),
	    .egress = c->proxy.public,
	    .client_chain = c->identity.public,
	};

	return relay_link_try_send(link, MSG_UPSTREAM, 0, &m);
}

static bool was_pushed(const struct relay_link *link, const struct index_conn *c)
{
	return link->synced || (link->any_pushed && c->number <= link->pushed);
}

/* The first connection that this link does not know yet. */
static struct index_conn *next_unpushed(struct relay_link *link)
{
	struct index_conn *c = index_conn_next(link->links->index, NULL);

	while (c && was_pushed(link, c))
		c = index_conn_next(link->links->index, c);
	return c;
}

/* Goes on until everything is pushed or enough is queued; then `drained` calls again. */
static void link_sync(struct relay_link *link)
{
	struct index_conn *c;

	if (link->synced || link->lost || !link->links->index)
		return;
	for (c = next_unpushed(link); c; c = index_conn_next(link->links->index, c)) {
		int err;

		if (ipc_peer_queued(link->peer) >= SYNC_BYTES) {
			ipc_peer_want_drained(link->peer);
			return;
		}
		err = push_upstream(link, c, 0);
		if (err) {
			link_lose(link, rk_strerror(err));
			return;
		}
		link->any_pushed = true;
		link->pushed = c->number;
	}
	link->synced = true;
	relay_link_send(link, MSG_GATE, 0, &link->links->gate);
}

void relay_links_conn_changed(struct relay_links *r, const struct index_conn *conn,
                              uint32_t replaces)
{
	for (struct relay_link *link = r->first; link; link = link->next) {
		int err;

		if (link->lost || !was_pushed(link, conn))
			continue;
		err = push_upstream(link, conn, replaces);
		if (err)
			link_lose(link, rk_strerror(err));
	}
}

void relay_links_conn_removed(struct relay_links *r, const struct index_conn *conn)
{
	const struct msg_upstream_drop m = {.upstream_id = conn->upstream_id};

	for (struct relay_link *link = r->first; link; link = link->next) {
		if (!link->lost && was_pushed(link, conn))
			relay_link_send(link, MSG_UPSTREAM_DROP, 0, &m);
	}
}

void relay_links_gate(struct relay_links *r, bool unsealed, bool audit_ok)
{
	r->gate = (struct msg_gate){.unsealed = unsealed, .audit_ok = audit_ok};
	for (struct relay_link *link = r->first; link; link = link->next) {
		if (link->synced && !link->lost)
			relay_link_send(link, MSG_GATE, 0, &r->gate);
	}
}

/* ---- what a relay says ---- */

/* The gate was closed; a relay that asks all the same gets its answer, without a row: there is
 * no journal yet. */
static void refuse(struct relay_link *link, uint64_t id, enum reason reason)
{
	const struct msg_decision m = {
	    .decision = (uint8_t)reason_info(reason)->decision,
	    .reason = (uint16_t)reason,
	};

	relay_link_send(link, MSG_DECISION, id, &m);
}

static void refuse_discovery(struct relay_link *link, uint64_t id, enum reason reason)
{
	const struct msg_discovered m = {.reason = (uint16_t)reason};

	relay_link_send(link, MSG_DISCOVERED, id, &m);
}

static void on_message(struct ipc_peer *peer, struct ipc_message *m, void *arg)
{
	struct relay_link *link = arg;
	struct pipeline *p = link->links->pipeline;
	int err = 0;

	(void)peer;
	if (link->lost)
		return;
	switch (m->type) {
	case MSG_AUTHORIZE:
		if (!p)
			refuse(link, m->id, REASON_SEALED);
		else if (!link->synced)
			refuse(link, m->id, REASON_OVERLOADED);
		else
			err = pipeline_authorize(p, link, m->id, &m->body.authorize);
		break;
	case MSG_COMPLETE:
		err = p ? pipeline_complete(p, link, m->id, &m->body.complete) : RK_E_PROTOCOL;
		break;
	case MSG_AGAIN:
		err = p ? pipeline_again(p, link, m->id, &m->body.again) : RK_E_PROTOCOL;
		break;
	case MSG_DISCOVER:
		if (p)
			pipeline_discover(p, link, m->id, &m->body.discover);
		else
			refuse_discovery(link, m->id, REASON_SEALED);
		break;
	case MSG_PROBED:
		if (p)
			probe_answered(p, link, m->id, &m->body.probed);
		break;
	case MSG_REFUSED:
		if (p)
			pipeline_refused(p, &m->body.refused);
		break;
	default:
		err = RK_E_PROTOCOL;
		break;
	}
	if (err)
		link_lose(link, rk_strerror(err));
}

static void on_closed(struct ipc_peer *peer, int err, void *arg)
{
	struct relay_link *link = arg;

	(void)peer;
	if (err == RK_E_CLOSED) { /* its end is the supervisor's to report */
		link->lost = true;
		loop_at_turn_end(link->links->loop, &link->links->reap);
	} else {
		link_lose(link, rk_strerror(err));
	}
}

static void on_drained(struct ipc_peer *peer, void *arg)
{
	(void)peer;
	link_sync(arg);
}

static const struct ipc_peer_ops peer_ops = {
    .message = on_message,
    .closed = on_closed,
    .drained = on_drained,
};

/* ---- coming and going ---- */

static void link_free(struct relay_link *link)
{
	if (link->links->pipeline)
		pipeline_link_gone(link->links->pipeline, link);
	ipc_peer_free(link->peer);
	*link->prev = link->next;
	if (link->next)
		link->next->prev = link->prev;
	link->links->count--;
	free(link);
}

static void on_reap(void *arg)
{
	struct relay_links *r = arg;
	struct relay_link *link, *next;

	for (link = r->first; link; link = next) {
		next = link->next;
		if (link->lost)
			link_free(link);
	}
}

int relay_links_new(struct loop *l, struct relay_links **out)
{
	struct relay_links *r = calloc(1, sizeof *r);

	if (!r)
		return RK_E_NOMEM;
	r->loop = l;
	r->reap = (struct loop_hook){.run = on_reap, .arg = r};
	*out = r;
	return 0;
}

void relay_links_free(struct relay_links *r)
{
	if (!r)
		return;
	loop_unhook(r->loop, &r->reap);
	while (r->first)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		link_free(r->first);
	free(r);
}

void relay_links_open(struct relay_links *r, struct index *index, struct pipeline *pipeline)
{
	r->index = index;
	r->pipeline = pipeline;
	r->gate = (struct msg_gate){.unsealed = pipeline_unsealed(pipeline),
	                            .audit_ok = pipeline_audit_ok(pipeline)};
	for (struct relay_link *link = r->first; link; link = link->next)
		link_sync(link);
}

int relay_links_attach(struct relay_links *r, uint32_t instance, int sock)
{
	const struct msg_gate closed = {0};
	struct relay_link *link = calloc(1, sizeof *link);
	int err;

	if (!link) {
		close(sock);
		return RK_E_NOMEM;
	}
	link->links = r;
	link->instance = instance;
	err = ipc_peer_new(r->loop, sock, IPC_KEEPER, IPC_RELAY, &peer_ops, link, &link->peer);
	if (err) {
		free(link);
		return err;
	}
	link->next = r->first;
	link->prev = &r->first;
	if (link->next)
		link->next->prev = &link->next;
	r->first = link;
	r->count++;
	relay_link_send(link, MSG_GATE, 0, &closed);
	link_sync(link);
	return 0;
}

struct relay_link *relay_links_any(struct relay_links *r)
{
	unsigned turn = r->count ? r->turn++ % r->count : 0;
	struct relay_link *first = NULL;

	for (struct relay_link *link = r->first; link; link = link->next) {
		bool ready = link->synced && !link->lost;

		if (ready && !turn)
			return link;
		if (ready && !first)
			first = link;
		turn -= turn > 0;
	}
	return first;
}

unsigned relay_links_count(const struct relay_links *r)
{
	return r->count;
}
