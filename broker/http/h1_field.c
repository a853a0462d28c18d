#include "http/h1_bytes.h"

#include <arpa/inet.h>

/*
 * Known names, found by one look into a table: a name's place follows from its length, its
 * first and last byte and the byte at a third of it. The multipliers are chosen so that no two
 * names meet; if a new name meets another, the compiler says so (initialiser overridden) and a
 * different pair of multipliers has to be found.
 */
enum { KNOWN_MAX = 26, KNOWN_SLOTS = 256 };

#define SLOT(n, first, third, last)                                                            \
	(((unsigned)(n) + (unsigned)(first) + (unsigned)(third)*54U + (unsigned)(last)*11U) &  \
	 (KNOWN_SLOTS - 1U))
#define NAME(first, third, last, text, hdr)                                                    \
	[SLOT(sizeof(text) - 1, first, third, last)] = {sizeof(text) - 1, hdr, text}

struct known {
	uint8_t n;
	uint8_t id;
	char name[KNOWN_MAX];
};

static const struct known known[KNOWN_SLOTS] = {
    NAME('h', 'o', 't', "host", H1_HDR_HOST),
    NAME('c', 'n', 'n', "connection", H1_HDR_CONNECTION),
    NAME('c', 'e', 'h', "content-length", H1_HDR_CONTENT_LENGTH),
    NAME('t', 'f', 'g', "transfer-encoding", H1_HDR_TRANSFER_ENCODING),
    NAME('t', 't', 'e', "te", H1_HDR_TE),
    NAME('t', 'a', 'r', "trailer", H1_HDR_TRAILER),
    NAME('u', 'g', 'e', "upgrade", H1_HDR_UPGRADE),
    NAME('k', 'p', 'e', "keep-alive", H1_HDR_KEEP_ALIVE),
    NAME('p', '-', 'n', "proxy-connection", H1_HDR_PROXY_CONNECTION),
    NAME('e', 'p', 't', "expect", H1_HDR_EXPECT),
    NAME('a', 'o', 'n', "authorization", H1_HDR_AUTHORIZATION),
    NAME('p', 'a', 'n', "proxy-authorization", H1_HDR_PROXY_AUTHORIZATION),
    NAME('c', 'o', 'e', "cookie", H1_HDR_COOKIE),
    NAME('s', '-', 'e', "set-cookie", H1_HDR_SET_COOKIE),
    NAME('u', 'r', 't', "user-agent", H1_HDR_USER_AGENT),
    NAME('c', 'e', 'e', "content-type", H1_HDR_CONTENT_TYPE),
    NAME('d', 'a', 'e', "date", H1_HDR_DATE),
    NAME('s', 'r', 'r', "server", H1_HDR_SERVER),
    NAME('f', 'w', 'd', "forwarded", H1_HDR_FORWARDED),
    NAME('x', 'e', 'p', "x-real-ip", H1_HDR_FORWARDED),
    NAME('v', 'i', 'a', "via", H1_HDR_FORWARDED),
    NAME('x', 'p', 'y', "x-api-key", H1_HDR_CREDENTIAL),
    NAME('a', 'i', 'y', "api-key", H1_HDR_CREDENTIAL),
    NAME('x', 'a', 'y', "xi-api-key", H1_HDR_CREDENTIAL),
    NAME('x', 'o', 'y', "x-goog-api-key", H1_HDR_CREDENTIAL),
    NAME('x', 'a', 'n', "x-postmark-server-token", H1_HDR_CREDENTIAL),
    NAME('x', 'r', 'n', "x-postmark-account-token", H1_HDR_CREDENTIAL),
    NAME('x', 'u', 'y', "x-auth-key", H1_HDR_CREDENTIAL),
    NAME('x', 'u', 'y', "x-auth-user-service-key", H1_HDR_CREDENTIAL),
    NAME('i', '3', 'n', "impact360authtoken", H1_HDR_CREDENTIAL),
    NAME('p', 'a', 'n', "private-token", H1_HDR_CREDENTIAL),
    NAME('j', '-', 'n', "job-token", H1_HDR_CREDENTIAL),
    NAME('d', 'o', 'n', "deploy-token", H1_HDR_CREDENTIAL),
    NAME('d', 'a', 'y', "dd-api-key", H1_HDR_CREDENTIAL),
    NAME('d', 'l', 'y', "dd-application-key", H1_HDR_CREDENTIAL),
    NAME('a', 'i', 'y', "apikey", H1_HDR_CREDENTIAL),
    NAME('x', 's', 'n', "x-amz-security-token", H1_HDR_CREDENTIAL),
    NAME('x', 't', 'n', "x-auth-token", H1_HDR_CREDENTIAL),
    NAME('x', 'c', 'n', "x-access-token", H1_HDR_CREDENTIAL),
    NAME('x', 'p', 'n', "x-api-token", H1_HDR_CREDENTIAL),
    NAME('x', 'a', 'y', "x-apikey", H1_HDR_CREDENTIAL),
    NAME('a', '-', 'n', "api-token", H1_HDR_CREDENTIAL),
    NAME('a', 'h', 'n', "auth-token", H1_HDR_CREDENTIAL),
    NAME('a', 's', 'n', "access-token", H1_HDR_CREDENTIAL),
    NAME('x', 'u', 'n', "x-vault-token", H1_HDR_CREDENTIAL),
    NAME('x', 'f', 'n', "x-shopify-access-token", H1_HDR_CREDENTIAL),
    NAME('x', 'g', 'n', "x-figma-token", H1_HDR_CREDENTIAL),
    NAME('c', 'l', 'n', "circle-token", H1_HDR_CREDENTIAL),
    NAME('o', '-', 'y', "ocp-apim-subscription-key", H1_HDR_CREDENTIAL),
    NAME('x', 'c', 'y', "x-functions-key", H1_HDR_CREDENTIAL),
    NAME('x', 'c', 'n', "x-subscription-token", H1_HDR_CREDENTIAL),
    NAME('x', 'p', 'y', "x-rapidapi-key", H1_HDR_CREDENTIAL),
    NAME('x', 'e', 'y', "x-relaykey", H1_HDR_RELAYKEY),
    NAME('x', 'c', 'y', "x-secret-key", H1_HDR_CREDENTIAL),
    NAME('x', 't', 'n', "x-token", H1_HDR_CREDENTIAL),
    NAME('x', 'm', 'e', "x-http-method-override", H1_HDR_OVERRIDE),
    NAME('x', 't', 'd', "x-http-method", H1_HDR_OVERRIDE),
    NAME('x', 'h', 'e', "x-method-override", H1_HDR_OVERRIDE),
    NAME('x', 'i', 'l', "x-original-url", H1_HDR_OVERRIDE),
    NAME('x', 'w', 'l', "x-rewrite-url", H1_HDR_OVERRIDE),
    NAME('x', 'i', 'i', "x-original-uri", H1_HDR_OVERRIDE),
    NAME('s', 's', 'l', "sec-websocket-protocol", H1_HDR_WS_PROTOCOL),
};

