#include "api/fields.h"
#include "api/operation.h"

#define PATH(table)  .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])
#define KEY          "Id of the relay key, its masked form (rk_vendor...91k), or the key."

static const struct api_field by_ref[] = {
    {"id", KEY, API_STRING, API_REQUIRED, API_AT(struct msg_ref, ref), .max = MSG_MAX_KEY},
};
static const struct api_field by_extend[] = {
    {"id", KEY, API_STRING, API_REQUIRED, API_AT(struct msg_key_extend, ref),
     .max = MSG_MAX_KEY},
};

static const struct api_field by_update[] = {
    {"id", KEY, API_STRING, API_REQUIRED, API_AT(struct msg_key_update, ref),
     .max = MSG_MAX_KEY},
};

static const struct api_field list_query[] = {
    {"connection_id", "Only with a grant on it; id or name.", API_STRING, 0,
     API_AT(struct msg_list, conn), .max = MSG_MAX_NAME},
    {"holder", "\"kind:name\", or \"kind:\" for all of a kind.", API_STRING, 0,
     API_AT(struct msg_list, holder), .max = MSG_MAX_NAME, .example = "vendor:auditors"},
    {"live", "Only those neither revoked nor expired.", API_BOOL, 0,
     API_AT(struct msg_list, live_only)},
};

#define TAG .tag = "Relay keys"
#define ANSWERS                                                                                \
	.answer = MSG_KEY_INFO, .shape = API_ONE, .shows = &api_relay_key, .success = 200

static const struct api_op operations[] = {
    {"listRelayKeys", "GET", "/api/v1/relay-keys", TAG,
     .summary = "Relay keys, in the order that they were issued", .command = MSG_KEY_LIST,
     .answer = MSG_KEY_INFO, .shape = API_LIST, .success = 200, .may = MAY_EVERY_ROLE,
     .shows = &api_relay_key, QUERY(list_query), .after = API_PLACE(struct msg_list, after),
     .last = API_PLACE(struct msg_key_info, id), .limit = API_PLACE(struct msg_list, limit),
     .also = {404}},
    {"createRelayKey", "POST", "/api/v1/relay-keys", TAG,
     .summary = "Issues a relay key; it is shown in this answer only", .command = MSG_KEY_ISSUE,
     .answer = MSG_KEY_INFO, .shape = API_ONE, .traits = API_KEYED, .success = 201,
     .may = MAY_OPERATE, .body = &api_relay_key_new, .shows = &api_relay_key, .also = {404}},
    {"getRelayKey", "GET", "/api/v1/relay-keys/{id}", TAG, .summary = "One relay key",
     .command = MSG_KEY_GET, ANSWERS, .may = MAY_EVERY_ROLE, PATH(by_ref), .also = {409}},
    {"revokeRelayKey", "POST", "/api/v1/relay-keys/{id}/revoke", TAG,
     .summary = "Revokes it at once, for requests in flight too", .command = MSG_KEY_REVOKE,
     ANSWERS, .traits = API_MATCH, .may = MAY_MINT, PATH(by_ref), .also = {409}},
    {"extendRelayKey", "POST", "/api/v1/relay-keys/{id}/extend", TAG,
     .summary = "Sets another end, sooner or later", .command = MSG_KEY_EXTEND, ANSWERS,
     .traits = API_KEYED | API_MATCH, .may = MAY_OPERATE, .body = &api_expiry_new,
     PATH(by_extend), .also = {409}},
    {"updateRelayKey", "PATCH", "/api/v1/relay-keys/{id}", TAG,
     .summary = "Another scope, name or end; one that only takes away holds at once",
     .command = MSG_KEY_UPDATE, ANSWERS, .traits = API_KEYED | API_MATCH, .may = MAY_OPERATE,
     .body = &api_relay_key_change, PATH(by_update)},
    {"createDelegatedCredential", "POST", "/api/v1/delegated-credentials", TAG,
     .summary = "Mints a relay key within the bounds of the management key; it is shown in "
                "this answer only",
     .command = MSG_KEY_MINT, .answer = MSG_KEY_INFO, .shape = API_ONE, .traits = API_KEYED,
     .success = 201, .may = MAY_MINT, .body = &api_delegated_credential,
     .shows = &api_relay_key, .also = {404}, .made_at = "/api/v1/relay-keys"},
};

const struct api_ops api_ops_key = API_OPS(operations);
