#include "console/server_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"

/*
 * Requests, byte by byte. A head is moved away from `in` as soon as it is whole, so that what
 * was found in it stays where it is while the body comes in.
 */
enum { BLOCK_FIRST = 4096 };

static size_t next_cap(size_t cap)
{
	return cap ? 4 * cap : BLOCK_FIRST;
}

/* Four times the block, up to `most`. RK_E_TOOBIG: that is what it has. */
static int grow(struct rk_secret *s, size_t most)
{
	struct rk_secret bigger = {0};
	size_t cap = next_cap(s->cap);
	int err;

	if (s->cap >= most)
		return RK_E_TOOBIG;
	err = rk_secret_alloc(&bigger, cap < most ? cap : most);
	if (err)
		return err;
	err = rk_secret_add(&bigger, s->p, s->len);
	rk_secret_free(s);
	rk_secret_move(s, &bigger);
	return err;
}

/* Drops the first n bytes of `in`; what was behind the rest is wiped. */
static void consume(struct conn *c, size_t n)
{
	size_t rest = c->in.len - n;

	if (rest)
		memmove(c->in.p, c->in.p + n, rest);
	rk_wipe(c->in.p + rest, n);
	c->in.len = rest;
}

static bool no_memory(struct conn *c)
{
	conn_refuse(c, 503, "overloaded", "There is too much to do just now.");
	return true;
}

bool conn_fill(struct conn *c)
{
	ssize_t n;

	if (c->in.len == c->in.cap) {
		int err = grow(&c->in, SERVER_MAX_HEAD);

		if (err &&
		    (c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY))
			return no_memory(c);
		if (err) { /* what comes now can wait in OpenSSL */
			tls_read_off(c->tls);
			return false;
		}
	}
	n = tls_read(c->tls, c->in.p + c->in.len, c->in.cap - c->in.len);
	if (n == RK_E_AGAIN) {
		if (c->in.len == 0)
			rk_secret_free(&c->in);
		return false;
	}
	if (n <= 0) {
		conn_free(c);
		return false;
	}
	c->in.len += (size_t)n;
	return true;
}

/* ---- the head ---- */

static bool refuse_head(struct conn *c, int err)
{
	int status = 400;

	if (err == H1_E_TOO_LARGE || err == H1_E_TOO_MANY)
		status = 431;
	else if (err == H1_E_EXPECT)
		status = 417;
	else if (err == H1_E_VERSION)
		status = 505;
	c->head_only = false;
	conn_refuse(c, status, h1_err_code(err), "The request is not valid HTTP.");
	return true;
}

/* Moves the head out of `in`; what came behind it stays there. */
static int keep_head(struct conn *c, size_t used)
{
	struct rk_secret rest = {0};
	size_t n = c->in.len - used;
	int err = 0;

	if (n) {
		err = rk_secret_alloc(&rest, n < BLOCK_FIRST ? BLOCK_FIRST : n);
		if (err == 0)
			err = rk_secret_add(&rest, c->in.p + used, n);
		if (err)
			return err;
	}
	rk_secret_move(&c->head, &c->in);
	rk_secret_move(&c->in, &rest);
	return 0;
}

static struct server_request request_of(const struct conn *c)
{
	return (struct server_request){
	    .id = c->id,
	    .head = c->parsed,
	    .body = rk_secret_slice(&c->body),
	    .client = c->ip,
	    .request_id = c->request_id,
	};
}

void conn_forget_request(struct conn *c)
{
	c->server->bodies -= c->body.cap;
	rk_secret_free(&c->head);
	rk_secret_free(&c->body);
	free(c->parsed);
	c->parsed = NULL;
}

/* The owner's now. It has looked at everything when it returns. */
static bool dispatch(struct conn *c)
{
	struct server *s = c->server;
	struct server_request r = request_of(c);

	conn_set_state(c, CONN_ASKED);
	s->ops->request(&r, s->arg);
	conn_forget_request(c);
	return true;
}

static void name_request(struct conn *c)
{
	uint8_t id[16];

	rk_random(id, sizeof id);
	memcpy(c->request_id, "req_", 4);
	rk_hex(id, sizeof id, c->request_id + 4);
}

static void begin_request(struct conn *c)
{
	struct server *s = c->server;

	c->id = ++s->next_id << 8 | c->slot;
	c->patience_s = 0;
	c->http10 = c->parsed->minor == 0;
	c->head_only = rk_slice_is(c->parsed->method, "HEAD");
	c->last = !c->parsed->keep_alive;
	h1_chunked_init(&c->chunks);
}

