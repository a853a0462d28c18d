#include "policy/auth_style.h"

#include "base/record.h"
#include "http/credential.h"
#include "http/h1.h"
#include "http/mask.h"

/* ---- reading the style ---- */

/* RFC 9110 5.6.2 */
static bool is_token(struct rk_slice s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char low = rk_ascii_lower((unsigned char)s.p[i]);
		bool alnum = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');

		if (!alnum && !(low && strchr(others, low)))
			return false;
	}
	return s.n > 0;
}

/* RFC 3986 2.3 */
static bool is_unreserved(unsigned char c)
{
	unsigned char low = rk_ascii_lower(c);

	return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static bool is_printable(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	}
	return true;
}

/*
 * Headers that frame the message, route it or belong to the proxy. '_' is read as '-', because
 * an upstream may do the same.
 */
static bool header_is_reserved(struct rk_slice name)
{
	char plain[AUTH_MAX_NAME];

	for (size_t i = 0; i < name.n; i++)
		plain[i] = name.p[i] == '_' ? '-' : name.p[i];
	switch (h1_hdr_id(rk_slice(plain, name.n))) {
	case H1_HDR_OTHER:
	case H1_HDR_AUTHORIZATION:
	case H1_HDR_CREDENTIAL:
	case H1_HDR_COOKIE:
		return false;
	default:
		return true;
	}
}

static int parse_basic(struct rk_slice user, bool given, struct auth_part *out,
                       struct rk_fault *fault)
{
	out->kind = AUTH_BASIC;
	if (!given)
		return 0;
	if (user.n == 0)
		return rk_fail(fault, RK_E_INVALID,
		               "write basic:USER, or basic alone for a secret that is "
		               "user:password");
	if (user.n > AUTH_MAX_NAME || !is_printable(user) || memchr(user.p, ':', user.n))
		return rk_fail(fault, RK_E_INVALID,
		               "the user of basic is at most %d printable characters without "
		               "':'",
		               AUTH_MAX_NAME);
	memcpy(out->name, user.p, user.n);
	return 0;
}

static int parse_header(struct rk_slice rest, struct auth_part *out, struct rk_fault *fault)
{
	struct rk_slice name, prefix = {0};
	size_t n = 0;

	out->kind = AUTH_HEADER;
	while (n < rest.n && rest.p[n] != ':')
		n++;
	name = rk_slice(rest.p, n);
	if (n < rest.n)
		prefix = rk_slice_skip(rest, n + 1);
	if (name.n > AUTH_MAX_NAME || !is_token(name))
		return rk_fail(fault, RK_E_INVALID,
		               "write header:NAME, as in header:X-API-Key; a name has at most "
		               "%d characters",
		               AUTH_MAX_NAME);
	if (header_is_reserved(name))
		return rk_fail(fault, RK_E_INVALID,
		               "the header %.*s belongs to the proxy and cannot carry a secret",
		               RK_FMT(name));
	if (prefix.n > AUTH_MAX_PREFIX || !is_printable(prefix) ||
	    (prefix.n && prefix.p[0] == ' '))
		return rk_fail(fault, RK_E_INVALID,
		               "the prefix of a header is at most %d printable characters and "
		               "begins with no space",
		               AUTH_MAX_PREFIX);
	memcpy(out->name, name.p, name.n);
	if (prefix.n)
		memcpy(out->prefix, prefix.p, prefix.n);
	return 0;
}

static int parse_query(struct rk_slice name, struct auth_part *out, struct rk_fault *fault)
{
	bool good = name.n > 0 && name.n <= AUTH_MAX_NAME;

	for (size_t i = 0; good && i < name.n; i++)
		good = is_unreserved((unsigned char)name.p[i]);
	if (!good)
		return rk_fail(fault, RK_E_INVALID,
		               "write query:NAME, as in query:api_key; a name is at most %d "
		               "letters, digits and - . _ ~",
		               AUTH_MAX_NAME);
	out->kind = AUTH_QUERY;
	memcpy(out->name, name.p, name.n);
	return 0;
}

