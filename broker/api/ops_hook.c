#include "api/fields.h"
#include "api/operation.h"

#define PATH(table)  .path_values = (table), .path_count = sizeof(table) / sizeof((table)[0])
#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])

static const struct api_field hook_by_ref[] = {
    {"id", "Id or name of the webhook.", API_STRING, API_REQUIRED, API_AT(struct msg_ref, ref),
     .max = MSG_MAX_KEY, .example = "siem"},
};
static const struct api_field hook_by_update[] = {
    {"id", "Id or name of the webhook.", API_STRING, API_REQUIRED,
     API_AT(struct msg_hook_update, ref), .max = MSG_MAX_KEY, .example = "siem"},
};
static const struct api_field delivery_by_ref[] = {
    {"id", "Id of the delivery.", API_STRING, API_REQUIRED, API_AT(struct msg_ref, ref),
     .max = MSG_MAX_KEY, .example = "dlv_17"},
};
static const struct api_field delivery_query[] = {
    {"webhook", "Id or name; ids of those that were removed, too.", API_STRING, 0,
     API_AT(struct msg_delivery_list, hook), .max = MSG_MAX_NAME},
    {"kind", "Only those.", API_ENUM, 0, API_AT(struct msg_delivery_list, kind),
     .value = api_delivery_kind, .first = DELIVERY_MAIL, .last = DELIVERY_WEBHOOK},
    {"state", "Only those.", API_ENUM, 0, API_AT(struct msg_delivery_list, state),
     .value = api_delivery_state, .first = DELIVERY_WAITING, .last = DELIVERY_FAILED},
};

#define HOOKS      .tag = "Webhooks"
#define DELIVERIES .tag = "Deliveries"
#define HOOK       .answer = MSG_HOOK_INFO, .shape = API_ONE, .shows = &api_webhook
#define DELIVERY                                                                               \
	.answer = MSG_DELIVERY_INFO, .shape = API_ONE, .shows = &api_delivery, .success = 200

static const struct api_op operations[] = {
    {"listWebhooks", "GET", "/api/v1/webhooks", HOOKS,
     .summary = "Webhooks, in the order that they were added", .command = MSG_HOOK_LIST,
     .answer = MSG_HOOK_INFO, .shape = API_LIST, .success = 200, .may = MAY_READ,
     .shows = &api_webhook, .after = API_PLACE(struct msg_hook_list, after),
     .last = API_PLACE(struct msg_hook_info, id),
     .limit = API_PLACE(struct msg_hook_list, limit), .also = {404}},
    {"createWebhook", "POST", "/api/v1/webhooks", HOOKS,
     .summary = "Adds a webhook; the answer has the secret that signs, once",
     .command = MSG_HOOK_ADD, HOOK, .success = 201, .traits = API_KEYED, .may = MAY_ADMIN,
     .body = &api_webhook_new},
    {"getWebhook", "GET", "/api/v1/webhooks/{id}", HOOKS, .summary = "One webhook",
     .command = MSG_HOOK_GET, HOOK, .success = 200, .may = MAY_READ, PATH(hook_by_ref)},
    {"updateWebhook", "PATCH", "/api/v1/webhooks/{id}", HOOKS,
     .summary = "Changes the members that are given", .command = MSG_HOOK_UPDATE, HOOK,
     .success = 200, .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN,
     .body = &api_webhook_change, PATH(hook_by_update)},
    {"deleteWebhook", "DELETE", "/api/v1/webhooks/{id}", HOOKS,
     .summary = "Removes a webhook; what waits for it is given up", .command = MSG_HOOK_REMOVE,
     .answer = MSG_DONE, .shape = API_NOTHING, .success = 204, .traits = API_KEYED | API_MATCH,
     .may = MAY_ADMIN, PATH(hook_by_ref)},
    {"rotateWebhookSecret", "POST", "/api/v1/webhooks/{id}/rotate-secret", HOOKS,
     .summary = "Gives it another secret, shown once; the former one signs nothing any more",
     .command = MSG_HOOK_ROTATE, HOOK, .success = 200, .traits = API_KEYED | API_MATCH,
     .may = MAY_ADMIN, PATH(hook_by_ref)},
    {"testWebhook", "POST", "/api/v1/webhooks/{id}/test", HOOKS,
     .summary = "Sends it a test; its delivery tells how it went", .command = MSG_HOOK_TEST,
     .answer = MSG_DONE, .shape = API_NOTHING, .success = 202, .traits = API_KEYED,
     .may = MAY_ADMIN, PATH(hook_by_ref)},
    {"listDeliveries", "GET", "/api/v1/deliveries", DELIVERIES,
     .summary = "What was and is to be sent, newest first", .command = MSG_DELIVERY_LIST,
     .answer = MSG_DELIVERY_INFO, .shape = API_LIST, .success = 200, .may = MAY_READ,
     .shows = &api_delivery, QUERY(delivery_query),
     .after = API_PLACE(struct msg_delivery_list, after),
     .last = API_PLACE(struct msg_delivery_info, id),
     .limit = API_PLACE(struct msg_delivery_list, limit), .also = {404}},
    {"getDelivery", "GET", "/api/v1/deliveries/{id}", DELIVERIES, .summary = "One delivery",
     .command = MSG_DELIVERY_GET, DELIVERY, .may = MAY_READ, PATH(delivery_by_ref)},
    {"replayDelivery", "POST", "/api/v1/deliveries/{id}/replay", DELIVERIES,
     .summary = "Sends once more what failed for good, or was sent",
     .command = MSG_DELIVERY_REPLAY, DELIVERY, .traits = API_KEYED, .may = MAY_OPERATE,
     PATH(delivery_by_ref)},
};

const struct api_ops api_ops_hook = API_OPS(operations);
