#include <stdlib.h>

#include "api/encode.h"
#include "api/fields.h"
#include "api/json_memory.h"
#include "console/leak_body.h"
#include "console/router_int.h"

/*
 * Reports of leaked keys: of those who may revoke keys anyway, and of secret scanners, whose
 * signature the keeper checks. Few are under way at a time: a stranger's costs memory and a
 * signature check.
 */
enum { REPORTS_MAX = 8, ANSWER_S = 30 };

/* One that the keeper has. */
struct report {
	struct router *router;
	bool scanner;
	struct rk_secret payload; /* a scanner's: the answer repeats its tokens */
	struct leak_body body;
	unsigned count; /* verdicts so far */
	uint8_t finding[LEAK_BODY_TOKENS];
	json_t *verdicts; /* for the others */
};

static void report_free(void *arg)
{
	struct report *p = arg;

	p->router->reports--;
	rk_secret_free(&p->payload);
	json_decref(p->verdicts);
	rk_wipe(p, sizeof *p);
	free(p);
}

static struct report *report_new(struct router *r, bool scanner)
{
	struct report *p = r->reports < REPORTS_MAX ? calloc(1, sizeof *p) : NULL;

	if (!p)
		return NULL;
	p->router = r;
	p->scanner = scanner;
	p->verdicts = json_array();
	r->reports++;
	return p;
}

static void refuse(struct router *r, const struct server_request *q, int status,
                   const char *code, const char *detail)
{
	problem_simple(r->server, q->id, status, code, detail);
}

/* ---- the answer ---- */

