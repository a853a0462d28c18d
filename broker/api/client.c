#include "api/client.h"

#include <stdio.h>

#include "api/encode.h"
#include "api/fields.h"
#include "api/json_memory.h"

enum { TARGET_MAX = 16384 };

/* ---- the target ---- */

static int add(struct rk_secret *out, const char *text)
{
	return rk_secret_add(out, text, strlen(text));
}

/* Percent-encodes all but what RFC 3986 section 2.3 calls unreserved. */
static int add_escaped(struct rk_secret *out, struct rk_slice s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "0123456789-._~",
	                  digits[] = "0123456789ABCDEF";
	int err = 0;

	for (size_t i = 0; !err && i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char code[3] = {'%', digits[c >> 4], digits[c & 15]};

		err = memchr(plain, c, sizeof plain - 1) ? rk_secret_add(out, &c, 1)
		                                         : rk_secret_add(out, code, 3);
	}
	return err;
}

/* As it is written in a document, which is what api_decode_text() reads. */
static int add_written(struct rk_secret *out, const struct api_field *f, const void *rec)
{
	json_t *v = api_encode_value(f, rec);
	char number[24];
	int err;

	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	if (json_is_boolean(v))
		err = add(out, json_is_true(v) ? "true" : "false");
	else if (json_is_integer(v))
		err = add(out, number);
	else if (json_is_string(v))
		err = add_escaped(out, rk_str(json_string_value(v)));
	else /* no parameter is of another type */
		err = v ? RK_E_UNSUPPORTED : RK_E_NOMEM;
	json_decref(v);
	return err;
}

/* What may be a secret, or bytes that are no text, goes past jansson. */
static int add_value(struct rk_secret *out, const struct api_field *f, const void *rec)
{
	struct rk_slice list, item;

	switch ((enum api_type)f->type) {
	case API_STRING:
		return add_escaped(out, api_get_slice(f, rec));
	case API_STRINGS:
		list = api_get_slice(f, rec);
		return record_list_next(&list, &item) ? add_escaped(out, item) : 0;
	default:
		return add_written(out, f, rec);
	}
}

static int add_path(const struct api_op *op, const void *rec, struct rk_secret *out)
{
	unsigned value = 0;
	int err = 0;

	for (const char *p = op->path; !err && *p; p++) {
		if (*p != '{') {
			err = rk_secret_add(out, p, 1);
			continue;
		}
		err = add_value(out, &op->path_values[value++], rec);
		while (*p != '}')
			p++;
	}
	return err;
}

static int add_name(struct rk_secret *out, const char *name, bool *first)
{
	int err = add(out, *first ? "?" : "&");

	*first = false;
	if (!err)
		err = add(out, name);
	return err ? err : add(out, "=");
}

static bool is_preset(const struct api_op *op, const struct api_field *f, const void *rec)
{
	for (unsigned i = 0; i < API_PRESETS && op->preset[i].at.size; i++) {
		if (op->preset[i].at.offset == f->offset)
			return op->preset[i].value == api_get(f, rec);
	}
	return false;
}

static int add_page(const struct api_page *page, struct rk_secret *out, bool *first)
{
	char limit[12];
	int err = add_name(out, "limit", first);

	snprintf(limit, sizeof limit, "%u", page->limit);
	if (!err)
		err = add(out, limit);
	if (err || !page->cursor[0])
		return err;
	err = add_name(out, "cursor", first);
	return err ? err : add(out, page->cursor);
}

void api_client_cursor(const struct api_op *op, const void *rec, char out[API_CURSOR_MAX])
{
	const struct api_field f = {.offset = op->after.offset, .size = op->after.size};
	char number[24] = "";
	struct rk_slice last = rk_str(number);

	if (f.size == sizeof last)
		last = api_get_slice(&f, rec);
	else if (api_get(&f, rec)) {
		snprintf(number, sizeof number, "%llu", (unsigned long long)api_get(&f, rec));
		last = rk_str(number);
	}
	out[0] = '\0';
	if (last.n)
		api_cursor_write(op, last, out);
}

int api_client_target(const struct api_op *op, const void *rec, const struct api_page *page,
                      struct rk_secret *out)
{
	bool first = true;
	int err = rk_secret_alloc(out, TARGET_MAX);

