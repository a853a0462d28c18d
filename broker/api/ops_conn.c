#include "api/fields.h"
#include "api/operation.h"

/* A connection that is named in the path, in the record T. */
#define REF(T, what)                                                                           \
	{                                                                                      \
		{                                                                              \
			"id", what, API_STRING, API_REQUIRED, API_AT(T, ref),                  \
			    .max = MSG_MAX_KEY                                                 \
		}                                                                              \
	}
#define PATH(table)  .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])
#define CONN         "Id or name of the connection."

static const struct api_field by_ref[] = REF(struct msg_ref, CONN);
static const struct api_field by_rotate[] = REF(struct msg_conn_rotate, CONN);
static const struct api_field by_state[] = REF(struct msg_conn_state, CONN);
static const struct api_field by_identity[] = REF(struct msg_conn_identity, CONN);
static const struct api_field by_proxy[] = REF(struct msg_conn_proxy, CONN);

static const struct api_field remove_query[] = {
    {"force", "Also when live relay keys may use it.", API_BOOL, 0,
     API_AT(struct msg_ref, force)},
};

#define TAG .tag = "Connections"
#define ANSWERS                                                                                \
	.answer = MSG_CONN_INFO, .shape = API_ONE, .shows = &api_connection, .success = 200

static const struct api_op operations[] = {
    {"listConnections", "GET", "/api/v1/connections", TAG,
     .summary = "Connections, in the order that they were added", .command = MSG_CONN_LIST,
     .answer = MSG_CONN_INFO, .shape = API_LIST, .success = 200, .may = MAY_READ,
     .shows = &api_connection, .after = API_PLACE(struct msg_list, after),
     .last = API_PLACE(struct msg_conn_info, id), .limit = API_PLACE(struct msg_list, limit),
     .also = {404}},
    {"createConnection", "POST", "/api/v1/connections", TAG,
     .summary = "Protects a real key: adds a connection", .command = MSG_CONN_ADD,
     .answer = MSG_CONN_INFO, .shape = API_ONE, .traits = API_KEYED, .success = 201,
     .may = MAY_ADMIN, .body = &api_connection_new, .shows = &api_connection},
    {"getConnection", "GET", "/api/v1/connections/{id}", TAG, .summary = "One connection",
     .command = MSG_CONN_GET, ANSWERS, .may = MAY_READ, PATH(by_ref)},
    {"deleteConnection", "DELETE", "/api/v1/connections/{id}", TAG,
     .summary = "Removes a connection and its real key", .command = MSG_CONN_REMOVE,
     .answer = MSG_DONE, .shape = API_NOTHING, .traits = API_KEYED | API_MATCH, .success = 204,
     .may = MAY_ADMIN, PATH(by_ref), QUERY(remove_query)},
    {"rotateConnection", "POST", "/api/v1/connections/{id}/rotate", TAG,
     .summary = "Replaces the real key; relay keys stay as they are",
     .command = MSG_CONN_ROTATE, ANSWERS, .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN,
     .body = &api_secret_new, PATH(by_rotate)},
    {"freezeConnection", "POST", "/api/v1/connections/{id}/freeze", TAG,
     .summary = "Refuses every request to it at once, those in flight too",
     .command = MSG_CONN_STATE, ANSWERS, .traits = API_MATCH, .may = MAY_OPERATE,
     PATH(by_state)},
    {"unfreezeConnection", "POST", "/api/v1/connections/{id}/unfreeze", TAG,
     .summary = "Lets requests to it through again", .command = MSG_CONN_STATE, ANSWERS,
     .traits = API_KEYED | API_MATCH, .may = MAY_OPERATE, PATH(by_state),
     .preset = {{API_PLACE(struct msg_conn_state, enabled), 1}}},
    {"setClientCertificate", "PUT", "/api/v1/connections/{id}/client-certificate", TAG,
     .summary = "What the upstream is shown when it asks for a certificate",
     .command = MSG_CONN_IDENTITY, ANSWERS, .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN,
     .body = &api_identity_new, PATH(by_identity)},
    {"removeClientCertificate", "DELETE", "/api/v1/connections/{id}/client-certificate", TAG,
     .summary = "Shows no certificate any more", .command = MSG_CONN_IDENTITY, ANSWERS,
     .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN, PATH(by_identity)},
    {"setEgressProxy", "PUT", "/api/v1/connections/{id}/egress-proxy", TAG,
     .summary = "The proxy that it is reached through", .command = MSG_CONN_PROXY, ANSWERS,
     .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN, .body = &api_egress_new,
     PATH(by_proxy)},
    {"resetEgressProxy", "DELETE", "/api/v1/connections/{id}/egress-proxy", TAG,
     .summary = "Reaches it as the broker is configured", .command = MSG_CONN_PROXY, ANSWERS,
     .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN, PATH(by_proxy)},
};

const struct api_ops api_ops_conn = API_OPS(operations);
