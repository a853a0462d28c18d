#include "keeper/authorize.h"

#include "base/base62.h"
#include "http/target.h"
#include "keeper/index_holder.h"
#include "policy/glob.h"

static bool list_has(struct rk_slice list, struct rk_slice what)
{
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		if (rk_slice_eq(item, what))
			return true;
	}
	return false;
}

static bool method_matches(struct rk_slice methods, struct rk_slice method)
{
	struct rk_slice item;

	while (record_list_next(&methods, &item)) {
		if (rk_slice_is(item, "*") || rk_slice_eq(item, method))
			return true;
	}
	return false;
}

static bool path_matches(struct rk_slice paths, struct rk_slice path)
{
	struct rk_slice item;

	while (record_list_next(&paths, &item)) {
		if (glob_match(item, path))
			return true;
	}
	return false;
}

static bool query_denied(struct rk_slice deny, struct rk_slice names)
{
	struct rk_slice item;

	while (deny.n && record_list_next(&names, &item)) {
		if (list_has(deny, item))
			return true;
	}
	return false;
}

static bool key_expired(const struct index_key *k, int64_t now_ms)
{
	return k->expires_ms && now_ms >= k->expires_ms;
}

/* Whether the key is good; the detail tells what is wrong with it. */
static bool check_key(struct index *ix, const struct msg_authorize *m, int64_t now_ms,
                      struct authorized *out)
{
	struct relay_key parsed;
	uint8_t digest[32];

	if (m->key_conflict) {
		out->detail = "conflict";
		return false;
	}
	if (!m->key.n) {
		out->detail = "none";
		return false;
	}
	if (!relay_key_parse(m->key, &parsed)) {
		rk_sha256(m->key, digest);
		out->key = index_key_by_digest(ix, digest);
	}
	if (!out->key)
		out->detail = "unknown";
	else if (out->key->revoked_ms)
		out->detail = "revoked";
	else if (key_expired(out->key, now_ms))
		out->detail = "expired";
	else if (out->key->flags & KEY_HONEY)
		out->detail = "honey"; /* whoever has it took it from where it lay */
	return !out->detail[0];
}

static bool check_address(const struct index_key *k, const uint8_t client_ip[16])
{
	struct rk_ip ip;

	if (!k->cidr_count)
		return true;
	memcpy(ip.b, client_ip, sizeof ip.b);
	for (unsigned i = 0; i < k->cidr_count; i++) {
		if (rk_cidr_contains(&k->cidrs[i], &ip))
			return true;
	}
	return false;
}

/* base_path + rest, the bytes that go upstream. */
static void join_path(const struct index_conn *c, struct rk_slice rest, struct authorized *out)
{
	size_t base = strlen(c->url.path);

	if (!base && !rest.n)
		rest = rk_str("/");
	memcpy(out->path_mem, c->url.path, base);
	if (rest.n)
		memcpy(out->path_mem + base, rest.p, rest.n);
	out->path = rk_slice(out->path_mem, base + rest.n);
}

static bool has_grant(const struct index_key *k, const struct index_conn *c)
{
	for (unsigned i = 0; i < k->grant_count; i++) {
		if (k->grants[i]->conn == c)
			return true;
	}
	return false;
}

/* Names the last hurdle that any grant got to. */
static enum reason check_grants(const struct index_key *key, const struct index_conn *conn,
                                struct rk_slice method, struct rk_slice path,
                                struct rk_slice query_names)
{
	enum reason worst = REASON_METHOD_DENIED;

	for (unsigned i = 0; i < key->grant_count; i++) {
		const struct index_grant *g = key->grants[i];

		if (g->conn != conn || !method_matches(g->methods, method))
			continue;
		if (!path_matches(g->paths, path)) {
			if (worst == REASON_METHOD_DENIED)
				worst = REASON_PATH_DENIED;
			continue;
		}
		if (!query_denied(g->deny_query, query_names))
			return REASON_OK;
		worst = REASON_QUERY_DENIED;
	}
	return worst;
}

/* Trust in an address is the holder's, whichever key of it is used. */
static enum trust_verdict check_trust(const struct index *ix, const struct index_key *k,
                                      const uint8_t client_ip[16])
{
	if (!(k->flags & KEY_TRUSTED_ONLY))
		return TRUST_YES;
	return index_trust_judge(ix, k->owner, client_ip);
}

