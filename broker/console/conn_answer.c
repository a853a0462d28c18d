#include "console/server_int.h"

#include <stdio.h>

#include "base/clock.h"

/* ---- into `out` ---- */

static struct reply_terms terms_of(const struct conn *c, enum reply_framing framing)
{
	return (struct reply_terms){
	    .framing = framing,
	    .without_body = c->head_only,
	    .close = c->last,
	    .wall_ms = rk_wall_ms(),
	    .request_id = c->request_id[0] ? c->request_id : "none",
	};
}

/* Without memory for the answer the connection ends without one. */
void conn_answer(struct conn *c, struct reply *r)
{
	struct reply_terms t;

	c->last = c->last || c->server->stopping;
	t = terms_of(c, REPLY_LENGTH);
	if (reply_render(r, &t, &c->out)) {
		rk_buf_consume(&c->out, c->out.len);
		c->last = true;
	} else if (!c->head_only) {
		for (unsigned i = 0; i < REPLY_VAULT; i++)
			rk_secret_move(&c->vault[i], &r->vault[i]);
	}
	for (unsigned i = 0; i < REPLY_VAULT; i++)
		rk_secret_free(&r->vault[i]);
	c->id = 0;
	conn_set_state(c, CONN_WRITE);
}

void conn_refuse(struct conn *c, int status, const char *code, const char *detail)
{
	char body[REPLY_BODY_MAX];
	struct reply r = reply_problem(status, code, detail, body, sizeof body);

	c->last = true;
	conn_answer(c, &r);
}

/* ---- out of it ---- */

static int flush_out(struct conn *c)
{
	while (c->out.len) {
		ssize_t n = tls_write(c->tls, rk_buf_data(&c->out), c->out.len);

		if (n < 0)
			return (int)n;
		rk_buf_consume(&c->out, (size_t)n);
		c->stalled = false;
	}
	rk_buf_trim(&c->out);
	return 0;
}

static int flush_vault(struct conn *c)
{
	for (unsigned i = 0; i < REPLY_VAULT; i++) {
		struct rk_secret *v = &c->vault[i];

		while (c->vault_done < v->len) {
			ssize_t n =
			    tls_write(c->tls, v->p + c->vault_done, v->len - c->vault_done);

			if (n < 0)
				return (int)n;
			c->vault_done += (size_t)n;
			c->stalled = false;
		}
		rk_secret_free(v);
		c->vault_done = 0;
	}
	return 0;
}

int conn_flush(struct conn *c)
{
	int err = flush_out(c);

	return err ? err : flush_vault(c);
}

/* ---- the owner's side ---- */

static struct conn *conn_of(struct server *s, uint64_t id, enum conn_state state)
{
	struct conn *c = id ? s->slot[id % SERVER_MAX_CONNECTIONS] : NULL;

	return c && c->id == id && c->state == state && !c->doomed ? c : NULL;
}

void server_answer(struct server *s, uint64_t id, struct reply *r)
{
	struct conn *c = conn_of(s, id, CONN_ASKED);

	if (c) {
		conn_answer(c, r);
		server_kick(c);
		return;
	}
	for (unsigned i = 0; i < REPLY_VAULT; i++)
		rk_secret_free(&r->vault[i]);
}

void server_patience(struct server *s, uint64_t id, unsigned seconds)
{
	struct conn *c = conn_of(s, id, CONN_ASKED);

	if (!c)
		return;
	c->patience_s = seconds;
	conn_set_state(c, CONN_ASKED);
}

bool server_stream(struct server *s, uint64_t id, const struct reply *head)
{
	struct conn *c = conn_of(s, id, CONN_ASKED);
	struct reply_terms t;

	if (!c)
		return false;
	c->last = c->last || c->http10 || s->stopping;
	t = terms_of(c, c->http10 ? REPLY_UNTIL_CLOSE : REPLY_CHUNKED);
	if (reply_render(head, &t, &c->out)) {
		c->doomed = true;
		server_kick(c);
		return false;
	}
	conn_set_state(c, c->head_only ? CONN_WRITE : CONN_STREAM);
	if (c->head_only)
		c->id = 0;
	server_kick(c);
	return !c->head_only;
}

int server_write(struct server *s, uint64_t id, struct rk_slice bytes)
{
	struct conn *c = conn_of(s, id, CONN_STREAM);
	int err;

	if (!c)
		return RK_E_CLOSED;
	if (bytes.n == 0)
		return 0;
	err = c->http10 ? 0 : rk_buf_printf(&c->out, "%zx\r\n", bytes.n);
	if (!err)
		err = rk_buf_add_slice(&c->out, bytes);
	if (!err && !c->http10)
		err = rk_buf_printf(&c->out, "\r\n");
	server_kick(c);
	return err;
}

size_t server_queued(struct server *s, uint64_t id)
{
	struct conn *c = conn_of(s, id, CONN_STREAM);

	return c ? c->out.len : 0;
}

void server_end(struct server *s, uint64_t id)
{
	struct conn *c = conn_of(s, id, CONN_STREAM);

	if (!c)
		return;
	c->id = 0;
	if (!c->http10 && rk_buf_printf(&c->out, "0\r\n\r\n"))
		c->doomed = true;
	conn_set_state(c, CONN_WRITE);
	server_kick(c);
}

void server_abort(struct server *s, uint64_t id)
{
	struct conn *c = conn_of(s, id, CONN_STREAM);

	if (!c)
		return;
	c->id = 0;
	c->doomed = true;
	server_kick(c);
}