static json_t *document_of(struct report *p)
{
	json_t *doc;

	if (p->scanner)
		return leak_body_answer(&p->body, p->finding);
	doc = json_object();
	if (json_object_set(doc, "data", p->verdicts)) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

/* Into secret memory: it has the tokens as they came. */
static void answer(struct router *r, struct call *c)
{
	struct reply reply = {.status = 200, .type = "application/json"};
	json_t *doc;
	int err;

	json_memory_secret(true);
	doc = document_of(c->state);
	err = doc ? answer_document(doc, &reply) : RK_E_NOMEM;
	json_decref(doc);
	json_memory_secret(false);
	if (!err) {
		server_answer(r->server, c->id, &reply);
		return;
	}
	for (unsigned i = 0; i < REPLY_VAULT; i++)
		rk_secret_free(&reply.vault[i]);
	problem_simple(r->server, c->id, 503, "overloaded",
	               "It was done, but there is no memory for the answer.");
}

static void take_verdict(struct report *p, const struct msg_leak_verdict *v)
{
	if (p->count == p->body.count)
		return;
	p->finding[p->count++] = v->finding;
	/* without memory the count is not right in the end */
	if (!p->scanner && json_array_append_new(p->verdicts, api_encode(&api_leak_verdict, v)))
		p->count = LEAK_BODY_TOKENS + 1;
}

static void message(struct router *r, struct call *c, const struct ipc_message *m)
{
	struct report *p = c->state;
	struct problem problem;

	if (m->type == MSG_LEAK_VERDICT && p->count <= p->body.count) {
		take_verdict(p, &m->body.leak_verdict);
		return;
	}
	if (m->type == MSG_DONE && m->body.done.err) {
		problem = problem_of((int)m->body.done.err, m->body.done.text);
		problem_send(r->server, c->id, &problem);
	} else if (m->type == MSG_DONE && p->count == p->body.count) {
		answer(r, c);
	} else if (m->type == MSG_DONE) {
		problem_simple(r->server, c->id, 503, "overloaded",
		               "It was done, but there is no memory for the answer.");
	} else {
		return;
	}
	call_end(c);
}

/* ---- the report ---- */

static bool first_is(struct rk_slice body, const char *any)
{
	while (body.n && body.p[0] && strchr(" \t\r\n", body.p[0]))
		body = rk_slice_skip(body, 1);
	return body.n && body.p[0] && strchr(any, body.p[0]);
}

/* The body as the tokens in it; false when that was answered. */
static bool read_body(struct router *r, const struct server_request *q, struct report *p)
{
	struct rk_slice payload = q->body;
	struct rk_fault fault = {""};
	bool starved;
	int err;

	if (p->scanner) {
		if (rk_secret_alloc(&p->payload, payload.n) ||
		    rk_secret_add(&p->payload, payload.p, payload.n)) {
			refuse(r, q, 503, "overloaded", "There is too much to do just now.");
			return false;
		}
		payload = rk_secret_slice(&p->payload);
	}
	json_memory_secret(true);
	err = leak_body_read(payload, &p->body, &fault);
	starved = json_memory_failed();
	json_memory_secret(false);
	if (!err)
		return true;
	if (starved || err == RK_E_NOMEM)
		refuse(r, q, 503, "overloaded", "There is too much to do just now.");
	else if (err == RK_E_PROTOCOL)
		refuse(r, q, 400, "bad_json", fault.text);
	else if (err == RK_E_TOOBIG)
		refuse(r, q, 413, "too_big", fault.text);
	else
		refuse(r, q, 422, "invalid", fault.text);
	return false;
}

static void send_report(struct router *r, const struct server_request *q, bool scanner,
                        struct msg_caller *who, struct msg_leak_report *m)
{
	struct report *p = report_new(r, scanner);
	struct call *c;

	if (!p) {
		refuse(r, q, 503, "overloaded", "There is too much to do just now.");
		return;
	}
	if (read_body(r, q, p)) {
		m->payload = p->body.payload;
		m->items = rk_slice(p->body.items, p->body.items_n);
		server_patience(r->server, q->id, ANSWER_S);
		c = router_ask(r, q, who, MSG_LEAK_REPORT, m, message);
		if (c) {
			c->state = p;
			c->release = report_free;
			return;
		}
	}
	report_free(p);
}

static bool is_bare(struct router *r, const struct server_request *q)
{
	if (!memchr(q->head->target.p, '?', q->head->target.n))
		return true;
	refuse(r, q, 400, "bad_parameter", "A report has no parameters.");
	return false;
}

static bool is_type(struct rk_slice type, const char *want)
{
	size_t n = strlen(want);

	return type.n >= n && rk_slice_ieq(rk_slice(type.p, n), rk_str(want)) &&
	       (type.n == n || type.p[n] == ';' || type.p[n] == ' ');
}

void page_leaks(struct router *r, const struct server_request *q, struct rk_slice path)
{
	struct msg_leak_report m = {.payload = rk_str(NULL)};
	struct msg_caller who = {.if_revision = 0};
	struct rk_slice type;
	bool json;

	(void)path;
	if (!is_bare(r, q) || !router_credential(r, q, true, &who.credential) ||
	    !router_header(r, q, "content-type", &type))
		return;
	json = is_type(type, "application/json");
	if (!json && !is_type(type, "text/plain"))
		refuse(r, q, 415, "unsupported_media_type",
		       "The body must be application/json or text/plain.");
	else if (first_is(q->body, "{") != json || first_is(q->body, "["))
		refuse(r, q, 422, "invalid",
		       "The body is {\"tokens\": [...]}, or as text/plain one token a line.");
	else
		send_report(r, q, false, &who, &m);
}

void page_leaks_github(struct router *r, const struct server_request *q, struct rk_slice path)
{
	unsigned char signature[MSG_MAX_SIGNATURE];
	struct msg_leak_report m = {.payload = rk_str(NULL)};
	struct msg_caller nobody = {.if_revision = 0};
	struct rk_slice type, text;
	ssize_t n;

	(void)path;
	if (!is_bare(r, q) || !router_header(r, q, "content-type", &type) ||
	    !router_header(r, q, "github-public-key-identifier", &m.key_id) ||
	    !router_header(r, q, "github-public-key-signature", &text))
		return;
	n = leak_signature_read(text, signature);
	if (n < 0 || !m.key_id.n || m.key_id.n > MSG_MAX_NAME) {
		refuse(
		    r, q, 401, "unauthorized",
		    "A report needs a secret scanner's signature, and which of its keys made "
		    "it.");
		return;
	}
	m.signature = rk_slice(signature, (size_t)n);
	if (!is_type(type, "application/json"))
		refuse(r, q, 415, "unsupported_media_type",
		       "The body must be application/json.");
	else if (!first_is(q->body, "["))
		refuse(r, q, 422, "invalid", "A report is a list of objects.");
	else
		send_report(r, q, true, &nobody, &m);
}