/* Name prefixes that are known as a whole. */
static const struct known known_prefix[] = {
    {12, H1_HDR_FORWARDED, "x-forwarded-"},
    {11, H1_HDR_RELAYKEY, "x-relaykey-"},
};

/* Whether the first n bytes of p spell `text`, case aside and '_' as '-'; *twin: by way of a
 * '_'. */
static bool spells(const char *p, const char *text, size_t n, bool *twin)
{
	bool underscore = false;

	for (size_t i = 0; i < n; i++) {
		if (h1_name_at(p + i) != (unsigned char)text[i])
			return false;
		underscore |= p[i] == '_';
	}
	*twin = underscore;
	return true;
}

/*
 * What an underscore spelling counts as. Fields that the proxy removes are removed in every
 * spelling; one that it acts on is acted on in its own spelling only.
 */
static enum h1_hdr twin_id(enum h1_hdr id)
{
	switch (id) {
	case H1_HDR_PROXY_AUTHORIZATION:
	case H1_HDR_SET_COOKIE:
	case H1_HDR_FORWARDED:
	case H1_HDR_CREDENTIAL:
	case H1_HDR_RELAYKEY:
	case H1_HDR_OVERRIDE:
	case H1_HDR_WS_PROTOCOL:
		return id;
	default:
		return H1_HDR_OTHER;
	}
}

enum h1_hdr h1_hdr_lookup(struct rk_slice name, enum h1_hdr *spelt)
{
	const struct known *k;
	unsigned first, third, last;
	bool twin = false;

