#include "http/target.h"
#include "tests/fuzz/fuzz.h"

/* The first byte holds the flags; the rest is the target. */

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* What the most eager upstream would make of an accepted path: every escape decoded, once. */
static size_t decode_path(struct rk_slice path, uint8_t *out, bool *slash)
{
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++) {
		uint8_t c = (uint8_t)path.p[i];

		REQUIRE(c > 0x20 && c < 0x7f && c != '\\' && c != '#' && c != '?');
		if (c == '%') {
			REQUIRE(path.n - i > 2);
			c = (uint8_t)(hex((uint8_t)path.p[i + 1]) << 4 |
			              hex((uint8_t)path.p[i + 2]));
			REQUIRE(c != '.' && c != '\\' && c != '%' && c >= 0x20 && c != 0x7f);
			*slash |= c == '/';
			i += 2;
		}
		out[n++] = c;
	}
	return n;
}

/* No segment is empty or dots, with its parameters or without; only the last may be empty. */
static void check_segments(const uint8_t *p, size_t n)
{
	size_t start = 1;

	REQUIRE(n > 0 && p[0] == '/');
	for (size_t i = 1; i <= n; i++) {
		size_t len = 0;

		if (i < n && p[i] != '/')
			continue;
		while (start + len < i && p[start + len] != ';')
			len++;
		REQUIRE(len > 0 || (i == n && start == n));
		REQUIRE(!(len == 1 && p[start] == '.'));
		REQUIRE(!(len == 2 && p[start] == '.' && p[start + 1] == '.'));
		start = i + 1;
	}
}

/* By the table of RFC 3629, unlike the code under test, which computes code points. */
static void check_utf8(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i], low = 0x80, high = 0xbf;
		size_t more = 0;

		if (c < 0x80)
			continue;
		REQUIRE(c >= 0xc2 && c <= 0xf4);
		more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		REQUIRE(n - i > more);
		if (c == 0xe0)
			low = 0xa0;
		else if (c == 0xed)
			high = 0x9f;
		else if (c == 0xf0)
			low = 0x90;
		else if (c == 0xf4)
			high = 0x8f;
		REQUIRE(p[i + 1] >= low && p[i + 1] <= high);
		for (size_t k = 2; k <= more; k++)
			REQUIRE((p[i + k] & 0xc0) == 0x80);
		i += more;
	}
}

static void check_query(struct rk_slice query)
{
	struct rk_slice name, value;
	size_t at = 0, count = 0, covered = 0;
	char decoded[TARGET_MAX_BYTES];

	while (target_query_next(query, &at, &name, &value)) {
		REQUIRE(at <= query.n);
		REQUIRE(name.p >= query.p && name.p + name.n <= query.p + query.n);
		REQUIRE(value.p >= query.p && value.p + value.n <= query.p + query.n);
		REQUIRE(!memchr(name.p, '&', name.n) && !memchr(name.p, ';', name.n));
		REQUIRE(!memchr(name.p, '=', name.n));
		REQUIRE(!memchr(value.p, '&', value.n) && !memchr(value.p, ';', value.n));
		REQUIRE(target_decode_name(name, decoded, sizeof(decoded)) >= 0);
		REQUIRE(target_decode_name(value, decoded, sizeof(decoded)) >= 0);
		covered += name.n + value.n;
		count++;
	}
	REQUIRE(count <= TARGET_MAX_QUERY_PARAMS && covered <= query.n);
	for (size_t i = 0; i < query.n; i++)
		REQUIRE(query.p[i] > 0x20 && query.p[i] < 0x7f && query.p[i] != '#');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t decoded[TARGET_MAX_BYTES];
	struct rk_slice raw, path, peeked;
	struct target t;
	bool slash = false;
	unsigned flags;
	size_t n;
	char name[16];

	if (size == 0)
		return 0;
	flags = data[0] & TARGET_ALLOW_ENCODED_SLASH;
	raw = rk_slice(data + 1, size - 1);
	peeked = target_peek_conn(raw);
	REQUIRE(peeked.n <= TARGET_MAX_CONN_NAME);
	(void)target_decode_name(raw, name, sizeof(name));
	if (target_parse(raw, flags, &t) != 0)
		return 0;
	path = rk_slice(raw.p, raw.n - t.query.n - t.has_query);
	REQUIRE(rk_slice_eq(peeked, t.conn));
	REQUIRE(1 + t.conn.n + t.rest.n == path.n);
	REQUIRE(t.rest.n == 0 || t.rest.p[0] == '/');
	REQUIRE(!t.has_query || raw.p[path.n] == '?');
	REQUIRE(!memchr(t.conn.p, '%', t.conn.n));
	REQUIRE(target_check_path(path, flags) == 0);
	n = decode_path(path, decoded, &slash);
	REQUIRE(flags || !slash);
	/* The upstream may see the rest behind its own base path: both have to hold alone. */
	check_segments(decoded, n);
	check_utf8(decoded, n);
	check_query(t.query);
	return 0;
}
