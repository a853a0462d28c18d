#include "http/target.h"

#include "http/h1_bytes.h"

/* Paths: bytes that RFC 3986 never leaves raw in a path, or that separate something. */
static bool path_byte(char c)
{
	switch (c) {
	case '"':
	case '#':
	case '<':
	case '>':
	case '?':
	case '\\':
	case '^':
	case '`':
	case '{':
	case '|':
	case '}':
		return false;
	default:
		return h1_is(c, H1_B_VISIBLE);
	}
}

/* The byte that p[0..2] = "%XX" stands for, or -1. */
static int escape_at(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3)
		return -1;
	high = h1_hex(p[1]);
	low = h1_hex(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/*
 * Characters that a compatibility mapping (NFKC, or the "best fit" of some servers) turns into
 * '.', '/', '\' or '%', and the C1 controls.
 */
static bool code_point_is_ambiguous(uint32_t cp)
{
	static const uint16_t lookalikes[] = {
	    0x2024, /* one dot leader */
	    0x2025, /* two dot leader */
	    0x2044, /* fraction slash */
	    0x2100, /* account of: a/c */
	    0x2101, /* addressed to the subject: a/s */
	    0x2105, /* care of: c/o */
	    0x2106, /* cada una: c/u */
	    0x2215, /* division slash */
	    0x2216, /* set minus */
	    0xfe30, /* presentation form of the two dot leader */
	    0xfe52, /* small full stop */
	    0xfe68, /* small reverse solidus */
	    0xfe6a, /* small percent sign */
	    0xff05, /* full-width percent sign */
	    0xff0e, /* full-width full stop */
	    0xff0f, /* full-width solidus */
	    0xff3c, /* full-width reverse solidus */
	};

	if (cp < 0xa0)
		return true;
	for (size_t i = 0; i < sizeof(lookalikes) / sizeof(*lookalikes); i++) {
		if (lookalikes[i] == cp)
			return true;
	}
	return false;
}

/*
 * One UTF-8 sequence of escapes, `lead` the first byte, already decoded, at p. Returns its
 * length in input bytes, or an error. RFC 3629 section 4: no overlong form, no surrogate, no
 * more than U+10FFFF.
 */
static int check_utf8(const char *p, const char *end, unsigned lead)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	unsigned more;
	uint32_t cp;

	if (lead >= 0xc2 && lead <= 0xdf)
		more = 1;
	else if (lead >= 0xe0 && lead <= 0xef)
		more = 2;
	else if (lead >= 0xf0 && lead <= 0xf4)
		more = 3;
	else
		return TARGET_E_AMBIGUOUS;
	cp = lead & (0x3fU >> more);
	for (unsigned i = 1; i <= more; i++) {
		const char *q = p + 3 * i;
		int byte;

		if (q == end || *q != '%')
			return TARGET_E_AMBIGUOUS;
		byte = escape_at(q, end);
		if (byte < 0)
			return TARGET_E_ESCAPE;
		if ((byte & 0xc0) != 0x80)
			return TARGET_E_AMBIGUOUS;
		cp = cp << 6 | ((unsigned)byte & 0x3f);
	}
	if (cp < smallest[more] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff) ||
	    code_point_is_ambiguous(cp))
		return TARGET_E_AMBIGUOUS;
	return (int)(3 * (more + 1));
}

/*
 * The escape at p: its length in input bytes (a whole UTF-8 sequence at once), or an error. An
 * encoded slash gives 0 where it is allowed: the caller has to look at both sides of it.
 */
static int check_escape(const char *p, const char *end, unsigned flags)
{
	int byte = escape_at(p, end);

	if (byte < 0)
		return TARGET_E_ESCAPE;
	if (byte >= 0x80)
		return check_utf8(p, end, (unsigned)byte);
	if (byte == '/' && (flags & TARGET_ALLOW_ENCODED_SLASH))
		return 0;
	if (byte < 0x20 || byte == 0x7f || byte == '/' || byte == '\\' || byte == '.' ||
	    byte == '%')
		return TARGET_E_AMBIGUOUS;
	return 3;
}

/* A server that cuts matrix parameters off looks at what stands before ';', raw or escaped. */
static bool parameters_start(struct rk_slice s)
{
	return s.n && (s.p[0] == ';' || (s.n >= 3 && s.p[0] == '%' && s.p[1] == '3' &&
	                                 rk_ascii_lower((unsigned char)s.p[2]) == 'b'));
}

/*
 * What stands between two separators, which an allowed %2F is here as well, because the
 * upstream decodes it: neither nothing nor one or two dots, with or without parameters behind.
 */
static int check_segment(struct rk_slice s, bool last)
{
	size_t dots = 0;

	if (s.n == 0)
		return last ? 0 : TARGET_E_EMPTY_SEGMENT;
	if (parameters_start(s))
		return TARGET_E_EMPTY_SEGMENT;
	while (dots < s.n && s.p[dots] == '.')
		dots++;
	if (dots != 1 && dots != 2)
		return 0;
	s = rk_slice_skip(s, dots);
	return s.n == 0 || parameters_start(s) ? TARGET_E_DOT_SEGMENT : 0;
}

