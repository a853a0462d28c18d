#include "api/fields.h"
#include "ipc/catalogue_contain.h"

static const struct api_field panic_fields[] = {
    {"reason", "For the audit log, the status and those who are told.", API_STRING, API_NULL,
     API_AT(struct msg_panic, reason), .max = MSG_MAX_REASON, .example = "keys on a forum"},
};
const struct api_schema api_panic_new = {
    .name = "PanicNew",
    .about = "Why all traffic shall stop.",
    .desc = &msg_panic_desc,
    API_FIELDS(panic_fields),
};

const char *api_leak_finding(unsigned finding)
{
	switch ((enum leak_finding)finding) {
	case LEAK_UNKNOWN:
		return "unknown";
	case LEAK_REVOKED:
		return "revoked";
	case LEAK_OVER:
		return "over";
	case LEAK_HONEY:
		return "honey";
	}
	return "unknown";
}

#define VERDICT(m) API_AT(struct msg_leak_verdict, m)

static const struct api_field verdict_fields[] = {
    {"id", "Of the key; null: it was not issued here.", API_STRING, API_NULL, VERDICT(key_id),
     .max = MSG_MAX_NAME},
    {"masked", "The key, masked.", API_STRING, API_NULL, VERDICT(masked), .max = MSG_MAX_NAME},
    {"finding",
     "Not issued here (unknown); revoked by this report; not valid any more (over); a honey "
     "key, which stays.",
     API_ENUM, 0, VERDICT(finding), .value = api_leak_finding, .first = LEAK_UNKNOWN,
     .last = LEAK_HONEY},
};
const struct api_schema api_leak_verdict = {
    .name = "LeakVerdict",
    .about = "What became of a key that was reported as leaked.",
    .desc = &msg_leak_verdict_desc,
    API_FIELDS(verdict_fields),
};
