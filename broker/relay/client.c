#include "relay/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/arrival.h"
#include "relay/exchange.h"
#include "relay/refusal.h"
#include "relay/rewrite.h"
#include "relay/walk.h"

static void set_deadline(struct client *c, enum deadline_kind kind)
{
	deadline_set(&c->relay->deadlines, &c->deadline, kind);
}

/* ---- ending ---- */

static void end(struct client *c)
{
	struct relay *r = c->relay;

	c->st = CLIENT_CLOSED;
	deadline_clear(&r->deadlines, &c->deadline);
	arrival_end(c);
	if (c->in.len) /* perhaps half a head, with a relay key in it */
		rk_wipe(c->in.mem + c->in.off, c->in.len);
	span_release(&r->blocks, &c->in);
	span_release(&r->blocks, &c->out);
	rk_buf_free(&c->more);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	r->client_count--;
	if (c->counted)
		census_leave(r->census, &c->ip);
	relay_bury(r, &c->grave);
	relay_client_ended(r);
}

void client_close(struct client *c)
{
	if (!c || c->st == CLIENT_CLOSED)
		return;
	tls_close(c->tls);
	end(c);
}

void client_abort(struct client *c)
{
	if (!c || c->st == CLIENT_CLOSED)
		return;
	tls_abort(c->tls);
	end(c);
}

/* Closing while the client still sends would reset the connection under the answer. */
static void linger(struct client *c)
{
	span_release(&c->relay->blocks, &c->out);
	tls_shut_write(c->tls);
	c->st = CLIENT_LINGER;
	set_deadline(c, DEADLINE_LINGER);
	tls_read_on(c->tls);
}

static void discard(struct client *c)
{
	ssize_t n;

	c->in.off = 0;
	c->in.len = 0;
	c->seen = 0;
	n = client_fill(c);
	c->in.len = 0;
	if (n < 0 && n != RK_E_AGAIN)
		client_close(c);
	else
		span_release(&c->relay->blocks, &c->in);
}

/* ---- input and output ---- */

ssize_t client_fill(struct client *c)
{
	size_t room;
	ssize_t n;

	if (!span_hold(&c->relay->blocks, &c->in))
		return RK_E_NOMEM;
	room = span_room(&c->in);
	n = room ? tls_read(c->tls, span_end(&c->in), room) : RK_E_TOOBIG;
	if (n > 0)
		c->in.len += (size_t)n;
	else if (c->in.len == 0)
		span_release(&c->relay->blocks, &c->in);
	return n;
}

int client_flush(struct client *c)
{
	while (c->out.len) {
		ssize_t n = tls_write(c->tls, c->out.mem + c->out.off, c->out.len);

		if (n < 0)
			return (int)n;
		span_consume(&c->out, (size_t)n);
	}
	span_release(&c->relay->blocks, &c->out);
	return 0;
}

/* ---- the broker's own answers ---- */

/* Room for an answer behind what `out` may hold (100 Continue). */
static char *answer_room(struct client *c, size_t *room)
{
	if (!span_hold(&c->relay->blocks, &c->out))
		return NULL;
	*room = span_room(&c->out);
	return span_end(&c->out);
}

/* Whether it is known where the next request begins: the body is over, or all of it has come.
 */
static bool body_is_here(const struct client *c)
{
	return c->settled || (c->sized && c->body_left <= c->in.len);
}

/*
 * Decides what becomes of the connection: only where the request has been read to its end is it
 * clear where the next one starts.
 */
static void answer_begin(struct client *c, char id[REQUEST_ID_TEXT])
{
	c->keep_alive = c->keep_alive && body_is_here(c) && !c->relay->stopping;
	request_id_text(c->request_id, id);
	c->exchange = NULL;
	c->st = CLIENT_FLUSH;
	set_deadline(c, DEADLINE_CLIENT_WRITE);
}

/* n bytes of it were put into `out`; negative: it could not be written. */
static void answer_put(struct client *c, ssize_t n)
{
	if (n < 0)
		c->keep_alive = false;
	else
		c->out.len += (size_t)n;
}

static void answer(struct client *c, const char *health, struct refusal *r)
{
	char id[REQUEST_ID_TEXT], *dst;
	size_t room;
	ssize_t n;

	answer_begin(c, id);
	r->request_id = id;
	r->head = c->head;
	r->close = !c->keep_alive;
	r->keep_alive = c->keep_alive && c->http10;
	dst = answer_room(c, &room);
	if (!dst)
		n = RK_E_NOMEM;
	else
		n = health ? refusal_write_health(health, r, dst, room)
		           : refusal_write(r, dst, room);
	r->request_id = NULL;
	answer_put(c, n);
}

void client_refuse(struct client *c, unsigned reason, const char *detail,
                   const struct rate_report *limits)
{
	struct refusal r = {.reason = reason, .detail = detail, .limits = limits};

	answer(c, NULL, &r);
}

