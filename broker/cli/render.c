#include "cli/render.h"

#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/ipaddr.h"
#include "cli/cli.h"
#include "ipc/catalogue_manage.h"
#include "policy/reason.h"
#include "policy/relay_key.h"

json_t *render_text(struct rk_slice s)
{
	json_t *text = json_stringn(s.n ? s.p : "", s.n);
	char *clean;

	if (text)
		return text;
	clean = malloc(s.n + 1);
	if (!clean)
		return NULL;
	for (size_t i = 0; i < s.n; i++)
		clean[i] = (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?';
	text = json_stringn(clean, s.n);
	free(clean);
	return text;
}

json_t *render_list(struct rk_slice list)
{
	json_t *array = json_array();
	struct rk_slice item;

	while (record_list_next(&list, &item))
		json_array_append_new(array, render_text(item));
	return array;
}

json_t *render_time(int64_t ms)
{
	char text[RK_TIME_TEXT];

	if (!ms)
		return json_null();
	rk_time_format(ms, text);
	return json_string(text);
}

/* null instead of an empty string */
static json_t *optional(struct rk_slice s)
{
	return s.n ? render_text(s) : json_null();
}

json_t *render_conn(const struct msg_conn_info *c)
{
	json_t *certificate =
	    c->client_subject.n
	        ? json_pack("{s:o, s:o}", "subject", render_text(c->client_subject), "expires",
	                    render_time(c->client_expires_ms))
	        : json_null();

	return json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:b, s:i, s:i, s:o, s:o, "
	    "s:o, s:o, s:i, s:o, s:o, s:b, s:I}",
	    "id", render_text(c->id), "name", render_text(c->name), "provider",
	    optional(c->provider), "base_url", render_text(c->base_url), "auth",
	    render_list(c->auth), "enabled", c->enabled, "allow_private",
	    c->flags & UPSTREAM_ALLOW_PRIVATE, "allow_encoded_slash",
	    c->flags & UPSTREAM_ALLOW_ENCODED_SLASH, "allow_set_cookie",
	    c->flags & UPSTREAM_ALLOW_SET_COOKIE, "private_ca", c->private_ca,
	    "credential_version", (int)c->credential_version, "kek_generation",
	    (int)c->kek_generation, "mechanism", render_text(c->mechanism), "secret",
	    render_text(c->secret_hint), "created", render_time(c->created_ms), "updated",
	    render_time(c->updated_ms), "live_keys", (int)c->live_keys, "client_certificate",
	    certificate, "egress_proxy", optional(c->egress), "egress_proxy_secret",
	    c->proxy_secret, "revision", (json_int_t)c->revision);
}

static json_t *render_grant(struct rk_slice encoded)
{
	struct msg_grant g;

	if (record_decode(&msg_grant_desc, encoded, &g))
		return json_null();
	return json_pack("{s:{s:o, s:o}, s:o, s:o, s:o}", "connection", "id", optional(g.conn),
	                 "name", optional(g.conn_name), "methods", render_list(g.methods),
	                 "paths", render_list(g.paths), "deny_query_params",
	                 render_list(g.deny_query));
}

static const char *key_state(uint8_t state)
{
	switch ((enum key_state)state) {
	case KEY_ACTIVE:
		return "active";
	case KEY_REVOKED:
		return "revoked";
	case KEY_EXPIRED:
		return "expired";
	}
	return "unknown";
}

/* null where there is none. */
static json_t *limit(uint32_t n)
{
	return n ? json_integer(n) : json_null();
}

