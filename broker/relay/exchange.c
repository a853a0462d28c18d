#include "relay/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "relay/limits.h"
#include "relay/rewrite.h"
#include "relay/transfer.h"
#include "relay/tunnel.h"

/* ---- ids ---- */

static bool slots_grow(struct relay *r)
{
	enum { FIRST = 64, MOST = 1 << 20 };
	uint32_t count = r->slot_count ? r->slot_count * 2 : FIRST;
	struct exchange_slot *slots;

	if (count > MOST)
		return false;
	slots = realloc(r->slots, count * sizeof *slots);
	if (!slots)
		return false;
	r->slots = slots;
	for (uint32_t i = r->slot_count; i < count; i++)
		slots[i] = (struct exchange_slot){.generation = 1, .next_free = i + 1};
	/* free_slot is slot_count when all are taken */
	r->slot_count = count;
	return true;
}

static bool slot_take(struct exchange *ex)
{
	struct relay *r = ex->relay;
	uint32_t i;

	if (r->free_slot == r->slot_count && !slots_grow(r))
		return false;
	i = r->free_slot;
	r->free_slot = r->slots[i].next_free;
	r->slots[i].exchange = ex;
	ex->id = (uint64_t)r->slots[i].generation << 32 | i;
	r->exchange_count++;
	return true;
}

static void slot_give(struct exchange *ex)
{
	struct relay *r = ex->relay;
	uint32_t i = (uint32_t)ex->id;

	r->slots[i].exchange = NULL;
	r->slots[i].generation++;
	r->slots[i].next_free = r->free_slot;
	r->free_slot = i;
	r->exchange_count--;
	relay_may_be_done(r);
}

struct exchange *exchange_find(struct relay *r, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i >= r->slot_count || !r->slots[i].exchange || r->slots[i].exchange->id != id)
		return NULL;
	return r->slots[i].exchange;
}

uint64_t exchange_id(const struct exchange *ex)
{
	return ex->id;
}

/* ---- making and ending ---- */

static void on_deadline(void *arg);

struct exchange *exchange_new(struct client *c, struct request *req)
{
	struct exchange *ex = calloc(1, sizeof *ex);

	if (!ex)
		return NULL;
	ex->relay = c->relay;
	if (!slot_take(ex)) {
		free(ex);
		return NULL;
	}
	memcpy(req->id, c->request_id, sizeof req->id);
	ex->req = req;
	ex->client = c;
	ex->started_us = c->started_us;
	ex->deadline = (struct deadline){.expired = on_deadline, .arg = ex};
	c->exchange = ex;
	deadline_set(&ex->relay->deadlines, &ex->deadline, DEADLINE_DECISION);
	return ex;
}

static void release(struct exchange *ex)
{
	struct relay *r = ex->relay;

	ex->st = EXCHANGE_ENDED;
	deadline_clear(&r->deadlines, &ex->deadline);
	rk_secret_free(&ex->head);
	echo_end(&ex->echo);
	upstream_close(ex->conn);
	ex->conn = NULL;
	span_release(&r->blocks, &ex->up_out);
	upstream_unref(ex->upstream);
	ex->upstream = NULL;
	if (ex->client)
		ex->client->exchange = NULL;
	ex->client = NULL;
	free(ex->req);
	ex->req = NULL;
	free(ex->discovers);
	ex->discovers = NULL;
	slot_give(ex);
}

void exchange_forget(struct exchange *ex)
{
	release(ex);
	relay_bury(ex->relay, &ex->grave);
}

void exchange_say_unsaid(struct relay *r)
{
	while (r->unsaid) {
		struct exchange *ex = r->unsaid;

		if (r->keeper &&
		    ipc_peer_send(r->keeper, MSG_COMPLETE, ex->id, &ex->complete) < 0)
			return;
		r->unsaid = ex->unsaid_next;
		relay_bury(r, &ex->grave);
	}
}

/* `detail`, and whether the secret was masked in the response. */
static struct rk_slice say_detail(struct exchange *ex, const char *detail)
{
	if (!echo_found(&ex->echo))
		return rk_str(detail);
	snprintf(ex->said, sizeof ex->said, "secret_masked%s%s", detail ? ", " : "",
	         detail ? detail : "");
	return rk_str(ex->said);
}

