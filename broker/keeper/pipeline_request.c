#include "keeper/pipeline_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum {
	SLAB_REQUESTS = 256,
	MAX_REQUESTS = 1 << 20, /* waiting and in flight, of all relays */
};

/* ---- slots ---- */

struct pl_slab {
	struct pl_slab *next;
	struct pl_request request[SLAB_REQUESTS];
};

static struct pl_request *request_new(struct pipeline *p)
{
	struct pl_request *r = p->free_request;

	if (!r) {
		struct pl_slab *slab;

		if (p->requests >= MAX_REQUESTS)
			return NULL;
		slab = malloc(sizeof *slab);
		if (!slab)
			return NULL;
		slab->next = p->slabs;
		p->slabs = slab;
		for (unsigned i = 0; i < SLAB_REQUESTS; i++) {
			slab->request[i].next = p->free_request;
			p->free_request = &slab->request[i];
		}
		r = p->free_request;
	}
	p->free_request = r->next;
	p->requests++;
	*r = (struct pl_request){.p = p, .state = PL_WAITING};
	return r;
}

/* The relay can no longer name it. */
static void request_unlink(struct pipeline *p, struct pl_request *r)
{
	if (!r->link)
		return;
	flights_remove(&p->flights, &r->in_link);
	*r->link_prev = r->link_next;
	if (r->link_next)
		r->link_next->link_prev = r->link_prev;
	r->link = NULL;
}

static void request_free(struct pipeline *p, struct pl_request *r)
{
	request_unlink(p, r);
	pl_request_waits_no_more(r);
	pl_asked_free(&r->asked);
	if (r->flight.key) {
		index_request_close(&r->flight);
		p->counters.in_flight--;
	}
	r->next = p->free_request;
	p->free_request = r;
	p->requests--;
}

void pl_requests_free(struct pipeline *p)
{
	while (p->slabs) {
		struct pl_slab *next = p->slabs->next;

		free(p->slabs);
		p->slabs = next;
	}
}

static void request_link(struct pipeline *p, struct pl_request *r, struct relay_link *link,
                         uint64_t id)
{
	r->link = link;
	flights_add(&p->flights, &r->in_link, link, id);
	r->link_next = link->open;
	r->link_prev = &link->open;
	if (link->open)
		link->open->link_prev = &r->link_next;
	link->open = r;
}

static struct pl_request *request_find(const struct pipeline *p, const struct relay_link *link,
                                       uint64_t id)
{
	struct flight *at = flights_find(&p->flights, link, id);

	if (!at)
		return NULL;
	return (struct pl_request *)((char *)at - offsetof(struct pl_request, in_link));
}

/* ---- answers ---- */

static void put_limits(struct msg_decision *m, const struct rate_report *l)
{
	m->minute_limit = l->minute_limit;
	m->minute_left = l->minute_left;
	m->minute_reset_s = l->minute_reset_s;
	m->day_limit = l->day_limit;
	m->day_left = l->day_left;
	m->day_reset_s = l->day_reset_s;
	m->concurrent_limit = l->concurrent_limit;
	m->concurrent_left = l->concurrent_left;
	m->retry_after_s = l->retry_after_s;
}

/* `limits`: NULL when nothing is known of them. */
static void send_refusal(struct relay_link *link, uint64_t id, enum reason reason,
                         const struct rate_report *limits)
{
	struct msg_decision m = {
	    .decision = (uint8_t)reason_info(reason)->decision,
	    .reason = (uint16_t)reason,
	};

	if (limits)
		put_limits(&m, limits);
	relay_link_send(link, MSG_DECISION, id, &m);
}

static void answer_refused(struct pl_request *r, enum reason reason)
{
	if (r->link)
		send_refusal(r->link, r->in_link.id, reason,
		             reason == REASON_INVALID_KEY ? NULL : &r->limits);
}

/* What a late refusal leaves: before the second decision the request may have gone out. */
static uint8_t late_outcome(const struct pl_request *r)
{
	if (!r->link)
		return r->outcome;
	return r->resent ? OUTCOME_UPSTREAM_GONE : OUTCOME_NOT_SENT;
}

/* The journal says that it was allowed: what became of it must stand there too. */
static void refuse_late(struct pl_request *r, enum reason reason, const char *detail)
{
	struct pipeline *p = r->p;
	struct msg_complete m = {
	    .status = reason_info(reason)->status,
	    .reason = (uint16_t)reason,
	    .outcome = late_outcome(r),
	    .detail = rk_str(detail),
	};

	if (r->link)
		p->counters.refused++;
	answer_refused(r, reason);
	pl_row_response(p, r, &m);
	request_free(p, r);
}