/* A body is to come, if the owner wants it. */
static bool begin_body(struct conn *c)
{
	struct server *s = c->server;
	struct server_request r = request_of(c);

	if (c->parsed->body == H1_BODY_LENGTH && c->parsed->content_length > SERVER_MAX_BODY) {
		conn_refuse(c, 413, "body_too_large", "The body has more than 65536 bytes.");
		return true;
	}
	/* without its body read, it is the last request */
	conn_set_state(c, CONN_ASKED);
	c->last = true;
	if (!s->ops->head(&r, s->arg)) {
		conn_forget_request(c);
		return true;
	}
	c->last = !c->parsed->keep_alive;
	conn_set_state(c, CONN_BODY);
	if (c->parsed->expect_continue && c->in.len == 0 && !c->http10 &&
	    rk_buf_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n"))
		return no_memory(c);
	return true;
}

bool conn_read_head(struct conn *c)
{
	int used;

	if (c->in.len == 0 && !conn_fill(c))
		return false;
	if (c->state == CONN_WRITE) /* refused for want of memory */
		return true;
	if (c->state == CONN_IDLE) {
		conn_set_state(c, CONN_HEAD);
		name_request(c);
	}
	if (!c->parsed)
		c->parsed = malloc(sizeof *c->parsed);
	if (!c->parsed)
		return no_memory(c);
	used = h1_parse_request(rk_secret_slice(&c->in), SERVER_MAX_HEAD, c->parsed);
	if (used == 0) {
		if (c->in.len >= SERVER_MAX_HEAD)
			return refuse_head(c, H1_E_TOO_LARGE);
		return conn_fill(c);
	}
	if (used < 0)
		return refuse_head(c, used);
	begin_request(c);
	if (keep_head(c, (size_t)used))
		return no_memory(c);
	/* `in` became `head` as it was: what was found in it is still there */
	if (c->parsed->body == H1_BODY_NONE ||
	    (c->parsed->body == H1_BODY_LENGTH && c->parsed->content_length == 0))
		return dispatch(c);
	return begin_body(c);
}

/* ---- the body ---- */

/* RK_E_TOOBIG at the limit, RK_E_NOMEM. */
static int add_to_body(struct conn *c, struct rk_slice data)
{
	size_t *all = &c->server->bodies;
	int err = 0;

	while (err == 0 && data.n > c->body.cap - c->body.len) {
		size_t had = c->body.cap;

		if (had<SERVER_MAX_BODY && * all - had + next_cap(had)> SERVER_ALL_BODIES)
			return RK_E_NOMEM;
		err = grow(&c->body, SERVER_MAX_BODY);
		*all += c->body.cap - had;
	}
	return err ? err : rk_secret_add(&c->body, data.p, data.n);
}

/* Takes what `in` has of a body with a length: 1 when it is whole, 0, or an error. */
static int take_sized(struct conn *c)
{
	uint64_t left = c->parsed->content_length - c->body.len;
	size_t n = c->in.len < left ? c->in.len : (size_t)left;
	int err = add_to_body(c, rk_slice(c->in.p, n));

	if (err)
		return err;
	consume(c, n);
	return n == left;
}

static int take_chunks(struct conn *c)
{
	struct rk_slice data;
	int used, err;

	while (!c->chunks.done) {
		used = h1_chunked_next(&c->chunks, rk_secret_slice(&c->in), &data);
		if (used == 0)
			return 0;
		if (used < 0)
			return RK_E_PROTOCOL;
		err = add_to_body(c, data);
		if (err)
			return err;
		consume(c, (size_t)used);
	}
	return 1;
}

bool conn_read_body(struct conn *c)
{
	int got;

	if (c->out.len && conn_flush(c) == RK_E_AGAIN) /* 100 Continue */
		return false;
	got = c->parsed->body == H1_BODY_LENGTH ? take_sized(c) : take_chunks(c);
	if (got > 0)
		return dispatch(c);
	if (got == 0)
		return conn_fill(c);
	conn_forget_request(c);
	if (got == RK_E_TOOBIG)
		conn_refuse(c, 413, "body_too_large", "The body has more than 65536 bytes.");
	else if (got == RK_E_PROTOCOL)
		conn_refuse(c, 400, h1_err_code(H1_E_CHUNK), "The body is not valid HTTP.");
	else
		return no_memory(c);
	return true;
}
