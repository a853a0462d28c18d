#include "console/leak_body.h"

#include "http/credential.h"
#include "ipc/catalogue_contain.h"
#include "policy/relay_key.h"

/* ---- one token ---- */

/* Printable, and without the key itself: a URL may hold it. */
static struct rk_slice source_text(const char *source, const char *url,
                                   char out[MSG_MAX_LEAK_SOURCE])
{
	size_t n = 0;

	for (const char *c = source; *c && n < MSG_MAX_LEAK_SOURCE; c++)
		out[n++] = *c;
	if (n && *url && n < MSG_MAX_LEAK_SOURCE)
		out[n++] = ' ';
	for (const char *c = url; *c && n < MSG_MAX_LEAK_SOURCE; c++)
		out[n++] = *c;
	for (size_t i = 0; i < n; i++)
		out[i] = out[i] >= ' ' && out[i] < 0x7f ? out[i] : '?';
	relay_key_redact(out, n);
	return rk_slice(out, n);
}

static int add_item(struct leak_body *b, struct msg_leak_item *item)
{
	char one[MSG_MAX_LEAK_SOURCE + 32];
	ssize_t n = record_encode(&msg_leak_item_desc, item, one, sizeof one);

	return n < 0 ? (int)n
	             : record_list_add(b->items, sizeof b->items, &b->items_n,
	                               rk_slice(one, (size_t)n));
}

/* `token` lies in the payload. */
static int add_token(struct leak_body *b, struct rk_slice token, const char *type,
                     struct rk_slice source, struct rk_fault *fault)
{
	struct leak_token *t = &b->token[b->count];
	struct msg_leak_item item = {.source = source};
	int err;

	if (b->count == LEAK_BODY_TOKENS || token.n > UINT16_MAX)
		return rk_fail(fault, RK_E_TOOBIG, "at most %d tokens at once",
		               LEAK_BODY_TOKENS);
	t->at = item.at = (uint32_t)(token.p - b->payload.p);
	t->n = item.n = (uint16_t)token.n;
	if (!rk_slice_cstr(rk_str(type), t->type, sizeof t->type))
		return rk_fail(fault, RK_E_TOOBIG, "a type of token is too long");
	err = add_item(b, &item);
	if (err == RK_E_TOOBIG && source.n) {
		item.source = rk_str(NULL); /* the key matters more than where it was */
		err = add_item(b, &item);
	}
	if (err)
		return rk_fail(fault, err, "too many tokens at once");
	b->count++;
	return 0;
}

/* Where it stands in the body. */
static int find_token(struct leak_body *b, const json_t *value, struct rk_slice *out,
                      struct rk_fault *fault)
{
	size_t n = json_string_length(value);
	const char *at;

	if (!json_is_string(value) || !n)
		return rk_fail(fault, RK_E_INVALID, "a token is a string");
	at = memmem(b->payload.p, b->payload.n, json_string_value(value), n);
	if (!at)
		return rk_fail(fault, RK_E_INVALID,
		               "a token is written with escapes: write it as it is");
	*out = rk_slice(at, n);
	return 0;
}

/* ---- JSON ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int read_partner(struct leak_body *b, const json_t *array, struct rk_fault *fault)
{
	char source[MSG_MAX_LEAK_SOURCE];
	json_t *o;
	size_t i;
	int err = 0;

	json_array_foreach(array, i, o)
	{
		struct rk_slice token;

		if (!json_is_object(o))
			return rk_fail(fault, RK_E_INVALID, "a report is a list of objects");
		err = find_token(b, json_object_get(o, "token"), &token, fault);
		if (!err)
			err = add_token(
			    b, token, text_of(o, "type"),
			    source_text(text_of(o, "source"), text_of(o, "url"), source),
			    fault);
		if (err)
			return err;
	}
	return 0;
}

static int read_list(struct leak_body *b, const json_t *o, struct rk_fault *fault)
{
	const json_t *tokens = json_object_get(o, "tokens");
	json_t *value;
	size_t i;
	int err = 0;

	if (!json_is_array(tokens) || json_object_size(o) != 1)
		return rk_fail(fault, RK_E_INVALID, "a list is {\"tokens\": [...]}");
	json_array_foreach(tokens, i, value)
	{
		struct rk_slice token;

		err = find_token(b, value, &token, fault);
		if (!err)
			err = add_token(b, token, "", rk_str(NULL), fault);
		if (err)
			return err;
	}
	return 0;
}

static int read_json(struct leak_body *b, struct rk_fault *fault)
{
	json_error_t why;
	json_t *doc = json_loadb(b->payload.p, b->payload.n, JSON_REJECT_DUPLICATES, &why);
	int err;

	if (!doc)
		return rk_fail(fault, RK_E_PROTOCOL, "no JSON: line %d, column %d", why.line,
		               why.column);
	err = json_is_array(doc) ? read_partner(b, doc, fault) : read_list(b, doc, fault);
	json_decref(doc);
	return err;
}

/* ---- lines ---- */

static struct rk_slice trim(struct rk_slice line)
{
	while (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
		line = rk_slice_skip(line, 1);
	while (line.n && strchr(" \t\r", line.p[line.n - 1]))
		line.n--;
	return line;
}

static int read_lines(struct leak_body *b, struct rk_fault *fault)
{
	struct rk_slice left = b->payload;
	int err = 0;

	while (left.n && !err) {
		const char *end = memchr(left.p, '\n', left.n);
		struct rk_slice line = rk_slice(left.p, end ? (size_t)(end - left.p) : left.n);

		left = rk_slice_skip(left, line.n + 1);
		line = trim(line);
		if (line.n)
			err = add_token(b, line, "", rk_str(NULL), fault);
	}
	return err;
}

/* ---- all of it ---- */

int leak_body_read(struct rk_slice body, struct leak_body *out, struct rk_fault *fault)
{
	struct rk_slice start = body;
	int err;

	out->payload = body;
	out->count = 0;
	out->items_n = 0;
	if (body.n > MSG_MAX_LEAK)
		return rk_fail(fault, RK_E_TOOBIG, "a report has at most %d bytes",
		               MSG_MAX_LEAK);
	while (start.n && strchr(" \t\r\n", start.p[0]))
		start = rk_slice_skip(start, 1);
	if (start.n && (start.p[0] == '[' || start.p[0] == '{'))
		err = read_json(out, fault);
	else
		err = read_lines(out, fault);
	if (!err && !out->count)
		err = rk_fail(fault, RK_E_INVALID, "the report names no token");
	return err;
}

ssize_t leak_signature_read(struct rk_slice text, unsigned char out[MSG_MAX_SIGNATURE])
{
	long n = credential_base64_decode(text, out, MSG_MAX_SIGNATURE);

	return n > 0 ? n : RK_E_INVALID;
}

json_t *leak_body_answer(const struct leak_body *b, const uint8_t *findings)
{
	json_t *all = json_array();

	for (unsigned i = 0; all && i < b->count; i++) {
		const struct leak_token *t = &b->token[i];
		json_t *one =
		    json_pack("{s:s%, s:s, s:s}", "token_raw", b->payload.p + t->at,
		              (size_t)t->n, "token_type", t->type, "label",
		              findings[i] == LEAK_UNKNOWN ? "false_positive" : "true_positive");

		if (json_array_append_new(all, one)) {
			json_decref(all);
			all = NULL;
		}
	}
	return all;
}