void pl_request_refused(struct pl_request *r)
{
	struct pipeline *p = r->p;

	answer_refused(r, (enum reason)r->reason);
	request_free(p, r);
}

void pl_request_failed(struct pl_request *r)
{
	struct pipeline *p = r->p;

	if (r->row_durable) {
		refuse_late(r, REASON_AUDIT_UNAVAILABLE, "");
		return;
	}
	p->turned_away++;
	if (r->reason == REASON_OK)
		p->counters.refused++;
	answer_refused(r, REASON_AUDIT_UNAVAILABLE);
	request_free(p, r);
}

static void send_allowed(struct pl_request *r, const struct pl_credential *c)
{
	struct msg_decision m = {
	    .decision = DECISION_ALLOWED,
	    .reason = REASON_OK,
	    .upstream_id = c->upstream_id,
	    .inject_headers = rk_secret_slice(&c->headers),
	    .inject_query = rk_secret_slice(&c->query),
	    .masks = rk_slice(c->masks, c->masks_n),
	    .cut_at_ms = r->flight.key->expires_ms,
	    .dial = rk_secret_slice(&c->dialling),
	};

	put_limits(&m, &r->limits);
	if (relay_link_try_send(r->link, MSG_DECISION, r->in_link.id, &m))
		refuse_late(r, REASON_OVERLOADED, "the decision could not be sent");
	else
		r->state = PL_RUNNING;
}

/* It was rotated since, or is wanted for a second try: nothing is pooled for it. The row
 * stands. */
static void take_fresh_credential(struct pl_request *r)
{
	struct pipeline *p = r->p;
	struct index_conn *conn = r->flight.conn;

	r->dial = true;
	if (!pl_batch_room(p, pl_credential_bytes(conn, true))) {
		refuse_late(r, REASON_OVERLOADED, "out of memory");
		return;
	}
	pl_credential_attach(p, r, conn);
	p->open->urgent = true;
	pl_wake(p);
}

/* Once more, as things are now. A CUT that crossed an AGAIN holds, whatever came after it. */
static enum reason judge(const struct pl_request *r)
{
	enum reason now;

	if (r->cut != REASON_OK)
		return (enum reason)r->cut;
	if (r->p->stopped)
		return REASON_TRAFFIC_STOPPED;
	/* what it was allowed to ask for may be something else there */
	if (r->target != r->flight.conn->target)
		return REASON_OVERLOADED;
	now = authorize_still(r->flight.key, r->flight.conn, rk_wall_ms());
	return now == REASON_OK && !pl_trusted(r) ? REASON_IP_UNCONFIRMED : now;
}

static enum reason reason_of_unwrap(int err)
{
	return err == RK_E_NOMEM ? REASON_OVERLOADED : REASON_SEALED;
}

void pl_request_ready(struct pl_request *r, const struct pl_credential *c)
{
	enum reason now;

	r->unwrap_us = c->unwrap_us;
	if (!r->link) {
		refuse_late(r, REASON_OK, "");
		return;
	}
	now = judge(r);
	if (now != REASON_OK)
		refuse_late(r, now, "changed after the decision");
	else if (r->flight.conn->upstream_id != c->upstream_id)
		take_fresh_credential(r);
	else if (c->err)
		refuse_late(r, reason_of_unwrap(c->err), c->err_text);
	else
		send_allowed(r, c);
}

/* ---- messages ---- */

static int request_row(struct pipeline *p, struct pl_request *r, const struct msg_authorize *m,
                       int64_t now_ms)
{
	const struct authorized *d = &p->decision;
	const struct reason_info *info = reason_info(d->reason);
	const struct pl_row what = {.request = r};
	char key_id[sizeof "key_" + RELAY_KEY_ID];
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .time_ms = now_ms,
	    .conn_name = m->conn,
	    .user_agent = m->user_agent,
	    .method = m->method,
	    .path = d->path,
	    .query_names = m->query_names,
	    .decision = (uint8_t)info->decision,
	    .reason = (uint16_t)d->reason,
	    .status = info->status,
	    .policy_version = *p->params.policy_version,
	    .detail = rk_str(d->detail),
	};

	memcpy(row.request_id, m->request_id, sizeof row.request_id);
	memcpy(row.client_ip, m->client_ip, sizeof row.client_ip);
	if (d->key) {
		memcpy(key_id, "key_", 4);
		memcpy(key_id + 4, d->key->id, RELAY_KEY_ID);
		row.key_id = rk_slice(key_id, 4 + RELAY_KEY_ID);
		row.holder_kind = d->key->kind;
		row.holder = rk_str(index_key_holder(d->key));
		row.env = rk_str(d->key->env);
	}
	if (d->conn) {
		row.conn_id = rk_str(d->conn->id);
		row.conn_name = rk_str(d->conn->name);
		row.provider = rk_str(d->conn->provider);
	}
	return pl_row_add(p, &row, &what, true);
}

