#include "relay/keeper_link.h"

#include "base/log.h"
#include "relay/discover.h"
#include "relay/exchange.h"
#include "relay/probing.h"
#include "relay/upstream.h"

/* An entry goes: its pool first, so that nothing new is sent with its credential. */
static void drop(struct relay *r, struct upstream *u)
{
	deadline_clear(&r->deadlines, &u->retired);
	upstream_drain(r, u);
	table_remove(&r->table, u);
}

static void on_retired(void *arg)
{
	struct upstream *u = arg;

	drop(u->owner, u);
}

static void add_upstream(struct relay *r, const struct msg_upstream *m)
{
	struct upstream *old = m->replaces ? table_by_id(&r->table, m->replaces) : NULL;
	struct upstream *u;
	int err;

	if (old && old->named) {
		/* decisions that name it may be on their way: found by id for a while */
		table_unname(&r->table, old);
		upstream_drain(r, old);
		deadline_set(&r->deadlines, &old->retired, DEADLINE_RETIRED);
	}
	err = table_add(&r->table, m, &u);
	if (err) {
		relay_log(r, "upstream_not_taken", "why", rk_strerror(err));
		return;
	}
	u->owner = r;
	u->retired = (struct deadline){.expired = on_retired, .arg = u};
	if (u->broken_ca)
		relay_log(r, "upstream_ca_not_valid", "conn", u->conn_id.p);
	if (u->broken_egress)
		relay_log(r, "upstream_egress_not_valid", "conn", u->conn_id.p);
}

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct relay *r = arg;
	struct exchange *ex;
	struct upstream *u;

	(void)p;
	switch (m->type) {
	case MSG_GATE:
		r->gate_known = true;
		r->unsealed = m->body.gate.unsealed;
		r->audit_ok = m->body.gate.audit_ok;
		log_event(LOG_LEVEL_INFO, "gate", "state", "%s", relay_gate_name(r));
		return;
	case MSG_UPSTREAM:
		add_upstream(r, &m->body.upstream);
		return;
	case MSG_UPSTREAM_DROP:
		u = table_by_id(&r->table, m->body.upstream_drop.upstream_id);
		if (u)
			drop(r, u);
		return;
	case MSG_DECISION:
		ex = exchange_find(r, m->id);
		if (ex)
			exchange_decided(ex, &m->body.decision);
		return;
	case MSG_DISCOVERED:
		ex = exchange_find(r, m->id);
		if (ex)
			discover_answered(ex, &m->body.discovered);
		return;
	case MSG_PROBE:
		probing_start(r, m->id, &m->body.probe);
		return;
	case MSG_CUT:
		/* one that has just ended crosses its COMPLETE */
		ex = exchange_find(r, m->id);
		if (ex)
			exchange_cut(ex, m->body.cut.reason);
		else
			(void)probing_cut(r, m->id, m->body.cut.reason);
		return;
	case MSG_EXPIRY:
		ex = exchange_find(r, m->id);
		if (ex)
			exchange_expiry(ex, m->body.expiry.cut_at_ms);
		return;
	default:
		return;
	}
}

void keeper_link_close(struct relay *r)
{
	struct upstream *u;

	ipc_peer_free(r->keeper);
	r->keeper = NULL;
	r->gate_known = false;
	r->unsealed = false;
	r->audit_ok = false;
	exchange_end_all(r, OUTCOME_BROKER, REASON_AUDIT_UNAVAILABLE);
	probing_end_all(r);
	exchange_say_unsaid(r);
	/* a new keeper counts its ids from the start */
	while ((u = table_any(&r->table)))
		drop(r, u);
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	struct relay *r = arg;

	(void)p;
	log_event(LOG_LEVEL_WARN, "keeper_lost", "why", "%s", rk_strerror(err));
	keeper_link_close(r);
}

static void on_drained(struct ipc_peer *p, void *arg)
{
	struct relay *r = arg;

	(void)p;
	exchange_say_unsaid(r);
}

void relay_set_keeper(struct relay *r, int sock)
{
	static const struct ipc_peer_ops ops = {
	    .message = on_message,
	    .closed = on_closed,
	    .drained = on_drained,
	};
	int err;

	if (r->keeper)
		keeper_link_close(r);
	err = ipc_peer_new(r->loop, sock, IPC_RELAY, IPC_KEEPER, &ops, r, &r->keeper);
	if (err) {
		r->keeper = NULL;
		log_event(LOG_LEVEL_ERROR, "keeper_channel", "why", "%s", rk_strerror(err));
	}
}
