#include "api/json_memory.h"
#include "cli/remote_int.h"

enum { LINE_MAX_BYTES = 1 << 18, WAIT_MS = 60000 };

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
		got = https_wait(c->remote->https, WAIT_MS, &fault);
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
		status = remote_request(r);
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
		status = remote_request(r);
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
		got = https_wait(r->https, WAIT_MS, &fault);
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

int remote_receive(struct cli *c, struct ipc_message *m)
{
	struct remote *r = c->remote;

	if (!r || !r->op)
		return cli_fail(CLI_FAILED, "the broker's answer is over");
	remote_forget(r);
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

bool remote_ready(struct cli *c, int ms)
{
	struct rk_fault fault;

	/* what has gone wrong is said by the one who receives */
	return https_wait(c->remote->https, ms, &fault) != 0;
}