static enum reason decide(struct index *ix, const struct msg_authorize *m, bool sealed,
                          int64_t now_ms, struct authorized *out)
{
	enum trust_verdict trust;
	enum reason reason;
	unsigned flags = 0;
	int err;

	if (sealed)
		return REASON_SEALED;
	if (!check_key(ix, m, now_ms, out))
		return REASON_INVALID_KEY;
	if (!out->conn)
		return REASON_NO_CONN;
	if (!has_grant(out->key, out->conn))
		return REASON_CONN_NOT_GRANTED;
	if (!out->conn->enabled)
		return REASON_CONN_DISABLED;
	if (!check_address(out->key, m->client_ip))
		return REASON_IP_DENIED;
	trust = check_trust(ix, out->key, m->client_ip);
	if (trust == TRUST_NO)
		return REASON_IP_UNCONFIRMED;
	if (out->conn->flags & UPSTREAM_ALLOW_ENCODED_SLASH)
		flags |= TARGET_ALLOW_ENCODED_SLASH;
	/* the relay has checked it too, but is not trusted to have done so */
	err = m->rest.n ? target_check_path(m->rest, flags) : 0;
	if (err) {
		out->detail = target_err_code(err);
		return REASON_AMBIGUOUS_PATH;
	}
	reason = check_grants(out->key, out->conn, m->method, out->path, m->query_names);
	out->first = reason == REASON_OK && trust == TRUST_FIRST;
	return out->first ? REASON_IP_UNCONFIRMED : reason;
}

void authorize(struct index *ix, const struct msg_authorize *m, bool sealed, int64_t now_ms,
               struct authorized *out)
{
	out->key = NULL;
	out->first = false;
	out->detail = "";
	out->conn = index_conn_find(ix, m->conn);
	if (out->conn)
		join_path(out->conn, m->rest, out);
	else
		out->path = m->rest;
	out->reason = decide(ix, m, sealed, now_ms, out);
}

void authorize_key(struct index *ix, const struct msg_authorize *m, bool sealed, int64_t now_ms,
                   struct authorized *out)
{
	out->key = NULL;
	out->conn = NULL;
	out->first = false;
	out->detail = "";
	if (sealed)
		out->reason = REASON_SEALED;
	else if (!check_key(ix, m, now_ms, out))
		out->reason = REASON_INVALID_KEY;
	else if (!check_address(out->key, m->client_ip))
		out->reason = REASON_IP_DENIED;
	else /* a first address may look, and is not trusted for that */
		out->reason = check_trust(ix, out->key, m->client_ip) == TRUST_NO
		                  ? REASON_IP_UNCONFIRMED
		                  : REASON_OK;
}

enum reason authorize_limits(struct authorized *out, struct rate_now now,
                             struct rate_report *report)
{
	struct index_key *k = out->key;

	*report = (struct rate_report){0};
	if (out->reason == REASON_OK && k->rate)
		out->reason = rate_check(k->rate, k->in_flight, now, report, &out->detail);
	return out->reason;
}

enum reason authorize_key_still(const struct index_key *key, int64_t now_ms)
{
	return key->revoked_ms || key_expired(key, now_ms) ? REASON_INVALID_KEY : REASON_OK;
}

enum reason authorize_still(const struct index_key *key, const struct index_conn *conn,
                            int64_t now_ms)
{
	enum reason now = authorize_key_still(key, now_ms);

	if (now != REASON_OK)
		return now;
	if (conn->removed)
		return REASON_NO_CONN;
	return conn->enabled ? REASON_OK : REASON_CONN_DISABLED;
}

enum reason authorize_policy(const struct index *ix, const struct index_key *key,
                             const struct index_conn *conn, const uint8_t client_ip[16],
                             struct rk_slice method, struct rk_slice path,
                             struct rk_slice query_names)
{
	if (!has_grant(key, conn))
		return REASON_CONN_NOT_GRANTED;
	if (!check_address(key, client_ip))
		return REASON_IP_DENIED;
	if (check_trust(ix, key, client_ip) != TRUST_YES)
		return REASON_IP_UNCONFIRMED;
	return check_grants(key, conn, method, path, query_names);
}