json_t *render_key(const struct msg_key_info *k)
{
	json_t *grants = json_array();
	struct rk_slice list = k->grants, item;

	while (record_list_next(&list, &item))
		json_array_append_new(grants, render_grant(item));
	return json_pack(
	    "{s:o, s:o, s:s, s:{s:s, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
	    "s:i, s:{s:o, s:o, s:o}, s:b, s:b, s:o, s:I}",
	    "id", render_text(k->id), "masked", render_text(k->masked), "state",
	    key_state(k->state), "holder", "kind", holder_kind_name((enum holder_kind)k->kind),
	    "name", render_text(k->holder), "name", optional(k->name), "environment",
	    optional(k->env), "ip", render_list(k->cidrs), "grants", grants, "created",
	    render_time(k->created_ms), "expires", render_time(k->expires_ms), "revoked",
	    render_time(k->revoked_ms), "last_used", render_time(k->last_used_ms), "in_flight",
	    (int)k->in_flight, "limits", "per_minute", limit(k->rate_per_minute), "per_day",
	    limit(k->rate_per_day), "concurrent", limit(k->max_concurrent), "trusted_only",
	    (k->flags & KEY_TRUSTED_ONLY) != 0, "honey", (k->flags & KEY_HONEY) != 0,
	    "minted_by", optional(k->minted_by), "revision", (json_int_t)k->revision);
}

json_t *render_status(const struct msg_status *s)
{
	json_t *token = json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:i, s:I}", "state", render_text(s->token_state),
	    "label", optional(s->token_label), "model", optional(s->token_model), "module",
	    render_text(s->token_module), "mechanism", optional(s->mechanism), "kek_generation",
	    (int)s->kek_generation, "unwraps", (json_int_t)s->unwraps);
	json_t *audit = json_pack("{s:b, s:o, s:I, s:I}", "ok", s->audit_ok, "error",
	                          optional(s->audit_error), "rows", (json_int_t)s->audit_rows,
	                          "commits", (json_int_t)s->batches);

	json_t *panic =
	    json_pack("{s:b, s:o, s:o, s:o}", "on", s->panic, "since", render_time(s->panic_ms),
	              "by", optional(s->panic_by), "reason", optional(s->panic_reason));

	return json_pack(
	    "{s:o, s:o, s:b, s:o, s:o, s:o, s:i, s:{s:I, s:I}, s:i, s:i, s:I, s:I, s:I, s:o}",
	    "version", render_text(s->version), "started", render_time(s->started_ms), "sealed",
	    !s->unsealed, "token", token, "audit", audit, "secret_memory",
	    render_text(s->secret_memory), "connections", (int)s->connections, "keys", "total",
	    (json_int_t)s->keys, "live", (json_int_t)s->live_keys, "in_flight",
	    (int)s->in_flight, "relays", (int)s->relays, "requests", (json_int_t)s->requests,
	    "refused", (json_int_t)s->refused, "policy_version", (json_int_t)s->policy_version,
	    "panic", panic);
}

static void put_hash(json_t *doc, const char *key, const uint8_t hash[32])
{
	char hex[65];

	rk_hex(hash, 32, hex);
	json_object_set_new(doc, key, json_string(hex));
}

/* The request id as clients see it in x-relaykey-request-id. */
static json_t *render_request_id(const uint8_t id[16])
{
	static const uint8_t none[16];
	char text[4 + 33] = "req_";

	if (memcmp(id, none, sizeof none) == 0)
		return json_null();
	rk_hex(id, 16, text + 4);
	return json_string(text);
}

static json_t *render_ip(const uint8_t b[16])
{
	static const uint8_t none[16];
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	if (memcmp(b, none, sizeof none) == 0)
		return json_null();
	memcpy(ip.b, b, sizeof ip.b);
	rk_ip_format(&ip, text);
	return json_string(text);
}

static void put_common(json_t *doc, const struct audit_row *r)
{
	json_object_set_new(doc, "type", json_string(audit_type_name(r->type)));
	json_object_set_new(doc, "time", render_time(r->time_ms));
	if (r->detail.n)
		json_object_set_new(doc, "detail", render_text(r->detail));
}

