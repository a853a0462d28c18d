#include <stdio.h>
#include <string.h>

#include "api/json_memory.h"
#include "console/router_int.h"

/* From a request to its command. What is wrong with it is said before the keeper hears of it.
 */
enum { ANSWER_S = 30, SLOW_ANSWER_S = 600 };

/* ---- headers ---- */

static bool refuse(struct router *r, const struct server_request *q, int status,
                   const char *code, const char *detail)
{
	problem_simple(r->server, q->id, status, code, detail);
	return false;
}

/* "Bearer rk_mgmt_..."; empty when there is none and none is needed. */
bool router_credential(struct router *r, const struct server_request *q, bool needed,
                       struct rk_slice *out)
{
	static const char need[] =
	    "A management key is needed: Authorization: Bearer rk_mgmt_...";
	const struct h1_field *f;
	size_t pos = 0;

	*out = rk_slice(NULL, 0);
	f = h1_next_field(q->head, H1_HDR_AUTHORIZATION, &pos);
	if (!f)
		return !needed || refuse(r, q, 401, "unauthorized", need);
	if (h1_next_field(q->head, H1_HDR_AUTHORIZATION, &pos))
		return refuse(r, q, 401, "unauthorized", "There are two credentials.");
	if (f->value.n <= 7 || !rk_slice_ieq(rk_slice(f->value.p, 7), rk_str("Bearer ")))
		return refuse(r, q, 401, "unauthorized", need);
	*out = rk_slice_skip(f->value, 7);
	if (out->n > MSG_MAX_KEY || !rk_slice_starts(*out, rk_str("rk_mgmt_")))
		return refuse(r, q, 401, "unauthorized", need);
	return true;
}

static bool credential_of(struct router *r, const struct server_request *q,
                          const struct api_op *op, struct rk_slice *out)
{
	return router_credential(r, q, !(op->may & MAY_ANYONE), out);
}

static bool is_json(struct rk_slice type)
{
	static const struct rk_slice json = {"application/json", 16};

	if (type.n < json.n || !rk_slice_ieq(rk_slice(type.p, json.n), json))
		return false;
	return type.n == json.n || type.p[json.n] == ';' || type.p[json.n] == ' ';
}

static bool has_body(const struct h1_head *h)
{
	return h->body == H1_BODY_CHUNKED ||
	       (h->body == H1_BODY_LENGTH && h->content_length > 0);
}

static bool check_body(struct router *r, const struct server_request *q,
                       const struct api_op *op)
{
	struct rk_slice type;

	if (!op->body)
		return !has_body(q->head) ||
		       refuse(r, q, 400, "unexpected_body", "This operation takes no body.");
	if (!has_body(q->head) && (op->traits & API_BARE))
		return true;
	if (!router_header(r, q, "content-type", &type))
		return false;
	if (!is_json(type))
		return refuse(r, q, 415, "unsupported_media_type",
		              "The body must be application/json.");
	return has_body(q->head) || refuse(r, q, 400, "bad_json", "The body is missing.");
}

static bool idempotency_of(struct router *r, const struct server_request *q,
                           const struct api_op *op, struct rk_slice *out)
{
	struct rk_slice key;

	*out = rk_slice(NULL, 0);
	if (!(op->traits & API_KEYED))
		return true;
	if (!router_header(r, q, "idempotency-key", &key))
		return false;
	if (key.n > MSG_MAX_IDEMPOTENCY_KEY)
		return refuse(r, q, 400, "bad_idempotency_key",
		              "An idempotency key has at most 128 characters.");
	*out = key;
	return true;
}

/* "\"7\"": the revision that is meant. One that there cannot be is stale already. */
static bool revision_of(struct router *r, const struct server_request *q,
                        const struct api_op *op, uint64_t *out)
{
	struct rk_slice tag;

	*out = 0;
	if (!router_header(r, q, "if-match", &tag))
		return false;
	if (tag.n == 0 || rk_slice_is(tag, "*"))
		return true;
	if (!(op->traits & API_MATCH))
		return refuse(r, q, 400, "unexpected_if_match",
		              "This operation takes no If-Match.");
	if (tag.n < 2 || tag.p[0] != '"' || tag.p[tag.n - 1] != '"' ||
	    memchr(tag.p + 1, '"', tag.n - 2))
		return refuse(r, q, 400, "bad_if_match",
		              "If-Match holds one ETag, as it was given.");
	if (!rk_slice_u64(rk_slice(tag.p + 1, tag.n - 2), out) || *out == 0)
		return refuse(r, q, 412, "stale",
		              "The object is not of the revision that was meant.");
	return true;
}

static bool accepts(struct rk_slice accept, const char *type)
{
	return accept.n && memmem(accept.p, accept.n, type, strlen(type));
}

/* What lines look like: what the parameter says, else Accept. */
static bool format_of(struct router *r, const struct server_request *q, struct api_ask *ask)
{
	struct rk_slice accept;

	if (ask->csv || ask->jsonl)
		return true;
	if (!router_header(r, q, "accept", &accept))
		return false;
	if (accepts(accept, "text/csv"))
		ask->csv = true;
	else if (accept.n && !accepts(accept, "*/*") && !accepts(accept, "application/*") &&
	         !accepts(accept, "application/x-ndjson") &&
	         !accepts(accept, "application/jsonl"))
		return refuse(r, q, 406, "not_acceptable",
		              "There is application/x-ndjson and text/csv.");
	return true;
}

