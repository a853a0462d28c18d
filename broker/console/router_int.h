/* Inside the router: calls that wait for the keeper, and what its files share. */
#ifndef CONSOLE_ROUTER_INT_H
#define CONSOLE_ROUTER_INT_H

#include "api/cursor.h"
#include "api/request.h"
#include "console/problem.h"
#include "console/router.h"

struct call;

/* A message of the answer. The last one ends the call: call_end() or call_forget(). */
typedef void call_message_fn(struct router *r, struct call *c, const struct ipc_message *m);

/* A request that the keeper has. */
struct call {
	uint64_t id; /* 0: none */
	call_message_fn *message;
	const struct api_op *op; /* NULL: a page's */
	struct api_ask ask;      /* without its cursor */
	uint32_t sent;           /* objects */
	uint32_t untaken;        /* bytes of the answer that the keeper does not know of yet */
	bool streams;            /* the head of a stream is out */
	bool more;               /* there is one object more than were asked for */
	char last[API_CURSOR_LAST];
	size_t last_len;
	void *state; /* of the page, until release(state) */
	void (*release)(void *state);
};

struct router {
	struct loop *loop;
	struct server *server;
	struct ipc_peer *keeper;
	struct event *tick; /* comments into event streams that have nothing to say */
	char *openapi;
	size_t openapi_len;
	unsigned reports; /* of leaked keys, under way */
	struct call calls[SERVER_MAX_CONNECTIONS];
};

/* ---- router.c ---- */

/*
 * Sends a command; `who` (NULL: none is needed) without address and user agent. NULL when that
 * was not possible: it is answered then. The call waits with `message` for what comes.
 */
struct call *router_ask(struct router *r, const struct server_request *q,
                        struct msg_caller *who, enum ipc_type type, const void *body,
                        call_message_fn *message);

/* The answer is complete. */
void call_end(struct call *c);
/* The keeper need not go on. */
void call_forget(struct router *r, struct call *c);

/* The value of a header field, false and answered with 400 when it is there twice. Absent:
 * empty. */
bool router_header(struct router *r, const struct server_request *q, const char *name,
                   struct rk_slice *out);

/* The management key of Authorization. False: there is none and one is needed, or it is none,
 * and that is answered. */
bool router_credential(struct router *r, const struct server_request *q, bool needed,
                       struct rk_slice *out);

/* ---- operation.c: requests; answer.c: what the keeper says ---- */

bool operation_head(struct router *r, const struct server_request *q, const struct api_op *op);
void operation_request(struct router *r, const struct server_request *q,
                       const struct api_op *op, const struct api_path_values *values);
void operation_message(struct router *r, struct call *c, const struct ipc_message *m);
void operation_tick(struct router *r, struct call *c);

/* The document as the body of an answer, in secret memory. RK_E_NOMEM: the vault is the
 * caller's to free. */
RK_MUST_CHECK int answer_document(json_t *doc, struct reply *out);

/* ---- pages.c: what is no operation ---- */

/* True: this path is a page's, and the request is answered or will be. */
bool page_request(struct router *r, const struct server_request *q, struct rk_slice path);

/* confirm.c: the pages behind the link in a mail, for GET and POST. */
void page_confirm(struct router *r, const struct server_request *q, struct rk_slice path);

/* leaks.c: reports of leaked keys. */
void page_leaks(struct router *r, const struct server_request *q, struct rk_slice path);
void page_leaks_github(struct router *r, const struct server_request *q, struct rk_slice path);

/* "GET, HEAD": what a page's path can be asked for; NULL: it is no page. */
const char *page_methods(struct rk_slice path);

#endif
