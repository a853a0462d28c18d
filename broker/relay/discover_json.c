#include "base/clock.h"
#include "policy/provider.h"
#include "policy/relay_key.h"
#include "relay/discover.h"

enum { DISCOVER_MAX_BYTES = 512 << 10 };

/* One document under construction; the first error stays. */
struct json {
	struct rk_buf *out;
	int err;
};

static void put(struct json *j, struct rk_slice s)
{
	if (!j->err)
		j->err = rk_buf_add_slice(j->out, s);
}

static void raw(struct json *j, const char *s)
{
	put(j, rk_str(s));
}

/* The bytes of a string; what is not ASCII as '?'. */
static void chars(struct json *j, struct rk_slice s)
{
	for (size_t i = 0; i < s.n && !j->err; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			raw(j, "\\");
		if (c < 0x20)
			j->err = rk_buf_printf(j->out, "\\u%04x", c);
		else
			put(j, c < 0x7f ? rk_slice(s.p + i, 1) : rk_str("?"));
	}
}

static void string(struct json *j, struct rk_slice s)
{
	raw(j, "\"");
	chars(j, s);
	raw(j, "\"");
}

/* null when empty */
static void text(struct json *j, struct rk_slice s)
{
	if (s.n)
		string(j, s);
	else
		raw(j, "null");
}

static void list(struct json *j, struct rk_slice items)
{
	struct rk_slice item;
	const char *before = "[";

	if (!items.n)
		raw(j, "[");
	while (record_list_next(&items, &item)) {
		raw(j, before);
		string(j, item);
		before = ",";
	}
	raw(j, "]");
}

static void number(struct json *j, const char *before, uint32_t n)
{
	if (!j->err)
		j->err = rk_buf_printf(j->out, "%s%u", before, n);
}

static void limit(struct json *j, const char *name, uint32_t most, uint32_t left,
                  uint32_t reset_s)
{
	raw(j, name);
	if (!most) {
		raw(j, "null");
		return;
	}
	number(j, "{\"limit\":", most);
	number(j, ",\"remaining\":", left);
	if (reset_s)
		number(j, ",\"reset_seconds\":", reset_s);
	raw(j, "}");
}

static void key(struct json *j, const struct msg_discovered *m)
{
	char time[RK_TIME_TEXT] = "";

	if (m->expires_ms)
		rk_time_format(m->expires_ms, time);
	raw(j, "{\"key\":{\"id\":");
	string(j, m->key_id);
	raw(j, ",\"masked\":");
	string(j, m->masked);
	raw(j, ",\"name\":");
	text(j, m->name);
	raw(j, ",\"environment\":");
	text(j, m->env);
	raw(j, ",\"holder\":{\"kind\":");
	string(j, rk_str(holder_kind_name((enum holder_kind)m->kind)));
	raw(j, ",\"name\":");
	string(j, m->holder);
	raw(j, "},\"expires_at\":");
	text(j, rk_str(time));
	raw(j, ",\"allowed_ips\":");
	list(j, m->cidrs);
	raw(j, ",\"limits\":{");
	limit(j, "\"per_minute\":", m->minute_limit, m->minute_left, m->minute_reset_s);
	limit(j, ",\"per_day\":", m->day_limit, m->day_left, m->day_reset_s);
	limit(j, ",\"concurrent\":", m->concurrent_limit, m->concurrent_left, 0);
	raw(j, "}}");
}

bool discover_proxy_path(struct rk_slice glob, struct rk_slice base_path,
                         struct rk_slice *behind)
{
	struct rk_slice rest = rk_slice_skip(glob, base_path.n);

	if (rk_slice_starts(glob, base_path) && (!rest.n || rest.p[0] == '/')) {
		*behind = rest;
		return true;
	}
	/* it covers everything, wherever the base path ends */
	if (!rk_slice_is(glob, "/**") && !rk_slice_is(glob, "/*"))
		return false;
	*behind = glob;
	return true;
}

static void paths(struct json *j, const struct msg_reach *r)
{
	struct rk_slice left = r->paths, glob, behind;
	const char *before = "";

	raw(j, "[");
	while (record_list_next(&left, &glob)) {
		raw(j, before);
		raw(j, "{\"upstream\":");
		string(j, glob);
		raw(j, ",\"proxy\":");
		if (discover_proxy_path(glob, r->base_path, &behind)) {
			raw(j, "\"/");
			chars(j, r->name);
			chars(j, behind);
			raw(j, "\"}");
		} else {
			raw(j, "null}");
		}
		before = ",";
	}
	raw(j, "]");
}

/* What the provider's SDKs are told, where the base path is the one that they expect. */
static void sdk(struct json *j, const struct msg_reach *r)
{
	const struct provider *p = provider_find(r->provider);
	const char *path = p ? provider_base_path(p) : NULL;
	struct rk_slice vars = rk_str(p ? p->base_vars : NULL), first = {0};

	if (!p) {
		raw(j, "null");
		return;
	}
	if (!p->sdk_reads_base || !provider_next_word(&vars, &first))
		first.n = 0;
	raw(j, "{\"key_variable\":");
	text(j, rk_str(p->key_var));
	raw(j, ",\"base_url_variable\":");
	if (path && !rk_slice_is(r->base_path, path)) {
		raw(j, "null,\"note\":\"the SDK expects the base path '");
		raw(j, path);
		raw(j, "', this connection has another one\"}");
		return;
	}
	text(j, first);
	raw(j, ",\"note\":");
	text(j, rk_str(p->sdk));
	raw(j, "}");
}

static void reach(struct json *j, const struct msg_reach *r, struct rk_slice authority)
{
	raw(j, "{\"id\":");
	string(j, r->conn_id);
	raw(j, ",\"name\":");
	string(j, r->name);
	raw(j, ",\"provider\":");
	text(j, r->provider);
	raw(j, r->enabled ? ",\"state\":\"active\"" : ",\"state\":\"frozen\"");
	raw(j, ",\"base_url\":\"https://");
	chars(j, authority);
	raw(j, "/");
	chars(j, r->name);
	raw(j, "\",\"allowed_methods\":");
	list(j, r->methods);
	raw(j, ",\"allowed_paths\":");
	paths(j, r);
	raw(j, ",\"deny_query_params\":");
	list(j, r->deny_query);
	raw(j, ",\"sdk\":");
	sdk(j, r);
	raw(j, "}");
}

int discover_render(const struct msg_discovered *m, struct rk_slice authority,
                    struct rk_buf *out)
{
	struct json j = {.out = out};
	struct rk_slice left = m->reaches, one;
	const char *before = "";

	rk_buf_init(out, DISCOVER_MAX_BYTES);
	key(&j, m);
	raw(&j, ",\"connections\":[");
	while (!j.err && record_list_next(&left, &one)) {
		struct msg_reach r;

		j.err = record_decode(&msg_reach_desc, one, &r);
		if (j.err)
			break;
		raw(&j, before);
		reach(&j, &r, authority);
		before = ",";
	}
	number(&j, "],\"connections_left_out\":", m->left_out);
	raw(&j, "}\n");
	if (j.err)
		rk_buf_free(out);
	return j.err;
}
