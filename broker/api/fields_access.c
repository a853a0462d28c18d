#include "api/fields.h"
#include "ipc/catalogue_manage.h"
#include "policy/mgmt_role.h"
#include "policy/rate.h"
#include "policy/relay_key.h"

/* ---- management keys ---- */

#define INFO(m)    API_AT(struct msg_mgmt_info, m)
#define ROLE_NAMES .value = mgmt_role_name, .first = ROLE_ADMIN, .last = ROLE_PROVISIONER
#define KIND_NAMES .value = api_holder_kind, .last = HOLDER_KINDS - 1

static const struct api_field highest_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: any number.", API_INTEGER, API_NULL,
     INFO(rate_per_minute)},
    {"per_day", "Requests in a UTC day; null: any number.", API_INTEGER, API_NULL,
     INFO(rate_per_day)},
    {"concurrent", "Requests at once; null: any number.", API_INTEGER, API_NULL,
     INFO(max_concurrent)},
};
static const struct api_schema highest_limits = {
    .name = "HighestLimits",
    .about = "Limits that a minted key gets at most.",
    API_FIELDS(highest_fields),
};

static const struct api_field bounds_fields[] = {
    {"grants", "What a minted key may do at most.", API_OBJECTS, 0, INFO(grants),
     .max = MSG_MAX_GRANTS, .object = &api_grant},
    {"kinds", "What its holder may be; empty: anything.", API_NAMES, 0, INFO(kinds),
     KIND_NAMES},
    {"max_ttl_seconds", "How long it may live; null: it need not end.", API_SECONDS, API_NULL,
     INFO(max_ttl_ms)},
    {"max_live_keys", "How many of them may be live at once; null: any number.", API_INTEGER,
     API_NULL, INFO(max_live_keys)},
    {"limits", "Highest limits.", API_GROUP, 0, .object = &highest_limits},
    {"environment", "The only one; null: any.", API_STRING, API_NULL, INFO(env),
     .max = MSG_MAX_NAME},
    {"holder", "Name of the only one; null: any.", API_STRING, API_NULL, INFO(holder),
     .max = MSG_MAX_NAME},
};
static const struct api_schema mint_bounds = {
    .name = "MintBounds",
    .about = "Within which a provisioner's key mints relay keys.",
    API_FIELDS(bounds_fields),
};

static const struct api_field mgmt_fields[] = {
    {"id", "Names the key in lists and in the audit log.", API_STRING, 0, INFO(id),
     .max = MSG_MAX_NAME, .example = "mkey_0A1b2C3d4E5f"},
    {"key", "The key itself. In the answer to its making only, never again.", API_STRING,
     API_SECRET | API_OMIT, INFO(key), .max = MSG_MAX_KEY},
    {"masked", "How the key is shown elsewhere.", API_STRING, 0, INFO(masked),
     .max = MSG_MAX_NAME, .example = "rk_mgmt_admin...91k"},
    {"role", "What it may do.", API_ENUM, 0, INFO(role), ROLE_NAMES},
    {"name", "What it is for.", API_STRING, 0, INFO(name), .max = MSG_MAX_NAME},
    {"state", "Only an active one is let in.", API_ENUM, 0, INFO(state), .value = api_key_state,
     .first = KEY_ACTIVE, .last = KEY_EXPIRED},
    {"bounds", "Null: it is no provisioner's.", API_GROUP, API_NULL, .object = &mint_bounds},
    {"minted", "Relay keys that it minted.", API_INTEGER, 0, INFO(minted)},
    {"live_keys", "Of these, those neither revoked nor expired.", API_INTEGER, 0,
     INFO(live_keys)},
    {"created_at", "When it was issued.", API_TIME, API_NULL, INFO(created_ms)},
    {"expires_at", "Null: it does not.", API_TIME, API_NULL, INFO(expires_ms)},
    {"revoked_at", "Null: it was not.", API_TIME, API_NULL, INFO(revoked_ms)},
    {"last_used_at", "Null: not used.", API_TIME, API_NULL, INFO(last_used_ms)},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     INFO(revision)},
};
const struct api_schema api_mgmt_key = {
    .name = "ManagementKey",
    .about = "A key to this interface.",
    .desc = &msg_mgmt_info_desc,
    API_FIELDS(mgmt_fields),
};

#define NEW(m) API_AT(struct msg_mgmt_issue, m)

static const struct api_field highest_new_fields[] = {
    {"per_minute", "Requests in any 60 seconds; null: any number.", API_INTEGER, API_NULL,
     NEW(rate_per_minute), .min = 1, .max = RATE_MAX},
    {"per_day", "Requests in a UTC day; null: any number.", API_INTEGER, API_NULL,
     NEW(rate_per_day), .min = 1, .max = RATE_MAX},
    {"concurrent", "Requests at once; null: any number.", API_INTEGER, API_NULL,
     NEW(max_concurrent), .min = 1, .max = RATE_MAX},
};
static const struct api_schema highest_limits_new = {
    .name = "HighestLimitsNew",
    .about = "Limits that a minted key shall get at most.",
    API_FIELDS(highest_new_fields),
};