static int parse_part(struct rk_slice text, struct auth_part *out, struct rk_fault *fault)
{
	struct rk_slice word = text, rest = {0};
	size_t n = 0;

	while (n < text.n && text.p[n] != ':')
		n++;
	word.n = n;
	if (n < text.n)
		rest = rk_slice_skip(text, n + 1);
	if (rk_slice_is(text, "bearer")) {
		out->kind = AUTH_BEARER;
		return 0;
	}
	if (rk_slice_is(word, "basic"))
		return parse_basic(rest, n < text.n, out, fault);
	if (rk_slice_is(word, "header"))
		return parse_header(rest, out, fault);
	if (rk_slice_is(word, "query"))
		return parse_query(rest, out, fault);
	return rk_fail(fault, RK_E_INVALID,
	               "the auth style is bearer, basic[:USER], header:NAME[:PREFIX] or "
	               "query:NAME");
}

static bool same_header(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '_' ? '-' : *a, y = *b == '_' ? '-' : *b;

		if (rk_ascii_lower((unsigned char)x) != rk_ascii_lower((unsigned char)y))
			return false;
	}
	return *a == *b;
}

static int check_together(const struct auth_style *a, struct rk_fault *fault)
{
	for (unsigned i = 0; a->count > 1 && i < a->count; i++) {
		if (a->part[i].kind != AUTH_HEADER)
			return rk_fail(fault, RK_E_INVALID,
			               "only header styles can be given together");
		for (unsigned k = 0; k < i; k++) {
			if (same_header(a->part[i].name, a->part[k].name))
				return rk_fail(fault, RK_E_INVALID,
				               "the header %s is given twice", a->part[i].name);
		}
	}
	return 0;
}

int auth_style_parse(struct rk_slice list, struct auth_style *out, struct rk_fault *fault)
{
	struct auth_style style = {0};
	struct rk_slice item;
	int err;

	while (record_list_next(&list, &item)) {
		if (style.count == AUTH_MAX_PARTS)
			return rk_fail(fault, RK_E_TOOBIG, "at most %d headers carry a secret",
			               AUTH_MAX_PARTS);
		err = parse_part(item, &style.part[style.count++], fault);
		if (err)
			return err;
	}
	if (style.count == 0)
		style.part[style.count++].kind = AUTH_BEARER;
	err = check_together(&style, fault);
	if (err == 0)
		*out = style;
	return err;
}

bool auth_style_is_query(const struct auth_style *a)
{
	return a->count > 0 && a->part[0].kind == AUTH_QUERY;
}

struct rk_slice auth_style_header(const struct auth_style *a, unsigned i)
{
	if (i >= a->count || a->part[i].kind == AUTH_QUERY)
		return rk_str(NULL);
	if (a->part[i].kind == AUTH_HEADER)
		return rk_str(a->part[i].name);
	return rk_str("Authorization");
}

/* ---- writing it ---- */

static const char *part_prefix(const struct auth_part *p)
{
	if (p->kind == AUTH_BEARER)
		return "Bearer ";
	return p->kind == AUTH_BASIC ? "Basic " : p->prefix;
}

/* "USER:" in front of the secret takes this much. */
static size_t user_size(const struct auth_part *p)
{
	return p->name[0] ? strlen(p->name) + 1 : 0;
}

static size_t value_size(const struct auth_part *p, struct rk_slice secret)
{
	size_t n = 0;

	if (p->kind == AUTH_BASIC)
		return 4 * ((user_size(p) + secret.n + 2) / 3);
	if (p->kind != AUTH_QUERY)
		return secret.n;
	for (size_t i = 0; i < secret.n; i++)
		n += is_unreserved((unsigned char)secret.p[i]) ? 1 : 3;
	return n;
}

/* Of the whole rendered form: header lines, or the query part. */
static size_t rendered_size(const struct auth_style *a, struct rk_slice secret)
{
	size_t total = 0;

	for (unsigned i = 0; i < a->count; i++) {
		const struct auth_part *p = &a->part[i];

		total += value_size(p, secret);
		if (p->kind == AUTH_QUERY)
			total += strlen(p->name) + 1;
		else
			total += auth_style_header(a, i).n + 2 + strlen(part_prefix(p)) + 2;
	}
	return total;
}