static void turn_away(struct pipeline *p, struct relay_link *link, uint64_t id,
                      enum reason reason)
{
	p->counters.refused++;
	p->counters.dropped++;
	p->turned_away++;
	send_refusal(link, id, reason, NULL);
}

/* The same for one that has a slot already. */
static void drop(struct pipeline *p, struct pl_request *r, enum reason reason)
{
	struct relay_link *link = r->link;
	uint64_t id = r->in_link.id;

	request_free(p, r);
	if (link)
		turn_away(p, link, id, reason);
}

static bool overloaded(const struct pipeline *p)
{
	return p->queued >= PIPELINE_MAX_BATCHES;
}

/* A holder's first address is stored before a request from it is allowed. True: it waits. */
static bool wait_for_first(struct pipeline *p, struct pl_request *r,
                           const struct msg_authorize *m, bool again)
{
	struct authorized *d = &p->decision;

	if (!d->first)
		return false;
	if (!again && !pl_trust_park(p, r, m))
		return true;
	d->reason = REASON_OVERLOADED;
	d->detail = "the holder's first address could not be stored";
	return false;
}

static void refused_by_row(struct pipeline *p, const struct msg_authorize *m)
{
	const struct pipeline_trust *t = &p->params.trust;
	const struct authorized *d = &p->decision;

	p->counters.refused++;
	if (d->reason == REASON_IP_UNCONFIRMED && t->locked)
		t->locked(d->key, d->conn, m, t->arg);
}

void pl_request_decide(struct pipeline *p, struct pl_request *r, const struct msg_authorize *m,
                       bool again)
{
	const struct pipeline_trust *t = &p->params.trust;
	struct authorized *d = &p->decision;
	int64_t now_ms = rk_wall_ms();
	const struct rate_now now = {.mono_ms = rk_mono_us() / 1000, .wall_ms = now_ms};
	size_t extra = 0;

	if (t->ask)
		t->ask(t->arg);
	authorize(p->params.index, m, !p->unsealed, now_ms, d);
	pl_contain(p, m, now_ms, d);
	if (wait_for_first(p, r, m, again))
		return;
	authorize_limits(d, now, &r->limits);
	if (d->reason == REASON_OK) {
		extra = pl_credential_bytes(d->conn, m->dial);
		if (again)
			d->detail = "first address of its holder";
	}
	if (!pl_batch_room(p, extra)) {
		drop(p, r, REASON_OVERLOADED);
		return;
	}
	memcpy(r->request_id, m->request_id, sizeof r->request_id);
	memcpy(r->client_ip, m->client_ip, sizeof r->client_ip);
	r->reason = (uint16_t)d->reason;
	r->dial = m->dial != 0;
	r->target = d->conn ? d->conn->target : 0;
	if (request_row(p, r, m, now_ms)) {
		drop(p, r, REASON_AUDIT_UNAVAILABLE);
		return;
	}
	if (d->reason != REASON_OK) {
		refused_by_row(p, m);
		return;
	}
	if (d->key->rate)
		rate_take(d->key->rate, now);
	pl_asked_note(&r->asked, m, d->path);
	index_request_open(&r->flight, d->key, d->conn);
	p->counters.in_flight++;
	d->key->last_used_ms = now_ms;
	pl_credential_attach(p, r, d->conn);
}

int pipeline_authorize(struct pipeline *p, struct relay_link *link, uint64_t id,
                       const struct msg_authorize *m)
{
	struct pl_request *r;

	if (request_find(p, link, id))
		return RK_E_PROTOCOL;
	p->counters.requests++;
	if (!p->audit_ok) {
		turn_away(p, link, id, REASON_AUDIT_UNAVAILABLE);
		return 0;
	}
	r = overloaded(p) ? NULL : request_new(p);
	if (!r) {
		turn_away(p, link, id, REASON_OVERLOADED);
		return 0;
	}
	request_link(p, r, link, id);
	pl_request_decide(p, r, m, false);
	return 0;
}

int pipeline_complete(struct pipeline *p, struct relay_link *link, uint64_t id,
                      const struct msg_complete *m)
{
	struct pl_request *r = request_find(p, link, id);

	if (!r)
		return RK_E_PROTOCOL;
	if (r->state == PL_WAITING) {
		r->outcome = r->resent ? m->outcome : OUTCOME_NOT_SENT;
		request_unlink(p, r);
		return 0;
	}
	pl_row_response(p, r, m);
	request_free(p, r);
	return 0;
}

