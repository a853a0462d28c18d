#include "relay/tunnel.h"

#include "http/websocket.h"
#include "relay/rewrite.h"

static bool upload_over(const struct exchange *ex)
{
	return ex->upload_done || ex->upload_failed;
}

static void rearm(struct exchange *ex)
{
	bool half = ex->download_done || upload_over(ex);

	deadline_set(&ex->relay->deadlines, &ex->deadline,
	             half ? DEADLINE_TUNNEL_END : DEADLINE_TUNNEL);
}

const char *tunnel_timeout_detail(const struct exchange *ex)
{
	return ex->download_done || upload_over(ex) ? "tunnel_not_closed" : "tunnel_idle";
}

/*
 * The client's connection is ended properly, so that what was passed on arrives: frames say
 * themselves where something is missing.
 */
static bool upstream_gone(struct exchange *ex)
{
	struct client *c = ex->client;

	c->settled = false;
	exchange_end(ex, OUTCOME_UPSTREAM_GONE, REASON_UPSTREAM_FAILED, "upstream_closed");
	client_next(c, false);
	return false;
}

/* One side has ended. False when that was the last one. */
static bool side_over(struct exchange *ex)
{
	struct client *c = ex->client;

	if (!ex->download_done || !upload_over(ex)) {
		rearm(ex);
		return true;
	}
	if (ex->upload_failed)
		return upstream_gone(ex);
	c->settled = true;
	exchange_end(ex, OUTCOME_COMPLETE, REASON_OK, NULL);
	client_next(c, false);
	return false;
}

static bool broken(struct exchange *ex, enum reason reason, const char *detail)
{
	exchange_fail(ex, OUTCOME_UPSTREAM_GONE, reason, detail);
	return false;
}

/* Client to upstream. False when the exchange has ended. */
static bool run_up(struct exchange *ex)
{
	struct tls *from = ex->client->tls;
	int h1_err = 0;

	if (upload_over(ex))
		return true;
	ex->up.moved = false;
	switch (flow_run(&ex->up, &h1_err)) {
	case FLOW_DONE:
		ex->upload_done = true;
		tls_read_off(from);
		tls_shut_write(ex->conn->tls);
		return side_over(ex);
	case FLOW_WAIT_READ:
		tls_read_on(from);
		break;
	case FLOW_WAIT_WRITE:
		tls_read_off(from);
		break;
	case FLOW_SINK_GONE:
		/* what it said before it stopped reading is still to be passed on */
		ex->upload_failed = true;
		tls_read_off(from);
		return side_over(ex);
	case FLOW_SOURCE_BAD:
	case FLOW_SOURCE_GONE:
		exchange_client_gone(ex);
		return false;
	case FLOW_NO_MEMORY:
		return broken(ex, REASON_OVERLOADED, "no_memory");
	}
	if (ex->up.moved)
		rearm(ex);
	return true;
}

/* Upstream to client. False when the exchange has ended. */
static bool run_down(struct exchange *ex)
{
	struct tls *from = ex->conn->tls;
	int h1_err = 0;

	if (ex->download_done)
		return true;
	ex->down.moved = false;
	switch (flow_run(&ex->down, &h1_err)) {
	case FLOW_DONE:
		ex->download_done = true;
		tls_read_off(from);
		tls_shut_write(ex->client->tls);
		return side_over(ex);
	case FLOW_WAIT_READ:
		tls_read_on(from);
		break;
	case FLOW_WAIT_WRITE:
		tls_read_off(from);
		break;
	case FLOW_SOURCE_BAD:
	case FLOW_SOURCE_GONE:
		return upstream_gone(ex);
	case FLOW_SINK_GONE:
		exchange_client_gone(ex);
		return false;
	case FLOW_NO_MEMORY:
		return broken(ex, REASON_OVERLOADED, "no_memory");
	}
	if (ex->down.moved)
		rearm(ex);
	return true;
}

static bool pass_head(struct exchange *ex, const struct h1_head *h)
{
	struct client *c = ex->client;
	char id[REQUEST_ID_TEXT];
	const struct rewrite_response how = {
	    .request_id = id,
	    .framing = REWRITE_NONE,
	    .allow_set_cookie = ex->upstream->flags & UPSTREAM_ALLOW_SET_COOKIE,
	    .say_upgrade = true,
	};
	ssize_t n;

	request_id_text(ex->req->id, id);
	if (!span_hold(&ex->relay->blocks, &c->out))
		return broken(ex, REASON_OVERLOADED, "no_memory");
	n = rewrite_response(h, &how, span_end(&c->out), BLOCK_BYTES - c->out.off - c->out.len);
	if (n < 0)
		return broken(ex, REASON_UPSTREAM_FAILED, "response_head_too_large");
	c->out.len += (size_t)n;
	return true;
}

/* A flow of bytes as they are, until the end of the connection. */
static void open_flow(struct exchange *ex, struct flow *f, struct tls *from, struct tls *to,
                      struct span *in, struct span *out)
{
	*f = (struct flow){
	    .blocks = &ex->relay->blocks,
	    .from = from,
	    .to = to,
	    .in = in,
	    .out = out,
	};
	flow_start(f, H1_BODY_CLOSE, 0, false);
}

bool tunnel_start(struct exchange *ex, const struct h1_head *h, size_t used)
{
	struct client *c = ex->client;
	const char *fault = "unexpected_upgrade";

	/* nor one that comes before the whole question was heard */
	if (ex->req->websocket && ex->st == EXCHANGE_WAITING)
		fault = websocket_response_fault(h);
	if (fault)
		return broken(ex, REASON_UPSTREAM_FAILED, fault);
	if (!pass_head(ex, h))
		return false;
	ex->status = h->status;
	ex->upstream_us = (uint32_t)(loop_now_us(ex->relay->loop) - ex->sent_us);
	span_consume(&ex->conn->in, used);
	open_flow(ex, &ex->up, c->tls, ex->conn->tls, &c->in, &ex->up_out);
	open_flow(ex, &ex->down, ex->conn->tls, c->tls, &ex->conn->in, &c->out);
	ex->down.echo = &ex->echo;
	echo_frames(&ex->echo);
	ex->upload_done = false;
	ex->st = EXCHANGE_TUNNEL;
	rearm(ex);
	return run_down(ex) && run_up(ex);
}

void tunnel_on_client(struct exchange *ex, unsigned events)
{
	if ((events & TLS_EV_WRITE) && !run_down(ex))
		return;
	if ((events & TLS_EV_READ) && !run_up(ex))
		return;
}

void tunnel_on_upstream(struct exchange *ex, unsigned events)
{
	if ((events & TLS_EV_WRITE) && !run_up(ex))
		return;
	if ((events & TLS_EV_READ) && !run_down(ex))
		return;
}
