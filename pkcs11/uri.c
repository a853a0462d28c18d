#include "pkcs11/uri.h"

enum { ATTR_MAX = 64 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)rk_ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Characters that may stand unescaped in a path attribute (RFC 7512 section 2.3, pk11-pchar).
 */
static bool is_pchar(char c)
{
	unsigned char lower = rk_ascii_lower((unsigned char)c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~:[]@!$'()*+,=&", c) != NULL);
}

/* Percent-decodes into a C string; false for a bad escape, a NUL, or no room. */
static bool decode(struct rk_slice in, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			bool whole = in.n - i > 2;
			int hi = whole ? hex_digit(in.p[i + 1]) : -1;
			int lo = whole ? hex_digit(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0 || hi + lo == 0)
				return false;
			c = (char)(hi * 16 + lo);
			i += 2;
		} else if (!is_pchar(c)) {
			return false;
		}
		if (n + 1 >= cap)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0;
}

/* The next run up to `sep`; *rest moves behind it. */
static struct rk_slice cut(struct rk_slice *rest, char sep)
{
	const char *at = rest->p ? memchr(rest->p, sep, rest->n) : NULL;
	size_t n = at ? (size_t)(at - rest->p) : rest->n;
	struct rk_slice head = rk_slice(rest->p, n);

	*rest = rk_slice_skip(*rest, at ? n + 1 : n);
	return head;
}

static int parse_slot_id(struct rk_slice value, struct token_uri *uri, struct rk_fault *fault)
{
	uint64_t id;

	if (!rk_slice_u64(value, &id))
		return rk_fail(fault, RK_E_INVALID, "slot-id in the token URI is not a number");
	uri->has_slot_id = true;
	uri->slot_id = (unsigned long)id;
	return 0;
}

static int parse_attr(struct rk_slice name, struct rk_slice value, struct token_uri *uri,
                      struct rk_fault *fault)
{
	const struct {
		const char *name;
		char *text;
		size_t cap;
	} known[] = {
	    {"token", uri->token, sizeof uri->token},
	    {"manufacturer", uri->manufacturer, sizeof uri->manufacturer},
	    {"model", uri->model, sizeof uri->model},
	    {"serial", uri->serial, sizeof uri->serial},
	};

	if (rk_slice_is(name, "slot-id")) {
		if (uri->has_slot_id)
			return rk_fail(fault, RK_E_INVALID,
			               "slot-id stands twice in the token URI");
		return parse_slot_id(value, uri, fault);
	}
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (!rk_slice_is(name, known[i].name))
			continue;
		if (known[i].text[0])
			return rk_fail(fault, RK_E_INVALID, "%s stands twice in the token URI",
			               known[i].name);
		if (!decode(value, known[i].text, known[i].cap))
			return rk_fail(
			    fault, RK_E_INVALID,
			    "%s in the token URI is empty, too long or wrongly escaped",
			    known[i].name);
		return 0;
	}
	return rk_fail(
	    fault, RK_E_INVALID,
	    "\"%.*s\" in the token URI: only token, manufacturer, model, serial and slot-id "
	    "are understood",
	    (int)(name.n < ATTR_MAX ? name.n : ATTR_MAX), name.p);
}

int token_uri_parse(struct rk_slice text, struct token_uri *out, struct rk_fault *fault)
{
	struct token_uri uri = {0};

	if (rk_slice_starts(text, rk_str("pkcs11:"))) {
		struct rk_slice rest = rk_slice_skip(text, 7);

		if (rest.n == 0)
			return rk_fail(fault, RK_E_INVALID, "the token URI names no token");
		if (rest.p && memchr(rest.p, '?', rest.n))
			return rk_fail(fault, RK_E_INVALID,
			               "the token URI has a query part; module and PIN are "
			               "configured apart");
		while (rest.n) {
			struct rk_slice value = cut(&rest, ';');
			struct rk_slice name = cut(&value, '=');
			int err = parse_attr(name, value, &uri, fault);

			if (err)
				return err;
		}
	} else if (text.n == 0 || !rk_slice_cstr(text, uri.token, sizeof uri.token)) {
		return rk_fail(fault, RK_E_INVALID, "a token label has 1 to 32 bytes");
	}
	*out = uri;
	return 0;
}