static void put_request(json_t *doc, const struct audit_row *r)
{
	bool known = r->key_id.n > 0;

	json_object_set_new(doc, "request_id", render_request_id(r->request_id));
	json_object_set_new(doc, "key_id", optional(r->key_id));
	json_object_set_new(doc, "holder",
	                    known
	                        ? json_pack("{s:s, s:o}", "kind",
	                                    holder_kind_name((enum holder_kind)r->holder_kind),
	                                    "name", render_text(r->holder))
	                        : json_null());
	json_object_set_new(doc, "connection",
	                    json_pack("{s:o, s:o}", "id", optional(r->conn_id), "name",
	                              optional(r->conn_name)));
	json_object_set_new(doc, "provider", optional(r->provider));
	json_object_set_new(doc, "environment", optional(r->env));
	json_object_set_new(doc, "client_ip", render_ip(r->client_ip));
	json_object_set_new(doc, "user_agent", optional(r->user_agent));
	json_object_set_new(doc, "method", render_text(r->method));
	json_object_set_new(doc, "path", render_text(r->path));
	json_object_set_new(doc, "query_params", render_list(r->query_names));
	json_object_set_new(doc, "model", optional(r->model));
	json_object_set_new(doc, "decision", json_string(decision_name(r->decision)));
	json_object_set_new(doc, "reason", json_string(reason_info(r->reason)->code));
	json_object_set_new(doc, "policy_version", json_integer((json_int_t)r->policy_version));
	json_object_set_new(doc, "status", r->status ? json_integer(r->status) : json_null());
	if (r->action.n) { /* the broker's own, for whoever manages it */
		json_object_set_new(doc, "actor", optional(r->actor));
		json_object_set_new(doc, "action", render_text(r->action));
	}
}

static void put_response(json_t *doc, const struct audit_row *r)
{
	json_object_set_new(doc, "status", r->status ? json_integer(r->status) : json_null());
	json_object_set_new(doc, "outcome", json_string(audit_outcome_name(r->outcome)));
	json_object_set_new(doc, "bytes_in", json_integer((json_int_t)r->bytes_in));
	json_object_set_new(doc, "bytes_out", json_integer((json_int_t)r->bytes_out));
	json_object_set_new(doc, "upstream_us", json_integer(r->upstream_us));
	json_object_set_new(doc, "total_us", json_integer(r->total_us));
	if (r->reason)
		json_object_set_new(doc, "reason", json_string(reason_info(r->reason)->code));
	if (r->detail.n)
		json_object_set_new(doc, "detail", render_text(r->detail));
}

int render_audit(const struct msg_audit_entry *e, bool with_hashes, json_t **out)
{
	struct audit_row row, response;
	json_t *doc;

	if (record_unpack(&audit_row_desc, e->row, &row) ||
	    (e->response.n && record_unpack(&audit_row_desc, e->response, &response)))
		return RK_E_CORRUPT;
	doc = json_pack("{s:I}", "seq", (json_int_t)e->seq);
	if (!doc)
		return RK_E_NOMEM;
	if (with_hashes) {
		put_hash(doc, "prev_hash", e->prev_hash);
		put_hash(doc, "hash", e->hash);
	}
	put_common(doc, &row);
	switch ((enum audit_type)row.type) {
	case AUDIT_REQUEST:
		put_request(doc, &row);
		break;
	case AUDIT_RESPONSE:
		json_object_set_new(doc, "request_id", render_request_id(row.request_id));
		put_response(doc, &row);
		break;
	default:
		json_object_set_new(doc, "actor", optional(row.actor));
		json_object_set_new(doc, "action", optional(row.action));
		json_object_set_new(doc, "target", optional(row.target));
		break;
	}
	if (e->response.n)
		put_response(doc, &response);
	*out = doc;
	return 0;
}

int render_json_line(json_t *doc)
{
	int bad = !doc || json_dumpf(doc, stdout, JSON_COMPACT) != 0;

	json_decref(doc);
	if (bad)
		return cli_fail(CLI_FAILED, "writing the output failed");
	putchar('\n');
	return CLI_DONE;
}

const char *render_string(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "";
}

void render_print(FILE *out, const char *text, int width)
{
	int column = 0;

	for (; *text && (!width || column < width); text++) {
		unsigned char b = (unsigned char)*text;

		fputc(b < 0x20 || b == 0x7f ? '?' : b, out);
		/* continuation bytes of UTF-8 take no column */
		column += (b & 0xc0) != 0x80;
	}
	for (; column < width; column++)
		fputc(' ', out);
}
