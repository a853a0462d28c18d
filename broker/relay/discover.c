#include "relay/discover.h"

#include <stdlib.h>

#include "http/credential.h"
#include "relay/limits.h"
#include "relay/own.h"
#include "relay/walk.h"

/* The key is in secret memory, and wiped when this returns. */
static int ask(struct client *c, const struct h1_head *h, struct rk_slice query, uint64_t id)
{
	struct relay *r = c->relay;
	size_t key_n = 0;
	enum credential_result found;
	struct msg_discover m = {
	    .method = h->method,
	    .user_agent = walk_user_agent(h),
	};
	int err;

	found = credential_find(h, query, false, (char *)r->key.p, &key_n);
	r->key.len = CREDENTIAL_MAX_KEY;
	m.key_conflict = found == CREDENTIAL_CONFLICT;
	if (found == CREDENTIAL_FOUND)
		m.key = rk_slice(r->key.p, key_n);
	memcpy(m.request_id, c->request_id, sizeof m.request_id);
	memcpy(m.client_ip, c->asker.b, sizeof m.client_ip);
	err = ipc_peer_send(r->keeper, MSG_DISCOVER, id, &m);
	rk_secret_wipe(&r->key);
	return err;
}

/* The exchange remembers how the client calls this host. */
static struct exchange *begin(struct client *c, const struct h1_head *h, struct target *t)
{
	struct request *req = request_new(h, t, false);
	struct rk_slice host = own_authority(h);
	struct exchange *ex;

	if (!req)
		return NULL;
	ex = walk_may_ask(c->relay) ? exchange_new(c, req) : NULL;
	if (!ex) {
		free(req);
		return NULL;
	}
	ex->discovers = strndup(host.p, host.n);
	if (ex->discovers)
		return ex;
	exchange_forget(ex);
	return NULL;
}

void discover_request(struct client *c, const struct h1_head *h)
{
	enum reason closed = relay_gate(c->relay);
	struct exchange *ex;
	struct target t;
	int err;

	if (closed != REASON_OK) {
		walk_refuse(c, h, closed, NULL);
		return;
	}
	err = target_parse(h->target, 0, &t);
	if (err) {
		walk_refuse(c, h, REASON_BAD_REQUEST, target_err_code(err));
		return;
	}
	ex = begin(c, h, &t);
	if (!ex) {
		walk_refuse(c, h, REASON_OVERLOADED, NULL);
		return;
	}
	if (ask(c, h, t.query, exchange_id(ex))) {
		exchange_forget(ex);
		walk_refuse(c, h, REASON_OVERLOADED, NULL);
	}
}

static struct rate_report limits_in(const struct msg_discovered *m)
{
	return (struct rate_report){
	    .minute_limit = m->minute_limit,
	    .minute_left = m->minute_left,
	    .minute_reset_s = m->minute_reset_s,
	    .day_limit = m->day_limit,
	    .day_left = m->day_left,
	    .day_reset_s = m->day_reset_s,
	    .concurrent_limit = m->concurrent_limit,
	    .concurrent_left = m->concurrent_left,
	};
}

void discover_answered(struct exchange *ex, const struct msg_discovered *m)
{
	const struct rate_report limits = limits_in(m);
	struct client *c = ex->client;
	char fields[LIMITS_TEXT + 128];
	struct client_text t = {
	    .status = 200, .type = "application/json", .fields = fields, .decided = true};

	if (!ex->discovers || ex->st != EXCHANGE_ASKED)
		return;
	if (m->reason != REASON_OK) {
		exchange_fail(ex, OUTCOME_NONE, (enum reason)m->reason, NULL);
		return;
	}
	if (!c) {
		exchange_end(ex, OUTCOME_CLIENT_GONE, REASON_OK, NULL);
		return;
	}
	if (discover_render(m, rk_str(ex->discovers), &t.body)) {
		exchange_fail(ex, OUTCOME_NOT_SENT, REASON_OVERLOADED, NULL);
		return;
	}
	limits_text(&limits, fields);
	strncat(fields, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
	        sizeof fields - strlen(fields) - 1);
	exchange_end(ex, OUTCOME_NONE, REASON_OK, NULL);
	client_answer_text(c, &t);
	client_step(c, false);
}
