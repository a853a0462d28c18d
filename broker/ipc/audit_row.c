#include "ipc/audit_row.h"

#include "ipc/messages.h"

static const struct record_field audit_row_fields[] = {
    RF_U8(struct audit_row, type),
    RF_I64(struct audit_row, time_ms),
    RF_FIXED(struct audit_row, request_id, 16),
    RF_BYTES(struct audit_row, key_id, AUDIT_MAX_NAME),
    RF_U8(struct audit_row, holder_kind),
    RF_BYTES(struct audit_row, holder, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, conn_id, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, conn_name, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, provider, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, env, AUDIT_MAX_NAME),
    RF_FIXED(struct audit_row, client_ip, 16),
    RF_BYTES(struct audit_row, user_agent, AUDIT_MAX_USER_AGENT),
    RF_BYTES(struct audit_row, method, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, path, AUDIT_MAX_PATH + MSG_MAX_URL),
    RF_LIST(struct audit_row, query_names, AUDIT_MAX_QUERY_NAMES),
    RF_BYTES(struct audit_row, model, AUDIT_MAX_NAME),
    RF_U8(struct audit_row, decision),
    RF_U16(struct audit_row, reason),
    RF_U64(struct audit_row, policy_version),
    RF_I64(struct audit_row, reserved_pusd),
    RF_I64(struct audit_row, final_pusd),
    RF_U16(struct audit_row, status),
    RF_U64(struct audit_row, bytes_in),
    RF_U64(struct audit_row, bytes_out),
    RF_U64(struct audit_row, tokens_in),
    RF_U64(struct audit_row, tokens_out),
    RF_U32(struct audit_row, unwrap_us),
    RF_U32(struct audit_row, upstream_us),
    RF_U32(struct audit_row, total_us),
    RF_U8(struct audit_row, outcome),
    RF_BYTES(struct audit_row, detail, AUDIT_MAX_DETAIL),
    RF_BYTES(struct audit_row, actor, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, action, AUDIT_MAX_NAME),
    RF_BYTES(struct audit_row, target, AUDIT_MAX_NAME),
};

_Static_assert(sizeof audit_row_fields / sizeof audit_row_fields[0] <= RECORD_PACK_FIELDS,
               "a tag is one byte");

const struct record_desc audit_row_desc = RECORD_DESC(struct audit_row, audit_row_fields);

const char *audit_type_name(unsigned type)
{
	static const char *const names[] = {
	    [AUDIT_START] = "start",       [AUDIT_REQUEST] = "request",
	    [AUDIT_RESPONSE] = "response", [AUDIT_MANAGE] = "management",
	    [AUDIT_STATE] = "state",       [AUDIT_STOP] = "stop",
	};

	if (type >= sizeof names / sizeof names[0] || !names[type])
		return "unknown";
	return names[type];
}

const char *audit_outcome_name(unsigned outcome)
{
	static const char *const names[] = {
	    [OUTCOME_NONE] = "",
	    [OUTCOME_COMPLETE] = "complete",
	    [OUTCOME_CLIENT_GONE] = "client_gone",
	    [OUTCOME_UPSTREAM_GONE] = "upstream_gone",
	    [OUTCOME_CUT] = "cut",
	    [OUTCOME_BROKER] = "broker",
	    [OUTCOME_TIMEOUT] = "timeout",
	    [OUTCOME_NOT_SENT] = "not_sent",
	};

	if (outcome >= sizeof names / sizeof names[0])
		return "unknown";
	return names[outcome];
}
