#include "api/audit.h"

#include "api/encode.h"
#include "api/fields.h"
#include "ipc/catalogue_manage.h"
#include "policy/reason.h"
#include "policy/relay_key.h"

static const char *reason_code(unsigned reason)
{
	return reason_info(reason)->code;
}

#define E(m) API_AT(struct api_audit, m)

enum {
	OF_REQUEST = API_AUDIT_REQUEST | API_AUDIT_ANSWERED,
	OF_RESPONSE = API_AUDIT_ANSWERED | API_AUDIT_RESPONSE,
	OF_TRAFFIC = OF_REQUEST | OF_RESPONSE,
	BY_SOMEBODY = API_AUDIT_OTHER | API_AUDIT_MADE,
};

static const struct api_field holder_fields[] = {
    {"kind", "What it is.", API_ENUM, 0, E(row.holder_kind), .value = api_holder_kind,
     .last = HOLDER_KINDS - 1},
    {"name", "Who it is.", API_STRING, 0, E(row.holder), .max = AUDIT_MAX_NAME},
};
static const struct api_schema holder_of_entry = {
    .name = "AuditHolder",
    .about = "Whose key was presented.",
    API_FIELDS(holder_fields),
};

static const struct api_field connection_fields[] = {
    {"id", "Null: there is no such connection.", API_STRING, API_NULL, E(row.conn_id),
     .max = AUDIT_MAX_NAME},
    {"name", "As it was called then; what was asked for when there is none.", API_STRING,
     API_NULL, E(row.conn_name), .max = AUDIT_MAX_NAME},
};
static const struct api_schema connection_of_entry = {
    .name = "AuditConnection",
    .about = "Which upstream was meant.",
    API_FIELDS(connection_fields),
};

static const struct api_field entry_fields[] = {
    {"seq", "Its place in the journal.", API_INTEGER, 0, E(seq)},
    {"prev_hash", "SHA-256 of the row before it.", API_HEX, 0, E(prev_hash),
     .only = API_AUDIT_HASHES},
    {"hash", "SHA-256 over the hash before, seq and row.", API_HEX, 0, E(hash),
     .only = API_AUDIT_HASHES},
    {"type", "A request is one entry with its response, but in an export.", API_ENUM, 0,
     E(row.type), .value = audit_type_name, .first = AUDIT_START, .last = AUDIT_STOP},
    {"time", "When it was.", API_TIME, API_NULL, E(row.time_ms)},
    {"detail", "More about the reason.", API_STRING, API_OMIT, E(detail),
     .max = AUDIT_MAX_DETAIL},
    {"request_id", "As in x-relaykey-request-id.", API_REQUEST_ID, API_NULL, E(row.request_id),
     .only = OF_TRAFFIC},
    {"key_id", "Null: no key that is known.", API_STRING, API_NULL, E(row.key_id),
     .only = OF_REQUEST, .max = AUDIT_MAX_NAME},
    {"holder", "Whose key it was.", API_GROUP, API_NULL, .only = OF_REQUEST,
     .object = &holder_of_entry},
    {"connection", "Which upstream was meant.", API_GROUP, 0, .only = OF_REQUEST,
     .object = &connection_of_entry},
    {"provider", "Of the connection.", API_STRING, API_NULL, E(row.provider),
     .only = OF_REQUEST, .max = AUDIT_MAX_NAME},
    {"environment", "Of the key.", API_STRING, API_NULL, E(row.env), .only = OF_REQUEST,
     .max = AUDIT_MAX_NAME},
    {"client_ip", "Where it came from.", API_ADDRESS, API_NULL, E(row.client_ip),
     .only = OF_REQUEST},
    {"user_agent", "As the client said.", API_STRING, API_NULL, E(row.user_agent),
     .only = OF_REQUEST, .max = AUDIT_MAX_USER_AGENT},
    {"method", "Of the request.", API_STRING, 0, E(row.method), .only = OF_REQUEST,
     .max = AUDIT_MAX_NAME},
    {"path", "The whole upstream path, without the query.", API_STRING, 0, E(row.path),
     .only = OF_REQUEST, .max = AUDIT_MAX_PATH},
    {"query_params", "Names, never values.", API_STRINGS, 0, E(row.query_names),
     .only = OF_REQUEST, .max = AUDIT_MAX_QUERY_NAMES},
    {"model", "That was asked for.", API_STRING, API_NULL, E(row.model), .only = OF_REQUEST,
     .max = AUDIT_MAX_NAME},
    {"decision", "Whether it went on.", API_ENUM, 0, E(row.decision), .only = OF_REQUEST,
     .value = decision_name, .last = DECISION_FAILED},
    {"reason", "Stable code.", API_ENUM, 0, E(reason), .only = OF_TRAFFIC, .value = reason_code,
     .last = REASON_COUNT - 1},
    {"policy_version", "Of the policy that decided.", API_INTEGER, 0, E(row.policy_version),
     .only = OF_REQUEST},
    {"status", "Of the upstream or of the refusal; null: none.", API_INTEGER, API_NULL,
     E(status), .only = OF_TRAFFIC},
    {"outcome", "How it ended.", API_ENUM, 0, E(response.outcome), .only = OF_RESPONSE,
     .value = audit_outcome_name, .last = OUTCOME_NOT_SENT},
    {"bytes_in", "Of the request's body.", API_INTEGER, 0, E(response.bytes_in),
     .only = OF_RESPONSE},
    {"bytes_out", "Of the response's body.", API_INTEGER, 0, E(response.bytes_out),
     .only = OF_RESPONSE},
    {"upstream_us", "Microseconds from the sent head to the response's.", API_INTEGER, 0,
     E(response.upstream_us), .only = OF_RESPONSE},
    {"total_us", "Microseconds from the first byte to the last.", API_INTEGER, 0,
     E(response.total_us), .only = OF_RESPONSE},
    {"actor", "Who did it.", API_STRING, API_NULL, E(row.actor), .only = BY_SOMEBODY,
     .max = AUDIT_MAX_NAME},
    {"action", "What was done, or what happened.", API_STRING, API_NULL, E(row.action),
     .only = BY_SOMEBODY, .max = AUDIT_MAX_NAME},
    {"target", "Id of the object.", API_STRING, API_NULL, E(row.target),
     .only = API_AUDIT_OTHER, .max = AUDIT_MAX_NAME},
};
const struct api_schema api_audit_entry = {
    .name = "AuditEntry",
    .about = "A request with its end, a management action, or a change of state.",
    API_FIELDS(entry_fields),
    .tagged = true,
    .tag = offsetof(struct api_audit, tag),
};

