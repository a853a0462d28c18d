#include "api/request.h"

#include <stdio.h>

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, rk_ascii_lower((unsigned char)c), 16);

	return at ? (int)(at - digits) : -1;
}

int api_unescape(struct rk_slice text, struct api_room *room, struct rk_slice *out)
{
	struct rk_secret *block;
	int err;

	if (text.n == 0 || !memchr(text.p, '%', text.n)) {
		*out = text;
		return 0;
	}
	err = api_room_block(room, text.n, &block);
	for (size_t i = 0; err == 0 && i < text.n; i++) {
		int high, low;
		unsigned char c = (unsigned char)text.p[i];

		if (c == '%') {
			high = i + 2 < text.n ? digit(text.p[i + 1]) : -1;
			low = high >= 0 ? digit(text.p[i + 2]) : -1;
			if (low < 0)
				return RK_E_INVALID;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return RK_E_INVALID;
		block->p[block->len++] = c;
	}
	if (err == 0)
		*out = rk_secret_slice(block);
	return err;
}

struct parsing {
	const struct api_op *op;
	union ipc_body *rec;
	struct api_ask *ask;
	struct api_room *room;
	struct api_errors *errors;
	uint64_t seen; /* bits of op->query; then cursor and limit */
	int *status;
};

enum { SEEN_CURSOR = 62, SEEN_LIMIT = 63 };

static int refuse(struct parsing *p, int status, const char *name, const char *detail)
{
	*p->status = status;
	api_error(p->errors, name, "%s", detail);
	return RK_E_INVALID;
}

static int once(struct parsing *p, unsigned bit, const char *name)
{
	if (p->seen & UINT64_C(1) << bit)
		return refuse(p, 400, name, "is there twice");
	p->seen |= UINT64_C(1) << bit;
	return 0;
}

static int take_page(struct parsing *p, bool cursor, struct rk_slice value)
{
	uint64_t n;
	int err = once(p, cursor ? SEEN_CURSOR : SEEN_LIMIT, cursor ? "cursor" : "limit");

	if (err)
		return err;
	if (cursor) {
		p->ask->cursor = value;
		return 0;
	}
	if (!rk_slice_u64(value, &n) || n < 1 || n > API_LIMIT_MAX)
		return refuse(p, 422, "limit", "must be from 1 to 200");
	p->ask->limit = (uint32_t)n;
	return 0;
}

/* A parameter that is no member of the record. */
static int take_format(struct parsing *p, struct rk_slice value)
{
	p->ask->csv = rk_slice_is(value, "csv");
	p->ask->jsonl = rk_slice_is(value, "jsonl");
	if (!p->ask->csv && !p->ask->jsonl)
		return refuse(p, 422, "format", "must be jsonl or csv");
	return 0;
}

static int take_parameter(struct parsing *p, struct rk_slice name, struct rk_slice value)
{
	const struct api_op *op = p->op;
	int err = api_unescape(value, p->room, &value);

	if (err)
		return err == RK_E_INVALID
		           ? refuse(p, 400, "", "A parameter is not encoded as it should be.")
		           : err;
	if (op->shape == API_LIST &&
	    (rk_slice_is(name, "cursor") || rk_slice_is(name, "limit")))
		return take_page(p, rk_slice_is(name, "cursor"), value);
	for (unsigned i = 0; i < op->query_count; i++) {
		const struct api_field *f = &op->query[i];

		if (!rk_slice_is(name, f->name))
			continue;
		err = once(p, i, f->name);
		if (err)
			return err;
		if (f->size == 0)
			return take_format(p, value);
		err = api_decode_text(f, value, p->rec, p->room, p->errors);
		if (err == RK_E_INVALID)
			*p->status = 422;
		return err;
	}
	/* its name is not shown: it may be anything */
	return refuse(p, 400, "", "A parameter is not known.");
}

static int take_query(struct parsing *p, struct rk_slice query)
{
	int err = 0;

	while (err == 0 && query.n) {
		const char *end = memchr(query.p, '&', query.n);
		struct rk_slice one =
		    rk_slice(query.p, end ? (size_t)(end - query.p) : query.n);
		const char *eq = one.n ? memchr(one.p, '=', one.n) : NULL;

		query = rk_slice_skip(query, one.n + 1);
		if (!eq)
			return refuse(p, 400, "", "A parameter has no value.");
		err = take_parameter(p, rk_slice(one.p, (size_t)(eq - one.p)),
		                     rk_slice_skip(one, (size_t)(eq - one.p) + 1));
	}
	return err;
}

static int take_path(struct parsing *p, const struct api_path_values *values)
{
	for (unsigned i = 0; i < p->op->path_count; i++) {
		struct rk_slice value;
		int err = api_unescape(values->at[i], p->room, &value);

		if (err == RK_E_INVALID)
			return refuse(p, 400, p->op->path_values[i].name,
			              "is not encoded as it should be");
		if (err == 0)
			err = api_decode_text(&p->op->path_values[i], value, p->rec, p->room,
			                      p->errors);
		if (err == RK_E_INVALID) /* no object can be called that */
			*p->status = 404;
		if (err)
			return err;
	}
	return 0;
}

int api_request(const struct api_op *op, const struct api_path_values *values,
                struct rk_slice query, json_t *body, union ipc_body *rec, struct api_ask *ask,
                struct api_room *room, struct api_errors *errors, int *status)
{
	struct parsing p = {
	    .op = op, .rec = rec, .ask = ask, .room = room, .errors = errors, .status = status};
	int err = 0;

	memset(rec, 0, sizeof *rec);
	*ask = (struct api_ask){.limit = API_LIMIT_DEFAULT};
	errors->count = 0;
	errors->more = false;
	*status = 422;
	if (op->body && (body || !(op->traits & API_BARE)))
		err = api_decode(op->body, API_REQUEST, body, rec, room, errors);
	for (unsigned i = 0; i < API_PRESETS && op->preset[i].at.size; i++) {
		const struct api_field f = {.offset = op->preset[i].at.offset,
		                            .size = op->preset[i].at.size};

		api_put(&f, rec, op->preset[i].value);
	}
	if (err == 0)
		err = take_path(&p, values);
	if (err == 0)
		err = take_query(&p, query);
	return err;
}
