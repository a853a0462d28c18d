/*
 * What a relay key may do, for its holder: judged and written down like a request, answered
 * when the row is durable, from the index as it is then. Two rows, REQUEST and RESPONSE, marked
 * "discover" in their detail; a refusal is one row, as ever. Counts towards no limit.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "keeper/pipeline_int.h"

enum { MAX_DISCOVERIES = 256 }; /* waiting for their rows, of all relays */

struct pl_discovery {
	struct pl_discovery *next, **prev;
	struct pipeline *p;
	struct relay_link *link; /* NULL: gone */
	uint64_t id;
	uint8_t request_id[16];
	uint8_t digest[32]; /* of the key; when it was good */
	uint16_t reason;
};

/* ---- the answer ---- */

static void send_reason(struct relay_link *link, uint64_t id, enum reason reason)
{
	const struct msg_discovered m = {.reason = (uint16_t)reason};

	if (link)
		relay_link_send(link, MSG_DISCOVERED, id, &m);
}

static void put_limits(struct msg_discovered *m, struct index_key *k)
{
	const struct rate_now now = {.mono_ms = rk_mono_us() / 1000, .wall_ms = rk_wall_ms()};
	struct rate_report r;
	const char *detail;
	uint32_t one;

	if (!k->rate)
		return;
	/* the report is for one request more, and this is none */
	one = rate_check(k->rate, k->in_flight, now, &r, &detail) == REASON_OK;
	m->minute_limit = r.minute_limit;
	m->minute_left = r.minute_limit ? r.minute_left + one : 0;
	m->minute_reset_s = r.minute_reset_s;
	m->day_limit = r.day_limit;
	m->day_left = r.day_limit ? r.day_left + one : 0;
	m->day_reset_s = r.day_reset_s;
	m->concurrent_limit = r.concurrent_limit;
	m->concurrent_left = r.concurrent_limit ? r.concurrent_left + one : 0;
}

/* As many as fit; the others are counted. */
static void put_reaches(struct msg_discovered *m, const struct index_key *k, char *mem,
                        size_t cap)
{
	static char one[MSG_MAX_GRANT];
	size_t used = 0;

	for (unsigned i = 0; i < k->grant_count; i++) {
		const struct index_grant *g = k->grants[i];
		struct msg_reach r;
		ssize_t n;

		if (!g->conn)
			continue;
		r = (struct msg_reach){
		    .conn_id = rk_str(g->conn->id),
		    .name = rk_str(g->conn->name),
		    .provider = rk_str(g->conn->provider),
		    .base_path = rk_str(g->conn->url.path),
		    .enabled = g->conn->enabled,
		    .methods = g->methods,
		    .paths = g->paths,
		    .deny_query = g->deny_query,
		};
		n = record_encode(&msg_reach_desc, &r, one, sizeof one);
		if (n < 0 || record_list_add(mem, cap, &used, rk_slice(one, (size_t)n)))
			m->left_out++;
	}
	m->reaches = rk_slice(mem, used);
}

static struct rk_slice cidrs_text(const struct index_key *k, char *mem, size_t cap)
{
	char text[RK_CIDR_TEXT];
	size_t used = 0;

	for (unsigned i = 0; i < k->cidr_count; i++) {
		rk_cidr_format(&k->cidrs[i], text);
		if (record_list_add(mem, cap, &used, rk_str(text)))
			break; /* what was issued here fits */
	}
	return rk_slice(mem, used);
}

static int send_reach(const struct pl_discovery *d, struct index_key *k)
{
	static char reaches[MSG_MAX_GRANTS], cidrs[MSG_MAX_LIST];
	char id[4 + RELAY_KEY_ID], masked[RELAY_KEY_MASKED];
	struct msg_discovered m = {
	    .reason = REASON_OK,
	    .kind = k->kind,
	    .holder = rk_str(index_key_holder(k)),
	    .name = rk_str(k->name),
	    .env = rk_str(k->env),
	    .expires_ms = k->expires_ms,
	    .cidrs = cidrs_text(k, cidrs, sizeof cidrs),
	};

	memcpy(id, "key_", 4);
	memcpy(id + 4, k->id, RELAY_KEY_ID);
	m.key_id = rk_slice(id, sizeof id);
	relay_key_mask((enum holder_kind)k->kind, k->hint, masked);
	m.masked = rk_str(masked);
	put_limits(&m, k);
	put_reaches(&m, k, reaches, sizeof reaches);
	return relay_link_try_send(d->link, MSG_DISCOVERED, d->id, &m);
}

/* ---- rows ---- */

static void discovery_free(struct pl_discovery *d)
{
	*d->prev = d->next;
	if (d->next)
		d->next->prev = d->prev;
	d->p->discovery_count--;
	free(d);
}

static void add_response(struct pipeline *p, const struct pl_discovery *d, enum reason reason,
                         enum audit_outcome outcome)
{
	const struct reason_info *info = reason_info(reason);
	struct audit_row row = {
	    .type = AUDIT_RESPONSE,
	    .decision = (uint8_t)info->decision,
	    .reason = (uint16_t)reason,
	    .status = reason == REASON_OK ? 200 : info->status,
	    .outcome = (uint8_t)outcome,
	    .detail = rk_str("discover"),
	};

