/*
 * The upstream's response head: read strictly, interim responses passed on, framing made anew.
 */
#include "relay/rewrite.h"
#include "relay/transfer.h"
#include "relay/tunnel.h"

/* Keep-Alive: timeout=5 (RFC 9112 has it no more, servers still say it). */
static unsigned keep_alive_s(const struct h1_head *h)
{
	static const struct rk_slice key = {"timeout=", 8};
	size_t pos = 0;
	const struct h1_field *f = h1_next_field(h, H1_HDR_KEEP_ALIVE, &pos);
	unsigned s = 0;

	if (!f)
		return 0;
	for (size_t i = 0; i + key.n < f->value.n; i++) {
		if (!rk_slice_ieq(rk_slice(f->value.p + i, key.n), key))
			continue;
		for (i += key.n; i < f->value.n && s < 3600; i++) {
			if (f->value.p[i] < '0' || f->value.p[i] > '9')
				break;
			s = s * 10 + (unsigned)(f->value.p[i] - '0');
		}
		return s ? s : 1;
	}
	return 0;
}

static bool failed(struct exchange *ex, const char *detail)
{
	exchange_fail(ex, OUTCOME_UPSTREAM_GONE, REASON_UPSTREAM_FAILED, detail);
	return false;
}

/* 1xx: passed on, but for 100 (the relay says that itself) and to HTTP/1.0 (RFC 9110 15.2). */
static bool pass_interim(struct exchange *ex, const struct h1_head *h)
{
	static const struct rewrite_response how = {.framing = REWRITE_NONE};
	struct client *c = ex->client;
	ssize_t n;

	if (++ex->interim > TRANSFER_MAX_INTERIM)
		return failed(ex, "too_many_interim_responses");
	if (h->status == 100 || ex->req->minor == 0 || !span_hold(&ex->relay->blocks, &c->out))
		return true;
	/* one that finds no room is left out: it is advice only */
	n = rewrite_response(h, &how, span_end(&c->out), BLOCK_BYTES - c->out.off - c->out.len);
	if (n > 0)
		c->out.len += (size_t)n;
	if (client_flush(c) < 0) {
		/* nothing: what is left goes before the response, a lost client shows there */
	}
	return true;
}

static enum rewrite_framing choose_framing(const struct exchange *ex, const struct h1_head *h)
{
	size_t pos = 0;

	switch (h->body) {
	case H1_BODY_LENGTH:
		return REWRITE_LENGTH;
	case H1_BODY_CHUNKED:
	case H1_BODY_CLOSE:
		return ex->req->minor == 0 ? REWRITE_CLOSE : REWRITE_CHUNKED;
	case H1_BODY_NONE:
		break;
	}
	/* HEAD and 304 may tell the length that the body would have */
	if ((ex->req->head || h->status == 304) && h->status != 204 &&
	    h1_next_field(h, H1_HDR_CONTENT_LENGTH, &pos))
		return REWRITE_LENGTH;
	return REWRITE_NONE;
}

static bool begin(struct exchange *ex, const struct h1_head *h, size_t used)
{
	struct client *c = ex->client;
	struct relay *r = ex->relay;
	char id[REQUEST_ID_TEXT];
	struct rewrite_response how = {
	    .request_id = id,
	    .framing = choose_framing(ex, h),
	    .length = h->content_length,
	    .allow_set_cookie = ex->upstream->flags & UPSTREAM_ALLOW_SET_COOKIE,
	    .limits = &ex->limits,
	};
	ssize_t n;

	if (ex->st == EXCHANGE_SENDING) {
		/* it answers before it has heard the whole head: it shall hear no more */
		ex->upload_failed = true;
		rk_secret_free(&ex->head);
	}
	request_id_text(ex->req->id, id);
	ex->client_keep = ex->req->keep_alive && ex->upload_done && !r->stopping &&
	                  how.framing != REWRITE_CLOSE && !ex->req->websocket;
	ex->upstream_keep = h->keep_alive && h->body != H1_BODY_CLOSE;
	ex->keep_s = keep_alive_s(h);
	how.say_close = !ex->client_keep;
	how.say_keep_alive = ex->client_keep && ex->req->minor == 0;
	if (!span_hold(&r->blocks, &c->out))
		return failed(ex, "no_memory");
	n = rewrite_response(h, &how, span_end(&c->out), BLOCK_BYTES - c->out.off - c->out.len);
	if (n < 0)
		return failed(ex, "response_head_too_large");
	c->out.len += (size_t)n;
	ex->status = h->status;
	if (ex->sent_us)
		ex->upstream_us = (uint32_t)(loop_now_us(r->loop) - ex->sent_us);
	span_consume(&ex->conn->in, used);
	ex->down = (struct flow){
	    .blocks = &r->blocks,
	    .from = ex->conn->tls,
	    .to = c->tls,
	    .in = &ex->conn->in,
	    .out = &c->out,
	    .echo = &ex->echo,
	};
	flow_start(&ex->down, h->body, h->content_length, how.framing == REWRITE_CHUNKED);
	ex->st = EXCHANGE_STREAMING;
	return transfer_download(ex);
}

static bool parse(struct exchange *ex)
{
	struct h1_head *h = &ex->relay->head;
	struct span *in = &ex->conn->in;

	while (in->len > ex->seen) {
		struct rk_slice bytes = span_slice(in);
		int used;

		/* no line end among the new bytes: nothing new to learn */
		if (bytes.n < H1_MAX_HEAD &&
		    !memchr(bytes.p + ex->seen, '\n', bytes.n - ex->seen))
			used = 0;
		else
			used = h1_parse_response(bytes, H1_MAX_HEAD, ex->req->head, h);
		if (used < 0)
			return failed(ex, h1_err_code(used));
		if (used == 0) {
			ex->seen = bytes.n;
			echo_head(&ex->echo, in, bytes.n, false);
			return true;
		}
		ex->seen = 0;
		echo_head(&ex->echo, in, (size_t)used, true);
		if (h->status >= 200)
			return begin(ex, h, (size_t)used);
		if (h->status == 101)
			return tunnel_start(ex, h, (size_t)used);
		if (!pass_interim(ex, h))
			return false;
		span_consume(in, (size_t)used);
	}
	return true;
}

bool response_read(struct exchange *ex)
{
	struct span *in = &ex->conn->in;
	size_t room;
	ssize_t n;

	if (!span_hold(&ex->relay->blocks, in))
		return failed(ex, "no_memory");
	room = span_room(in);
	n = tls_read(ex->conn->tls, span_end(in), room);
	if (n == RK_E_AGAIN) {
		if (in->len == 0)
			span_release(&ex->relay->blocks, in);
		return true;
	}
	if (n < 0) {
		transfer_upstream_died(ex);
		return false;
	}
	ex->got_byte = true;
	in->len += (size_t)n;
	return parse(ex);
}
