#include "api/fields.h"
#include "ipc/catalogue_manage.h"
#include "policy/rate.h"
#include "policy/relay_key.h"

/* ---- another scope of a relay key ---- */

#define SET(m) API_AT(struct msg_key_update, m)

static const struct api_field limits_change_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: no limit.", API_INTEGER, API_NULL,
     SET(rate_per_minute), .min = 1, .max = RATE_MAX, .set = KEY_SET_RATE_PER_MINUTE},
    {"per_day", "Requests in a UTC day; null: no limit.", API_INTEGER, API_NULL,
     SET(rate_per_day), .min = 1, .max = RATE_MAX, .set = KEY_SET_RATE_PER_DAY},
    {"concurrent", "Requests at once; null: no limit.", API_INTEGER, API_NULL,
     SET(max_concurrent), .min = 1, .max = RATE_MAX, .set = KEY_SET_MAX_CONCURRENT},
};
static const struct api_schema limits_change = {
    .name = "LimitsChange",
    .about = "Limits that shall be different; the others stay.",
    API_FIELDS(limits_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_key_update, set),
};

static const struct api_field relay_key_change_fields[] = {
    {"name", "What it is for.", API_STRING, API_NULL, SET(name), .max = MSG_MAX_NAME,
     .set = KEY_SET_NAME},
    {"environment", "Label: dev, staging, production, CI.", API_STRING, API_NULL, SET(env),
     .max = MSG_MAX_NAME, .set = KEY_SET_ENV},
    {"ttl_seconds", "Its life from now on. This or expires_at.", API_SECONDS, API_NULL,
     SET(ttl_ms), .min = 1, .set = KEY_SET_EXPIRY},
    {"expires_at", "Its end; null: none.", API_TIME, API_NULL, SET(expires_ms),
     .set = KEY_SET_EXPIRY},
    {"allowed_ips", "Prefixes that it may be used from; empty: any.", API_STRINGS, 0,
     SET(cidrs), .max = MSG_MAX_LIST, .set = KEY_SET_CIDRS, .example = "198.51.100.0/24"},
    {"grants", "All that it may do from now on.", API_OBJECTS, 0, SET(grants),
     .max = MSG_MAX_GRANTS, .object = &api_grant_new, .set = KEY_SET_GRANTS},
    {"limits", "Of the key as a whole.", API_GROUP, 0, .object = &limits_change},
    {"trusted_only", "Only from addresses that its holder is trusted at.", API_FLAG, 0,
     SET(flags), .bits = KEY_TRUSTED_ONLY, .set = KEY_SET_FLAGS},
};
const struct api_schema api_relay_key_change = {
    .name = "RelayKeyChange",
    .about = "What shall be different of a relay key.",
    .desc = &msg_key_update_desc,
    API_FIELDS(relay_key_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_key_update, set),
};

/* ---- a relay key for an automation ---- */

#define MINT(m) API_AT(struct msg_key_mint, m)

static const struct api_field limits_minted_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: as the bounds say.", API_INTEGER,
     API_NULL, MINT(rate_per_minute), .min = 1, .max = RATE_MAX},
    {"per_day", "Requests in a UTC day; null: as the bounds say.", API_INTEGER, API_NULL,
     MINT(rate_per_day), .min = 1, .max = RATE_MAX},
    {"concurrent", "Requests at once; null: as the bounds say.", API_INTEGER, API_NULL,
     MINT(max_concurrent), .min = 1, .max = RATE_MAX},
};
static const struct api_schema limits_minted = {
    .name = "LimitsMinted",
    .about = "Limits of a key that is minted.",
    API_FIELDS(limits_minted_fields),
};

static const struct api_field delegated_fields[] = {
    {"connection_id", "Id or name of the connection.", API_STRING, API_REQUIRED, MINT(conn),
     .max = MSG_MAX_NAME, .example = "conn_a1b2c3"},
    {"name", "What it is for.", API_STRING, API_NULL, MINT(name), .max = MSG_MAX_NAME,
     .example = "agent-run-2026-05-01"},
    {"allowed_methods", "Methods; \"*\" is every one.", API_STRINGS, API_REQUIRED,
     MINT(methods), .max = MSG_MAX_LIST, .example = "GET"},
    {"allowed_paths", "Globs over the whole upstream path.", API_STRINGS, API_REQUIRED,
     MINT(paths), .max = MSG_MAX_LIST, .example = "/crm/v3/objects/contacts/*"},
    {"deny_query_params", "Names of query parameters that are refused.", API_STRINGS, 0,
     MINT(deny_query), .max = MSG_MAX_LIST},
    {"ttl_seconds", "Its life from now on; null: for ever, where the bounds allow that.",
     API_SECONDS, API_NULL, MINT(ttl_ms), .min = 1},
    {"kind", "What its holder is; none: the one that the bounds allow, else an agent.",
     API_ENUM, 0, MINT(kind), .value = api_holder_kind, .last = HOLDER_KINDS - 1,
     .set = MINT_SET_KIND},
    {"holder", "Name of its holder; null: of the bounds, else the management key's.",
     API_STRING, API_NULL, MINT(holder), .max = MSG_MAX_NAME},
    {"environment", "Label; null: of the bounds.", API_STRING, API_NULL, MINT(env),
     .max = MSG_MAX_NAME},
    {"allowed_ips", "Prefixes that it may be used from; none: any.", API_STRINGS, 0,
     MINT(cidrs), .max = MSG_MAX_LIST, .example = "198.51.100.0/24"},
    {"trusted_only", "Only from addresses that its holder is trusted at.", API_FLAG, 0,
     MINT(flags), .bits = KEY_TRUSTED_ONLY},
    {"any_ip", "From any address, a person's or vendor's key too.", API_FLAG, 0, MINT(flags),
     .bits = KEY_ANY_IP},
    {"limits", "Of the key as a whole.", API_GROUP, API_NULL, .object = &limits_minted},
};
const struct api_schema api_delegated_credential = {
    .name = "DelegatedCredential",
    .about = "A relay key to mint, within the bounds of the management key.",
    .desc = &msg_key_mint_desc,
    API_FIELDS(delegated_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_key_mint, set),
};