static uint32_t span_us(int64_t us)
{
	if (us < 0)
		return 0;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void exchange_end(struct exchange *ex, enum audit_outcome outcome, enum reason reason,
                  const char *detail)
{
	struct relay *r = ex->relay;

	if (outcome == OUTCOME_NOT_SENT && ex->sent_us)
		outcome = OUTCOME_UPSTREAM_GONE; /* it was, on the connection that died */
	ex->complete = (struct msg_complete){
	    .status = (uint16_t)ex->status,
	    .reason = (uint16_t)reason,
	    .outcome = (uint8_t)outcome,
	    .bytes_in = ex->up.bytes,
	    .bytes_out = ex->down.bytes,
	    .upstream_us = ex->upstream_us,
	    .total_us = span_us(loop_now_us(r->loop) - ex->started_us),
	    .detail = say_detail(ex, detail),
	};
	release(ex);
	if (!ex->allowed || !r->keeper) {
		relay_bury(r,
		           &ex->grave); /* the keeper settles what a lost channel left open */
		return;
	}
	ex->unsaid_next = NULL;
	if (r->unsaid || ipc_peer_send(r->keeper, MSG_COMPLETE, ex->id, &ex->complete) < 0) {
		/* behind the others, until the channel takes it */
		struct exchange **at = &r->unsaid;

		while (*at)
			at = &(*at)->unsaid_next;
		*at = ex;
		ipc_peer_want_drained(r->keeper);
		return;
	}
	relay_bury(r, &ex->grave);
}

void exchange_fail(struct exchange *ex, enum audit_outcome outcome, enum reason reason,
                   const char *detail)
{
	struct client *c = ex->client;
	const struct rate_report limits = ex->limits;
	bool begun = ex->st == EXCHANGE_STREAMING || ex->st == EXCHANGE_TUNNEL;

	if (c && ex->up.from) {
		c->settled = ex->up.ended && !ex->req->websocket;
		c->body_left = ex->up.left;
	}
	exchange_end(ex, outcome, reason, detail);
	if (!c)
		return;
	if (begun) {
		client_abort(c);
		return;
	}
	client_refuse(c, reason, detail, &limits);
	client_step(c, false);
}

static void end_without_client(struct exchange *ex)
{
	bool sent = ex->sent_us || ex->st >= EXCHANGE_SENDING;

	exchange_end(ex, sent ? OUTCOME_CLIENT_GONE : OUTCOME_NOT_SENT, REASON_OK,
	             "client_gone");
}

void exchange_client_gone(struct exchange *ex)
{
	struct client *c = ex->client;

	if (ex->st == EXCHANGE_ASKED) {
		/* the keeper may have allowed it already: its answer is waited for */
		ex->client = NULL;
		c->exchange = NULL;
		deadline_clear(&ex->relay->deadlines, &ex->deadline);
	} else {
		end_without_client(ex);
	}
	client_close(c);
}

/* ---- the decision ---- */

static int build_head(struct exchange *ex, const struct msg_decision *m)
{
	const struct upstream *u = ex->upstream;
	const struct rewrite_upstream to = {
	    .authority = rk_str(u->authority),
	    .base_path = u->base_path,
	    .set_headers = u->set_headers,
	};
	size_t spare = ex->client->in.len;
	int err;

	ex->up = (struct flow){
	    .blocks = &ex->relay->blocks,
	    .from = ex->client->tls,
	    .in = &ex->client->in,
	    .out = &ex->up_out,
	};
	flow_start(&ex->up, (enum h1_body)ex->req->body, ex->req->content_length,
	           ex->req->body == H1_BODY_CHUNKED);
	/* a small body that is here already travels in the head's record, but not where another
	 * decision may be needed before the first byte is out: that wipes the head */
	if (ex->up.kind != H1_BODY_LENGTH || spare > TRANSFER_EARLY_BODY ||
	    upstream_dials_secretly(u))
		spare = 0;
	err =
	    rewrite_request(ex->req, &to, m->inject_headers, m->inject_query, spare, &ex->head);
	if (!err && spare)
		ex->head.len += flow_take_early(&ex->up, ex->head.p + ex->head.len, spare);
	return err;
}

static void set_cut(struct exchange *ex, int64_t cut_at_ms)
{
	struct relay *r = ex->relay;

	ex->cut_at_ms = cut_at_ms;
	if (cut_at_ms && (!r->next_cut_ms || cut_at_ms < r->next_cut_ms))
		r->next_cut_ms = cut_at_ms;
}

void exchange_ask_again(struct exchange *ex)
{
	const struct msg_again m = {.sent = ex->st >= EXCHANGE_SENDING && ex->head_off};
	struct relay *r = ex->relay;

	rk_secret_free(&ex->head);
	upstream_close(ex->conn);
	ex->conn = NULL;
	if (!r->keeper || ipc_peer_send(r->keeper, MSG_AGAIN, ex->id, &m) < 0) {
		exchange_fail(ex, m.sent ? OUTCOME_UPSTREAM_GONE : OUTCOME_NOT_SENT,
		              REASON_UPSTREAM_FAILED, "upstream_closed");
		return;
	}
	ex->retried = true;
	ex->upload_done = false;
	ex->upload_failed = false;
	upstream_unref(ex->upstream); /* its credential may be another one by now */
	ex->upstream = NULL;
	ex->st = EXCHANGE_ASKED;
	deadline_set(&r->deadlines, &ex->deadline, DEADLINE_DECISION);
}

/* A pooled connection was promised and is gone, and to make one takes more than was brought. */
static bool lacks_dial(const struct exchange *ex, bool fresh, struct rk_slice dial)
{
	return upstream_dials_secretly(ex->upstream) && !dial.n &&
	       (fresh || !upstream_has_idle(ex->relay, ex->upstream));
}

void exchange_decided(struct exchange *ex, const struct msg_decision *m)
{
	struct relay *r = ex->relay;
	bool fresh;
	int err;

	if (ex->st != EXCHANGE_ASKED || ex->discovers)
		return;
	ex->allowed = m->decision == DECISION_ALLOWED;
	ex->limits = limits_of(m);
	if (!ex->client) {
		end_without_client(ex);
		return;
	}
	if (!ex->allowed) {
		/* never REASON_OK with a decision that is not "allowed" */
		exchange_fail(
		    ex, OUTCOME_NONE,
		    m->reason == REASON_OK ? REASON_INVALID_KEY : (enum reason)m->reason, NULL);
		return;
	}
	ex->upstream = table_by_id(&r->table, m->upstream_id);
	if (!ex->upstream) {
		exchange_fail(ex, OUTCOME_NOT_SENT, REASON_OVERLOADED, "connection_changed");
		return;
	}
	upstream_ref(ex->upstream);
	/* a handshake is never sent twice: on nothing that may have died meanwhile */
	fresh = ex->retried || ex->req->websocket;
	if (lacks_dial(ex, fresh, m->dial)) {
		if (ex->retried)
			exchange_fail(ex, OUTCOME_NOT_SENT, REASON_OVERLOADED,
			              "connection_changed");
		else
			exchange_ask_again(ex);
		return;
	}
	err = echo_start(&ex->echo, m->masks);
	if (!err)
		err = build_head(ex, m);
	if (err) {
		exchange_fail(ex, OUTCOME_NOT_SENT,
		              err == RK_E_TOOBIG ? REASON_HEAD_TOO_LARGE : REASON_OVERLOADED,
		              "head_not_built");
		return;
	}
	set_cut(ex, m->cut_at_ms);
	exchange_connect(ex, fresh, m->dial);
}

/* ---- the upstream's connection ---- */

static const char *why_refused(const struct upstream *u)
{
	if (u->broken_ca)
		return "ca_bundle_not_valid";
	return u->broken_egress ? "client_certificate_or_proxy_not_valid" : NULL;
}

void exchange_connect(struct exchange *ex, bool fresh, struct rk_slice dial)
{
	struct relay *r = ex->relay;
	const char *why;

	switch (upstream_open(r, ex->upstream, ex, fresh, &ex->conn)) {
	case UPSTREAM_OPENED:
		exchange_connected(ex);
		return;
	case UPSTREAM_COMING:
		ex->st = EXCHANGE_DIALLING;
		if (dial.n && upstream_take_dial(ex->conn, dial)) {
			exchange_fail(ex, OUTCOME_NOT_SENT, REASON_OVERLOADED, "no_memory");
			return;
		}
		deadline_set(&r->deadlines, &ex->deadline, DEADLINE_DIAL);
		resolve_start(ex->conn);
		return;
	case UPSTREAM_REFUSED:
		why = why_refused(ex->upstream);
		exchange_fail(ex, OUTCOME_NOT_SENT,
		              why ? REASON_UPSTREAM_REFUSED : REASON_OVERLOADED,
		              why ? why : "too_many_connections");
		return;
	case UPSTREAM_RESTING:
		exchange_fail(ex, OUTCOME_NOT_SENT, REASON_UPSTREAM_FAILED, "circuit_open");
		return;
	}
}

void exchange_connected(struct exchange *ex)
{
	ex->up.to = ex->conn->tls;
	transfer_start(ex);
}

void exchange_dial_failed(struct exchange *ex, enum reason reason, const char *detail)
{
	ex->conn = NULL; /* has ended itself */
	exchange_fail(ex, OUTCOME_NOT_SENT, reason, detail);
}

void exchange_on_client(struct exchange *ex, unsigned events)
{
	if (ex->st == EXCHANGE_TUNNEL)
		tunnel_on_client(ex, events);
	else
		transfer_on_client(ex, events);
}

void exchange_on_upstream(struct exchange *ex, unsigned events)
{
	if (ex->st == EXCHANGE_TUNNEL)
		tunnel_on_upstream(ex, events);
	else
		transfer_on_upstream(ex, events);
}

/* ---- time ---- */

static void decision_late(struct exchange *ex)
{
	struct client *c = ex->client;

	/* stays behind, without its client, for when the decision comes after all */
	ex->client = NULL;
	client_refuse(c, REASON_OVERLOADED, "no_decision_in_time", NULL);
	client_step(c, false);
}

/*
 * Whether the client has taken anything since this was last asked, which is once a deadline;
 * the first time it has.
 */
static bool client_reads(struct exchange *ex)
{
	uint64_t acked = tls_acked(ex->client->tls);
	bool more = acked >= ex->acked + TRANSFER_PACE_BYTES;

	ex->acked = acked;
	return more;
}

static void on_deadline(void *arg)
{
	struct exchange *ex = arg;

	switch (ex->st) {
	case EXCHANGE_ASKED:
		decision_late(ex);
		return;
	case EXCHANGE_DIALLING:
		upstream_dial_timed_out(ex->conn);
		exchange_fail(ex, OUTCOME_NOT_SENT, REASON_UPSTREAM_TIMEOUT, "connect_timeout");
		return;
	case EXCHANGE_SENDING:
	case EXCHANGE_WAITING:
		if (ex->upload_done || ex->upload_failed || ex->up_out.len ||
		    ex->st == EXCHANGE_SENDING)
			exchange_fail(ex, OUTCOME_TIMEOUT, REASON_UPSTREAM_TIMEOUT,
			              "response_timeout");
		else
			exchange_fail(ex, OUTCOME_TIMEOUT, REASON_CLIENT_TIMEOUT,
			              "body_timeout");
		return;
	case EXCHANGE_STREAMING:
		if (ex->client_blocks && client_reads(ex)) {
			deadline_set(&ex->relay->deadlines, &ex->deadline,
			             DEADLINE_CLIENT_WRITE);
			return;
		}
		exchange_fail(ex, OUTCOME_TIMEOUT,
		              ex->client_blocks ? REASON_CLIENT_TIMEOUT
		                                : REASON_UPSTREAM_TIMEOUT,
		              ex->client_blocks ? "client_not_reading" : "response_stalled");
		return;
	case EXCHANGE_TUNNEL:
		exchange_fail(ex, OUTCOME_TIMEOUT, REASON_UPSTREAM_TIMEOUT,
		              tunnel_timeout_detail(ex));
		return;
	case EXCHANGE_ENDED:
		return;
	}
}

void exchange_cut(struct exchange *ex, unsigned reason)
{
	const struct reason_info *info = reason_info(reason);

	if (ex->st == EXCHANGE_ASKED)
		return; /* the decision says it */
	exchange_fail(ex, OUTCOME_CUT, info->status ? (enum reason)reason : REASON_INVALID_KEY,
	              NULL);
}

void exchange_expiry(struct exchange *ex, int64_t cut_at_ms)
{
	set_cut(ex, cut_at_ms);
	if (cut_at_ms && cut_at_ms <= rk_wall_ms())
		exchange_cut(ex, REASON_INVALID_KEY);
}

void exchange_cut_expired(struct relay *r)
{
	int64_t now_ms = rk_wall_ms(), next = 0;

	if (!r->next_cut_ms || now_ms < r->next_cut_ms)
		return;
	for (uint32_t i = 0; i < r->slot_count; i++) {
		struct exchange *ex = r->slots[i].exchange;

		if (!ex || !ex->cut_at_ms)
			continue;
		if (ex->cut_at_ms <= now_ms)
			exchange_cut(ex, REASON_INVALID_KEY);
		else if (!next || ex->cut_at_ms < next)
			next = ex->cut_at_ms;
	}
	r->next_cut_ms = next;
}

void exchange_end_all(struct relay *r, enum audit_outcome outcome, enum reason reason)
{
	for (uint32_t i = 0; i < r->slot_count; i++) {
		if (r->slots[i].exchange)
			exchange_fail(r->slots[i].exchange, outcome, reason, NULL);
	}
}
