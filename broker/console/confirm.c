#include "console/page_confirm.h"
#include "console/router_int.h"

/* The page, or, when there is no memory for it, a problem. Takes what is in html. */
static void send_page(struct router *r, uint64_t id, int status, struct rk_buf *html)
{
	char csp[PAGE_CONFIRM_CSP];
	struct reply reply = {
	    .status = status,
	    .type = "text/html; charset=utf-8",
	    .body = rk_buf_slice(html),
	    .csp = csp,
	};

	page_confirm_csp(csp);
	if (status > 0)
		server_answer(r->server, id, &reply);
	else
		problem_simple(r->server, id, 503, "overloaded", "Out of memory.");
	rk_buf_free(html);
}

static void refuse(struct router *r, uint64_t id, int status)
{
	struct rk_buf html;

	rk_buf_init(&html, PAGE_CONFIRM_MAX);
	send_page(r, id, page_confirm_refused(status, &html), &html);
}

static void answered(struct router *r, struct call *c, const struct ipc_message *m)
{
	struct rk_buf html;
	uint64_t id = c->id;

	rk_buf_init(&html, PAGE_CONFIRM_MAX);
	send_page(r, id, page_confirm_answer(m, &html), &html);
	call_end(c);
}

void page_confirm(struct router *r, const struct server_request *q, struct rk_slice path)
{
	struct msg_caller nobody = {.if_revision = 0};
	struct page_ask ask;
	int status = page_confirm_route(q->head, &ask);

	(void)path;
	if (status != PAGE_ASK)
		refuse(r, q->id, status ? status : 404);
	else if (!r->keeper)
		refuse(r, q->id, 503);
	else
		router_ask(r, q, &nobody, ask.type, &ask.body, answered);
}