#define V(m) API_AT(struct msg_audit_verified, m)

static const struct api_field verified_fields[] = {
    {"ok", "The chain is whole.", API_BOOL, 0, V(ok)},
    {"rows", "That were read.", API_INTEGER, 0, V(rows)},
    {"first_seq", "The first of them.", API_INTEGER, 0, V(first_seq)},
    {"last_seq", "The last of them.", API_INTEGER, 0, V(last_seq)},
    {"head", "Hash of the last.", API_HEX, 0, V(head)},
    {"bad_seq", "Where the chain is broken; null: nowhere.", API_INTEGER, API_NULL, V(bad_seq)},
    {"error", "What is wrong there.", API_STRING, API_NULL, V(text), .max = MSG_MAX_TEXT},
};
const struct api_schema api_audit_verified = {
    .name = "AuditVerified",
    .about = "Whether the hash chain over every row holds.",
    .desc = &msg_audit_verified_desc,
    API_FIELDS(verified_fields),
};

int api_audit_take(const struct msg_audit_entry *e, bool with_hashes, struct api_audit *out)
{
	memset(out, 0, sizeof *out);
	if (record_unpack(&audit_row_desc, e->row, &out->row) ||
	    (e->response.n && record_unpack(&audit_row_desc, e->response, &out->response)))
		return RK_E_CORRUPT;
	out->seq = e->seq;
	memcpy(out->prev_hash, e->prev_hash, sizeof out->prev_hash);
	memcpy(out->hash, e->hash, sizeof out->hash);
	switch ((enum audit_type)out->row.type) {
	case AUDIT_REQUEST:
		out->tag = e->response.n ? API_AUDIT_ANSWERED : API_AUDIT_REQUEST;
		break;
	case AUDIT_RESPONSE:
		out->tag = API_AUDIT_RESPONSE;
		out->response = out->row;
		break;
	default:
		out->tag = API_AUDIT_OTHER;
		break;
	}
	out->status = out->tag == API_AUDIT_ANSWERED ? out->response.status : out->row.status;
	out->reason = out->response.reason ? out->response.reason : out->row.reason;
	out->detail = out->response.detail.n ? out->response.detail : out->row.detail;
	if (out->tag != API_AUDIT_OTHER && out->row.actor.n)
		out->tag |= API_AUDIT_MADE;
	if (with_hashes)
		out->tag |= API_AUDIT_HASHES;
	return 0;
}

int api_audit_encode(const struct msg_audit_entry *e, bool with_hashes, json_t **out)
{
	struct api_audit entry;
	int err = api_audit_take(e, with_hashes, &entry);

	if (err)
		return err;
	*out = api_encode(&api_audit_entry, &entry);
	return *out ? 0 : RK_E_NOMEM;
}