	if (!err)
		err = add_path(op, rec, out);
	for (unsigned i = 0; !err && i < op->query_count; i++) {
		const struct api_field *f = &op->query[i];

		if (!f->size || api_is_empty(f, rec) || is_preset(op, f, rec))
			continue;
		err = add_name(out, f->name, &first);
		if (!err)
			err = add_value(out, f, rec);
	}
	if (!err && page)
		err = add_page(page, out, &first);
	if (err)
		rk_secret_free(out);
	return err;
}

/* ---- the body ---- */

static bool is_text(struct rk_slice s)
{
	json_t *text = json_stringn(s.n ? s.p : "", s.n);
	bool good = text != NULL;

	json_decref(text);
	return good;
}

/* api_encode() makes other bytes readable, which is wrong for what is to be kept. */
static bool all_text(const struct api_schema *s, const void *rec)
{
	bool good = true;

	for (unsigned i = 0; good && i < s->count; i++) {
		const struct api_field *f = &s->fields[i];
		struct rk_slice list, item;

		if (f->type == API_GROUP)
			good = all_text(f->object, rec);
		if (f->type == API_STRING)
			good = is_text(api_get_slice(f, rec));
		if (f->type != API_STRINGS)
			continue;
		list = api_get_slice(f, rec);
		while (good && record_list_next(&list, &item))
			good = is_text(item);
	}
	return good;
}

static int add_piece(const char *text, size_t n, void *arg)
{
	return api_text_add(arg, text, n);
}

int api_client_body(const struct api_op *op, const void *rec, struct api_text *out)
{
	json_t *doc = NULL;
	int err = 0;

	json_memory_secret(true);
	if (!all_text(op->body, rec))
		err = json_memory_failed() ? RK_E_NOMEM : RK_E_INVALID;
	if (!err)
		doc = api_encode(op->body, rec);
	if (!err && (!doc || json_dump_callback(doc, add_piece, out, JSON_COMPACT)))
		err = doc && !json_memory_failed() ? RK_E_TOOBIG : RK_E_NOMEM;
	json_decref(doc);
	json_memory_secret(false);
	if (err)
		api_text_free(out);
	return err;
}

/* ---- the answer ---- */

int api_client_object(const struct api_op *op, json_t *doc, union ipc_body *out,
                      struct api_room *room, struct api_rows *rows)
{
	struct api_errors errors;

	if (op->shows == &api_audit_entry)
		return api_audit_decode(doc, rows, &out->audit_entry, room);
	return api_decode(op->shows, API_ANSWER, doc, out, room, &errors);
}

static int error_of(int status)
{
	static const struct {
		int status, err;
	} table[] = {{400, RK_E_INVALID},  {401, RK_E_AUTH},    {403, RK_E_DENIED},
	             {404, RK_E_NOTFOUND}, {409, RK_E_EXISTS},  {412, RK_E_STALE},
	             {413, RK_E_TOOBIG},   {422, RK_E_INVALID}, {429, RK_E_AGAIN},
	             {503, RK_E_CLOSED}};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].status == status)
			return table[i].err;
	}
	return RK_E_PROTOCOL;
}

void api_client_problem(int status, const json_t *doc, struct msg_done *out,
                        char text[API_PROBLEM_TEXT])
{
	const char *detail = json_string_value(json_object_get(doc, "detail"));
	const json_t *errors = json_object_get(doc, "errors"), *e;
	size_t used, i;
	int n;

	if (detail)
		n = snprintf(text, API_PROBLEM_TEXT, "%s", detail);
	else
		n = snprintf(text, API_PROBLEM_TEXT, "the answer is status %d", status);
	used = n > 0 ? (size_t)n : 0;
	json_array_foreach(errors, i, e)
	{
		const char *pointer = json_string_value(json_object_get(e, "pointer"));
		const char *what = json_string_value(json_object_get(e, "detail"));

		if (used >= API_PROBLEM_TEXT || !pointer || !what)
			break;
		n = snprintf(text + used, API_PROBLEM_TEXT - used, "%s%s %s", i ? "; " : " ",
		             pointer, what);
		used += n > 0 ? (size_t)n : 0;
	}
	*out = (struct msg_done){.err = error_of(status), .text = rk_str(text)};
}
