#include "console/router_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/openapi.h"
#include "api/json_memory.h"

enum { TICK_S = 15 };

/* ---- calls ---- */

static struct call *call_of(struct router *r, uint64_t id)
{
	struct call *c = &r->calls[id % SERVER_MAX_CONNECTIONS];

	return id && c->id == id ? c : NULL;
}

void call_end(struct call *c)
{
	if (c->release)
		c->release(c->state);
	*c = (struct call){0};
}

void call_forget(struct router *r, struct call *c)
{
	struct msg_empty empty = {0};

	/* a keeper that cannot be told goes on until the window of this answer is full */
	if (r->keeper)
		(void)!ipc_peer_send(r->keeper, MSG_FORGET, c->id, &empty);
	call_end(c);
}

static int say_caller(struct router *r, const struct server_request *q, struct msg_caller *who)
{
	const struct h1_field *agent;
	size_t pos = 0;

	memcpy(who->client_ip, q->client.b, sizeof who->client_ip);
	agent = h1_next_field(q->head, H1_HDR_USER_AGENT, &pos);
	if (agent)
		who->user_agent = rk_slice(agent->value.p, agent->value.n < AUDIT_MAX_USER_AGENT
		                                               ? agent->value.n
		                                               : AUDIT_MAX_USER_AGENT);
	return ipc_peer_send(r->keeper, MSG_CALLER, q->id, who);
}

struct call *router_ask(struct router *r, const struct server_request *q,
                        struct msg_caller *who, enum ipc_type type, const void *body,
                        call_message_fn *message)
{
	struct call *c = &r->calls[q->id % SERVER_MAX_CONNECTIONS];
	struct problem p;
	int err = r->keeper ? 0 : RK_E_CLOSED;

	*c = (struct call){.id = q->id, .message = message};
	if (!err && who)
		err = say_caller(r, q, who);
	if (!err) {
		err = ipc_peer_send(r->keeper, type, q->id, body);
		if (err && who) {
			call_forget(r, c);
			c->id = 0;
		}
	}
	if (!err)
		return c;
	call_end(c);
	if (err == RK_E_TOOBIG || err == RK_E_INVALID) {
		problem_simple(r->server, q->id, 413, "too_big",
		               "All of this together is too big for one command.");
		return NULL;
	}
	p = problem_of(err, rk_str(NULL));
	p.status = 503;
	p.code = "keeper_unavailable";
	problem_send(r->server, q->id, &p);
	return NULL;
}

static void fail_calls(struct router *r)
{
	for (unsigned i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
		struct call *c = &r->calls[i];

		if (!c->id)
			continue;
		if (c->streams)
			server_abort(r->server, c->id);
		else
			problem_simple(r->server, c->id, 503, "keeper_unavailable",
			               "The broker is starting again.");
		call_end(c);
	}
}

void router_set_keeper(struct router *r, struct ipc_peer *keeper)
{
	fail_calls(r);
	r->keeper = keeper;
}

void router_message(struct router *r, const struct ipc_message *m)
{
	struct call *c = call_of(r, m->id);

	if (c)
		c->message(r, c, m);
}

/* ---- requests ---- */

bool router_header(struct router *r, const struct server_request *q, const char *name,
                   struct rk_slice *out)
{
	bool found = false;

	*out = rk_slice(NULL, 0);
	for (size_t i = 0; i < q->head->field_count; i++) {
		const struct h1_field *f = &q->head->fields[i];

		if (!rk_slice_ieq(f->name, rk_str(name)))
			continue;
		if (found) {
			problem_simple(r->server, q->id, 400, "repeated_header",
			               "A header that can be there once is there twice.");
			return false;
		}
		found = true;
		*out = f->value;
	}
	return true;
}

static struct rk_slice path_of(struct rk_slice target)
{
	const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;

	return query ? rk_slice(target.p, (size_t)(query - target.p)) : target;
}

/* No operation, no page with this method. */
static void refuse_path(struct router *r, const struct server_request *q, struct rk_slice path)
{
	char methods[API_ALLOW_MAX], allow[API_ALLOW_MAX + 16];
	const char *page = page_methods(path);
	struct problem p = {.status = 405,
	                    .code = "method_not_allowed",
	                    .detail = rk_str("This address cannot be asked for that."),
	                    .headers = allow};

	api_op_methods(path, methods);
	if (!page && !methods[0]) {
		problem_simple(r->server, q->id, 404, "not_found",
		               "There is nothing at this address.");
		return;
	}
	snprintf(allow, sizeof allow, "Allow: %s\r\n", page ? page : methods);
	problem_send(r->server, q->id, &p);
}

static bool on_head(const struct server_request *q, void *arg)
{
	struct router *r = arg;
	struct rk_slice path = path_of(q->head->target);
	struct api_path_values values;
	const struct api_op *op = api_op_match(q->head->method, path, &values);

	if (op)
		return operation_head(r, q, op);
	/* a page says what is wrong with the method when it has the whole request */
	if (page_methods(path))
		return true;
	refuse_path(r, q, path);
	return false;
}

static void on_request(const struct server_request *q, void *arg)
{
	struct router *r = arg;
	struct rk_slice path = path_of(q->head->target);
	struct api_path_values values;
	const struct api_op *op = api_op_match(q->head->method, path, &values);

	if (op)
		operation_request(r, q, op, &values);
	else if (!page_request(r, q, path))
		refuse_path(r, q, path);
}

static void on_drained(uint64_t id, void *arg)
{
	struct router *r = arg;
	struct call *c = call_of(r, id);
	struct msg_taken taken;

	if (!c || !c->untaken)
		return;
	taken.bytes = c->untaken;
	c->untaken = 0;
	if (r->keeper && ipc_peer_send(r->keeper, MSG_TAKEN, id, &taken)) {
		server_abort(r->server, id);
		call_end(c);
	}
}

static void on_gone(uint64_t id, void *arg)
{
	struct router *r = arg;
	struct call *c = call_of(r, id);

	if (c)
		call_forget(r, c);
}

const struct server_ops router_ops = {
    .head = on_head,
    .request = on_request,
    .drained = on_drained,
    .gone = on_gone,
};

/* ---- life ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
		if (r->calls[i].id && r->calls[i].op)
			operation_tick(r, &r->calls[i]);
	}
}

int router_new(struct loop *l, struct router **out)
{
	static const struct timeval every = {.tv_sec = TICK_S};
	struct router *r = calloc(1, sizeof *r);
	json_t *doc;

	if (!r)
		return RK_E_NOMEM;
	json_memory_init();
	r->loop = l;
	r->tick = event_new(loop_base(l), -1, EV_PERSIST, on_tick, r);
	doc = api_openapi();
	r->openapi = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (!r->tick || !r->openapi || event_add(r->tick, &every) < 0) {
		router_free(r);
		return RK_E_NOMEM;
	}
	r->openapi_len = strlen(r->openapi);
	*out = r;
	return 0;
}

void router_serve(struct router *r, struct server *s)
{
	r->server = s;
}

void router_free(struct router *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < SERVER_MAX_CONNECTIONS; i++)
		call_end(&r->calls[i]);
	if (r->tick)
		event_free(r->tick);
	free(r->openapi);
	free(r);
}