	*spelt = H1_HDR_OTHER;
	if (name.n == 0)
		return H1_HDR_OTHER;
	first = h1_name_at(name.p);
	third = h1_name_at(name.p + name.n / 3);
	last = h1_name_at(name.p + name.n - 1);
	k = &known[SLOT(name.n, first, third, last)];
	if (k->n == name.n && spells(name.p, k->name, name.n, &twin)) {
		*spelt = (enum h1_hdr)k->id;
		return twin ? twin_id(*spelt) : *spelt;
	}
	if (first != 'x')
		return H1_HDR_OTHER;
	for (size_t i = 0; i < sizeof(known_prefix) / sizeof(*known_prefix); i++) {
		k = &known_prefix[i];
		if (name.n > k->n && spells(name.p, k->name, k->n, &twin)) {
			*spelt = (enum h1_hdr)k->id;
			return twin ? twin_id(*spelt) : *spelt;
		}
	}
	return H1_HDR_OTHER;
}

enum h1_hdr h1_hdr_id(struct rk_slice name)
{
	enum h1_hdr spelt;

	return h1_hdr_lookup(name, &spelt);
}

bool h1_hdr_is_hop(enum h1_hdr id)
{
	switch (id) {
	case H1_HDR_CONNECTION:
	case H1_HDR_TRANSFER_ENCODING:
	case H1_HDR_TE:
	case H1_HDR_TRAILER:
	case H1_HDR_UPGRADE:
	case H1_HDR_KEEP_ALIVE:
	case H1_HDR_PROXY_CONNECTION:
	case H1_HDR_PROXY_AUTHORIZATION:
		return true;
	default:
		return false;
	}
}

const struct h1_field *h1_next_field(const struct h1_head *h, enum h1_hdr id, size_t *pos)
{
	while (*pos < h->field_count) {
		const struct h1_field *f = &h->fields[(*pos)++];

		if (f->id == id)
			return f;
	}
	return NULL;
}

static bool port_is_valid(const char *p, const char *end)
{
	unsigned port = 0;

	if (p == end || end - p > 5)
		return false;
	for (; p < end; p++) {
		if (!h1_is(*p, H1_B_DIGIT))
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	return port >= 1 && port <= 65535;
}

bool h1_host_is_valid(struct rk_slice host)
{
	enum { NAME_MAX_BYTES = 253 };
	const char *p = host.p, *end = p + host.n, *label = p;

	if (host.n && *p == '[') {
		const char *close = memchr(p, ']', host.n);
		struct in6_addr addr;
		char text[INET6_ADDRSTRLEN];

		if (!close ||
		    !rk_slice_cstr(rk_slice(p + 1, (size_t)(close - p - 1)), text,
		                   sizeof(text)) ||
		    inet_pton(AF_INET6, text, &addr) != 1)
			return false;
		p = close + 1;
	} else {
		for (; p < end && h1_is(*p, H1_B_HOST); p++) {
			if (*p != '.')
				continue;
			if (p == label)
				return false;
			label = p + 1;
		}
		/* A last dot (the root label) may end the name, but cannot be all of it. */
		if (p == host.p || p - host.p > NAME_MAX_BYTES)
			return false;
	}
	if (p == end)
		return true;
	return *p == ':' && port_is_valid(p + 1, end);
}

bool h1_value_is_relay_key(struct rk_slice value)
{
	static const struct rk_slice kinds[] = {
	    {"app_", 4}, {"agent_", 6}, {"person_", 7}, {"vendor_", 7}, {"mgmt_", 5},
	};
	struct rk_slice rest;

	if (value.n < 8 || value.p[0] != 'r' || value.p[1] != 'k' || value.p[2] != '_')
		return false;
	rest = rk_slice_skip(value, 3);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (rk_slice_starts(rest, kinds[i]))
			return true;
	}
	return false;
}

const char *h1_err_code(int err)
{
	static const char *const codes[] = {
	    [-H1_E_METHOD] = "bad_method",
	    [-H1_E_TARGET] = "bad_target",
	    [-H1_E_VERSION] = "bad_http_version",
	    [-H1_E_LINE_END] = "bad_line_end",
	    [-H1_E_HEADER_NAME] = "bad_header_name",
	    [-H1_E_HEADER_VALUE] = "bad_header_value",
	    [-H1_E_TOO_MANY] = "too_many_headers",
	    [-H1_E_TOO_LARGE] = "head_too_large",
	    [-H1_E_HOST] = "bad_host",
	    [-H1_E_LENGTH] = "bad_content_length",
	    [-H1_E_FRAMING] = "bad_framing",
	    [-H1_E_STATUS] = "bad_status_line",
	    [-H1_E_CONNECTION] = "bad_connection_header",
	    [-H1_E_EXPECT] = "bad_expect",
	    [-H1_E_CHUNK] = "bad_chunk",
	    [-H1_E_TRAILER] = "bad_trailer",
	};

	if (err >= 0 || err < H1_E_TRAILER)
		return "bad_request";
	return codes[-err];
}
