#include "api/fields.h"
#include "api/operation.h"

#define PATH(table) .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define REF(T)                                                                                 \
	{                                                                                      \
		"id", "Id or name of the connection.", API_STRING, API_REQUIRED,               \
		    API_AT(T, ref), .max = MSG_MAX_KEY                                         \
	}

static const struct api_field by_update[] = {REF(struct msg_conn_update)};
static const struct api_field by_list[] = {REF(struct msg_credential_list)};
static const struct api_field by_rollback[] = {REF(struct msg_credential_ref)};
static const struct api_field by_version[] = {
    REF(struct msg_credential_ref),
    {"version", "Of the credential.", API_INTEGER, API_REQUIRED,
     API_AT(struct msg_credential_ref, version), .min = 1},
};
static const struct api_field by_probe[] = {REF(struct msg_conn_probe)};

#define TAG .tag = "Connections"
#define CHANGES                                                                                \
	.answer = MSG_CONN_INFO, .shape = API_ONE, .shows = &api_connection, .success = 200,   \
	.traits = API_KEYED | API_MATCH, .may = MAY_ADMIN

static const struct api_op operations[] = {
    {"updateConnection", "PATCH", "/api/v1/connections/{id}", TAG,
     .summary = "Another name, provider or option; another upstream together with the secret",
     .command = MSG_CONN_UPDATE, CHANGES, .body = &api_connection_change, PATH(by_update)},
    {"listCredentials", "GET", "/api/v1/connections/{id}/credentials", TAG,
     .summary = "The versions of its real key, the newest first; none is ever shown",
     .command = MSG_CREDENTIAL_LIST, .answer = MSG_CREDENTIAL_INFO, .shape = API_LIST,
     .success = 200, .may = MAY_READ, .shows = &api_credential, PATH(by_list),
     .after = API_PLACE(struct msg_credential_list, before),
     .last = API_PLACE(struct msg_credential_info, version),
     .limit = API_PLACE(struct msg_credential_list, limit)},
    {"rollbackConnection", "POST", "/api/v1/connections/{id}/rollback", TAG,
     .summary = "Brings an earlier real key back, as a new version",
     .command = MSG_CONN_ROLLBACK, CHANGES, .body = &api_rollback, PATH(by_rollback)},
    {"deleteCredential", "DELETE", "/api/v1/connections/{id}/credentials/{version}", TAG,
     .summary = "Removes an earlier real key for good", .command = MSG_CONN_PURGE, CHANGES,
     PATH(by_version)},
    {"testConnection", "POST", "/api/v1/connections/{id}/test", TAG,
     .summary = "Whether it reaches its upstream and is let in there",
     .command = MSG_CONN_PROBE, .answer = MSG_PROBE_RESULT, .shape = API_ONE,
     .traits = API_SLOW, .success = 200, .may = MAY_OPERATE, .body = &api_probe,
     .shows = &api_probe_result, PATH(by_probe), .also = {409}},
};

const struct api_ops api_ops_care = API_OPS(operations);