	memcpy(row.request_id, d->request_id, sizeof row.request_id);
	pipeline_keep_row(p, &row);
}

/* Allowed, and the journal says so: judged once more, and answered. */
static void answer_allowed(struct pipeline *p, struct pl_discovery *d)
{
	struct index_key *k = index_key_by_digest(p->params.index, d->digest);
	enum audit_outcome outcome = OUTCOME_COMPLETE;
	enum reason now = REASON_INVALID_KEY;

	if (k)
		now = authorize_key_still(k, rk_wall_ms());
	if (!d->link) {
		outcome = OUTCOME_CLIENT_GONE;
	} else if (now != REASON_OK) {
		send_reason(d->link, d->id, now);
		outcome = OUTCOME_NOT_SENT;
	} else if (send_reach(d, k)) {
		now = REASON_OVERLOADED;
		send_reason(d->link, d->id, now);
		outcome = OUTCOME_NOT_SENT;
	}
	add_response(p, d, now, outcome);
}

static void row_done(int err, void *arg)
{
	struct pl_discovery *d = arg;
	struct pipeline *p = d->p;

	if (err) {
		p->turned_away++;
		send_reason(d->link, d->id, REASON_AUDIT_UNAVAILABLE);
	} else if (d->reason != REASON_OK) {
		send_reason(d->link, d->id, (enum reason)d->reason);
	} else {
		answer_allowed(p, d);
	}
	discovery_free(d);
}

static int request_row(struct pipeline *p, struct pl_discovery *d, const struct msg_discover *m,
                       const struct authorized *a)
{
	const struct reason_info *info = reason_info(a->reason);
	const struct pl_row what = {.done = row_done, .arg = d};
	char key_id[4 + RELAY_KEY_ID];
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .time_ms = rk_wall_ms(),
	    .user_agent = m->user_agent,
	    .method = m->method,
	    .path = rk_str("/_discover"),
	    .decision = (uint8_t)info->decision,
	    .reason = (uint16_t)a->reason,
	    .status = info->status,
	    .policy_version = *p->params.policy_version,
	    .detail = rk_str(a->reason == REASON_OK ? "discover" : a->detail),
	};

	memcpy(row.request_id, m->request_id, sizeof row.request_id);
	memcpy(row.client_ip, m->client_ip, sizeof row.client_ip);
	if (a->key) {
		memcpy(key_id, "key_", 4);
		memcpy(key_id + 4, a->key->id, RELAY_KEY_ID);
		row.key_id = rk_slice(key_id, sizeof key_id);
		row.holder_kind = a->key->kind;
		row.holder = rk_str(index_key_holder(a->key));
		row.env = rk_str(a->key->env);
	}
	return pl_row_add(p, &row, &what, true);
}

static struct pl_discovery *discovery_new(struct pipeline *p, struct relay_link *link,
                                          uint64_t id, const struct msg_discover *m)
{
	struct pl_discovery *d;

	if (p->queued >= PIPELINE_MAX_BATCHES || p->discovery_count >= MAX_DISCOVERIES)
		return NULL;
	d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->p = p;
	d->link = link;
	d->id = id;
	memcpy(d->request_id, m->request_id, sizeof d->request_id);
	d->next = p->discoveries;
	d->prev = &p->discoveries;
	if (d->next)
		d->next->prev = &d->next;
	p->discoveries = d;
	p->discovery_count++;
	return d;
}

static void turn_away(struct pipeline *p, struct relay_link *link, uint64_t id,
                      enum reason reason)
{
	p->counters.refused++;
	p->counters.dropped++;
	p->turned_away++;
	send_reason(link, id, reason);
}

void pipeline_discover(struct pipeline *p, struct relay_link *link, uint64_t id,
                       const struct msg_discover *m)
{
	struct msg_authorize ask = {
	    .key = m->key, .key_conflict = m->key_conflict, .user_agent = m->user_agent};
	struct authorized *a = &p->decision;
	int64_t now_ms = rk_wall_ms();
	struct pl_discovery *d;

	p->counters.requests++;
	if (!p->audit_ok) {
		turn_away(p, link, id, REASON_AUDIT_UNAVAILABLE);
		return;
	}
	memcpy(ask.client_ip, m->client_ip, sizeof ask.client_ip);
	authorize_key(p->params.index, &ask, !p->unsealed, now_ms, a);
	pl_contain(p, &ask, now_ms, a);
	d = discovery_new(p, link, id, m);
	if (!d || !pl_batch_room(p, 0)) {
		if (d)
			discovery_free(d);
		turn_away(p, link, id, REASON_OVERLOADED);
		return;
	}
	d->reason = (uint16_t)a->reason;
	if (a->reason == REASON_OK)
		memcpy(d->digest, a->key->digest, sizeof d->digest);
	else
		p->counters.refused++;
	if (request_row(p, d, m, a)) {
		discovery_free(d);
		turn_away(p, link, id, REASON_AUDIT_UNAVAILABLE);
	}
}

void pl_discoveries_link_gone(struct pipeline *p, const struct relay_link *link)
{
	for (struct pl_discovery *d = p->discoveries; d; d = d->next) {
		if (d->link == link)
			d->link = NULL;
	}
}

void pl_discoveries_free(struct pipeline *p)
{
	while (p->discoveries)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		discovery_free(p->discoveries);
}
