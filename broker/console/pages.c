#include "console/router_int.h"

/*
 * What the console serves beside the operations. A page is a row here: its path (or, with
 * `below`, all paths that begin with it), and what is done for a GET (and HEAD) and for a POST.
 * It answers with server_answer(), now, or when what it asked the keeper (router_ask()) is
 * answered.
 */
typedef void page_fn(struct router *r, const struct server_request *q, struct rk_slice path);

struct page {
	const char *path;
	bool below;
	page_fn *get, *post; /* NULL: 405 */
};

/* ---- /healthz ---- */

static void answer_health(struct router *r, uint64_t id, int status, const char *what)
{
	char body[REPLY_BODY_MAX];
	struct reply reply = reply_health(status, what, body, sizeof body);

	server_answer(r->server, id, &reply);
}

static void health_message(struct router *r, struct call *c, const struct ipc_message *m)
{
	const struct msg_status *status = &m->body.status;

	if (m->type != MSG_STATUS) /* DONE: it could not say */
		answer_health(r, c->id, 503, "keeper_unavailable");
	else if (!status->unsealed)
		answer_health(r, c->id, 503, "sealed");
	else if (!status->audit_ok)
		answer_health(r, c->id, 503, "audit_unavailable");
	else
		answer_health(r, c->id, 200, "ok");
	call_end(c);
}

static void health(struct router *r, const struct server_request *q, struct rk_slice path)
{
	struct msg_empty ask = {0};

	(void)path;
	if (r->keeper)
		router_ask(r, q, NULL, MSG_STATUS_GET, &ask, health_message);
	else
		answer_health(r, q->id, 503, "keeper_unavailable");
}

/* ---- /openapi.json ---- */

static void openapi(struct router *r, const struct server_request *q, struct rk_slice path)
{
	struct reply reply = {.status = 200,
	                      .type = "application/json",
	                      .body = rk_slice(r->openapi, r->openapi_len)};

	(void)path;
	server_answer(r->server, q->id, &reply);
}

/* ---- the table ---- */

static const struct page pages[] = {
    {"/healthz", false, health, NULL},
    {"/openapi.json", false, openapi, NULL},
    {"/confirm/", true, page_confirm, page_confirm},
    {"/api/v1/leaks", false, NULL, page_leaks},
    {"/api/v1/leaks/github", false, NULL, page_leaks_github},
};

static const struct page *page_of(struct rk_slice path)
{
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		if (pages[i].below ? rk_slice_starts(path, rk_str(pages[i].path))
		                   : rk_slice_is(path, pages[i].path))
			return &pages[i];
	}
	return NULL;
}

const char *page_methods(struct rk_slice path)
{
	const struct page *p = page_of(path);

	if (!p)
		return NULL;
	if (!p->post)
		return "GET, HEAD";
	return p->get ? "GET, HEAD, POST" : "POST";
}

bool page_request(struct router *r, const struct server_request *q, struct rk_slice path)
{
	const struct page *p = page_of(path);
	page_fn *fn = NULL;

	if (p && (rk_slice_is(q->head->method, "GET") || rk_slice_is(q->head->method, "HEAD")))
		fn = p->get;
	else if (p && rk_slice_is(q->head->method, "POST"))
		fn = p->post;
	if (fn)
		fn(r, q, path);
	return fn != NULL;
}
