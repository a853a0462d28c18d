#include <endian.h>

#include "http/h1_bytes.h"
#include "http/h1_framing.h"

/*
 * One pass over the bytes. Whatever is wrong is found at the byte where it goes wrong, also in
 * a head that has not arrived completely; running out of bytes is the only way to "more".
 */

/* The bytes end here. The functions below return 0 when their part is complete. */
enum { MORE = 1 };

struct reader {
	const char *p;
	const char *end;
	bool response;
};

/* Runs over the bytes of one class. The position stays in a register: this is the hot loop. */
static void skip_class(struct reader *r, unsigned classes)
{
	const char *p = r->p, *end = r->end;

	while (p < end && h1_is(*p, classes))
		p++;
	r->p = p;
}

static struct rk_slice read_token(struct reader *r)
{
	const char *start = r->p, *p = start, *end = r->end;

	while (p < end && h1_name_at(p))
		p++;
	r->p = p;
	return rk_slice(start, (size_t)(p - start));
}

static void reader_init(struct reader *r, struct rk_slice in, size_t limit, bool response)
{
	*r = (struct reader){in.p, in.p, response};
	if (in.n)
		r->end = in.p + (in.n < limit ? in.n : limit);
}

/* CRLF and nothing else; r->p stands on the byte that ended what came before. */
static int read_line_end(struct reader *r, int otherwise)
{
	if (r->p == r->end)
		return MORE;
	if (*r->p == '\n')
		return H1_E_LINE_END;
	if (*r->p != '\r')
		return otherwise;
	if (r->p + 1 == r->end)
		return MORE;
	if (r->p[1] != '\n')
		return H1_E_LINE_END;
	r->p += 2;
	return 0;
}

/* "HTTP/1.0" or "HTTP/1.1". */
static int read_version(struct reader *r, int *minor)
{
	static const char prefix[] = "HTTP/1.";

	for (size_t i = 0; i < sizeof(prefix) - 1; i++, r->p++) {
		if (r->p == r->end)
			return MORE;
		if (*r->p != prefix[i])
			return H1_E_VERSION;
	}
	if (r->p == r->end)
		return MORE;
	if (*r->p != '0' && *r->p != '1')
		return H1_E_VERSION;
	*minor = *r->p++ - '0';
	return 0;
}

static int read_method(struct reader *r, struct rk_slice *method)
{
	*method = read_token(r);
	if (method->n > H1_MAX_METHOD)
		return H1_E_METHOD;
	if (r->p == r->end)
		return MORE;
	if (method->n == 0 || *r->p != ' ')
		return H1_E_METHOD;
	if (rk_slice_eq(*method, (struct rk_slice){"CONNECT", 7}) ||
	    rk_slice_eq(*method, (struct rk_slice){"TRACE", 5}))
		return H1_E_METHOD;
	r->p++;
	return 0;
}

/* http://authority/path or https://authority/path; the path must be there. */
static int split_absolute(struct rk_slice raw, struct rk_slice *authority,
                          struct rk_slice *path)
{
	struct rk_slice scheme = raw, rest;
	const char *slash;

	if (raw.n > 7 && raw.p[4] == ':')
		scheme.n = 7;
	else if (raw.n > 8 && raw.p[5] == ':')
		scheme.n = 8;
	if (!rk_slice_ieq(scheme, (struct rk_slice){"http://", 7}) &&
	    !rk_slice_ieq(scheme, (struct rk_slice){"https://", 8}))
		return H1_E_TARGET;
	rest = rk_slice_skip(raw, scheme.n);
	slash = memchr(rest.p, '/', rest.n);
	if (!slash || slash == rest.p)
		return H1_E_TARGET;
	*authority = rk_slice(rest.p, (size_t)(slash - rest.p));
	*path = rk_slice_skip(rest, authority->n);
	return 0;
}

static int read_target(struct reader *r, struct rk_slice *target, struct rk_slice *authority)
{
	const char *start = r->p;

	skip_class(r, H1_B_VISIBLE);
	*target = rk_slice(start, (size_t)(r->p - start));
	*authority = rk_slice(NULL, 0);
	if (target->n && *start != '/' && *start != 'h' && *start != 'H')
		return H1_E_TARGET;
	if (r->p == r->end)
		return MORE;
	if (*r->p == '\n')
		return H1_E_LINE_END;
	if (*r->p == '\r' && target->n)
		return H1_E_VERSION; /* HTTP/0.9 has no version */
	if (target->n == 0 || *r->p != ' ')
		return H1_E_TARGET;
	r->p++;
	return *start == '/' ? 0 : split_absolute(*target, authority, target);
}

static int read_request_line(struct reader *r, struct h1_head *out, struct rk_slice *authority)
{
	int err;

	/* RFC 9112 2.2: an empty line before the request line; one, not any number. */
	if (r->p < r->end && (*r->p == '\r' || *r->p == '\n')) {
		err = read_line_end(r, H1_E_LINE_END);
		if (err)
			return err;
	}
	err = read_method(r, &out->method);
	if (!err)
		err = read_target(r, &out->target, authority);
	if (!err)
		err = read_version(r, &out->minor);
	if (!err)
		err = read_line_end(r, H1_E_VERSION);
	return err;
}

