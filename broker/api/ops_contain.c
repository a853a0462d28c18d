#include "api/fields.h"
#include "api/operation.h"

static const struct api_field resume_query[] = {
    {"reason", "For the audit log and those who are told.", API_STRING, 0,
     API_AT(struct msg_panic, reason), .max = MSG_MAX_REASON},
};

#define TAG    .tag = "Containment"
#define STATUS .answer = MSG_STATUS, .shape = API_ONE, .shows = &api_status, .success = 200

static const struct api_op operations[] = {
    {"stopTraffic", "POST", "/api/v1/panic", TAG,
     .summary = "The panic switch: cuts and refuses every request, until it is taken back",
     .command = MSG_PANIC_ON, STATUS, .traits = API_BARE, .may = MAY_OPERATE,
     .body = &api_panic_new},
    {"resumeTraffic", "DELETE", "/api/v1/panic", TAG, .summary = "Lets requests through again",
     .command = MSG_PANIC_OFF, STATUS, .traits = API_KEYED, .may = MAY_ADMIN,
     .query = resume_query, .query_count = 1},
};

const struct api_ops api_ops_contain = API_OPS(operations);
