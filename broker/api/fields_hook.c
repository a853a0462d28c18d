#include "api/fields.h"
#include "ipc/catalogue_manage.h"
#include "ipc/notice_kind.h"

/* ---- webhooks ---- */

#define HOOK(m)   API_AT(struct msg_hook_info, m)
#define ADD(m)    API_AT(struct msg_hook_add, m)
#define UPDATE(m) API_AT(struct msg_hook_update, m)
#define EVENTS    .value = notice_kind_name, .first = NOTICE_TEST, .last = NOTICE_KINDS - 1

static const struct api_field hook_fields[] = {
    {"id", "Names it for good.", API_STRING, 0, HOOK(id), .max = MSG_MAX_NAME,
     .example = "hook_k1JxTq0PzW3e"},
    {"secret",
     "Its signatures' key: only in the answer to its making. What is sent again under the same "
     "idempotency key is answered without it.",
     API_STRING, API_OMIT | API_SECRET, HOOK(secret), .max = MSG_MAX_NAME},
    {"name", "Unique; names it, too.", API_STRING, 0, HOOK(name), .max = MSG_MAX_NAME},
    {"url", "Where notices are posted.", API_STRING, 0, HOOK(url), .max = MSG_MAX_URL},
    {"events", "What it hears of.", API_NAMES, 0, HOOK(events), EVENTS},
    {"allow_private", "It may have a private address.", API_FLAG, 0, HOOK(flags),
     .bits = HOOK_ALLOW_PRIVATE},
    {"private_ca", "It has a CA of its own.", API_BOOL, 0, HOOK(private_ca)},
    {"enabled", "False: it hears of nothing.", API_BOOL, 0, HOOK(enabled)},
    {"created_at", "When it was made.", API_TIME, API_NULL, HOOK(created_ms)},
    {"updated_at", "When it was changed last.", API_TIME, API_NULL, HOOK(updated_ms)},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     HOOK(revision)},
};
const struct api_schema api_webhook = {
    .name = "Webhook",
    .about = "An address that is told of what happens, with a signature.",
    .desc = &msg_hook_info_desc,
    API_FIELDS(hook_fields),
};

static const struct api_field hook_new_fields[] = {
    {"name", "Letters, digits, dot, underscore, hyphen.", API_STRING, API_REQUIRED, ADD(name),
     .max = MSG_MAX_NAME, .example = "siem"},
    {"url", "https only.", API_STRING, API_REQUIRED, ADD(url), .max = MSG_MAX_URL,
     .example = "https://siem.example.com/relaykey"},
    {"events", "Null or none: all of them.", API_NAMES, API_NULL, ADD(events), EVENTS},
    {"allow_private", "It may have a private address.", API_FLAG, 0, ADD(flags),
     .bits = HOOK_ALLOW_PRIVATE},
    {"ca_pem", "CA bundle in PEM that its certificate is verified with; null: the system's.",
     API_STRING, API_NULL, ADD(ca_pem), .max = MSG_MAX_PEM},
};
const struct api_schema api_webhook_new = {
    .name = "WebhookNew",
    .about = "A webhook to add.",
    .desc = &msg_hook_add_desc,
    API_FIELDS(hook_new_fields),
};

static const struct api_field hook_change_fields[] = {
    {"name", "Another name.", API_STRING, 0, UPDATE(name), .max = MSG_MAX_NAME,
     .set = HOOK_NAME},
    {"url", "https only.", API_STRING, 0, UPDATE(url), .max = MSG_MAX_URL, .set = HOOK_URL},
    {"events", "All that it shall hear of; null or none: all there are.", API_NAMES, API_NULL,
     UPDATE(events), EVENTS, .set = HOOK_EVENTS},
    {"allow_private", "It may have a private address.", API_FLAG, 0, UPDATE(flags),
     .bits = HOOK_ALLOW_PRIVATE, .set = HOOK_FLAGS},
    {"ca_pem", "PEM; null: the system's.", API_STRING, API_NULL, UPDATE(ca_pem),
     .max = MSG_MAX_PEM, .set = HOOK_CA},
    {"enabled", "False: it hears of nothing.", API_BOOL, 0, UPDATE(enabled),
     .set = HOOK_ENABLED},
};
const struct api_schema api_webhook_change = {
    .name = "WebhookChange",
    .about = "What shall be different of a webhook; what is not there stays as it is.",
    .desc = &msg_hook_update_desc,
    API_FIELDS(hook_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_hook_update, set),
};

/* ---- deliveries ---- */

#define DELIVERY(m) API_AT(struct msg_delivery_info, m)

const char *api_delivery_kind(unsigned kind)
{
	return kind == DELIVERY_MAIL      ? "mail"
	       : kind == DELIVERY_WEBHOOK ? "webhook"
	                                  : "unknown";
}

const char *api_delivery_state(unsigned state)
{
	switch ((enum delivery_state)state) {
	case DELIVERY_WAITING:
		return "waiting";
	case DELIVERY_SENT:
		return "sent";
	case DELIVERY_FAILED:
		return "failed";
	}
	return "unknown";
}

static const struct api_field delivery_fields[] = {
    {"id", "Names it.", API_STRING, 0, DELIVERY(id), .max = MSG_MAX_NAME, .example = "dlv_17"},
    {"kind", "How it goes out.", API_ENUM, 0, DELIVERY(kind), .value = api_delivery_kind,
     .first = DELIVERY_MAIL, .last = DELIVERY_WEBHOOK},
    {"target", "Id of the webhook, or mail address.", API_STRING, 0, DELIVERY(target),
     .max = MSG_MAX_MAIL},
    {"event", "What it tells of.", API_ENUM, 0, DELIVERY(event), .value = notice_kind_name,
     .last = NOTICE_KINDS - 1},
    {"event_id", "Of the event: the same in all deliveries of it, and in the webhook's body.",
     API_EVENT_ID, 0, DELIVERY(notice_id)},
    {"state", "Failed: it is not tried again by itself.", API_ENUM, 0, DELIVERY(state),
     .value = api_delivery_state, .first = DELIVERY_WAITING, .last = DELIVERY_FAILED},
    {"attempts", "So far.", API_INTEGER, 0, DELIVERY(attempts)},
    {"status", "Of the last answer, HTTP or SMTP; null: there was none.", API_INTEGER, API_NULL,
     DELIVERY(status)},
    {"error", "Of the last attempt.", API_STRING, API_NULL, DELIVERY(error),
     .max = MSG_MAX_TEXT},
    {"created_at", "When the event was.", API_TIME, API_NULL, DELIVERY(created_ms)},
    {"next_attempt_at", "Null: not any more.", API_TIME, API_NULL, DELIVERY(next_ms)},
    {"done_at", "When it was sent, or given up.", API_TIME, API_NULL, DELIVERY(done_ms)},
};
const struct api_schema api_delivery = {
    .name = "Delivery",
    .about = "A notice on its way to one webhook or mail address.",
    .desc = &msg_delivery_info_desc,
    API_FIELDS(delivery_fields),
};