static const struct api_field bounds_new_fields[] = {
    {"grants", "What a minted key may do at most.", API_OBJECTS, API_REQUIRED, NEW(grants),
     .max = MSG_MAX_GRANTS, .object = &api_grant_new},
    {"kinds", "What its holder may be; empty: anything.", API_NAMES, 0, NEW(kinds), KIND_NAMES},
    {"max_ttl_seconds", "How long it may live; null: it need not end.", API_SECONDS, API_NULL,
     NEW(max_ttl_ms), .min = 1},
    {"max_live_keys", "How many of them may be live at once; null: any number.", API_INTEGER,
     API_NULL, NEW(max_live_keys), .min = 1},
    {"limits", "Highest limits.", API_GROUP, API_NULL, .object = &highest_limits_new},
    {"environment", "The only one; null: any.", API_STRING, API_NULL, NEW(env),
     .max = MSG_MAX_NAME},
    {"holder", "Name of the only one; null: any.", API_STRING, API_NULL, NEW(holder),
     .max = MSG_MAX_NAME},
};
static const struct api_schema mint_bounds_new = {
    .name = "MintBoundsNew",
    .about = "Within which a provisioner's key shall mint relay keys.",
    API_FIELDS(bounds_new_fields),
};

static const struct api_field mgmt_new_fields[] = {
    {"role", "What it may do.", API_ENUM, API_REQUIRED, NEW(role), ROLE_NAMES},
    {"name", "What it is for.", API_STRING, API_REQUIRED, NEW(name), .max = MSG_MAX_NAME,
     .example = "ci"},
    {"ttl_seconds", "Its life from now on. This or expires_at, or none: for ever.", API_SECONDS,
     API_NULL, NEW(ttl_ms), .min = 1},
    {"expires_at", "Its end.", API_TIME, API_NULL, NEW(expires_ms)},
    {"bounds", "A provisioner's key needs them, another has none.", API_GROUP, API_NULL,
     .object = &mint_bounds_new},
};
const struct api_schema api_mgmt_key_new = {
    .name = "ManagementKeyNew",
    .about = "A management key to issue.",
    .desc = &msg_mgmt_issue_desc,
    API_FIELDS(mgmt_new_fields),
};

#define CHANGE(m) API_AT(struct msg_mgmt_update, m)

static const struct api_field mgmt_change_fields[] = {
    {"name", "What it is for.", API_STRING, 0, CHANGE(name), .max = MSG_MAX_NAME,
     .set = MGMT_SET_NAME},
    {"ttl_seconds", "Its life from now on. This or expires_at.", API_SECONDS, API_NULL,
     CHANGE(ttl_ms), .min = 1, .set = MGMT_SET_EXPIRY},
    {"expires_at", "Its end; null: none.", API_TIME, API_NULL, CHANGE(expires_ms),
     .set = MGMT_SET_EXPIRY},
};
const struct api_schema api_mgmt_key_change = {
    .name = "ManagementKeyChange",
    .about = "What shall be different of a management key.",
    .desc = &msg_mgmt_update_desc,
    API_FIELDS(mgmt_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_mgmt_update, set),
};

/* ---- users ---- */

#define USER(m) API_AT(struct msg_user_info, m)

static const struct api_field user_fields[] = {
    {"id", "Names the user.", API_STRING, 0, USER(id), .max = MSG_MAX_NAME,
     .example = "user_0A1b2C3d4E5f"},
    {"name", "Names the user, too.", API_STRING, 0, USER(name), .max = MSG_MAX_NAME,
     .example = "ada"},
    {"email", "Null: none.", API_STRING, API_NULL, USER(email), .max = MSG_MAX_USER_EMAIL},
    {"role", "What the user may do.", API_ENUM, 0, USER(role), ROLE_NAMES},
    {"enabled", "False: may not sign in.", API_BOOL, 0, USER(enabled)},
    {"created_at", "When the user was added.", API_TIME, API_NULL, USER(created_ms)},
    {"updated_at", "When the user was changed last.", API_TIME, API_NULL, USER(updated_ms)},
    {"revision", "Counts the changes; in quotes it is the ETag.", API_INTEGER, 0,
     USER(revision)},
};
const struct api_schema api_user = {
    .name = "User",
    .about = "Somebody who manages the broker.",
    .desc = &msg_user_info_desc,
    API_FIELDS(user_fields),
};

#define ADD(m) API_AT(struct msg_user_add, m)

static const struct api_field user_new_fields[] = {
    {"name", "Letters, digits, dot, underscore, hyphen.", API_STRING, API_REQUIRED, ADD(name),
     .max = MSG_MAX_NAME, .example = "ada"},
    {"email", "Null: none.", API_STRING, API_NULL, ADD(email), .max = MSG_MAX_USER_EMAIL,
     .example = "ada@example.com"},
    {"role", "What the user may do.", API_ENUM, API_REQUIRED, ADD(role), ROLE_NAMES},
};
const struct api_schema api_user_new = {
    .name = "UserNew",
    .about = "A user to add.",
    .desc = &msg_user_add_desc,
    API_FIELDS(user_new_fields),
};

#define UPDATE(m) API_AT(struct msg_user_update, m)

static const struct api_field user_change_fields[] = {
    {"name", "Another name.", API_STRING, 0, UPDATE(name), .max = MSG_MAX_NAME,
     .set = USER_SET_NAME},
    {"email", "Null: none.", API_STRING, API_NULL, UPDATE(email), .max = MSG_MAX_USER_EMAIL,
     .set = USER_SET_EMAIL},
    {"role", "What the user may do.", API_ENUM, 0, UPDATE(role), ROLE_NAMES,
     .set = USER_SET_ROLE},
    {"enabled", "False: may not sign in any more.", API_BOOL, 0, UPDATE(enabled),
     .set = USER_SET_ENABLED},
};
const struct api_schema api_user_change = {
    .name = "UserChange",
    .about = "What shall be different of a user.",
    .desc = &msg_user_update_desc,
    API_FIELDS(user_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_user_update, set),
};
