#include "api/fields.h"
#include "ipc/catalogue_manage.h"
#include "policy/rate.h"
#include "policy/relay_key.h"

const char *api_holder_kind(unsigned kind)
{
	return holder_kind_name((enum holder_kind)kind);
}

const char *api_key_state(unsigned state)
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

/* ---- grants ---- */

#define GRANT(m) API_AT(struct msg_grant, m)
#define GRANT_LISTS                                                                            \
	{"allowed_methods", "Methods; \"*\" is every one.",                                    \
	 API_STRINGS,       0,                                                                 \
	 GRANT(methods),    .max = MSG_MAX_LIST,                                               \
	 .example = "GET"},                                                                    \
	    {"allowed_paths",                                                                  \
	     "Globs over the whole upstream path. * stays in a segment, a trailing /* "        \
	     "covers all below, ** crosses anywhere.",                                         \
	     API_STRINGS,                                                                      \
	     0,                                                                                \
	     GRANT(paths),                                                                     \
	     .max = MSG_MAX_LIST,                                                              \
	     .example = "/v1/files/*"},                                                        \
	{                                                                                      \
		"deny_query_params", "Names of query parameters that are refused.",            \
		    API_STRINGS, 0, GRANT(deny_query), .max = MSG_MAX_LIST                     \
	}

static const struct api_field grant_fields[] = {
    {"connection_id", "Null: the connection was removed.", API_STRING, API_NULL, GRANT(conn),
     .max = MSG_MAX_NAME},
    {"connection_name", "Its name now.", API_STRING, API_NULL, GRANT(conn_name),
     .max = MSG_MAX_NAME},
    GRANT_LISTS,
};
const struct api_schema api_grant = {
    .name = "Grant",
    .about = "What a relay key may do on one connection. What is not allowed is denied.",
    .desc = &msg_grant_desc,
    API_FIELDS(grant_fields),
};

static const struct api_field grant_new_fields[] = {
    {"connection_id", "Id or name of the connection.", API_STRING, API_REQUIRED, GRANT(conn),
     .max = MSG_MAX_NAME},
    GRANT_LISTS,
};
const struct api_schema api_grant_new = {
    .name = "GrantNew",
    .about = "What a relay key shall be allowed to do on one connection.",
    .desc = &msg_grant_desc,
    API_FIELDS(grant_new_fields),
};

/* ---- keys ---- */

#define KEY(m)   API_AT(struct msg_key_info, m)
#define ISSUE(m) API_AT(struct msg_key_issue, m)

static const struct api_field holder_fields[] = {
    {"kind", "What it is.", API_ENUM, 0, KEY(kind), .value = api_holder_kind,
     .last = HOLDER_KINDS - 1},
    {"name", "Who it is.", API_STRING, 0, KEY(holder), .max = MSG_MAX_NAME},
};
static const struct api_schema holder_of_key = {
    .name = "Holder",
    .about = "The application, agent, person or vendor that a relay key belongs to.",
    API_FIELDS(holder_fields),
};

static const struct api_field limits_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: no limit.", API_INTEGER, API_NULL,
     KEY(rate_per_minute)},
    {"per_day", "Requests in a UTC day; null: no limit.", API_INTEGER, API_NULL,
     KEY(rate_per_day)},
    {"concurrent", "Requests at once; null: no limit.", API_INTEGER, API_NULL,
     KEY(max_concurrent)},
};
static const struct api_schema limits_of_key = {
    .name = "Limits",
    .about = "How much a relay key may do in a time.",
    API_FIELDS(limits_fields),
};

static const struct api_field relay_key_fields[] = {
    {"id", "Names the key in lists and in the audit log.", API_STRING, 0, KEY(id),
     .max = MSG_MAX_NAME, .example = "key_0A1b2C3d4E5f"},
    {"key", "The key itself. In the answer to its making only, never again.", API_STRING,
     API_SECRET | API_OMIT, KEY(key), .max = MSG_MAX_KEY},
    {"masked", "How the key is shown elsewhere.", API_STRING, 0, KEY(masked),
     .max = MSG_MAX_NAME, .example = "rk_vendor...91k"},
    {"state", "Only an active one is let through.", API_ENUM, 0, KEY(state),
     .value = api_key_state, .first = KEY_ACTIVE, .last = KEY_EXPIRED},
    {"holder", "Whose it is.", API_GROUP, 0, .object = &holder_of_key},
    {"name", "What it is for.", API_STRING, API_NULL, KEY(name), .max = MSG_MAX_NAME},
    {"environment", "Label: dev, staging, production, CI.", API_STRING, API_NULL, KEY(env),
     .max = MSG_MAX_NAME},
    {"allowed_ips", "Prefixes that it may be used from; empty: any.", API_STRINGS, 0,
     KEY(cidrs), .max = MSG_MAX_LIST, .example = "198.51.100.0/24"},
    {"grants", "What it may do; anything else is denied.", API_OBJECTS, 0, KEY(grants),
     .max = MSG_MAX_GRANTS, .object = &api_grant},
    {"created_at", "When it was issued.", API_TIME, API_NULL, KEY(created_ms)},
    {"expires_at", "Null: it does not.", API_TIME, API_NULL, KEY(expires_ms)},
    {"revoked_at", "Null: it was not.", API_TIME, API_NULL, KEY(revoked_ms)},
    {"last_used_at", "Since the broker's start; null: not used.", API_TIME, API_NULL,
     KEY(last_used_ms)},
    {"in_flight", "Requests of it that run now.", API_INTEGER, 0, KEY(in_flight)},
    {"trusted_only", "Only from addresses that its holder is trusted at.", API_FLAG, 0,
     KEY(flags), .bits = KEY_TRUSTED_ONLY},
    {"honey", "A decoy: never valid, and its use raises an alert.", API_FLAG, 0, KEY(flags),
     .bits = KEY_HONEY},
    {"minted_by", "Id of the management key that it was minted with; null: none.", API_STRING,
     API_NULL, KEY(minted_by), .max = MSG_MAX_NAME},
    {"limits", "Of the key as a whole.", API_GROUP, 0, .object = &limits_of_key},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     KEY(revision)},
};
const struct api_schema api_relay_key = {
    .name = "RelayKey",
    .about = "A disposable key with a scope.",
    .desc = &msg_key_info_desc,
    API_FIELDS(relay_key_fields),
};