static enum reason judge_again(const struct pl_request *r)
{
	const struct pipeline *p = r->p;

	if (!p->audit_ok)
		return REASON_AUDIT_UNAVAILABLE;
	if (!p->unsealed)
		return REASON_SEALED;
	return overloaded(p) ? REASON_OVERLOADED : judge(r);
}

int pipeline_again(struct pipeline *p, struct relay_link *link, uint64_t id,
                   const struct msg_again *m)
{
	struct pl_request *r = request_find(p, link, id);
	enum reason now;

	if (!r || r->state != PL_RUNNING || r->again)
		return RK_E_PROTOCOL;
	r->again = true;
	r->resent = m->sent != 0;
	r->state = PL_WAITING;
	now = judge_again(r);
	if (now != REASON_OK)
		refuse_late(r, now, "no second try");
	else
		take_fresh_credential(r);
	return 0;
}

void pipeline_refused(struct pipeline *p, const struct msg_refused *m)
{
	const struct reason_info *info = reason_info(m->reason);
	const struct pl_row what = {0};
	const struct index_conn *conn = index_conn_find(p->params.index, m->conn);
	char detail[AUDIT_MAX_DETAIL];
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .time_ms = rk_wall_ms(),
	    .conn_name = m->conn,
	    .user_agent = m->user_agent,
	    .method = m->method,
	    .path = m->path,
	    .decision = (uint8_t)info->decision,
	    .reason = m->reason,
	    .status = info->status,
	    .policy_version = *p->params.policy_version,
	    .detail = pl_printable(m->detail, detail, sizeof detail),
	};

	p->counters.requests++;
	p->counters.refused++;
	if (conn) {
		row.conn_id = rk_str(conn->id);
		row.conn_name = rk_str(conn->name);
		row.provider = rk_str(conn->provider);
	}
	memcpy(row.request_id, m->request_id, sizeof row.request_id);
	memcpy(row.client_ip, m->client_ip, sizeof row.client_ip);
	if (overloaded(p) || pl_row_add(p, &row, &what, false))
		p->counters.dropped++;
}

void pipeline_link_gone(struct pipeline *p, struct relay_link *link)
{
	const struct msg_complete m = {.outcome = OUTCOME_BROKER};
	struct pl_request *r, *next;

	pl_discoveries_link_gone(p, link);
	pl_probes_link_gone(p, link);
	for (r = link->open; r; r = next) {
		next = r->link_next;
		if (r->state == PL_WAITING) {
			r->outcome = OUTCOME_BROKER;
			request_unlink(p, r);
			continue;
		}
		pl_row_response(p, r, &m);
		request_free(p, r);
	}
}

/* What waits for its decision is judged when that is sent, and told its end with it. */
static bool is_under_way(const struct pl_request *r)
{
	return r->state == PL_RUNNING && r->cut == REASON_OK && r->link;
}

void pl_request_cut(struct pl_request *r, enum reason reason)
{
	const struct msg_cut m = {.reason = (uint16_t)reason};

	if (!is_under_way(r))
		return;
	r->cut = (uint16_t)reason;
	relay_link_send(r->link, MSG_CUT, r->in_link.id, &m);
}

/* What waits for its decision finds it there (judge()). */
void pl_request_forbid(struct pl_request *r, enum reason reason)
{
	if (r->state == PL_WAITING && r->cut == REASON_OK)
		r->cut = (uint16_t)reason;
	pl_request_cut(r, reason);
}

static struct pl_request *request_of(struct index_request *f)
{
	return (struct pl_request *)((char *)f - offsetof(struct pl_request, flight));
}

void pipeline_cut_key(struct pipeline *p, struct index_key *key, enum reason reason)
{
	(void)p;
	for (struct index_request *f = key->open; f; f = f->key_next)
		pl_request_cut(request_of(f), reason);
}

void pipeline_cut_conn(struct pipeline *p, struct index_conn *conn, enum reason reason)
{
	pl_probes_cut(p, conn, reason);
	for (struct index_request *f = conn->open; f; f = f->conn_next)
		pl_request_cut(request_of(f), reason);
}

void pipeline_expiry_changed(struct pipeline *p, struct index_key *key)
{
	const struct msg_expiry m = {.cut_at_ms = key->expires_ms};

	(void)p;
	for (struct index_request *f = key->open; f; f = f->key_next) {
		struct pl_request *r = request_of(f);

		if (is_under_way(r))
			relay_link_send(r->link, MSG_EXPIRY, r->in_link.id, &m);
	}
}
