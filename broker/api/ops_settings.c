#include "api/fields.h"
#include "api/operation.h"

#define TAG .tag = "Settings"
#define SETTINGS                                                                               \
	.answer = MSG_SETTINGS, .shape = API_ONE, .shows = &api_settings, .success = 200

static const struct api_op operations[] = {
    {"getSettings", "GET", "/api/v1/settings", TAG, .summary = "The settings",
     .command = MSG_SETTINGS_GET, SETTINGS, .may = MAY_READ},
    {"updateSettings", "PATCH", "/api/v1/settings", TAG,
     .summary = "Changes the settings that are given, all of them or none",
     .command = MSG_SETTINGS_SET, SETTINGS, .traits = API_KEYED | API_MATCH, .may = MAY_ADMIN,
     .body = &api_settings_change},
    {"sendTestMail", "POST", "/api/v1/settings/test-mail", TAG,
     .summary = "Sends a test mail; its delivery tells how it went", .command = MSG_MAIL_TEST,
     .answer = MSG_DONE, .shape = API_NOTHING, .success = 202, .traits = API_KEYED | API_BARE,
     .may = MAY_ADMIN, .body = &api_mail_test},
};

const struct api_ops api_ops_settings = API_OPS(operations);
