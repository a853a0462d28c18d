#include "http/h1_bytes.h"

/*
 * One pass over the bytes. Whatever is wrong is found at the byte where it goes wrong, also in
 * a head that has not arrived completely; running out of bytes is the only way to "more".
 */

enum {
	MORE = 1, /* the bytes end here; the functions below return 0 when a part is complete */
	CONNECTION_MAX_NAMES = 16, /* fields a Connection header can name */
	CONNECTION_MAX_ITEMS = 32, /* list elements, empty ones included */
};

struct reader {
	const char *p;
	const char *end;
	bool response;
};

/* What the fields say about framing and connection, until all of them are known. */
struct facts {
	bool has_host, has_length, has_chunked, has_upgrade;
	bool says_close, says_keep_alive, says_upgrade;
	unsigned items;
	unsigned named_count;
	struct rk_slice named[CONNECTION_MAX_NAMES];
};

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
	const char *start = r->p;

	while (r->p < r->end && h1_name_at(r->p))
		r->p++;
	*method = rk_slice(start, (size_t)(r->p - start));
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

	while (r->p < r->end && h1_is(*r->p, H1_B_VISIBLE))
		r->p++;
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
	if (r->p < r->end && *r->p == ' ') {
		while (r->p < r->end && h1_is(*r->p, H1_B_TEXT | H1_B_HIGH))
			r->p++;
	}
	return read_line_end(r, H1_E_STATUS);
}

/*
 * Runs over value bytes, eight at a time while all eight are plain text. The word test may call
 * a good byte bad (never a bad one good), so the byte loop decides.
 */
static void skip_value(struct reader *r)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t tops = ones * 0x80, high = r->response ? 0 : tops;
	const unsigned allowed = H1_B_TEXT | (r->response ? H1_B_HIGH : 0);
	const char *p = r->p, *end = r->end;

	while (end - p >= 8) {
		uint64_t w, below, del;

		memcpy(&w, p, 8);
		below = w - ones * 0x20;
		del = (w ^ (ones * 0x7f)) - ones;
		if ((((below | del) & ~w) & tops) | (w & high))
			break;
		p += 8;
	}
	while (p < end && h1_is(*p, allowed))
		p++;
	r->p = p;
}

static int read_field(struct reader *r, struct h1_field *f)
{
	const char *start = r->p;
	int err;

	if (*r->p == ' ' || *r->p == '\t')
		return H1_E_LINE_END; /* obs-fold */
	while (r->p < r->end && h1_name_at(r->p))
		r->p++;
	if (r->p == r->end)
		return MORE;
	if (*r->p != ':' || r->p == start)
		return H1_E_HEADER_NAME;
	f->name = rk_slice(start, (size_t)(r->p - start));
	r->p++;
	while (r->p < r->end && h1_is(*r->p, H1_B_BLANK))
		r->p++;
	start = r->p;
	skip_value(r);
	f->value = rk_slice(start, (size_t)(r->p - start));
	err = read_line_end(r, H1_E_HEADER_VALUE);
	while (f->value.n && h1_is(f->value.p[f->value.n - 1], H1_B_BLANK))
		f->value.n--;
	return err;
}

/* Connection may not take away what frames, routes or authenticates the request (RFC
 * 9110 7.6.1). */
static bool can_be_named(struct rk_slice name)
{
	switch (h1_hdr_id(name)) {
	case H1_HDR_HOST:
	case H1_HDR_CONTENT_LENGTH:
	case H1_HDR_TRANSFER_ENCODING:
	case H1_HDR_AUTHORIZATION:
	case H1_HDR_CREDENTIAL:
	case H1_HDR_RELAYKEY:
		return false;
	default:
		return true;
	}
}

static int note_connection_item(const struct reader *r, struct rk_slice item,
                                struct facts *facts)
{
	if (rk_slice_ieq(item, (struct rk_slice){"close", 5})) {
		facts->says_close = true;
		return 0;
	}
	if (rk_slice_ieq(item, (struct rk_slice){"keep-alive", 10})) {
		facts->says_keep_alive = true;
		return 0;
	}
	if (rk_slice_ieq(item, (struct rk_slice){"upgrade", 7})) {
		facts->says_upgrade = true;
		return 0;
	}
	for (size_t i = 0; i < item.n; i++) {
		if (!h1_name_at(item.p + i))
			return H1_E_CONNECTION;
	}
	/* Some servers name Transfer-Encoding in responses; it is hop-by-hop in any case. */
	if (!r->response && !can_be_named(item))
		return H1_E_CONNECTION;
	if (facts->named_count == CONNECTION_MAX_NAMES)
		return H1_E_CONNECTION;
	facts->named[facts->named_count++] = item;
	return 0;
}

static int note_connection(const struct reader *r, struct rk_slice list, struct facts *facts)
{
	const char *p = list.p, *end = p + list.n;

	for (;;) {
		const char *comma = p < end ? memchr(p, ',', (size_t)(end - p)) : NULL;
		const char *stop = comma ? comma : end;
		struct rk_slice item;

		while (p < stop && h1_is(*p, H1_B_BLANK))
			p++;
		item = rk_slice(p, (size_t)(stop - p));
		while (item.n && h1_is(item.p[item.n - 1], H1_B_BLANK))
			item.n--;
		if (++facts->items > CONNECTION_MAX_ITEMS)
			return H1_E_CONNECTION;
		if (item.n) {
			int err = note_connection_item(r, item, facts);

			if (err)
				return err;
		}
		if (!comma)
			return 0;
		p = comma + 1;
	}
}