void client_answer_health(struct client *c)
{
	struct refusal r = {0};

	answer(c, relay_gate_name(c->relay), &r);
}

/* Puts as much of `more` into `out` as it takes. */
static void answer_more(struct client *c)
{
	size_t room, n;
	char *dst = answer_room(c, &room);

	if (!dst)
		return;
	n = c->more.len < room ? c->more.len : room;
	memcpy(dst, rk_buf_data(&c->more), n);
	c->out.len += n;
	rk_buf_consume(&c->more, n);
	if (!c->more.len)
		rk_buf_free(&c->more);
}

static ssize_t text_head(const struct client *c, const struct client_text *t, const char *id,
                         char *dst, size_t room)
{
	char body[128] = "";
	int n;

	if (t->type)
		snprintf(body, sizeof body, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		         t->type, t->body.len);
	n = snprintf(dst, room, "HTTP/1.1 %u %s\r\n%s%sx-relaykey-request-id: %s\r\n%s%s\r\n",
	             t->status, rewrite_phrase((int)t->status), body, t->fields, id,
	             t->decided ? "x-relaykey-decision: allowed\r\n" : "",
	             !c->keep_alive ? "Connection: close\r\n"
	             : c->http10    ? "Connection: keep-alive\r\n"
	                            : "");
	return n < 0 || (size_t)n >= room ? RK_E_TOOBIG : n;
}

void client_answer_text(struct client *c, struct client_text *t)
{
	char id[REQUEST_ID_TEXT], *dst;
	size_t room;

	answer_begin(c, id);
	dst = answer_room(c, &room);
	answer_put(c, dst ? text_head(c, t, id, dst, room) : RK_E_NOMEM);
	if (c->head || !c->out.len) {
		rk_buf_free(&t->body);
		return;
	}
	c->more = t->body;
	t->body = (struct rk_buf){0};
	if (c->more.len)
		answer_more(c);
	else
		rk_buf_free(&c->more);
}

/* ---- the walk through the states ---- */

static void become_idle(struct client *c)
{
	c->exchange = NULL;
	c->st = CLIENT_IDLE;
	c->asker = c->ip;
	c->seen = 0;
	set_deadline(c, DEADLINE_QUIET);
	tls_read_on(c->tls);
}

/* It may stay like this for long: it keeps as little as it can. */
static void rest(struct client *c)
{
	tls_rest(c->tls);
	set_deadline(c, DEADLINE_IDLE);
}

void client_next(struct client *c, bool keep_alive)
{
	c->exchange = NULL;
	span_release(&c->relay->blocks, &c->out);
	if (keep_alive && !c->relay->stopping) {
		become_idle(c);
		client_step(c, false);
	} else if (!c->settled) {
		linger(c);
	} else {
		client_close(c);
	}
}

/* The head in `in`: `used` bytes of it. Wipes them: the relay key is among them. */
static void take_head(struct client *c, size_t used)
{
	const struct h1_head *h = &c->relay->head;
	char *raw = c->in.mem + c->in.off;

	c->head = rk_slice_is(h->method, "HEAD");
	c->keep_alive = h->keep_alive;
	c->http10 = h->minor == 0;
	c->sized = h->body == H1_BODY_LENGTH && !h->expect_continue;
	c->body_left = h->content_length;
	c->settled =
	    h->body == H1_BODY_NONE || (h->body == H1_BODY_LENGTH && h->content_length == 0);
	c->st = CLIENT_BUSY;
	c->seen = 0;
	/* the bytes stay where they are until something is read */
	span_consume(&c->in, used);
	walk_request(c, h);
	rk_wipe(raw, used);
	if (c->in.len == 0)
		span_release(&c->relay->blocks, &c->in);
}

static void malformed(struct client *c, int h1_err)
{
	static const struct {
		int err;
		enum reason reason;
	} others[] = {
	    {H1_E_TOO_MANY, REASON_HEAD_TOO_LARGE},
	    {H1_E_TOO_LARGE, REASON_HEAD_TOO_LARGE},
	    {H1_E_EXPECT, REASON_EXPECTATION},
	};
	enum reason reason = REASON_BAD_REQUEST;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (others[i].err == h1_err)
			reason = others[i].reason;
	}
	c->head = false;
	c->keep_alive = false;
	c->settled = false;
	c->sized = false;
	c->http10 = false;
	walk_refuse(c, &c->relay->head, reason, h1_err_code(h1_err));
	rk_wipe(c->in.mem + c->in.off, c->in.len);
	c->in.len = 0;
	span_release(&c->relay->blocks, &c->in);
}