static int add_text(struct rk_secret *dst, const char *text)
{
	return rk_secret_add(dst, text, strlen(text));
}

static int add_basic(struct rk_secret *dst, const struct auth_part *p, struct rk_slice secret)
{
	RK_SECRET_AUTO pair = {0};
	int err = rk_secret_alloc(&pair, user_size(p) + secret.n);

	if (err == 0 && p->name[0]) {
		err = add_text(&pair, p->name);
		if (err == 0)
			err = add_text(&pair, ":");
	}
	if (err == 0)
		err = rk_secret_add(&pair, secret.p, secret.n);
	if (err)
		return err;
	if (dst->cap - dst->len < value_size(p, secret))
		return RK_E_TOOBIG;
	dst->len += credential_base64_encode(rk_secret_slice(&pair), (char *)dst->p + dst->len);
	return 0;
}

static int add_percent(struct rk_secret *dst, struct rk_slice secret)
{
	static const char hex[] = "0123456789ABCDEF";
	int err = 0;

	for (size_t i = 0; i < secret.n && err == 0; i++) {
		unsigned char c = (unsigned char)secret.p[i];
		char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

		if (is_unreserved(c))
			err = rk_secret_add(dst, &secret.p[i], 1);
		else
			err = rk_secret_add(dst, escape, sizeof escape);
		rk_wipe(escape, sizeof escape);
	}
	return err;
}

static int add_header(struct rk_secret *dst, const struct auth_style *a, unsigned i,
                      struct rk_slice secret)
{
	const struct auth_part *p = &a->part[i];
	struct rk_slice name = auth_style_header(a, i);
	int err = rk_secret_add(dst, name.p, name.n);

	if (err == 0)
		err = add_text(dst, ": ");
	if (err == 0)
		err = add_text(dst, part_prefix(p));
	if (err == 0 && p->kind == AUTH_BASIC)
		err = add_basic(dst, p, secret);
	else if (err == 0)
		err = rk_secret_add(dst, secret.p, secret.n);
	if (err == 0)
		err = add_text(dst, "\r\n");
	return err;
}

int auth_style_render(const struct auth_style *a, const struct rk_secret *secret,
                      struct rk_secret *headers, struct rk_secret *query)
{
	RK_SECRET_AUTO text = {0};
	struct rk_slice s = rk_secret_slice(secret);
	bool in_query = auth_style_is_query(a);
	int err;

	err = auth_style_check_secret(a, secret, NULL);
	if (err == 0)
		err = rk_secret_alloc(&text, rendered_size(a, s));
	if (err)
		return err;
	if (in_query) {
		err = add_text(&text, a->part[0].name);
		if (err == 0)
			err = add_text(&text, "=");
		if (err == 0)
			err = add_percent(&text, s);
	}
	for (unsigned i = 0; !in_query && i < a->count && err == 0; i++)
		err = add_header(&text, a, i, s);
	if (err)
		return err;
	*headers = (struct rk_secret){0};
	*query = (struct rk_secret){0};
	rk_secret_move(in_query ? query : headers, &text);
	return 0;
}

/* ---- what may come back ---- */

/* Of user:password what is secret of it. Some put a key where the user stands, and as password
 * nothing or an X; a short user is a name, which may well stand in a response. */
static struct rk_slice secret_of(struct rk_slice pair)
{
	const char *colon = memchr(pair.p, ':', pair.n);
	struct rk_slice user = pair, password;

	if (!colon)
		return pair;
	user.n = (size_t)(colon - pair.p);
	password = rk_slice_skip(pair, user.n + 1);
	if (mask_covers(password.n))
		return password;
	return user.n >= MASK_LONG ? user : pair;
}

/* What stands in the one header line, or the query part, of a style with an encoded form. */
static struct rk_slice encoded_of(const struct auth_style *a, struct rk_slice rendered)
{
	const struct auth_part *p = &a->part[0];

	if (p->kind == AUTH_QUERY)
		return rk_slice_skip(rendered, strlen(p->name) + 1);
	rendered =
	    rk_slice_skip(rendered, auth_style_header(a, 0).n + 2 + strlen(part_prefix(p)));
	while (rendered.n && strchr("=\r\n", rendered.p[rendered.n - 1]))
		rendered.n--;
	return rendered;
}

