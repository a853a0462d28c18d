#include "api/fields.h"
#include "ipc/catalogue_manage.h"

#define ST(m) API_AT(struct msg_status, m)

static const struct api_field token_fields[] = {
    {"state", "\"ready\", or why not.", API_STRING, 0, ST(token_state), .max = MSG_MAX_NAME},
    {"label", "Of the token.", API_STRING, API_NULL, ST(token_label), .max = MSG_MAX_NAME},
    {"model", "Of the token.", API_STRING, API_NULL, ST(token_model), .max = MSG_MAX_NAME},
    {"module", "The PKCS#11 module.", API_STRING, 0, ST(token_module), .max = MSG_MAX_URL},
    {"mechanism", "How it wraps.", API_STRING, API_NULL, ST(mechanism), .max = MSG_MAX_NAME},
    {"kek_generation", "Which of its keys wraps.", API_INTEGER, 0, ST(kek_generation)},
    {"unwraps", "Credentials that it opened since the start.", API_INTEGER, 0, ST(unwraps)},
};
static const struct api_schema token_of_status = {
    .name = "TokenStatus",
    .about = "The PKCS#11 token.",
    API_FIELDS(token_fields),
};

static const struct api_field audit_fields[] = {
    {"ok", "False: nothing is forwarded.", API_BOOL, 0, ST(audit_ok)},
    {"error", "Why not.", API_STRING, API_NULL, ST(audit_error), .max = MSG_MAX_TEXT},
    {"rows", "In the journal.", API_INTEGER, 0, ST(audit_rows)},
    {"commits", "Since the start.", API_INTEGER, 0, ST(batches)},
};
static const struct api_schema audit_of_status = {
    .name = "AuditStatus",
    .about = "The audit journal.",
    API_FIELDS(audit_fields),
};

static const struct api_field keys_fields[] = {
    {"total", "Ever issued.", API_INTEGER, 0, ST(keys)},
    {"live", "Neither revoked nor expired.", API_INTEGER, 0, ST(live_keys)},
};
static const struct api_schema keys_of_status = {
    .name = "KeysStatus",
    .about = "How many relay keys there are.",
    API_FIELDS(keys_fields),
};

static const struct api_field panic_fields[] = {
    {"on", "All traffic is stopped.", API_BOOL, 0, ST(panic)},
    {"since", "Null: it goes on.", API_TIME, API_NULL, ST(panic_ms)},
    {"by", "Who stopped it.", API_STRING, API_NULL, ST(panic_by), .max = MSG_MAX_NAME},
    {"reason", "Why.", API_STRING, API_NULL, ST(panic_reason), .max = MSG_MAX_REASON},
};
static const struct api_schema panic_of_status = {
    .name = "PanicStatus",
    .about = "The switch that stops all traffic.",
    API_FIELDS(panic_fields),
};

static const struct api_field status_fields[] = {
    {"version", "Of the broker.", API_STRING, 0, ST(version), .max = MSG_MAX_NAME},
    {"started_at", "When it was started.", API_TIME, API_NULL, ST(started_ms)},
    {"sealed", "It has no token that is logged in.", API_BOOL, API_NOT, ST(unsealed)},
    {"token", "The PKCS#11 token.", API_GROUP, 0, .object = &token_of_status},
    {"panic", "Whether traffic is stopped.", API_GROUP, 0, .object = &panic_of_status},
    {"audit", "The audit journal.", API_GROUP, 0, .object = &audit_of_status},
    {"secret_memory", "What secrets stand in.", API_STRING, 0, ST(secret_memory),
     .max = MSG_MAX_NAME, .example = "memfd_secret"},
    {"connections", "How many there are.", API_INTEGER, 0, ST(connections)},
    {"keys", "Relay keys.", API_GROUP, 0, .object = &keys_of_status},
    {"in_flight", "Requests that run now.", API_INTEGER, 0, ST(in_flight)},
    {"relays", "Proxy processes.", API_INTEGER, 0, ST(relays)},
    {"requests", "Since the start.", API_INTEGER, 0, ST(requests)},
    {"refused", "Of these.", API_INTEGER, 0, ST(refused)},
    {"policy_version", "Counts the changes of the policy.", API_INTEGER, 0, ST(policy_version)},
};
const struct api_schema api_status = {
    .name = "Status",
    .about = "How the broker is.",
    .desc = &msg_status_desc,
    API_FIELDS(status_fields),
};