/* Looks whether `in` holds a head. False: more bytes are needed. */
static bool parse_head(struct client *c)
{
	struct rk_slice in = span_slice(&c->in);
	int used;

	/* a head ends with a line: no line end, nothing new to learn (and no work for one byte)
	 */
	if (in.n < H1_MAX_HEAD && !memchr(in.p + c->seen, '\n', in.n - c->seen)) {
		c->seen = in.n;
		return false;
	}
	used = h1_parse_request(in, H1_MAX_HEAD, &c->relay->head);
	if (used == 0) {
		c->seen = in.n;
		return false;
	}
	relay_random_id(c->relay, c->request_id);
	if (used < 0)
		malformed(c, used);
	else
		take_head(c, (size_t)used);
	return true;
}

/* IDLE and HEAD. False: wait. */
static bool step_head(struct client *c, bool *readable)
{
	if (c->in.len == c->seen) {
		ssize_t n;

		if (!*readable)
			return false;
		*readable = false;
		n = client_fill(c);
		if (n == RK_E_AGAIN)
			return false;
		if (n < 0) {
			client_close(c);
			return false;
		}
	}
	if (c->st == CLIENT_IDLE) {
		c->st = CLIENT_HEAD;
		c->started_us = loop_now_us(c->relay->loop);
		set_deadline(c, DEADLINE_HEAD);
	}
	if (!parse_head(c))
		return false;
	if (c->st == CLIENT_BUSY)
		deadline_clear(&c->relay->deadlines, &c->deadline);
	return true;
}

/* FLUSH. False: wait, or over. */
static bool step_flush(struct client *c)
{
	int err = client_flush(c);

	while (!err && c->more.len) {
		answer_more(c);
		err = c->out.len ? client_flush(c) : RK_E_NOMEM;
	}
	if (err == RK_E_AGAIN)
		return false;
	if (err) {
		client_close(c);
		return false;
	}
	if (!c->keep_alive) {
		if (c->settled && c->in.len == 0)
			client_close(c);
		else
			linger(c);
		return false;
	}
	if (!c->settled)
		span_consume(&c->in, (size_t)c->body_left);
	become_idle(c);
	return true;
}

void client_step(struct client *c, bool readable)
{
	bool on = true;

	while (on) {
		switch (c->st) {
		case CLIENT_IDLE:
		case CLIENT_HEAD:
			on = step_head(c, &readable);
			break;
		case CLIENT_FLUSH:
			if (readable && c->out.len)
				tls_read_off(c->tls); /* first this answer */
			on = step_flush(c);
			break;
		case CLIENT_LINGER:
			if (readable)
				discard(c);
			return;
		default:
			return;
		}
	}
}

static void on_tls(struct tls *t, unsigned events, void *arg)
{
	struct client *c = arg;

	if (events & TLS_EV_FAIL) {
		relay_log(c->relay, "client_handshake_failed", "why", tls_error_text(t));
		client_close(c);
		return;
	}
	if (events & TLS_EV_OPEN) {
		become_idle(c);
		return;
	}
	if (c->st == CLIENT_BUSY)
		exchange_on_client(c->exchange, events);
	else
		client_step(c, events & TLS_EV_READ);
}

static void on_deadline(void *arg)
{
	struct client *c = arg;

	if (c->st == CLIENT_HEAD) {
		/* the head's buffer is wiped with the client */
		relay_random_id(c->relay, c->request_id);
		c->keep_alive = false;
		c->settled = false;
		c->sized = false;
		c->head = false;
		c->relay->head.method.n = 0;
		c->relay->head.target.n = 0;
		c->relay->head.field_count = 0;
		walk_refuse(c, &c->relay->head, REASON_CLIENT_TIMEOUT, "head_timeout");
		client_step(c, false);
		return;
	}
	if (c->st == CLIENT_IDLE && c->deadline.kind == DEADLINE_QUIET)
		rest(c);
	else if (c->st == CLIENT_FLUSH)
		client_abort(c);
	else
		client_close(c);
}

bool client_is(struct client *c, const struct rk_ip *ip)
{
	c->ip = *ip;
	c->asker = *ip;
	return relay_lets_in(c->relay, ip, &c->counted);
}

void client_secure(struct client *c, int fd)
{
	struct relay *r = c->relay;

	c->st = CLIENT_HANDSHAKE;
	if (tls_accept(r->tls, r->identity, fd, on_tls, c, &c->tls) < 0) {
		c->tls = NULL;
		client_close(c);
	}
}

void client_new(struct relay *r, int fd, const struct rk_ip *ip, bool counted)
{
	struct client *c = calloc(1, sizeof *c);
	int one = 1;

	if (!c) {
		if (counted)
			census_leave(r->census, ip);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->relay = r;
	c->ip = *ip;
	c->asker = *ip;
	c->counted = counted;
	c->deadline = (struct deadline){.expired = on_deadline, .arg = c};
	c->next = r->clients;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &r->clients;
	r->clients = c;
	r->client_count++;
	set_deadline(c, DEADLINE_HANDSHAKE);
	if (!r->proxy_protocol || !rk_cidrs_hold(&r->trusted_proxies, ip))
		client_secure(c, fd);
	else if (arrival_start(c, fd) < 0)
		client_close(c);
}
