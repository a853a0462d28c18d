#include "api/fields.h"
#include "api/operation.h"

static const struct api_op operations[] = {
    {"getStatus", "GET", "/api/v1/status", .tag = "Status",
     .summary = "How the broker, its token and its journal are", .command = MSG_STATUS_GET,
     .answer = MSG_STATUS, .shape = API_ONE, .traits = API_SEALED, .success = 200,
     .may = MAY_READ, .shows = &api_status},
};

const struct api_ops api_ops_status = API_OPS(operations);
