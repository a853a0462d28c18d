#include <stdio.h>
#include <stdlib.h>

#include "api/audit.h"
#include "api/encode.h"
#include "api/fields.h"
#include "api/json_memory.h"
#include "console/router_int.h"

/* From the keeper's messages to the answer. */

static json_t *encode(const struct api_op *op, const struct ipc_message *m)
{
	json_t *doc = NULL;

	if (op->shows != &api_audit_entry)
		return api_encode(op->shows, &m->body);
	if (api_audit_encode(&m->body.audit_entry, op->shape == API_LINES, &doc))
		return NULL;
	return doc;
}

static void fail(struct router *r, struct call *c)
{
	if (c->streams)
		server_abort(r->server, c->id);
	else
		problem_simple(r->server, c->id, 500, "internal",
		               "The answer could not be written.");
	call_forget(r, c);
}

/* ---- one object ---- */

/* Where json_dump_callback() writes: blocks of secret memory. */
struct vault_writer {
	struct reply *reply;
	unsigned block;
};

static int vault_write(const char *text, size_t n, void *arg)
{
	struct vault_writer *w = arg;

	while (n) {
		struct rk_secret *v = &w->reply->vault[w->block];
		size_t room;

		if (!v->p && rk_secret_alloc(v, SECRET_MAX_BYTES))
			return -1;
		room = v->cap - v->len < n ? v->cap - v->len : n;
		if (rk_secret_add(v, text, room))
			return -1;
		text += room;
		n -= room;
		if (n && ++w->block == REPLY_VAULT)
			return -1;
	}
	return 0;
}

/* Into secret memory: a relay key is shown in the answer to its making. */
int answer_document(json_t *doc, struct reply *out)
{
	struct vault_writer w = {.reply = out};
	size_t n = json_dumpb(doc, NULL, 0, JSON_COMPACT);

	if (n + 1 < SECRET_MAX_BYTES && rk_secret_alloc(&out->vault[0], n + 1))
		return RK_E_NOMEM;
	if (json_dump_callback(doc, vault_write, &w, JSON_COMPACT) || vault_write("\n", 1, &w))
		return RK_E_NOMEM;
	return 0;
}

/* ETag, and of something new also Location. */
static void object_headers(const struct api_op *op, const struct ipc_message *m, char *out,
                           size_t cap)
{
	size_t used = 0;
	int n;

	out[0] = '\0';
	for (unsigned i = 0; i < op->shows->count; i++) {
		const struct api_field *f = &op->shows->fields[i];

		n = 0;
		if (strcmp(f->name, "revision") == 0)
			n = snprintf(out + used, cap - used, "ETag: \"%llu\"\r\n",
			             (unsigned long long)api_get(f, &m->body));
		else if (strcmp(f->name, "id") == 0 && op->success == 201)
			n = snprintf(out + used, cap - used, "Location: %s/%.*s\r\n",
			             op->made_at ? op->made_at : op->path,
			             RK_FMT(api_get_slice(f, &m->body)));
		if (n > 0 && used + (size_t)n < cap)
			used += (size_t)n;
	}
}

static void answer_object(struct router *r, struct call *c, const struct ipc_message *m)
{
	char headers[256];
	struct reply reply = {
	    .status = c->op->success, .type = "application/json", .headers = headers};
	json_t *doc;
	int err;

	json_memory_secret(true);
	doc = encode(c->op, m);
	err = doc ? answer_document(doc, &reply) : RK_E_NOMEM;
	json_decref(doc);
	json_memory_secret(false);
	object_headers(c->op, m, headers, sizeof headers);
	if (err) {
		for (unsigned i = 0; i < REPLY_VAULT; i++)
			rk_secret_free(&reply.vault[i]);
		problem_simple(r->server, c->id, 503, "overloaded",
		               "It was done, but there is no memory for the answer.");
	} else {
		server_answer(r->server, c->id, &reply);
	}
	call_end(c);
}

/* ---- streams of objects ---- */

static struct reply stream_head(const struct call *c)
{
	struct reply h = {.status = 200, .type = "application/json"};

	if (c->op->shape == API_EVENTS) {
		h.type = "text/event-stream";
	} else if (c->op->shape == API_LINES && c->ask.csv) {
		h.type = "text/csv; charset=utf-8; header=present";
		h.headers =
		    "Content-Disposition: attachment; filename=\"relaykey-audit.csv\"\r\n";
	} else if (c->op->shape == API_LINES) {
		h.type = "application/x-ndjson";
		h.headers =
		    "Content-Disposition: attachment; filename=\"relaykey-audit.jsonl\"\r\n";
	}
	return h;
}

static int put(struct router *r, struct call *c, const char *text, size_t n)
{
	return server_write(r->server, c->id, rk_slice(text, n));
}

/* A line under construction. */
static int add_text(const char *text, size_t n, void *arg)
{
	return rk_buf_add(arg, text, n);
}

static int put_csv(struct router *r, struct call *c, const json_t *doc)
{
	struct rk_buf line;
	int err;

	rk_buf_init(&line, 1 << 20);
	err = doc ? api_audit_csv_line(doc, add_text, &line)
	          : api_audit_csv_header(add_text, &line);
	if (!err)
		err = server_write(r->server, c->id, rk_buf_slice(&line));
	rk_buf_free(&line);
	return err;
}