static int note_length(struct rk_slice value, struct h1_head *out, struct facts *facts)
{
	uint64_t n;

	if (facts->has_length || !rk_slice_u64(value, &n) || n > INT64_MAX)
		return H1_E_LENGTH;
	/* A leading zero is octal to some. */
	if (value.n > 1 && value.p[0] == '0')
		return H1_E_LENGTH;
	facts->has_length = true;
	out->content_length = n;
	return 0;
}

static int note_coding(struct rk_slice value, struct facts *facts)
{
	if (facts->has_chunked || !rk_slice_ieq(value, (struct rk_slice){"chunked", 7}))
		return H1_E_FRAMING;
	facts->has_chunked = true;
	return 0;
}

static int note_request_field(struct h1_field *f, struct h1_head *out, struct facts *facts)
{
	switch (f->id) {
	case H1_HDR_HOST:
		if (facts->has_host)
			return H1_E_HOST;
		facts->has_host = true;
		out->host = f->value;
		return 0;
	case H1_HDR_EXPECT:
		if (out->expect_continue ||
		    !rk_slice_ieq(f->value, (struct rk_slice){"100-continue", 12}))
			return H1_E_EXPECT;
		out->expect_continue = true;
		return 0;
	case H1_HDR_OTHER:
		if (h1_value_is_relay_key(f->value))
			f->id = H1_HDR_CREDENTIAL;
		return 0;
	default:
		return 0;
	}
}

static int note_field(const struct reader *r, struct h1_field *f, struct h1_head *out,
                      struct facts *facts)
{
	enum h1_hdr spelt;

	f->id = h1_hdr_lookup(f->name, &spelt);
	f->hop = h1_hdr_is_hop(f->id);
	/* CGI-like servers read content_length as Content-Length: a second framing. */
	if (spelt != f->id &&
	    (spelt == H1_HDR_CONTENT_LENGTH || spelt == H1_HDR_TRANSFER_ENCODING))
		return H1_E_HEADER_NAME;
	switch (f->id) {
	case H1_HDR_CONTENT_LENGTH:
		return note_length(f->value, out, facts);
	case H1_HDR_TRANSFER_ENCODING:
		return note_coding(f->value, facts);
	case H1_HDR_CONNECTION:
		return note_connection(r, f->value, facts);
	case H1_HDR_UPGRADE:
		facts->has_upgrade = true;
		return 0;
	default:
		return r->response ? 0 : note_request_field(f, out, facts);
	}
}

/* All fields and the empty line behind them. */
static int read_fields(struct reader *r, struct h1_head *out, struct facts *facts)
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
			err = note_field(r, f, out, facts);
		if (err)
			return err;
		out->field_count++;
	}
}

/* Marks the fields that Connection named, wherever it stood. */
static void mark_named(struct h1_head *out, const struct facts *facts)
{
	for (unsigned i = 0; i < facts->named_count; i++) {
		for (size_t k = 0; k < out->field_count; k++) {
			if (rk_slice_ieq(out->fields[k].name, facts->named[i]))
				out->fields[k].hop = true;
		}
	}
}

/* What requests and responses have in common once all fields are known. */
static int settle(struct h1_head *out, const struct facts *facts)
{
	if (facts->has_chunked && (facts->has_length || out->minor == 0))
		return H1_E_FRAMING;
	out->keep_alive = !facts->says_close && (out->minor == 1 || facts->says_keep_alive);
	out->upgrade = out->minor == 1 && facts->has_upgrade && facts->says_upgrade;
	if (facts->has_chunked)
		out->body = H1_BODY_CHUNKED;
	else if (facts->has_length)
		out->body = H1_BODY_LENGTH;
	mark_named(out, facts);
	return 0;
}

static int settle_request(struct h1_head *out, const struct facts *facts,
                          struct rk_slice authority)
{
	if (!facts->has_host) {
		if (out->minor == 1)
			return H1_E_HOST;
		out->host = authority;
	}
	if ((facts->has_host || authority.n) && !h1_host_is_valid(out->host))
		return H1_E_HOST;
	if (authority.n && !rk_slice_ieq(authority, out->host))
		return H1_E_HOST;
	if (out->minor == 0)
		out->expect_continue = false; /* RFC 9110 10.1.1 */
	return settle(out, facts);
}

/* RFC 9112 6.3 */
static int settle_response(struct h1_head *out, const struct facts *facts, bool head_request)
{
	bool no_content = out->status < 200 || out->status == 204;
	int err = settle(out, facts);

	if (err)
		return err;
	/* A body announced where none can be: nobody knows where the next message starts. */
	if (no_content && (out->body == H1_BODY_CHUNKED || out->content_length))
		out->keep_alive = false;
	if (no_content || out->status == 304 || head_request) {
		out->body = H1_BODY_NONE;
	} else if (out->body == H1_BODY_NONE) {
		out->body = H1_BODY_CLOSE;
		out->keep_alive = false;
	}
	return 0;
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
	struct facts facts = {0};
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
		err = settle_request(out, &facts, authority);
	return finish(&r, in, limit, err);
}

int h1_parse_response(struct rk_slice in, size_t limit, bool head_request, struct h1_head *out)
{
	struct reader r;
	struct facts facts = {0};
	int err;

	if (limit > H1_MAX_HEAD)
		limit = H1_MAX_HEAD;
	reader_init(&r, in, limit, true);
	head_init(out);
	err = read_status_line(&r, out);
	if (!err)
		err = read_fields(&r, out, &facts);
	if (!err)
		err = settle_response(out, &facts, head_request);
	return finish(&r, in, limit, err);
}
