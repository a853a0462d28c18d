#include "http/credential.h"

#include "base/secret.h"
#include "http/h1_bytes.h"
#include "http/target.h"

enum { BASIC_MAX = 768 }; /* decoded "user:password" */

/* Keys as they are collected: the first one found, then only comparisons with it. */
struct finder {
	char *key;
	size_t len;
	enum credential_result result;
};

bool credential_is_header(struct rk_slice name)
{
	switch (h1_hdr_id(name)) {
	case H1_HDR_AUTHORIZATION:
	case H1_HDR_PROXY_AUTHORIZATION:
	case H1_HDR_CREDENTIAL:
		return true;
	case H1_HDR_RELAYKEY:
		return name.n == sizeof("x-relaykey") - 1;
	default:
		return false;
	}
}

bool credential_is_query_name(struct rk_slice decoded)
{
	/* In lower case, '_' for '-'. */
	static const char *const names[] = {
	    "key",           "ak",         "api_key",      "apikey",           "x_api_key",
	    "token",         "api_token",  "access_token", "accesstoken",      "auth_token",
	    "oauth_token",   "auth",       "access_key",   "single_use_token", "private_token",
	    "job_token",     "secret",     "api_secret",   "subscription_key", "x_goog_api_key",
	    "authorization", "x_relaykey", "app_key",      "application_key",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t k = 0;

		while (k < decoded.n && names[i][k]) {
			unsigned char c = rk_ascii_lower((unsigned char)decoded.p[k]);

			if ((c == '-' ? '_' : c) != (unsigned char)names[i][k])
				break;
			k++;
		}
		if (k == decoded.n && !names[i][k])
			return true;
	}
	return false;
}

static void malformed(struct finder *f)
{
	if (f->result != CREDENTIAL_CONFLICT)
		f->result = CREDENTIAL_MALFORMED;
}

/* A key in the clear: visible ASCII, nothing that could be a list or a second word. */
static void add_key(struct finder *f, struct rk_slice key)
{
	if (f->result < 0)
		return;
	if (key.n == 0 || key.n > CREDENTIAL_MAX_KEY) {
		malformed(f);
		return;
	}
	for (size_t i = 0; i < key.n; i++) {
		if (!h1_is(key.p[i], H1_B_VISIBLE) || key.p[i] == ',') {
			malformed(f);
			return;
		}
	}
	if (f->result == CREDENTIAL_NONE) {
		memcpy(f->key, key.p, key.n);
		f->len = key.n;
		f->result = CREDENTIAL_FOUND;
	} else if (!rk_equal_ct(rk_slice(f->key, f->len), key)) {
		f->result = CREDENTIAL_CONFLICT;
	}
}

/* RFC 7617. Of user and password: those that look like a relay key, else the password, else the
 * user. */
static void add_basic(struct finder *f, struct rk_slice encoded)
{
	unsigned char plain[BASIC_MAX];
	long n = credential_base64_decode(encoded, plain, sizeof(plain));
	const unsigned char *colon = n > 0 ? memchr(plain, ':', (size_t)n) : NULL;

	if (colon) {
		struct rk_slice user = rk_slice(plain, (size_t)(colon - plain));
		struct rk_slice password = rk_slice(colon + 1, (size_t)n - user.n - 1);
		bool by_user = h1_value_is_relay_key(user);
		bool by_password = h1_value_is_relay_key(password);

		if (by_user || (!by_password && password.n == 0))
			add_key(f, user);
		if (by_password || (!by_user && password.n))
			add_key(f, password);
	} else {
		malformed(f);
	}
	rk_wipe(plain, sizeof(plain));
}

/* Token token="..." as Rails writes it; PagerDuty without the quotes. */
static struct rk_slice strip_token_parameter(struct rk_slice v)
{
	static const struct rk_slice prefix = {"token=", 6};

	if (v.n < prefix.n || !rk_slice_ieq(rk_slice(v.p, prefix.n), prefix))
		return v;
	v = rk_slice_skip(v, prefix.n);
	if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
		v = rk_slice(v.p + 1, v.n - 2);
	return v;
}

/* RFC 9110 11.4: a scheme and what it says; or, as some APIs want it, the bare key. */
static void add_authorization(struct finder *f, struct rk_slice value)
{
	const char *blank;
	struct rk_slice scheme;

	if (value.n == 0)
		return;
	blank = memchr(value.p, ' ', value.n);
	if (!blank) {
		if (rk_slice_ieq(value, (struct rk_slice){"bearer", 6}) ||
		    rk_slice_ieq(value, (struct rk_slice){"basic", 5}) ||
		    rk_slice_ieq(value, (struct rk_slice){"token", 5}))
			malformed(f);
		else
			add_key(f, value);
		return;
	}
	scheme = rk_slice(value.p, (size_t)(blank - value.p));
	value = rk_slice_skip(value, scheme.n);
	while (value.n && value.p[0] == ' ')
		value = rk_slice_skip(value, 1);
	if (rk_slice_ieq(scheme, (struct rk_slice){"basic", 5}))
		add_basic(f, value);
	else if (rk_slice_ieq(scheme, (struct rk_slice){"token", 5}))
		add_key(f, strip_token_parameter(value));
	else
		add_key(f, value);
}

