/*
 * The broker over the management interface: each command becomes the request of its operation,
 * and the answer the keeper's messages, so that a command does not know which way it went.
 */
#include <stdlib.h>

#include "api/json_memory.h"
#include "base/file.h"
#include "cli/remote_int.h"

enum {
	PATIENCE_S = 60,
	SLOW_PATIENCE_S = 660, /* longer than the broker's own */
};

/* ---- the way there ---- */

static bool is_token(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = rk_ascii_lower((unsigned char)s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return rk_slice_starts(s, rk_str("rk_mgmt_"));
}

static int read_token(const struct cli *c, struct rk_secret *out)
{
	struct rk_fault fault;

	if (!c->token_file)
		return cli_fail(CLI_USAGE,
		                "no management key for %s: use --token-file FILE or set "
		                "RELAYKEY_TOKEN_FILE",
		                c->url);
	if (file_read_secret(c->token_file, MSG_MAX_KEY, true, out, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	if (!is_token(rk_secret_slice(out)))
		return cli_fail(CLI_FAILED, "%s holds no management key (rk_mgmt_...)",
		                c->token_file);
	return CLI_DONE;
}

static void remote_close(struct cli *c)
{
	struct remote *r = c->remote;

	if (!r)
		return;
	https_free(r->https);
	api_room_free(&r->room);
	json_decref(r->doc);
	json_decref(r->objects);
	api_text_free(&r->body);
	rk_secret_free(&r->command);
	rk_secret_free(&r->token);
	free(r);
	c->remote = NULL;
}

static int remote_open(struct cli *c)
{
	struct rk_buf ca = {0};
	struct rk_fault fault;
	struct remote *r;
	int status;

	if (c->remote)
		return CLI_DONE;
	json_memory_init();
	r = c->remote = calloc(1, sizeof *r);
	if (!r)
		return cli_fail(CLI_FAILED, "out of memory");
	status = read_token(c, &r->token);
	/* libcurl would only say that it is no good */
	if (!status && c->ca_file && file_read(c->ca_file, MSG_MAX_PEM, &ca, &fault))
		status = cli_fail(CLI_FAILED, "%s", fault.text);
	rk_buf_free(&ca);
	if (!status) {
		const struct https_params p = {
		    .url = c->url, .ca_file = c->ca_file, .token = rk_secret_slice(&r->token)};
		int err = https_new(&p, &r->https, &fault);

		if (err)
			status = cli_fail(err == RK_E_INVALID ? CLI_USAGE : CLI_FAILED, "%s",
			                  fault.text);
	}
	if (status)
		remote_close(c);
	return status;
}

/* ---- asking ---- */

static uint32_t page_size(const struct remote *r)
{
	return r->limited && r->left < API_LIMIT_MAX ? r->left : API_LIMIT_MAX;
}

static const char *accepted(const struct api_op *op)
{
	switch ((enum api_shape)op->shape) {
	case API_EVENTS:
		return "text/event-stream";
	case API_LINES:
		return "application/x-ndjson";
	default:
		return "application/json";
	}
}

static enum https_sink sink_of(const struct api_op *op)
{
	switch ((enum api_shape)op->shape) {
	case API_EVENTS:
	case API_LINES:
		return HTTPS_STREAM;
	case API_LIST:
		return HTTPS_PAGE;
	default:
		return HTTPS_TEXT;
	}
}

static int ask(struct remote *r, struct rk_slice target)
{
	const struct api_op *op = r->op;
	struct https_ask a = {
	    .method = op->method,
	    .target = target,
	    .body = op->body ? &r->body : NULL,
	    .keyed = op->traits & API_KEYED,
	    .accept = accepted(op),
	    .sink = sink_of(op),
	    .patience_s = op->traits & API_SLOW ? SLOW_PATIENCE_S : PATIENCE_S,
	};
	const struct api_field after = {.offset = op->after.offset, .size = op->after.size};

	if (op->shape == API_EVENTS)
		a.last_event = api_get(&after, &r->rec);
	return https_begin(r->https, &a);
}

static int too_long(void)
{
	return cli_fail(CLI_FAILED, "a value is longer than the broker takes");
}

int remote_request(struct remote *r)
{
	const struct api_page page = {.limit = page_size(r), .cursor = r->cursor};
	const struct api_op *op = r->op;
	RK_SECRET_AUTO target = {0};
	int err = 0;

	api_text_free(&r->body);
	if (op->body)
		err = api_client_body(op, &r->rec, &r->body);
	if (!err)
		err = api_client_target(op, &r->rec, op->shape == API_LIST ? &page : NULL,
		                        &target);
	if (!err)
		err = ask(r, rk_secret_slice(&target));
	if (err == RK_E_TOOBIG)
		return too_long();
	if (err == RK_E_INVALID)
		return cli_fail(CLI_FAILED,
		                "a value is no UTF-8: only the control socket takes it");
	return err ? cli_fail(CLI_FAILED, "out of memory") : CLI_DONE;
}

/* The last entries, the oldest of them first: the interface has them newest first. */
static bool is_newest(enum ipc_type type, const union ipc_body *rec)
{
	return type == MSG_AUDIT_QUERY && rec->audit_query.mode == AUDIT_MODE_LIST &&
	       rec->audit_query.order == AUDIT_NEWEST;
}

static void start_list(struct remote *r)
{
	const struct api_field limit = {.offset = r->op->limit.offset,
	                                .size = r->op->limit.size};

	r->left = (uint32_t)api_get(&limit, &r->rec);
	r->limited = r->left != 0;
	api_client_cursor(r->op, &r->rec, r->cursor);
}

void remote_forget(struct remote *r)
{
	api_room_free(&r->room);
	json_decref(r->doc);
	r->doc = NULL;
}

/* A list is asked for page by page, and by then the command may have gone. */
static int keep_command(struct remote *r, enum ipc_type type, const void *body)
{
	const struct record_desc *d = ipc_row(type)->body;
	ssize_t n;

	rk_secret_free(&r->command);
	if (rk_secret_alloc(&r->command, IPC_MAX_DATAGRAM))
		return cli_fail(CLI_FAILED, "out of memory");
	n = record_encode(d, body, r->command.p, r->command.cap);
	if (n < 0)
		return too_long();
	r->command.len = (size_t)n;
	if (record_decode(d, rk_secret_slice(&r->command), &r->rec))
		return too_long();
	r->reversed = is_newest(type, &r->rec);
	if (r->reversed)
		r->rec.audit_query.order = AUDIT_FALLING;
	return CLI_DONE;
}

static int remote_send(struct cli *c, enum ipc_type type, const void *body)
{
	int status = remote_open(c);
	struct remote *r = c->remote;

	if (status)
		return status;
	remote_forget(r);
	json_decref(r->objects);
	r->objects = NULL;
	r->next = 0;
	status = keep_command(r, type, body);
	if (status)
		return status;
	r->op = api_client_op(type, &r->rec);
	if (type == MSG_LEAK_REPORT && remote_leak_is_plain(&r->rec.leak_report))
		r->op = &remote_leak_op;
	if (!r->op)
		return cli_fail(CLI_FAILED, "this command needs the control socket");
	if (r->op == &remote_leak_op) {
		r->limited = false;
		return remote_leak_request(r);
	}
	if (r->op->shape == API_LIST)
		start_list(r);
	return remote_request(r);
}

const struct cli_transport cli_remote = {
    .open = remote_open,
    .send = remote_send,
    .receive = remote_receive,
    .ready = remote_ready,
    .close = remote_close,
};
