#include "api/fields.h"
#include "api/operation.h"

#define QUERY(table) .query = (table), .query_count = sizeof(table) / sizeof((table)[0])
#define Q(m)         API_AT(struct msg_audit_query, m)
#define MODE(m)      .preset = {{API_PLACE(struct msg_audit_query, mode), (m)}}

/* clang-format off */
#define TEXT(name, about, member, most) {name, about, API_STRING, 0, Q(member), .max = (most)}
#define FILTERS \
	TEXT("type", "request, management, state, start or stop.", type, MSG_MAX_NAME), \
	TEXT("holder", "Name of the holder, \"kind:name\", or \"kind:\".", holder, MSG_MAX_NAME), \
	TEXT("kind", "app, agent, person or vendor.", kind, MSG_MAX_NAME), \
	TEXT("connection_id", "Id or name of the connection.", conn, MSG_MAX_NAME), \
	TEXT("key_id", "Id of the relay key, or its masked form.", key_id, MSG_MAX_NAME), \
	TEXT("environment", "Label of the key.", env, MSG_MAX_NAME), \
	TEXT("decision", "allowed, denied, locked, limited or failed.", decision, MSG_MAX_NAME), \
	TEXT("reason", "Code of the reason.", reason, MSG_MAX_NAME), \
	{"status", "Of the upstream or of the refusal.", API_INTEGER, 0, Q(status), \
	 .min = 100, .max = 599}, \
	TEXT("provider", "Of the connection.", provider, MSG_MAX_NAME), \
	TEXT("model", "That was asked for.", model, AUDIT_MAX_NAME), \
	TEXT("client_ip", "Address or prefix.", client, MSG_MAX_NAME), \
	TEXT("request_id", "As in x-relaykey-request-id.", request_id, MSG_MAX_NAME), \
	TEXT("path", "What the upstream path begins with.", path, MSG_MAX_URL), \
	TEXT("actor", "Who managed.", actor, AUDIT_MAX_NAME), \
	TEXT("action", "What was done.", action, AUDIT_MAX_NAME), \
	TEXT("target", "Id of the object.", target, AUDIT_MAX_NAME), \
	{"since", "From this time on.", API_TIME, 0, Q(since_ms)}, \
	{"until", "Before this time.", API_TIME, 0, Q(until_ms)}
/* clang-format on */

static const char *order_name(unsigned order)
{
	return order == AUDIT_FALLING ? "falling" : "rising";
}

static const struct api_field filters[] = {FILTERS};

static const struct api_field list_query[] = {
    FILTERS,
    {"order", "falling: the newest first, as without; rising: the oldest first.", API_ENUM, 0,
     Q(order), .value = order_name, .first = AUDIT_FALLING, .last = AUDIT_RISING},
};

/* Not a member of the query: what the lines shall look like. */
static const struct api_field export_query[] = {
    FILTERS,
    {"after", "Begins behind the row with this seq.", API_INTEGER, 0, Q(cursor), .min = 1},
    {"rows", "No more than so many.", API_INTEGER, 0, Q(limit), .min = 1},
    {"format", "jsonl or csv. None: what Accept says, else jsonl.", API_STRING, 0, .max = 5},
};

#define TAG .tag = "Audit"
#define ANSWERS                                                                                \
	.command = MSG_AUDIT_QUERY, .answer = MSG_AUDIT_ENTRY, .shows = &api_audit_entry,      \
	.success = 200, .may = MAY_READ

static const struct api_op operations[] = {
    {"listAudit", "GET", "/api/v1/audit", TAG,
     .summary = "Requests with their ends, management actions and changes of state", ANSWERS,
     .shape = API_LIST, QUERY(list_query),
     .preset = {{API_PLACE(struct msg_audit_query, mode), AUDIT_MODE_LIST},
                {API_PLACE(struct msg_audit_query, order), AUDIT_FALLING}},
     .after = API_PLACE(struct msg_audit_query, cursor),
     .last = API_PLACE(struct msg_audit_entry, seq),
     .limit = API_PLACE(struct msg_audit_query, limit), .also = {404, 409}},
    {"streamAudit", "GET", "/api/v1/audit/stream", TAG,
     .summary = "Entries as they become durable, as server-sent events with the entry's seq as "
                "id; Last-Event-ID goes on behind one",
     ANSWERS, .shape = API_EVENTS, MODE(AUDIT_MODE_TAIL), QUERY(filters),
     .after = API_PLACE(struct msg_audit_query, cursor),
     .last = API_PLACE(struct msg_audit_entry, seq), .also = {404, 409}},
    {"exportAudit", "GET", "/api/v1/audit/export", TAG,
     .summary = "Every row by itself with its hashes, oldest first, as JSON Lines or CSV",
     ANSWERS, .shape = API_LINES, .traits = API_SLOW, MODE(AUDIT_MODE_EXPORT),
     QUERY(export_query), .also = {404, 406, 409}},
    {"verifyAudit", "POST", "/api/v1/audit/verify", TAG,
     .summary = "Recomputes the hash chain over every row", .command = MSG_AUDIT_VERIFY,
     .answer = MSG_AUDIT_VERIFIED, .shape = API_ONE, .traits = API_SLOW, .success = 200,
     .may = MAY_READ, .shows = &api_audit_verified},
};

const struct api_ops api_ops_audit = API_OPS(operations);