/* False: the call is over (HEAD, or the client is gone). */
static bool begin_stream(struct router *r, struct call *c)
{
	struct reply head = stream_head(c);
	int err = 0;

	if (c->streams)
		return true;
	if (!server_stream(r->server, c->id, &head)) {
		call_forget(r, c);
		return false;
	}
	c->streams = true;
	if (c->op->shape == API_LIST)
		err = put(r, c, "{\"data\":[", 9);
	else if (c->op->shape == API_LINES && c->ask.csv)
		err = put_csv(r, c, NULL);
	else if (c->op->shape == API_EVENTS)
		err = put(r, c, ":\n\n", 3);
	if (err)
		fail(r, c);
	return err == 0;
}

static uint64_t event_id(const struct msg_audit_entry *e)
{
	/* the row that made it known */
	return e->response_seq > e->seq ? e->response_seq : e->seq;
}

/* One object in one piece, as the shape has it. */
static int put_object(struct router *r, struct call *c, const struct ipc_message *m,
                      const json_t *doc)
{
	struct rk_buf piece;
	char *text;
	int err;

	if (c->op->shape == API_LINES && c->ask.csv)
		return put_csv(r, c, doc);
	text = json_dumps(doc, JSON_COMPACT);
	if (!text)
		return RK_E_NOMEM;
	rk_buf_init(&piece, 1 << 20);
	if (c->op->shape == API_EVENTS)
		err = rk_buf_printf(&piece, "id: %llu\nevent: audit\ndata: %s\n\n",
		                    (unsigned long long)event_id(&m->body.audit_entry), text);
	else if (c->op->shape == API_LINES)
		err = rk_buf_printf(&piece, "%s\n", text);
	else
		err = rk_buf_printf(&piece, "%s%s", c->sent ? "," : "", text);
	free(text);
	if (!err)
		err = server_write(r->server, c->id, rk_buf_slice(&piece));
	rk_buf_free(&piece);
	return err;
}

static void note_place(struct call *c, const struct ipc_message *m)
{
	char number[24];
	struct rk_slice place = api_cursor_place(c->op, &m->body, number);

	if (place.n > sizeof c->last)
		return;
	memcpy(c->last, place.p, place.n);
	c->last_len = place.n;
}

static void add_object(struct router *r, struct call *c, const struct ipc_message *m)
{
	json_t *doc;
	int err;

	c->untaken += (uint32_t)record_size(ipc_row(m->type)->body, &m->body);
	if (c->op->shape == API_LIST && c->sent == c->ask.limit) {
		c->more = true;
		return;
	}
	if (!begin_stream(r, c))
		return;
	doc = encode(c->op, m);
	err = doc ? put_object(r, c, m, doc) : RK_E_NOMEM;
	json_decref(doc);
	if (err) {
		fail(r, c);
		return;
	}
	c->sent++;
	if (c->op->shape == API_LIST)
		note_place(c, m);
}

static int put_end(struct router *r, struct call *c)
{
	char text[API_CURSOR_MAX + 32], cursor[API_CURSOR_MAX];
	int n;

	if (c->op->shape != API_LIST)
		return 0;
	api_cursor_write(c->op, rk_slice(c->last, c->last_len), cursor);
	if (c->more)
		n = snprintf(text, sizeof text, "],\"next_cursor\":\"%s\"}\n", cursor);
	else
		n = snprintf(text, sizeof text, "],\"next_cursor\":null}\n");
	return put(r, c, text, (size_t)n);
}

/* ---- the end ---- */

static void answer_error(struct router *r, struct call *c, const struct msg_done *done)
{
	struct problem p = problem_of((int)done->err, done->text);

	if (c->streams)
		server_abort(r->server, c->id);
	else
		problem_send(r->server, c->id, &p);
	call_end(c);
}

static void answer_done(struct router *r, struct call *c, const struct msg_done *done)
{
	struct reply nothing = {.status = c->op->success};

	if (done->err) {
		answer_error(r, c, done);
	} else if (c->op->shape == API_NOTHING) {
		server_answer(r->server, c->id, &nothing);
		call_end(c);
	} else if (c->op->shape == API_ONE) {
		fail(r, c);
	} else if (begin_stream(r, c)) {
		/* the keeper's pages may be smaller */
		c->more = c->more || done->more;
		if (put_end(r, c)) {
			fail(r, c);
			return;
		}
		server_end(r->server, c->id);
		call_end(c);
	}
}

void operation_message(struct router *r, struct call *c, const struct ipc_message *m)
{
	if (m->type == MSG_DONE)
		answer_done(r, c, &m->body.done);
	else if (m->type == MSG_STATUS && c->op->shape == API_EVENTS)
		begin_stream(r, c);
	else if (m->type != c->op->answer)
		fail(r, c);
	else if (c->op->shape == API_ONE)
		answer_object(r, c, m);
	else
		add_object(r, c, m);
}

/* Proxies end a connection that is silent for long, and a client that left shows only when it
 * is written to. */
void operation_tick(struct router *r, struct call *c)
{
	if (c->op->shape == API_EVENTS && c->streams && server_queued(r->server, c->id) == 0 &&
	    put(r, c, ":\n\n", 3))
		fail(r, c);
}
