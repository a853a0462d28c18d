#include "api/fields.h"
#include "api/operation.h"

#define PATH(table)  .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])

static const struct api_field holder_by_ref[] = {
    {"id", "\"kind:name\".", API_STRING, API_REQUIRED, API_AT(struct msg_ref, ref),
     .max = MSG_MAX_KEY, .example = "person:ada"},
};
static const struct api_field holder_by_set[] = {
    {"id", "\"kind:name\".", API_STRING, API_REQUIRED, API_AT(struct msg_holder_set, ref),
     .max = MSG_MAX_HOLDER, .example = "person:ada"},
};
static const struct api_field address_by_ref[] = {
    {"id", "Id of the address.", API_STRING, API_REQUIRED, API_AT(struct msg_ref, ref),
     .max = MSG_MAX_KEY, .example = "ip_17"},
};

static const struct api_field holder_query[] = {
    {"kind", "Only those of a kind: app, agent, person, vendor.", API_STRING, 0,
     API_AT(struct msg_holder_list, kind), .max = MSG_MAX_NAME, .example = "person"},
};
#define ADDRESS_FILTERS                                                                        \
	{"holder",                                                                             \
	 "\"kind:name\".",                                                                     \
	 API_STRING,                                                                           \
	 0,                                                                                    \
	 API_AT(struct msg_trust_list, holder),                                                \
	 .max = MSG_MAX_HOLDER},                                                               \
	{                                                                                      \
		"key", "Those that came with this key.", API_STRING, 0,                        \
		    API_AT(struct msg_trust_list, key), .max = MSG_MAX_KEY                     \
	}
static const struct api_field address_query[] = {
    ADDRESS_FILTERS,
    {"state", "Only those.", API_ENUM, 0, API_AT(struct msg_trust_list, state),
     .value = api_trust_state, .first = TRUST_PENDING, .last = TRUST_TRUSTED},
};
static const struct api_field approval_query[] = {ADDRESS_FILTERS};

#define HOLDERS .tag = "Holders"
#define IPS     .tag = "Trusted addresses"
#define HOLDER  .answer = MSG_HOLDER_INFO, .shape = API_ONE, .shows = &api_holder, .success = 200
#define ADDRESS                                                                                \
	.answer = MSG_TRUST_INFO, .shape = API_ONE, .shows = &api_trusted_ip, .success = 200
#define ADDRESSES                                                                              \
	.command = MSG_TRUST_LIST, .answer = MSG_TRUST_INFO, .shape = API_LIST,                \
	.success = 200, .may = MAY_READ, .shows = &api_trusted_ip,                             \
	.after = API_PLACE(struct msg_trust_list, after),                                      \
	.last = API_PLACE(struct msg_trust_info, id),                                          \
	.limit = API_PLACE(struct msg_trust_list, limit), .also = {404, 409}

static const struct api_op operations[] = {
    {"listHolders", "GET", "/api/v1/holders", HOLDERS,
     .summary = "Holders of relay keys, in the order that they got their first one",
     .command = MSG_HOLDER_LIST, .answer = MSG_HOLDER_INFO, .shape = API_LIST, .success = 200,
     .may = MAY_READ, .shows = &api_holder, QUERY(holder_query),
     .after = API_PLACE(struct msg_holder_list, after),
     .last = API_PLACE(struct msg_holder_info, ref),
     .limit = API_PLACE(struct msg_holder_list, limit)},
    {"getHolder", "GET", "/api/v1/holders/{id}", HOLDERS, .summary = "One holder",
     .command = MSG_HOLDER_GET, HOLDER, .may = MAY_READ, PATH(holder_by_ref)},
    {"updateHolder", "PATCH", "/api/v1/holders/{id}", HOLDERS, .summary = "Where its mail goes",
     .command = MSG_HOLDER_SET, HOLDER, .traits = API_KEYED | API_MATCH, .may = MAY_OPERATE,
     .body = &api_holder_change, PATH(holder_by_set)},
    {"revokeHolder", "POST", "/api/v1/holders/{id}/revoke", HOLDERS,
     .summary = "Revokes every key of it at once, for requests in flight too",
     .command = MSG_HOLDER_REVOKE, HOLDER, .traits = API_MATCH, .may = MAY_OPERATE,
     PATH(holder_by_ref)},
    {"listTrustedIps", "GET", "/api/v1/trusted-ips", IPS,
     .summary = "Addresses of holders: trusted, or waiting to be", ADDRESSES,
     QUERY(address_query)},
    {"listApprovals", "GET", "/api/v1/approvals", IPS,
     .summary = "Addresses that wait to be confirmed", ADDRESSES, QUERY(approval_query),
     .preset = {{API_PLACE(struct msg_trust_list, state), TRUST_PENDING}}},
    {"createTrustedIp", "POST", "/api/v1/trusted-ips", IPS,
     .summary = "Trusts a holder at an address", .command = MSG_TRUST_ADD,
     .answer = MSG_TRUST_INFO, .shape = API_ONE, .shows = &api_trusted_ip, .success = 201,
     .traits = API_KEYED, .may = MAY_OPERATE, .body = &api_trusted_ip_new, .also = {404}},
    {"getTrustedIp", "GET", "/api/v1/trusted-ips/{id}", IPS, .summary = "One address",
     .command = MSG_TRUST_GET, ADDRESS, .may = MAY_READ, PATH(address_by_ref)},
    {"approveTrustedIp", "POST", "/api/v1/trusted-ips/{id}/approve", IPS,
     .summary = "Trusts one that waits", .command = MSG_TRUST_APPROVE, ADDRESS,
     .traits = API_KEYED | API_MATCH, .may = MAY_OPERATE, PATH(address_by_ref)},
    {"deleteTrustedIp", "DELETE", "/api/v1/trusted-ips/{id}", IPS,
     .summary = "Trusts it no more; requests in flight from there are cut",
     .command = MSG_TRUST_REMOVE, ADDRESS, .traits = API_MATCH, .may = MAY_OPERATE,
     PATH(address_by_ref)},
};

const struct api_ops api_ops_trust = API_OPS(operations);
