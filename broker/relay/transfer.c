#include "relay/transfer.h"

/* The deadline that belongs to where the exchange stands now. */
static void rearm(struct exchange *ex)
{
	enum deadline_kind kind = DEADLINE_RESPONSE_HEAD;

	if (ex->st == EXCHANGE_STREAMING)
		kind = ex->client_blocks ? DEADLINE_CLIENT_WRITE : DEADLINE_RESPONSE_IDLE;
	else if (ex->st == EXCHANGE_SENDING || (!ex->upload_done && !ex->upload_failed))
		kind = DEADLINE_BODY;
	ex->paced = ex->up.bytes;
	deadline_set(&ex->relay->deadlines, &ex->deadline, kind);
}

/* Whether enough of the request's body came since the deadline was set to set it anew. */
static bool keeps_pace(const struct exchange *ex)
{
	return ex->up.bytes - ex->paced >= TRANSFER_PACE_BYTES;
}

/* ---- towards the upstream ---- */

static bool upload(struct exchange *ex)
{
	struct client *c = ex->client;
	int h1_err = 0;

	ex->up.moved = false;
	switch (flow_run(&ex->up, &h1_err)) {
	case FLOW_DONE:
		ex->upload_done = true;
		c->settled = true;
		tls_read_on(c->tls); /* to see it leave */
		rearm(ex);
		return true;
	case FLOW_WAIT_READ:
		tls_read_on(c->tls);
		break;
	case FLOW_WAIT_WRITE:
		tls_read_off(c->tls);
		if (ex->up.moved)
			rearm(ex); /* it is the upstream that is slow */
		return true;
	case FLOW_SOURCE_GONE:
		exchange_client_gone(ex);
		return false;
	case FLOW_SOURCE_BAD:
		exchange_fail(ex, OUTCOME_CLIENT_GONE, REASON_BAD_REQUEST, h1_err_code(h1_err));
		return false;
	case FLOW_SINK_GONE:
		/* it may have answered before it stopped reading */
		ex->upload_failed = true;
		tls_read_off(c->tls);
		rearm(ex);
		return ex->st == EXCHANGE_STREAMING || response_read(ex);
	case FLOW_NO_MEMORY:
		exchange_fail(ex, OUTCOME_CLIENT_GONE, REASON_OVERLOADED, "no_memory");
		return false;
	}
	if (keeps_pace(ex))
		rearm(ex);
	return true;
}

static void head_written(struct exchange *ex)
{
	struct client *c = ex->client;

	ex->st = EXCHANGE_WAITING;
	ex->sent_us = loop_now_us(ex->relay->loop);
	rk_secret_free(&ex->head);
	if (ex->up.ended) {
		ex->upload_done = true;
		c->settled = !ex->req->websocket; /* what follows may be frames */
		tls_read_on(c->tls);              /* to see it leave */
		rearm(ex);
		return;
	}
	rearm(ex);
	if (ex->req->expect_continue && c->in.len == 0 &&
	    span_hold(&ex->relay->blocks, &c->out)) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		ex->req->expect_continue = false; /* once, also when it is sent again */
		memcpy(span_end(&c->out), go_on, sizeof go_on - 1);
		c->out.len += sizeof go_on - 1;
		if (client_flush(c) != 0) {
			/* nothing: what is wrong shows when the body is read */
		}
	}
	upload(ex);
}

static void send_head(struct exchange *ex)
{
	while (ex->head_off < ex->head.len) {
		ssize_t n = tls_write(ex->conn->tls, ex->head.p + ex->head_off,
		                      ex->head.len - ex->head_off);

		if (n == RK_E_AGAIN)
			return;
		if (n < 0) {
			transfer_upstream_died(ex);
			return;
		}
		ex->head_off += (size_t)n;
	}
	head_written(ex);
}

void transfer_start(struct exchange *ex)
{
	ex->st = EXCHANGE_SENDING;
	ex->head_off = 0;
	rearm(ex);
	send_head(ex);
}

/* Whether it does no harm to send it once more, and all of it can be (RFC 9110 9.2.2). */
static bool may_repeat(const struct exchange *ex)
{
	return ex->req->idempotent && ex->up.bytes == 0 && ex->req->body != H1_BODY_CHUNKED;
}