int target_check_path(struct rk_slice path, unsigned flags)
{
	const char *p, *end, *segment;
	int err;

	if (path.n == 0 || path.p[0] != '/')
		return TARGET_E_FORM;
	if (path.n > TARGET_MAX_BYTES)
		return TARGET_E_TOO_LONG;
	end = path.p + path.n;
	segment = p = path.p + 1;
	while (p < end) {
		size_t separator = 0;

		if (*p == '/') {
			separator = 1;
		} else if (*p == '%') {
			int n = check_escape(p, end, flags);

			if (n < 0)
				return n;
			p += n;
			separator = n == 0 ? 3 : 0;
		} else if (path_byte(*p)) {
			p++;
		} else {
			return TARGET_E_BYTE;
		}
		if (separator) {
			err = check_segment(rk_slice(segment, (size_t)(p - segment)), false);
			if (err)
				return err;
			p += separator;
			segment = p;
		}
	}
	return check_segment(rk_slice(segment, (size_t)(p - segment)), true);
}

static int check_query(struct rk_slice query)
{
	size_t params = 1;

	for (size_t i = 0; i < query.n; i++) {
		char c = query.p[i];

		if (!h1_is(c, H1_B_VISIBLE) || c == '#')
			return TARGET_E_BYTE;
		if (c == '%' && escape_at(query.p + i, query.p + query.n) < 0)
			return TARGET_E_ESCAPE;
		if ((c == '&' || c == ';') && ++params > TARGET_MAX_QUERY_PARAMS)
			return TARGET_E_TOO_LONG;
	}
	return 0;
}

/* The bytes between the first '/' and the next '/' or '?'. */
static struct rk_slice first_segment(struct rk_slice raw)
{
	struct rk_slice s = rk_slice_skip(raw, 1);

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '/' || s.p[i] == '?')
			return rk_slice(s.p, i);
	}
	return s;
}

int target_parse(struct rk_slice raw, unsigned flags, struct target *out)
{
	struct target t = {0};
	struct rk_slice path = raw;
	const char *mark;
	int err;

	if (raw.n == 0 || raw.p[0] != '/')
		return TARGET_E_FORM;
	if (raw.n > TARGET_MAX_BYTES)
		return TARGET_E_TOO_LONG;
	mark = memchr(raw.p, '?', raw.n);
	if (mark) {
		path.n = (size_t)(mark - raw.p);
		t.has_query = true;
		t.query = rk_slice_skip(raw, path.n + 1);
	}
	t.conn = first_segment(path);
	t.rest = rk_slice_skip(path, 1 + t.conn.n);
	if (t.conn.n > TARGET_MAX_CONN_NAME)
		return TARGET_E_TOO_LONG;
	if (memchr(t.conn.p, '%', t.conn.n))
		return TARGET_E_AMBIGUOUS;
	err = target_check_path(path, flags);
	if (!err)
		err = check_query(t.query);
	if (!err)
		*out = t;
	return err;
}

struct rk_slice target_peek_conn(struct rk_slice raw)
{
	struct rk_slice conn = {raw.p, 0};

	if (raw.n && raw.p[0] == '/')
		conn = first_segment(raw);
	if (conn.n > TARGET_MAX_CONN_NAME)
		conn.n = 0;
	return conn;
}

bool target_query_next(struct rk_slice query, size_t *at, struct rk_slice *name,
                       struct rk_slice *value)
{
	while (*at < query.n) {
		size_t start = *at, i = start, equals = SIZE_MAX;

		for (; i < query.n && query.p[i] != '&' && query.p[i] != ';'; i++) {
			if (query.p[i] == '=' && equals == SIZE_MAX)
				equals = i;
		}
		*at = i < query.n ? i + 1 : i;
		if (i == start)
			continue;
		if (equals == SIZE_MAX)
			equals = i;
		*name = rk_slice(query.p + start, equals - start);
		*value = rk_slice(query.p + (equals < i ? equals + 1 : i),
		                  equals < i ? i - equals - 1 : 0);
		return true;
	}
	return false;
}

int target_decode_name(struct rk_slice raw, char *dst, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		int byte = (unsigned char)raw.p[i];

		if (n == cap || n == INT32_MAX)
			return -1;
		if (byte == '%') {
			byte = escape_at(raw.p + i, raw.p + raw.n);
			if (byte < 0)
				return -1;
			i += 2;
		} else if (byte == '+') {
			byte = ' ';
		}
		dst[n++] = (char)byte;
	}
	return (int)n;
}

const char *target_err_code(int err)
{
	static const char *const codes[] = {
	    [-TARGET_E_FORM] = "target_form",
	    [-TARGET_E_BYTE] = "target_byte",
	    [-TARGET_E_ESCAPE] = "target_escape",
	    [-TARGET_E_AMBIGUOUS] = "target_ambiguous",
	    [-TARGET_E_DOT_SEGMENT] = "target_dot_segment",
	    [-TARGET_E_EMPTY_SEGMENT] = "target_empty_segment",
	    [-TARGET_E_TOO_LONG] = "target_too_long",
	};

	if (err >= 0 || err < TARGET_E_TOO_LONG)
		return "bad_target";
	return codes[-err];
}
