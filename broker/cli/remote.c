/*
 * The broker over the management interface: each command becomes the request of its operation,
 * and the answer the keeper's messages, so that a command does not know which way it went.
 */
#include <stdlib.h>

#include "api/client.h"
#include "api/json_memory.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/https.h"

enum {
	PATIENCE_S = 60,
	SLOW_PATIENCE_S = 660, /* longer than the broker's own */
	LINE_MAX_BYTES = 1 << 18,
};

struct remote {
	struct https *https;
	struct rk_secret token;
	struct api_text body;    /* of the request that is under way */
	const struct api_op *op; /* of the command that is answered; NULL: none */
	struct rk_secret command;
	union ipc_body rec; /* what it was; borrows from `command` */
	bool reversed;      /* its list is asked for the other way round */
	uint32_t left;      /* of a list that was limited */
	bool limited;
	char cursor[API_CURSOR_MAX]; /* where the list goes on; empty: nowhere */
	json_t *objects;             /* of a list, not yet taken */
	size_t next;
	json_t *doc; /* that the last message borrows, as it does the following */
	struct api_room room;
	struct api_rows rows;
	char text[API_PROBLEM_TEXT];
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

static int send_request(struct remote *r)
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

static void forget_answer(struct remote *r)
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
	forget_answer(r);
	json_decref(r->objects);
	r->objects = NULL;
	r->next = 0;
	status = keep_command(r, type, body);
	if (status)
		return status;
	r->op = api_client_op(type, &r->rec);
	if (!r->op)
		return cli_fail(CLI_FAILED, "this command needs the control socket");
	if (r->op->shape == API_LIST)
		start_list(r);
	return send_request(r);
}

/* ---- answers ---- */

static int odd_answer(const struct cli *c)
{
	return cli_fail(CLI_FAILED, "what %s answers is not RelayKey's management interface",
	                c->url);
}

/* Until the answer is there as a whole. */
static int wait_all(struct cli *c)
{
	struct rk_fault fault;
	int got;

	do {
		got = https_wait(c->remote->https, 60000, &fault);
	} while (got == 0);
	return got < 0 ? cli_fail(CLI_UNREACHABLE, "%s", fault.text) : CLI_DONE;
}

/* A refusal, as the keeper's last word; anything that is none is no broker's. */
static int refused(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;
	const char *code;

	json_memory_secret(true);
	r->doc = api_text_parse(https_text(r->https));
	json_memory_secret(false);
	code = json_string_value(json_object_get(r->doc, "code"));
	if (!code)
		return odd_answer(c);
	m->type = MSG_DONE;
	api_client_problem(https_status(r->https), r->doc, &m->body.done, r->text);
	if (strcmp(code, "keeper_unavailable") == 0)
		return cli_fail(CLI_UNREACHABLE, "%s", r->text);
	return cli_fail(CLI_FAILED, "%s", r->text);
}

static bool went_well(const struct remote *r)
{
	return https_status(r->https) == r->op->success;
}

static int take_object(struct cli *c, json_t *doc, struct ipc_message *m)
{
	struct remote *r = c->remote;
	int err = api_client_object(r->op, doc, &m->body, &r->room, &r->rows);

	m->type = r->op->answer;
	if (err == RK_E_NOMEM)
		return cli_fail(CLI_FAILED, "out of memory");
	return err ? odd_answer(c) : CLI_DONE;
}

static int done(struct remote *r, bool more, struct ipc_message *m)
{
	r->op = NULL;
	m->type = MSG_DONE;
	m->body.done = (struct msg_done){.more = more};
	return CLI_DONE;
}

static int receive_one(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;
	int status = wait_all(c);

	if (status)
		return status;
	if (!went_well(r))
		return refused(c, m);
	if (r->op->shape == API_NOTHING)
		return done(r, false, m);
	json_memory_secret(true);
	r->doc = api_text_parse(https_text(r->https));
	json_memory_secret(false);
	status = r->doc ? take_object(c, r->doc, m) : odd_answer(c);
	r->op = NULL;
	return status;
}

/* ---- lists ---- */

