#include "cli/render_access.h"

#include "ipc/catalogue_manage.h"
#include "policy/mgmt_role.h"
#include "policy/relay_key.h"

/* null where there is none. */
static json_t *text_or_null(struct rk_slice s)
{
	return s.n ? render_text(s) : json_null();
}

static json_t *number_or_null(uint32_t n)
{
	return n ? json_integer(n) : json_null();
}

static const char *state_name(uint8_t state)
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

static json_t *render_bound_grant(struct rk_slice encoded)
{
	struct msg_grant g;

	if (record_decode(&msg_grant_desc, encoded, &g))
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "connection_id", text_or_null(g.conn),
	                 "connection", text_or_null(g.conn_name), "allowed_methods",
	                 render_list(g.methods), "allowed_paths", render_list(g.paths),
	                 "deny_query_params", render_list(g.deny_query));
}

static json_t *render_kinds(uint32_t kinds)
{
	json_t *array = json_array();

	for (unsigned k = 0; k < HOLDER_KINDS; k++) {
		if (!kinds || kinds & 1u << k)
			json_array_append_new(array, json_string(holder_kind_name(k)));
	}
	return array;
}

static json_t *render_bounds(const struct msg_mgmt_info *k)
{
	struct rk_slice list = k->grants, item;
	json_t *grants;

	if (k->role != ROLE_PROVISIONER)
		return json_null();
	grants = json_array();
	while (record_list_next(&list, &item))
		json_array_append_new(grants, render_bound_grant(item));
	return json_pack("{s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o}", "grants", grants,
	                 "kinds", render_kinds(k->kinds), "max_ttl_seconds",
	                 k->max_ttl_ms ? json_integer(k->max_ttl_ms / 1000) : json_null(),
	                 "max_live_keys", number_or_null(k->max_live_keys), "limits",
	                 "per_minute", number_or_null(k->rate_per_minute), "per_day",
	                 number_or_null(k->rate_per_day), "concurrent",
	                 number_or_null(k->max_concurrent), "environment", text_or_null(k->env),
	                 "holder", text_or_null(k->holder));
}

json_t *render_mgmt(const struct msg_mgmt_info *k)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:i, s:i, s:o}",
	                 "id", render_text(k->id), "masked", render_text(k->masked), "role",
	                 mgmt_role_name(k->role), "name", render_text(k->name), "state",
	                 state_name(k->state), "created_at", render_time(k->created_ms),
	                 "expires_at", render_time(k->expires_ms), "revoked_at",
	                 render_time(k->revoked_ms), "last_used_at",
	                 render_time(k->last_used_ms), "revision", (json_int_t)k->revision,
	                 "minted", (int)k->minted, "live_keys", (int)k->live_keys, "bounds",
	                 render_bounds(k));
}

json_t *render_user(const struct msg_user_info *u)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:I}", "id", render_text(u->id),
	                 "name", render_text(u->name), "email", text_or_null(u->email), "role",
	                 mgmt_role_name(u->role), "enabled", u->enabled, "created_at",
	                 render_time(u->created_ms), "updated_at", render_time(u->updated_ms),
	                 "revision", (json_int_t)u->revision);
}
