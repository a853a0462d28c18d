#include "relay/request.h"

#include <stdlib.h>

#include "base/base62.h"
#include "base/record.h"
#include "base/secret.h"
#include "http/credential.h"
#include "policy/relay_key.h"

bool request_field_passes(const struct h1_field *f)
{
	if (f->hop)
		return false;
	switch (f->id) {
	case H1_HDR_HOST:
	case H1_HDR_CONTENT_LENGTH:
	case H1_HDR_TRANSFER_ENCODING:
	case H1_HDR_EXPECT:
	case H1_HDR_AUTHORIZATION:
	case H1_HDR_PROXY_AUTHORIZATION:
	case H1_HDR_COOKIE: /* was set for the broker's own name */
	case H1_HDR_FORWARDED:
	case H1_HDR_CREDENTIAL:
	case H1_HDR_RELAYKEY:
	case H1_HDR_OVERRIDE:
		return false;
	default:
		return !h1_hdr_is_hop(f->id);
	}
}

/* Begins like a relay or management key, whole or not. */
static bool looks_like_key(struct rk_slice value)
{
	struct rk_slice rest = rk_slice_skip(value, 3);

	if (value.n < 4 || memcmp(value.p, "rk_", 3) != 0)
		return false;
	if (rk_slice_starts(rest, rk_str("mgmt_")))
		return true;
	for (int kind = 0; kind < HOLDER_KINDS; kind++) {
		struct rk_slice name = rk_str(holder_kind_name((enum holder_kind)kind));

		if (rk_slice_starts(rest, name) && rest.n > name.n && rest.p[name.n] == '_')
			return true;
	}
	return false;
}

static bool parameter_goes(struct rk_slice raw_name, struct rk_slice raw_value, bool query_auth,
                           struct rk_slice drop)
{
	char name[256], start[12]; /* as long as the longest prefix of a key, and a little */
	struct rk_slice head = raw_value;
	bool goes;
	int n = target_decode_name(raw_name, name, sizeof name);

	if (n >= 0) {
		struct rk_slice decoded = rk_slice(name, (size_t)n);

		if (drop.n && rk_slice_ieq(decoded, drop))
			return false;
		if (query_auth && credential_is_query_name(decoded))
			return false;
	}
	/* the first bytes tell; an escape takes three of the raw ones for one */
	if (head.n == 0 || (head.p[0] != 'r' && head.p[0] != '%'))
		return true;
	for (size_t used = 0, i = 0; used < sizeof start && i < raw_value.n; used++) {
		i += raw_value.p[i] == '%' ? 3 : 1;
		head.n = i < raw_value.n ? i : raw_value.n;
	}
	n = target_decode_name(head, start, sizeof start);
	goes = n < 0 || !looks_like_key(rk_slice(start, (size_t)n));
	rk_wipe(start, sizeof start);
	return goes;
}

size_t request_query_without(struct rk_slice query, bool query_auth, struct rk_slice name,
                             char *dst)
{
	struct rk_slice param, value;
	size_t at = 0, from = 0, put = 0;

	while (target_query_next(query, &at, &param, &value)) {
		/* from the end of the last one to the end of this one, its separator with it */
		size_t n = at - from;
		size_t end = (size_t)(value.p - query.p) + value.n;

		if (parameter_goes(param, value, query_auth, name)) {
			memcpy(dst + put, query.p + from, n);
			put += n;
		} else if (end == query.n && put &&
		           (dst[put - 1] == '&' || dst[put - 1] == ';')) {
			put--; /* the last one went: no separator at the end */
		}
		from = at;
	}
	/* separators with nothing behind them */
	if (from < query.n)
		memcpy(dst + put, query.p + from, query.n - from);
	return put + query.n - from;
}

int request_query_names(struct rk_slice query, char *dst, size_t cap, size_t *used)
{
	struct rk_slice name, value;
	char decoded[2048];
	size_t at = 0;

	*used = 0;
	while (target_query_next(query, &at, &name, &value)) {
		int n = target_decode_name(name, decoded, sizeof decoded);
		int err;

		if (n < 0)
			return RK_E_TOOBIG;
		err = record_list_add(dst, cap, used, rk_slice(decoded, (size_t)n));
		if (err)
			return err;
	}
	return 0;
}

void request_id_text(const uint8_t id[16], char out[REQUEST_ID_TEXT])
{
	memcpy(out, "req_", 4);
	rk_hex(id, 16, out + 4);
}

static bool method_is_idempotent(struct rk_slice m)
{
	static const char *const names[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (rk_slice_is(m, names[i]))
			return true;
	}
	return false;
}

static struct rk_slice keep(char **at, struct rk_slice s)
{
	struct rk_slice copy = {*at, s.n};

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

/* A field's value, without the keys that stand among subprotocols. False: nothing is left. */
static bool keep_value(char **at, const struct h1_field *f)
{
	size_t n;

	if (f->id != H1_HDR_WS_PROTOCOL) {
		keep(at, f->value);
		return true;
	}
	n = credential_protocols_without(f->value, *at);
	*at += n;
	return n > 0;
}

static void keep_fields(struct request *r, const struct h1_head *h, char *at)
{
	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *f = &h->fields[i];
		struct request_line *l = &r->lines[r->line_count];

		if (!request_field_passes(f))
			continue;
		l->off = (uint16_t)(at - r->text);
		l->name_n = (uint16_t)f->name.n;
		keep(&at, f->name);
		*at++ = ':';
		*at++ = ' ';
		if (!keep_value(&at, f)) {
			at = r->text + l->off;
			continue;
		}
		*at++ = '\r';
		*at++ = '\n';
		l->n = (uint16_t)(at - r->text - l->off);
		r->line_count++;
	}
}

struct request *request_new(const struct h1_head *h, const struct target *t, bool query_auth)
{
	size_t bytes = h->method.n + t->rest.n + t->query.n;
	struct request *r;
	char *at;

	for (size_t i = 0; i < h->field_count; i++)
		bytes += h->fields[i].name.n + h->fields[i].value.n + 4;
	if (bytes > UINT16_MAX)
		return NULL; /* not from a head within H1_MAX_HEAD */
	r = malloc(sizeof *r + bytes);
	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct request, lines));
	at = r->text;
	r->method = keep(&at, h->method);
	r->rest = keep(&at, t->rest);
	r->query = rk_slice(at, request_query_without(t->query, query_auth, rk_str(""), at));
	at += r->query.n;
	r->has_query = t->has_query && (r->query.n || t->query.n == 0);
	r->head = rk_slice_is(r->method, "HEAD");
	r->idempotent = method_is_idempotent(r->method);
	r->keep_alive = h->keep_alive;
	r->expect_continue = h->expect_continue;
	r->minor = (uint8_t)h->minor;
	r->body = (uint8_t)h->body;
	r->content_length = h->content_length;
	keep_fields(r, h, at);
	return r;
}