unsigned auth_style_forms(const struct auth_style *a, const struct rk_secret *secret,
                          const struct rk_secret *rendered, struct rk_slice out[AUTH_MAX_FORMS])
{
	const struct auth_part *p = &a->part[0];
	struct rk_slice plain = rk_secret_slice(secret), encoded;

	if (p->kind == AUTH_BASIC && !p->name[0])
		plain = secret_of(plain);
	out[0] = plain;
	if (p->kind != AUTH_BASIC && p->kind != AUTH_QUERY)
		return 1;
	encoded = encoded_of(a, rk_secret_slice(rendered));
	if (rk_slice_eq(encoded, plain))
		return 1;
	out[1] = encoded;
	return 2;
}

/* ---- what may be pasted ---- */

static int check_bytes(const struct auth_part *p, struct rk_slice secret,
                       struct rk_fault *fault)
{
	bool ascii = p->kind == AUTH_BEARER || p->kind == AUTH_HEADER;

	for (size_t i = 0; i < secret.n; i++) {
		unsigned char c = (unsigned char)secret.p[i];

		if (c < 0x20 || c == 0x7f)
			return rk_fail(
			    fault, RK_E_INVALID,
			    "the secret holds a control character or line end, which "
			    "no request can carry");
		if (ascii && c >= 0x80)
			return rk_fail(fault, RK_E_INVALID,
			               "the secret holds a byte that is not ASCII, which no "
			               "header can carry");
		if (p->kind == AUTH_BEARER && c == ' ')
			return rk_fail(fault, RK_E_INVALID,
			               "the secret holds a space, which a bearer token cannot");
	}
	if (ascii && (secret.p[0] == ' ' || secret.p[secret.n - 1] == ' '))
		return rk_fail(fault, RK_E_INVALID,
		               "the secret begins or ends with a space, which a header would "
		               "lose");
	return 0;
}

int auth_style_check_secret(const struct auth_style *a, const struct rk_secret *secret,
                            struct rk_fault *fault)
{
	struct rk_slice s = rk_secret_slice(secret);

	if (s.n == 0)
		return rk_fail(fault, RK_E_INVALID, "the secret is empty");
	for (unsigned i = 0; i < a->count; i++) {
		const struct auth_part *p = &a->part[i];
		int err = check_bytes(p, s, fault);

		if (err)
			return err;
		if (p->kind == AUTH_BASIC && !p->name[0] && !memchr(s.p, ':', s.n))
			return rk_fail(fault, RK_E_INVALID,
			               "for basic the secret is user:password; for a password "
			               "alone use basic:USER");
	}
	if (rendered_size(a, s) > AUTH_MAX_INJECT)
		return rk_fail(fault, RK_E_TOOBIG,
		               "the secret is too long for this auth style: %d bytes is the "
		               "most a request can carry",
		               AUTH_MAX_INJECT);
	return 0;
}

/* ---- what may be shown ---- */

enum { HINT_FRONT = 3, HINT_BACK = 4, HINT_SHORTEST = 20 };

void auth_secret_hint(const struct rk_secret *secret, char *out, size_t cap)
{
	static const char dots[] = "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2";
	struct rk_slice s = rk_secret_slice(secret), front = {0}, back = {0};
	size_t at = 0;

	if (cap)
		out[0] = '\0';
	if (s.n >= HINT_SHORTEST) {
		front = rk_slice(s.p, HINT_FRONT);
		back = rk_slice(s.p + s.n - HINT_BACK, HINT_BACK);
	}
	if (cap < HINT_FRONT + sizeof dots + HINT_BACK)
		return;
	if (is_printable(front) && front.n) {
		memcpy(out, front.p, front.n);
		at = front.n;
	}
	memcpy(out + at, dots, sizeof dots - 1);
	at += sizeof dots - 1;
	if (is_printable(back) && back.n) {
		memcpy(out + at, back.p, back.n);
		at += back.n;
	}
	out[at] = '\0';
}