/* Where an event stream goes on. */
static bool last_event(struct router *r, const struct server_request *q,
                       const struct api_op *op, union ipc_body *rec)
{
	struct rk_slice id;

	if (!router_header(r, q, "last-event-id", &id))
		return false;
	if (id.n && api_cursor_apply(op, id, rec))
		return refuse(r, q, 400, "bad_last_event_id",
		              "Last-Event-ID is the id of an event of this stream.");
	return true;
}

/* ---- the body ---- */

static bool refuse_json(struct router *r, const struct server_request *q, json_error_t *e)
{
	char text[96];

	if (json_memory_failed())
		return refuse(r, q, 503, "overloaded",
		              "The body has too many members, or there is too much to do.");
	snprintf(text, sizeof text, "%s (line %d, column %d).",
	         json_error_code(e) == json_error_duplicate_key ? "A member is there twice"
	                                                        : "The body is not JSON",
	         e->line, e->column);
	return refuse(r, q, 400, "bad_json", text);
}

/* jansson quotes the text around an error, so what it says is wiped and not shown. */
static bool read_json(struct router *r, const struct server_request *q, json_t **out)
{
	json_error_t e = {0};
	bool good;

	*out = json_loadb(q->body.p, q->body.n, JSON_REJECT_DUPLICATES, &e);
	good = *out != NULL;
	if (!good) {
		json_memory_secret(false);
		refuse_json(r, q, &e);
	}
	rk_wipe(&e, sizeof e);
	return good;
}

/* ---- requests ---- */

static bool check(struct router *r, const struct server_request *q, const struct api_op *op)
{
	struct rk_slice credential;

	return credential_of(r, q, op, &credential) && check_body(r, q, op);
}

bool operation_head(struct router *r, const struct server_request *q, const struct api_op *op)
{
	return check(r, q, op);
}

static void refuse_request(struct router *r, const struct server_request *q, int status,
                           const struct api_errors *errors)
{
	struct problem p = {
	    .status = status,
	    .code = status == 400 ? "bad_parameter" : "invalid",
	    .detail =
	        rk_str(status == 400 ? "A parameter of the request is not as it should be."
	                             : "The request is not as its schema wants it."),
	    .errors = errors,
	};

	if (status == 404)
		refuse(r, q, 404, "not_found", "There is no such object.");
	else
		problem_send(r->server, q->id, &p);
}

static bool apply_page(struct router *r, const struct server_request *q,
                       const struct api_op *op, struct api_ask *ask, char last[API_CURSOR_LAST],
                       union ipc_body *rec)
{
	const struct api_field limit = {.offset = op->limit.offset, .size = op->limit.size};
	ssize_t n;

	/* one more says whether there is more */
	api_put(&limit, rec, ask->limit + 1);
	if (ask->cursor.n == 0)
		return true;
	n = api_cursor_read(op, ask->cursor, last);
	if (n < 0 || api_cursor_apply(op, rk_slice(last, (size_t)n), rec))
		return refuse(r, q, 422, "bad_cursor", "This is no cursor of this list.");
	return true;
}

static void ask_keeper(struct router *r, const struct server_request *q,
                       const struct api_op *op, const struct api_ask *ask,
                       const union ipc_body *rec)
{
	struct msg_caller who = {0};
	struct msg_empty empty = {0};
	struct call *c;

	if (!credential_of(r, q, op, &who.credential) ||
	    !idempotency_of(r, q, op, &who.idempotency_key) ||
	    !revision_of(r, q, op, &who.if_revision))
		return;
	server_patience(r->server, q->id, op->traits & API_SLOW ? SLOW_ANSWER_S : ANSWER_S);
	c = router_ask(r, q, &who, op->command, rec, operation_message);
	if (!c)
		return;
	c->op = op;
	c->ask = *ask;
	c->ask.cursor = rk_slice(NULL, 0);
	/* answered behind the command: it was let in, and the stream may begin */
	if (op->shape == API_EVENTS &&
	    ipc_peer_send(r->keeper, MSG_STATUS_GET, q->id, &empty)) {
		call_forget(r, c);
		problem_simple(r->server, q->id, 503, "keeper_unavailable",
		               "The broker has too much to do.");
	}
}

/* With the document of the body; its strings are borrowed until the command is sent. */
static void run(struct router *r, const struct server_request *q, const struct api_op *op,
                const struct api_path_values *values, json_t *body)
{
	const char *mark = memchr(q->head->target.p, '?', q->head->target.n);
	struct rk_slice query =
	    mark ? rk_slice_skip(q->head->target, (size_t)(mark - q->head->target.p) + 1)
	         : rk_slice(NULL, 0);
	struct api_errors errors;
	struct api_room room = {0};
	char last[API_CURSOR_LAST];
	union ipc_body rec;
	struct api_ask ask;
	int status, err;

	err = api_request(op, values, query, body, &rec, &ask, &room, &errors, &status);
	json_memory_secret(false);
	if (err == RK_E_INVALID)
		refuse_request(r, q, status, &errors);
	else if (err)
		refuse(r, q, 503, "overloaded", "There is too much to do just now.");
	else if ((op->shape != API_LIST || apply_page(r, q, op, &ask, last, &rec)) &&
	         (op->shape != API_LINES || format_of(r, q, &ask)) &&
	         (op->shape != API_EVENTS || last_event(r, q, op, &rec)))
		ask_keeper(r, q, op, &ask, &rec);
	api_room_free(&room);
}

void operation_request(struct router *r, const struct server_request *q,
                       const struct api_op *op, const struct api_path_values *values)
{
	json_t *body = NULL;

	if (!check(r, q, op))
		return;
	json_memory_secret(true);
	if (!has_body(q->head) || read_json(r, q, &body))
		run(r, q, op, values, body);
	json_decref(body);
	json_memory_secret(false);
}
