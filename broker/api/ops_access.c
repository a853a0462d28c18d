#include "api/fields.h"
#include "api/operation.h"

#define PATH(table)  .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])

/* What is named in the path, in the record T. */
#define REF(T, what)                                                                           \
	{                                                                                      \
		{                                                                              \
			"id", what, API_STRING, API_REQUIRED, API_AT(T, ref),                  \
			    .max = MSG_MAX_KEY                                                 \
		}                                                                              \
	}
#define MKEY "Id of the management key, its masked form, or the key."
#define USER "Id or name of the user."

static const struct api_field mkey_by_ref[] = REF(struct msg_ref, MKEY);
static const struct api_field mkey_by_update[] = REF(struct msg_mgmt_update, MKEY);
static const struct api_field mkey_by_revoke[] = REF(struct msg_mgmt_revoke, MKEY);
static const struct api_field user_by_ref[] = REF(struct msg_ref, USER);
static const struct api_field user_by_update[] = REF(struct msg_user_update, USER);

static const struct api_field mkey_query[] = {
    {"live", "Only those neither revoked nor expired.", API_BOOL, 0,
     API_AT(struct msg_list, live_only)},
};
static const struct api_field revoke_query[] = {
    {"cascade", "The relay keys that it minted as well.", API_BOOL, 0,
     API_AT(struct msg_mgmt_revoke, cascade)},
};

#define KEYS  .tag = "Management keys"
#define USERS .tag = "Users"
#define MGMT_KEY                                                                               \
	.answer = MSG_MGMT_INFO, .shape = API_ONE, .shows = &api_mgmt_key, .success = 200,     \
	.may = MAY_ADMIN
#define ONE_USER                                                                               \
	.answer = MSG_USER_INFO, .shape = API_ONE, .shows = &api_user, .success = 200,         \
	.may = MAY_ADMIN

static const struct api_op operations[] = {
    {"listManagementKeys", "GET", "/api/v1/management-keys", KEYS,
     .summary = "Management keys, in the order that they were issued", .command = MSG_MGMT_LIST,
     .answer = MSG_MGMT_INFO, .shape = API_LIST, .success = 200, .may = MAY_ADMIN,
     .shows = &api_mgmt_key, QUERY(mkey_query), .after = API_PLACE(struct msg_list, after),
     .last = API_PLACE(struct msg_mgmt_info, id), .limit = API_PLACE(struct msg_list, limit)},
    {"createManagementKey", "POST", "/api/v1/management-keys", KEYS,
     .summary = "Issues a management key; it is shown in this answer only",
     .command = MSG_MGMT_ISSUE, .answer = MSG_MGMT_INFO, .shape = API_ONE, .traits = API_KEYED,
     .success = 201, .may = MAY_ADMIN, .body = &api_mgmt_key_new, .shows = &api_mgmt_key,
     .also = {404}},
    {"getManagementKey", "GET", "/api/v1/management-keys/{id}", KEYS,
     .summary = "One management key", .command = MSG_MGMT_GET, MGMT_KEY, PATH(mkey_by_ref),
     .also = {409}},
    {"updateManagementKey", "PATCH", "/api/v1/management-keys/{id}", KEYS,
     .summary = "Another name, or another end", .command = MSG_MGMT_UPDATE, MGMT_KEY,
     .traits = API_KEYED | API_MATCH, .body = &api_mgmt_key_change, PATH(mkey_by_update)},
    {"revokeManagementKey", "POST", "/api/v1/management-keys/{id}/revoke", KEYS,
     .summary = "Revokes it at once", .command = MSG_MGMT_REVOKE, MGMT_KEY, .traits = API_MATCH,
     PATH(mkey_by_revoke), QUERY(revoke_query), .also = {409}},
    {"listUsers", "GET", "/api/v1/users", USERS,
     .summary = "Users, in the order that they were added", .command = MSG_USER_LIST,
     .answer = MSG_USER_INFO, .shape = API_LIST, .success = 200, .may = MAY_ADMIN,
     .shows = &api_user, .after = API_PLACE(struct msg_list, after),
     .last = API_PLACE(struct msg_user_info, id), .limit = API_PLACE(struct msg_list, limit),
     .also = {404}},
    {"createUser", "POST", "/api/v1/users", USERS, .summary = "Adds a user",
     .command = MSG_USER_ADD, .answer = MSG_USER_INFO, .shape = API_ONE, .traits = API_KEYED,
     .success = 201, .may = MAY_ADMIN, .body = &api_user_new, .shows = &api_user},
    {"getUser", "GET", "/api/v1/users/{id}", USERS, .summary = "One user",
     .command = MSG_USER_GET, ONE_USER, PATH(user_by_ref)},
    {"updateUser", "PATCH", "/api/v1/users/{id}", USERS,
     .summary = "Another name, address or role; or whether the user may sign in",
     .command = MSG_USER_UPDATE, ONE_USER, .traits = API_KEYED | API_MATCH,
     .body = &api_user_change, PATH(user_by_update)},
    {"deleteUser", "DELETE", "/api/v1/users/{id}", USERS, .summary = "Removes a user",
     .command = MSG_USER_REMOVE, .answer = MSG_DONE, .shape = API_NOTHING,
     .traits = API_KEYED | API_MATCH, .success = 204, .may = MAY_ADMIN, PATH(user_by_ref)},
};

const struct api_ops api_ops_access = API_OPS(operations);