/* One parameter; `accepted`: its name is one for keys, and this connection takes keys in the
 * query. */
static void add_query_value(struct finder *f, struct rk_slice value, bool accepted)
{
	char text[CREDENTIAL_MAX_KEY];
	int n = target_decode_name(value, text, sizeof(text));
	struct rk_slice key = rk_slice(text, n > 0 ? (size_t)n : 0);

	/*
	 * Where a key in the query is not accepted it never counts as presented, but a relay
	 * key there still has to be the one that was presented.
	 */
	if (accepted && n < 0)
		malformed(f);
	else if (accepted || h1_value_is_relay_key(key))
		add_key(f, key);
	rk_wipe(text, sizeof(text));
}

static void add_query(struct finder *f, struct rk_slice query, bool allowed)
{
	struct rk_slice name, value;
	size_t at = 0;

	while (target_query_next(query, &at, &name, &value)) {
		char decoded[64];
		int n;

		if (value.n == 0)
			continue;
		if (!allowed) {
			if (f->result == CREDENTIAL_FOUND &&
			    (value.p[0] == 'r' || value.p[0] == '%'))
				add_query_value(f, value, false);
			continue;
		}
		n = target_decode_name(name, decoded, sizeof(decoded));
		if (n > 0 && credential_is_query_name(rk_slice(decoded, (size_t)n)))
			add_query_value(f, value, true);
	}
}

/* The next item of a comma-separated list, without the blanks around it. */
static bool next_item(struct rk_slice list, size_t *at, struct rk_slice *item)
{
	const char *comma;
	size_t end;

	if (*at > list.n || list.n == 0)
		return false;
	comma = *at < list.n ? memchr(list.p + *at, ',', list.n - *at) : NULL;
	end = comma ? (size_t)(comma - list.p) : list.n;
	*item = rk_slice(list.p + *at, end - *at);
	*at = end + 1;
	while (item->n && h1_is(item->p[0], H1_B_BLANK))
		*item = rk_slice_skip(*item, 1);
	while (item->n && h1_is(item->p[item->n - 1], H1_B_BLANK))
		item->n--;
	return true;
}

static bool is_word_byte(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
}

/* Whether a subprotocol carries a key, and which. */
static bool protocol_key(struct rk_slice item, struct rk_slice *key)
{
	/* any key behind it, whole or not, was meant as one */
	static const struct rk_slice openai = {"openai-insecure-api-key.", 24};

	if (item.n >= openai.n && rk_slice_ieq(rk_slice(item.p, openai.n), openai)) {
		*key = rk_slice_skip(item, openai.n);
		return true;
	}
	for (size_t i = 0; i < item.n; i++) {
		*key = rk_slice_skip(item, i);
		if ((i == 0 || !is_word_byte(item.p[i - 1])) && h1_value_is_relay_key(*key))
			return true;
	}
	return false;
}

static void add_protocols(struct finder *f, struct rk_slice list)
{
	struct rk_slice item, key;
	size_t at = 0;

	while (next_item(list, &at, &item)) {
		if (protocol_key(item, &key))
			add_key(f, key);
	}
}

size_t credential_protocols_without(struct rk_slice list, char *dst)
{
	struct rk_slice item, key;
	size_t at = 0, put = 0;

	while (next_item(list, &at, &item)) {
		if (item.n == 0 || protocol_key(item, &key))
			continue;
		/* one byte, so that the result is never longer than the list was */
		if (put)
			dst[put++] = ',';
		memcpy(dst + put, item.p, item.n);
		put += item.n;
	}
	return put;
}

enum credential_result credential_find(const struct h1_head *h, struct rk_slice query,
                                       bool query_allowed, char key[CREDENTIAL_MAX_KEY],
                                       size_t *key_len)
{
	struct finder f = {.key = key, .result = CREDENTIAL_NONE};

	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *field = &h->fields[i];

		if (field->id == H1_HDR_AUTHORIZATION)
			add_authorization(&f, field->value);
		else if (field->id == H1_HDR_WS_PROTOCOL)
			add_protocols(&f, field->value);
		else if (field->value.n &&
		         (field->id == H1_HDR_CREDENTIAL ||
		          (field->id == H1_HDR_RELAYKEY && credential_is_header(field->name))))
			add_key(&f, field->value);
	}
	add_query(&f, query, query_allowed);
	if (f.result == CREDENTIAL_FOUND)
		*key_len = f.len;
	else
		rk_wipe(key, CREDENTIAL_MAX_KEY);
	return f.result;
}