static const struct api_field holder_new_fields[] = {
    {"kind", "What it is.", API_ENUM, API_REQUIRED, ISSUE(kind), .value = api_holder_kind,
     .last = HOLDER_KINDS - 1},
    {"name", "Who it is.", API_STRING, API_REQUIRED, ISSUE(holder), .max = MSG_MAX_NAME},
};
static const struct api_schema holder_new = {
    .name = "HolderNew",
    .about = "Whose a relay key shall be.",
    API_FIELDS(holder_new_fields),
};

static const struct api_field limits_new_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: no limit.", API_INTEGER, API_NULL,
     ISSUE(rate_per_minute), .min = 1, .max = RATE_MAX},
    {"per_day", "Requests in a UTC day; null: no limit.", API_INTEGER, API_NULL,
     ISSUE(rate_per_day), .min = 1, .max = RATE_MAX},
    {"concurrent", "Requests at once; null: no limit.", API_INTEGER, API_NULL,
     ISSUE(max_concurrent), .min = 1, .max = RATE_MAX},
};
static const struct api_schema limits_new = {
    .name = "LimitsNew",
    .about = "How much a relay key may do in a time.",
    API_FIELDS(limits_new_fields),
};

static const struct api_field relay_key_new_fields[] = {
    {"holder", "Whose it shall be.", API_GROUP, API_REQUIRED, .object = &holder_new},
    {"name", "What it is for.", API_STRING, API_NULL, ISSUE(name), .max = MSG_MAX_NAME},
    {"environment", "Label: dev, staging, production, CI.", API_STRING, API_NULL, ISSUE(env),
     .max = MSG_MAX_NAME},
    {"allowed_ips", "Prefixes that it may be used from; none: any.", API_STRINGS, 0,
     ISSUE(cidrs), .max = MSG_MAX_LIST, .example = "198.51.100.0/24"},
    {"grants", "What it may do; anything else is denied. Only a decoy needs none.", API_OBJECTS,
     0, ISSUE(grants), .max = MSG_MAX_GRANTS, .object = &api_grant_new},
    {"ttl_seconds", "Its life from now on. This or expires_at, or none: for ever.", API_SECONDS,
     API_NULL, ISSUE(ttl_ms), .min = 1},
    {"expires_at", "Its end.", API_TIME, API_NULL, ISSUE(expires_ms)},
    {"trusted_only",
     "Only from addresses that its holder is trusted at: so is a person's or "
     "vendor's key without allowed_ips and any_ip.",
     API_FLAG, 0, ISSUE(flags), .bits = KEY_TRUSTED_ONLY},
    {"any_ip", "From any address, a person's or vendor's key too.", API_FLAG, 0, ISSUE(flags),
     .bits = KEY_ANY_IP},
    {"honey", "A decoy: never valid, and its use raises an alert.", API_FLAG, 0, ISSUE(flags),
     .bits = KEY_HONEY},
    {"limits", "Of the key as a whole.", API_GROUP, API_NULL, .object = &limits_new},
};
const struct api_schema api_relay_key_new = {
    .name = "RelayKeyNew",
    .about = "A relay key to issue.",
    .desc = &msg_key_issue_desc,
    API_FIELDS(relay_key_new_fields),
};

static const struct api_field expiry_new_fields[] = {
    {"ttl_seconds", "From now on. This or expires_at.", API_SECONDS, API_NULL,
     API_AT(struct msg_key_extend, ttl_ms), .min = 1},
    {"expires_at", "Its end.", API_TIME, API_NULL, API_AT(struct msg_key_extend, expires_ms)},
};
const struct api_schema api_expiry_new = {
    .name = "ExpiryNew",
    .about = "Another end of a relay key.",
    .desc = &msg_key_extend_desc,
    API_FIELDS(expiry_new_fields),
};