static int take_page(struct cli *c)
{
	struct remote *r = c->remote;
	struct rk_buf *text = https_data(r->https);
	json_t *page = json_loadb(text->len ? rk_buf_data(text) : "", text->len, 0, NULL);
	json_t *data = json_object_get(page, "data");
	const char *cursor = json_string_value(json_object_get(page, "next_cursor"));
	bool good = json_is_array(data) &&
	            rk_slice_cstr(rk_str(cursor ? cursor : ""), r->cursor, sizeof r->cursor) &&
	            (!cursor || json_array_size(data) > 0);

	if (good && r->reversed && r->objects)
		good = json_array_extend(r->objects, data) == 0;
	else if (good) {
		json_decref(r->objects);
		r->objects = json_incref(data);
		r->next = 0;
	}
	if (r->limited && good)
		r->left -=
		    json_array_size(data) < r->left ? (uint32_t)json_array_size(data) : r->left;
	json_decref(page);
	return good ? CLI_DONE : odd_answer(c);
}

static bool ends_here(const struct remote *r)
{
	return !r->cursor[0] || (r->limited && r->left == 0);
}

/* The page that was asked for; all pages, when the last object comes first. */
static int fetch_objects(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;
	int status = wait_all(c);

	while (!status) {
		if (!went_well(r))
			return refused(c, m);
		status = take_page(c);
		if (status || !r->reversed || ends_here(r))
			return status;
		status = send_request(r);
		if (!status)
			status = wait_all(c);
	}
	return status;
}

static int receive_listed(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;
	size_t count, at;
	int status = CLI_DONE;

	if (r->objects && r->next == json_array_size(r->objects)) {
		if (ends_here(r))
			return done(r, r->cursor[0] != '\0', m);
		status = send_request(r);
		json_decref(r->objects);
		r->objects = NULL;
	}
	if (!status && !r->objects)
		status = fetch_objects(c, m);
	if (status)
		return status;
	count = json_array_size(r->objects);
	if (count == 0)
		return done(r, false, m);
	at = r->next++;
	return take_object(c, json_array_get(r->objects, r->reversed ? count - 1 - at : at), m);
}

/* ---- streams ---- */

/* The object in a line of either shape, or nothing. */
static struct rk_slice object_in(const struct api_op *op, struct rk_slice line)
{
	static const struct rk_slice data = {"data: ", 6};

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (op->shape == API_LINES)
		return line;
	return rk_slice_starts(line, data) ? rk_slice_skip(line, data.n) : rk_slice(NULL, 0);
}

/* The next one that is there whole; false: none is. */
static bool next_object(struct remote *r)
{
	struct rk_buf *data = https_data(r->https);
	const char *end;

	while (!r->doc && data->len && (end = memchr(rk_buf_data(data), '\n', data->len))) {
		size_t n = (size_t)(end - rk_buf_data(data));
		struct rk_slice text = object_in(r->op, rk_slice(rk_buf_data(data), n));

		if (text.n) {
			r->doc = json_loadb(text.p, text.n, 0, NULL);
			if (!r->doc)
				r->doc = json_null();
		}
		rk_buf_consume(data, n + 1);
	}
	return r->doc != NULL;
}

static int receive_streamed(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;
	struct rk_fault fault;
	int got = 0;

	while (!next_object(r)) {
		if (got > 0 || https_data(r->https)->len > LINE_MAX_BYTES)
			break;
		got = https_wait(r->https, 60000, &fault);
		if (got < 0)
			return cli_fail(CLI_UNREACHABLE, "%s", fault.text);
	}
	if (r->doc)
		return take_object(c, r->doc, m);
	if (!went_well(r))
		return refused(c, m);
	if (https_data(r->https)->len)
		return odd_answer(c);
	if (r->op->shape == API_EVENTS)
		return cli_fail(CLI_UNREACHABLE, "the broker closed the connection");
	return done(r, false, m);
}

static int remote_receive(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;

	if (!r || !r->op)
		return cli_fail(CLI_FAILED, "the broker's answer is over");
	forget_answer(r);
	m->id = 1;
	m->fd = -1;
	switch ((enum api_shape)r->op->shape) {
	case API_LIST:
		return receive_listed(c, m);
	case API_EVENTS:
	case API_LINES:
		return receive_streamed(c, m);
	case API_ONE:
	case API_NOTHING:
		break;
	}
	return receive_one(c, m);
}

static bool remote_ready(struct cli *c, int ms)
{
	struct rk_fault fault;

	/* what has gone wrong is said by the one who receives */
	return https_wait(c->remote->https, ms, &fault) != 0;
}

const struct cli_transport cli_remote = {
    .open = remote_open,
    .send = remote_send,
    .receive = remote_receive,
    .ready = remote_ready,
    .close = remote_close,
};