void transfer_upstream_died(struct exchange *ex)
{
	/* a pooled connection that the upstream had given up: not the request's fault */
	bool stale = ex->conn->reused && !ex->retried && !ex->got_byte;

	bool unsent = ex->st == EXCHANGE_SENDING && ex->head_off == 0;
	bool alert = tls_error(ex->conn->tls) == RK_E_CRYPTO; /* e.g. our certificate refused */

	if (stale && unsent && !upstream_dials_secretly(ex->upstream)) {
		upstream_close(ex->conn);
		ex->conn = NULL;
		ex->retried = true;
		exchange_connect(ex, true, rk_str(NULL));
	} else if (stale && (unsent || may_repeat(ex))) {
		exchange_ask_again(ex);
	} else {
		if (alert)
			relay_log(ex->relay, "upstream_tls_failed", "why",
			          tls_error_text(ex->conn->tls));
		exchange_fail(ex, OUTCOME_UPSTREAM_GONE, REASON_UPSTREAM_FAILED,
		              alert ? "tls_failed" : "upstream_closed");
	}
}

/* ---- towards the client ---- */

static void finish(struct exchange *ex)
{
	struct client *c = ex->client;
	bool keep = ex->client_keep && ex->upload_done;

	if (ex->upstream_keep && ex->upload_done) {
		upstream_pool(ex->conn, ex->keep_s);
		ex->conn = NULL;
	}
	exchange_end(ex, OUTCOME_COMPLETE, REASON_OK, NULL);
	client_next(c, keep);
}

bool transfer_download(struct exchange *ex)
{
	int h1_err = 0;

	ex->down.moved = false;
	switch (flow_run(&ex->down, &h1_err)) {
	case FLOW_DONE:
		finish(ex);
		return false;
	case FLOW_WAIT_READ:
		tls_read_on(ex->conn->tls);
		ex->client_blocks = false;
		break;
	case FLOW_WAIT_WRITE:
		tls_read_off(ex->conn->tls);
		ex->client_blocks = true;
		break;
	case FLOW_SOURCE_GONE:
		exchange_fail(ex, OUTCOME_UPSTREAM_GONE, REASON_UPSTREAM_FAILED,
		              "response_cut_off");
		return false;
	case FLOW_SOURCE_BAD:
		exchange_fail(ex, OUTCOME_UPSTREAM_GONE, REASON_UPSTREAM_FAILED,
		              h1_err_code(h1_err));
		return false;
	case FLOW_SINK_GONE:
		exchange_client_gone(ex);
		return false;
	case FLOW_NO_MEMORY:
		exchange_fail(ex, OUTCOME_UPSTREAM_GONE, REASON_OVERLOADED, "no_memory");
		return false;
	}
	if (ex->down.moved)
		rearm(ex);
	return true;
}

/* ---- events ---- */

/* Nothing is wanted from the client now: does it leave, or send the next request early? */
static void watch_client(struct exchange *ex)
{
	struct client *c = ex->client;
	ssize_t n;

	if (c->in.len || (ex->st < EXCHANGE_WAITING && ex->req->body != H1_BODY_NONE)) {
		tls_read_off(c->tls); /* first this request */
		return;
	}
	n = client_fill(c);
	if (n == RK_E_AGAIN)
		return;
	if (n < 0)
		exchange_client_gone(ex);
	else
		tls_read_off(c->tls);
}

void transfer_on_client(struct exchange *ex, unsigned events)
{
	if (events & TLS_EV_WRITE) {
		if (ex->st == EXCHANGE_STREAMING) {
			if (!transfer_download(ex))
				return;
		} else if (client_flush(ex->client) < 0) {
			/* nothing: more room will be reported, a lost client shows by reading
			 */
		}
	}
	if (!(events & TLS_EV_READ))
		return;
	if (ex->st >= EXCHANGE_WAITING && !ex->upload_done && !ex->upload_failed)
		upload(ex);
	else
		watch_client(ex);
}

void transfer_on_upstream(struct exchange *ex, unsigned events)
{
	if (events & TLS_EV_WRITE) {
		if (ex->st == EXCHANGE_SENDING) {
			struct relay *r = ex->relay;
			uint64_t id = ex->id;

			send_head(ex);
			if (!exchange_find(r, id))
				return;
		} else if (!ex->upload_done && !ex->upload_failed && !upload(ex)) {
			return;
		}
	}
	if (!(events & TLS_EV_READ))
		return;
	if (ex->st == EXCHANGE_STREAMING) {
		if (!transfer_download(ex))
			return;
	} else if (ex->st == EXCHANGE_SENDING || ex->st == EXCHANGE_WAITING) {
		if (!response_read(ex))
			return;
	}
}