static int read_status_line(struct reader *r, struct h1_head *out)
{
	int err = read_version(r, &out->minor);

	if (err)
		return err;
	if (r->p == r->end)
		return MORE;
	if (*r->p++ != ' ')
		return H1_E_VERSION;
	out->status = 0;
	for (int i = 0; i < 3; i++, r->p++) {
		if (r->p == r->end)
			return MORE;
		if (!h1_is(*r->p, H1_B_DIGIT))
			return H1_E_STATUS;
		out->status = out->status * 10 + (*r->p - '0');
	}
	if (out->status < 100 || out->status > 599)
		return H1_E_STATUS;
	/* The reason phrase may be missing, and its space with it. */
	if (r->p < r->end && *r->p == ' ')
		skip_class(r, H1_B_TEXT | H1_B_HIGH);
	return read_line_end(r, H1_E_STATUS);
}

/* Runs over value bytes, eight at a time while there are eight. */
static void skip_value(struct reader *r)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t tops = ones * 0x80, high = r->response ? 0 : tops;
	const unsigned allowed = H1_B_TEXT | (r->response ? H1_B_HIGH : 0);
	const char *p = r->p, *end = r->end;

	while (end - p >= 8) {
		uint64_t w, below, del, bad;

		memcpy(&w, p, 8);
		w = le64toh(w);
		below = w - ones * 0x20;
		del = (w ^ (ones * 0x7f)) - ones;
		bad = (((below | del) & ~w) & tops) | (w & high);
		if (!bad) {
			p += 8;
			continue;
		}
		/* A borrow reaches only bytes behind the first bad one: that one is right. */
		p += __builtin_ctzll(bad) / 8;
		if (*p != '\t') {
			r->p = p;
			return;
		}
		p++;
	}
	r->p = p;
	skip_class(r, allowed);
}

static int read_field(struct reader *r, struct h1_field *f)
{
	const char *start;
	int err;

	if (*r->p == ' ' || *r->p == '\t')
		return H1_E_LINE_END; /* obs-fold */
	f->name = read_token(r);
	if (r->p == r->end)
		return MORE;
	if (*r->p != ':' || f->name.n == 0)
		return H1_E_HEADER_NAME;
	r->p++;
	skip_class(r, H1_B_BLANK);
	start = r->p;
	skip_value(r);
	f->value = rk_slice(start, (size_t)(r->p - start));
	err = read_line_end(r, H1_E_HEADER_VALUE);
	while (f->value.n && h1_is(f->value.p[f->value.n - 1], H1_B_BLANK))
		f->value.n--;
	return err;
}

/* All fields and the empty line behind them. */
static int read_fields(struct reader *r, struct h1_head *out, struct h1_facts *facts)
{
	for (;;) {
		struct h1_field *f;
		int err;

		if (r->p == r->end)
			return MORE;
		if (*r->p == '\r' || *r->p == '\n')
			return read_line_end(r, H1_E_LINE_END);
		if (out->field_count == H1_MAX_FIELDS)
			return H1_E_TOO_MANY;
		f = &out->fields[out->field_count];
		err = read_field(r, f);
		if (!err)
			err = h1_note_field(f, out, facts);
		if (err)
			return err;
		out->field_count++;
	}
}

/* Sets all but the fields themselves, which field_count covers. */
static void head_init(struct h1_head *out)
{
	memset(out, 0, offsetof(struct h1_head, fields));
}

static int finish(const struct reader *r, struct rk_slice in, size_t limit, int err)
{
	if (err == MORE)
		return in.n >= limit ? H1_E_TOO_LARGE : 0;
	return err ? err : (int)(r->p - in.p);
}

int h1_parse_request(struct rk_slice in, size_t limit, struct h1_head *out)
{
	struct reader r;
	struct h1_facts facts = {.response = false};
	struct rk_slice authority;
	int err;

	if (limit > H1_MAX_HEAD)
		limit = H1_MAX_HEAD;
	reader_init(&r, in, limit, false);
	head_init(out);
	err = read_request_line(&r, out, &authority);
	if (!err)
		err = read_fields(&r, out, &facts);
	if (!err)
		err = h1_settle_request(out, &facts, authority);
	return finish(&r, in, limit, err);
}

int h1_parse_response(struct rk_slice in, size_t limit, bool head_request, struct h1_head *out)
{
	struct reader r;
	struct h1_facts facts = {.response = true};
	int err;

	if (limit > H1_MAX_HEAD)
		limit = H1_MAX_HEAD;
	reader_init(&r, in, limit, true);
	head_init(out);
	err = read_status_line(&r, out);
	if (!err)
		err = read_fields(&r, out, &facts);
	if (!err)
		err = h1_settle_response(out, &facts, head_request);
	return finish(&r, in, limit, err);
}
