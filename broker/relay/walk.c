#include "relay/walk.h"

#include <stdlib.h>

#include "http/credential.h"
#include "http/forwarded.h"
#include "http/target.h"
#include "http/websocket.h"
#include "relay/exchange.h"
#include "relay/own.h"

/* COMPLETE must always find room in the channel: new requests stop well before it is full. */
enum { ASK_WHILE_QUEUED = IPC_MAX_QUEUE / 2 };

bool walk_may_ask(const struct relay *r)
{
	return ipc_peer_queued(r->keeper) < ASK_WHILE_QUEUED;
}

struct rk_slice walk_user_agent(const struct h1_head *h)
{
	size_t pos = 0;
	const struct h1_field *f = h1_next_field(h, H1_HDR_USER_AGENT, &pos);
	struct rk_slice ua = {"", 0};

	if (f)
		ua = f->value;
	if (ua.n > AUDIT_MAX_USER_AGENT)
		ua.n = AUDIT_MAX_USER_AGENT;
	return ua;
}

static struct rk_slice path_of(struct rk_slice target)
{
	const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;

	if (mark)
		target.n = (size_t)(mark - target.p);
	if (target.n > MSG_MAX_PATH)
		target.n = MSG_MAX_PATH;
	return target;
}

void walk_refuse(struct client *c, const struct h1_head *h, enum reason reason,
                 const char *detail)
{
	struct msg_refused m = {
	    .reason = (uint16_t)reason,
	    .detail = rk_str(detail),
	    .conn = target_peek_conn(h->target),
	    .method = h->method,
	    .path = path_of(h->target),
	    .user_agent = walk_user_agent(h),
	};
	struct relay *r = c->relay;

	if (m.method.n > H1_MAX_METHOD)
		m.method.n = H1_MAX_METHOD;
	memcpy(m.request_id, c->request_id, sizeof m.request_id);
	memcpy(m.client_ip, c->asker.b, sizeof m.client_ip);
	if (r->keeper && r->audit_ok && ipc_peer_queued(r->keeper) < ASK_WHILE_QUEUED &&
	    ipc_peer_send(r->keeper, MSG_REFUSED, 0, &m) < 0)
		relay_log(r, "refusal_not_audited", "reason", reason_info(reason)->code);
	client_refuse(c, reason, detail, NULL);
}

static bool is_health(const struct h1_head *h)
{
	return rk_slice_is(path_of(h->target), "/healthz") &&
	       (rk_slice_is(h->method, "GET") || rk_slice_is(h->method, "HEAD"));
}

static enum reason reason_of_target(int err)
{
	switch (err) {
	case TARGET_E_TOO_LONG:
		return REASON_HEAD_TOO_LARGE;
	case TARGET_E_FORM:
	case TARGET_E_ESCAPE:
		return REASON_BAD_REQUEST;
	default:
		return REASON_AMBIGUOUS_PATH;
	}
}

/* Whether a connection to the upstream has to be made, as far as can be known now. */
static bool needs_dial(struct relay *r, struct upstream *u, bool websocket)
{
	return !u || (upstream_dials_secretly(u) && (websocket || !upstream_has_idle(r, u)));
}

/* Queues AUTHORIZE. The key is in secret memory, and wiped when this returns. */
static int ask(struct client *c, const struct h1_head *h, const struct target *t,
               bool query_auth, bool dial, uint64_t id)
{
	char names[AUDIT_MAX_QUERY_NAMES];
	struct relay *r = c->relay;
	size_t key_n = 0, names_n = 0;
	enum credential_result found;
	struct msg_authorize m = {
	    .conn = t->conn,
	    .method = h->method,
	    .rest = t->rest,
	    .user_agent = walk_user_agent(h),
	    .dial = dial,
	};
	int err = t->query.n ? request_query_names(t->query, names, sizeof names, &names_n) : 0;

	if (err)
		return err;
	found = credential_find(h, t->query, query_auth, (char *)r->key.p, &key_n);
	r->key.len = CREDENTIAL_MAX_KEY;
	m.query_names = rk_slice(names, names_n);
	m.key_conflict = found == CREDENTIAL_CONFLICT;
	if (found == CREDENTIAL_FOUND)
		m.key = rk_slice(r->key.p, key_n);
	memcpy(m.request_id, c->request_id, sizeof m.request_id);
	memcpy(m.client_ip, c->asker.b, sizeof m.client_ip);
	err = ipc_peer_send(r->keeper, MSG_AUTHORIZE, id, &m);
	rk_secret_wipe(&r->key);
	return err;
}

/* Of upgrades, WebSocket alone. False: refused. */
static bool check_upgrade(struct client *c, const struct h1_head *h)
{
	const char *fault;

	if (!websocket_asked(h)) {
		walk_refuse(c, h, REASON_UPGRADE_DENIED, NULL);
		return false;
	}
	/* frames, if the client did not wait: never to be read as the next request */
	c->settled = false;
	c->keep_alive = false;
	fault = websocket_request_fault(h);
	if (fault)
		walk_refuse(c, h, REASON_BAD_REQUEST, fault);
	return !fault;
}

void walk_request(struct client *c, const struct h1_head *h)
{
	struct relay *r = c->relay;
	enum reason closed = relay_gate(r);
	struct upstream *known;
	struct request *req;
	struct exchange *ex;
	struct target t;
	bool query_auth;
	unsigned flags;
	int err;

	c->asker = forwarded_client(h, &c->ip, &r->trusted_proxies);
	if (is_health(h)) {
		client_answer_health(c);
		return;
	}
	if (own_request(c, h))
		return;
	if (closed != REASON_OK) {
		walk_refuse(c, h, closed, NULL);
		return;
	}
	if (h->upgrade && !check_upgrade(c, h))
		return;
	known = table_find(&r->table, target_peek_conn(h->target));
	flags = known && (known->flags & UPSTREAM_ALLOW_ENCODED_SLASH)
	            ? TARGET_ALLOW_ENCODED_SLASH
	            : 0;
	query_auth = known && (known->flags & UPSTREAM_QUERY_AUTH);
	err = target_parse(h->target, flags, &t);
	if (err) {
		walk_refuse(c, h, reason_of_target(err), target_err_code(err));
		return;
	}
	req = request_new(h, &t, query_auth);
	if (req)
		req->websocket = h->upgrade;
	ex = req && walk_may_ask(r) ? exchange_new(c, req) : NULL;
	if (!ex) {
		free(req);
		walk_refuse(c, h, REASON_OVERLOADED, NULL);
		return;
	}
	err = ask(c, h, &t, query_auth, needs_dial(r, known, h->upgrade), exchange_id(ex));
	if (err) {
		exchange_forget(ex);
		if (err == RK_E_TOOBIG)
			walk_refuse(c, h, REASON_HEAD_TOO_LARGE, "query_names_too_large");
		else
			walk_refuse(c, h, REASON_OVERLOADED, NULL);
	}
}
