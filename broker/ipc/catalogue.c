#include "ipc/catalogue.h"

/* ---- bodies ---- */

static const struct record_field msg_setup_fields[] = {
    RF_U8(struct msg_setup, role),
    RF_U32(struct msg_setup, instance),
    RF_U32(struct msg_setup, relays),
    RF_BYTES(struct msg_setup, state_dir, MSG_MAX_URL),
    RF_BYTES(struct msg_setup, token_module, MSG_MAX_URL),
    RF_BYTES(struct msg_setup, token_init_args, MSG_MAX_TEXT),
    RF_LIST(struct msg_setup, token_env, MSG_MAX_LIST),
    RF_BYTES(struct msg_setup, token, MSG_MAX_URL),
    RF_BYTES(struct msg_setup, token_pin_file, MSG_MAX_URL),
    RF_U32(struct msg_setup, owner_uid),
    RF_U32(struct msg_setup, drop_uid),
    RF_U32(struct msg_setup, drop_gid),
    RF_U8(struct msg_setup, journal_normal),
    RF_U8(struct msg_setup, secret_locked),
    RF_U8(struct msg_setup, log_level),
    RF_U8(struct msg_setup, proxy_protocol),
    RF_LIST(struct msg_setup, trusted_proxies, MSG_MAX_LIST),
    RF_U32(struct msg_setup, max_connections),
    RF_U32(struct msg_setup, max_connections_per_client),
    RF_BYTES(struct msg_setup, egress, MSG_MAX_EGRESS),
};

static const struct record_field msg_listener_fields[] = {
    RF_U8(struct msg_listener, kind),
};

static const struct record_field msg_peer_fields[] = {
    RF_U8(struct msg_peer, role),
    RF_U32(struct msg_peer, instance),
};

static const struct record_field msg_tls_fields[] = {
    RF_BYTES(struct msg_tls, certificate, MSG_MAX_PEM),
    RF_BYTES(struct msg_tls, key, MSG_MAX_SERVER_KEY),
};

static const struct record_field msg_trust_fields[] = {
    RF_BYTES(struct msg_trust, pem, MSG_MAX_PEM),
    RF_U8(struct msg_trust, last),
};

static const struct record_field msg_empty_fields[] = {
    RF_U8(struct msg_empty, zero),
};

static const struct record_field msg_stop_fields[] = {
    RF_U32(struct msg_stop, grace_ms),
};

static const struct record_field msg_log_level_fields[] = {
    RF_U8(struct msg_log_level, level),
};

static const struct record_field msg_text_fields[] = {
    RF_BYTES(struct msg_text, text, MSG_MAX_TEXT),
};

static const struct record_field msg_gate_fields[] = {
    RF_U8(struct msg_gate, unsealed),
    RF_U8(struct msg_gate, audit_ok),
};

static const struct record_field msg_upstream_fields[] = {
    RF_U32(struct msg_upstream, upstream_id),
    RF_U32(struct msg_upstream, replaces),
    RF_BYTES(struct msg_upstream, conn_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_upstream, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_upstream, host, MSG_MAX_URL),
    RF_U16(struct msg_upstream, port),
    RF_BYTES(struct msg_upstream, base_path, MSG_MAX_URL),
    RF_U32(struct msg_upstream, flags),
    RF_BYTES(struct msg_upstream, ca_pem, MSG_MAX_PEM),
    RF_LIST(struct msg_upstream, set_headers, MSG_MAX_LIST),
    RF_BYTES(struct msg_upstream, egress, MSG_MAX_EGRESS),
    RF_BYTES(struct msg_upstream, client_chain, MSG_MAX_CHAIN),
};

static const struct record_field msg_upstream_drop_fields[] = {
    RF_U32(struct msg_upstream_drop, upstream_id),
};

static const struct record_field msg_authorize_fields[] = {
    RF_FIXED(struct msg_authorize, request_id, 16),
    RF_BYTES(struct msg_authorize, key, MSG_MAX_KEY),
    RF_U8(struct msg_authorize, key_conflict),
    RF_BYTES(struct msg_authorize, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_authorize, method, MSG_MAX_NAME),
    RF_BYTES(struct msg_authorize, rest, MSG_MAX_PATH),
    RF_LIST(struct msg_authorize, query_names, AUDIT_MAX_QUERY_NAMES),
    RF_FIXED(struct msg_authorize, client_ip, 16),
    RF_BYTES(struct msg_authorize, user_agent, AUDIT_MAX_USER_AGENT),
    RF_U8(struct msg_authorize, dial),
};

static const struct record_field msg_dial_fields[] = {
    RF_BYTES(struct msg_dial, client_key, MSG_MAX_CLIENT_KEY),
    RF_BYTES(struct msg_dial, proxy_secret, MSG_MAX_PROXY_SECRET),
};

static const struct record_field msg_decision_fields[] = {
    RF_U8(struct msg_decision, decision),
    RF_U16(struct msg_decision, reason),
    RF_U32(struct msg_decision, upstream_id),
    RF_BYTES(struct msg_decision, inject_headers, MSG_MAX_INJECT),
    RF_BYTES(struct msg_decision, inject_query, MSG_MAX_INJECT),
    RF_LIST(struct msg_decision, masks, MSG_MAX_MASKS),
    RF_I64(struct msg_decision, cut_at_ms),
    RF_U32(struct msg_decision, minute_limit),
    RF_U32(struct msg_decision, minute_left),
    RF_U32(struct msg_decision, minute_reset_s),
    RF_U32(struct msg_decision, day_limit),
    RF_U32(struct msg_decision, day_left),
    RF_U32(struct msg_decision, day_reset_s),
    RF_U32(struct msg_decision, concurrent_limit),
    RF_U32(struct msg_decision, concurrent_left),
    RF_U32(struct msg_decision, retry_after_s),
    RF_BYTES(struct msg_decision, dial, MSG_MAX_DIAL),
};

static const struct record_field msg_again_fields[] = {
    RF_U8(struct msg_again, sent),
};

static const struct record_field msg_cut_fields[] = {
    RF_U16(struct msg_cut, reason),
};

static const struct record_field msg_expiry_fields[] = {
    RF_I64(struct msg_expiry, cut_at_ms),
};

static const struct record_field msg_complete_fields[] = {
    RF_U16(struct msg_complete, status),
    RF_U16(struct msg_complete, reason),
    RF_U8(struct msg_complete, outcome),
    RF_U64(struct msg_complete, bytes_in),
    RF_U64(struct msg_complete, bytes_out),
    RF_U32(struct msg_complete, upstream_us),
    RF_U32(struct msg_complete, total_us),
    RF_BYTES(struct msg_complete, detail, AUDIT_MAX_DETAIL),
};

static const struct record_field msg_refused_fields[] = {
    RF_FIXED(struct msg_refused, request_id, 16),
    RF_U16(struct msg_refused, reason),
    RF_BYTES(struct msg_refused, detail, AUDIT_MAX_DETAIL),
    RF_BYTES(struct msg_refused, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_refused, method, MSG_MAX_NAME),
    RF_BYTES(struct msg_refused, path, MSG_MAX_PATH),
    RF_FIXED(struct msg_refused, client_ip, 16),
    RF_BYTES(struct msg_refused, user_agent, AUDIT_MAX_USER_AGENT),
};

static const struct record_field msg_conn_add_fields[] = {
    RF_BYTES(struct msg_conn_add, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_add, provider, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_add, base_url, MSG_MAX_URL),
    RF_LIST(struct msg_conn_add, auth, MSG_MAX_AUTH),
    RF_U32(struct msg_conn_add, flags),
    RF_BYTES(struct msg_conn_add, ca_pem, MSG_MAX_PEM),
    RF_BYTES(struct msg_conn_add, secret, MSG_MAX_SECRET),
    RF_BYTES(struct msg_conn_add, egress, MSG_MAX_EGRESS),
    RF_BYTES(struct msg_conn_add, proxy_secret, MSG_MAX_PROXY_SECRET),
    RF_BYTES(struct msg_conn_add, client_chain, MSG_MAX_CHAIN),
    RF_BYTES(struct msg_conn_add, client_key, MSG_MAX_CLIENT_KEY),
};

static const struct record_field msg_conn_identity_fields[] = {
    RF_BYTES(struct msg_conn_identity, ref, MSG_MAX_KEY),
    RF_BYTES(struct msg_conn_identity, client_chain, MSG_MAX_CHAIN),
    RF_BYTES(struct msg_conn_identity, client_key, MSG_MAX_CLIENT_KEY),
};

static const struct record_field msg_conn_proxy_fields[] = {
    RF_BYTES(struct msg_conn_proxy, ref, MSG_MAX_KEY),
    RF_BYTES(struct msg_conn_proxy, egress, MSG_MAX_EGRESS),
    RF_BYTES(struct msg_conn_proxy, proxy_secret, MSG_MAX_PROXY_SECRET),
};

static const struct record_field msg_ref_fields[] = {
    RF_BYTES(struct msg_ref, ref, MSG_MAX_KEY),
    RF_U8(struct msg_ref, force),
};

static const struct record_field msg_list_fields[] = {
    RF_BYTES(struct msg_list, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_list, holder, MSG_MAX_NAME),
    RF_U8(struct msg_list, live_only),
    RF_BYTES(struct msg_list, after, MSG_MAX_NAME),
    RF_U32(struct msg_list, limit),
};

static const struct record_field msg_conn_rotate_fields[] = {
    RF_BYTES(struct msg_conn_rotate, ref, MSG_MAX_KEY),
    RF_BYTES(struct msg_conn_rotate, secret, MSG_MAX_SECRET),
};

static const struct record_field msg_conn_state_fields[] = {
    RF_BYTES(struct msg_conn_state, ref, MSG_MAX_KEY),
    RF_U8(struct msg_conn_state, enabled),
};

static const struct record_field msg_conn_info_fields[] = {
    RF_BYTES(struct msg_conn_info, id, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_info, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_info, provider, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_info, base_url, MSG_MAX_URL),
    RF_LIST(struct msg_conn_info, auth, MSG_MAX_LIST),
    RF_U32(struct msg_conn_info, flags),
    RF_U8(struct msg_conn_info, enabled),
    RF_U8(struct msg_conn_info, private_ca),
    RF_U32(struct msg_conn_info, credential_version),
    RF_U32(struct msg_conn_info, kek_generation),
    RF_BYTES(struct msg_conn_info, mechanism, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_info, secret_hint, MSG_MAX_NAME),
    RF_I64(struct msg_conn_info, created_ms),
    RF_I64(struct msg_conn_info, updated_ms),
    RF_U32(struct msg_conn_info, live_keys),
    RF_BYTES(struct msg_conn_info, client_subject, MSG_MAX_TEXT),
    RF_I64(struct msg_conn_info, client_expires_ms),
    RF_BYTES(struct msg_conn_info, egress, MSG_MAX_EGRESS),
    RF_U8(struct msg_conn_info, proxy_secret),
};

static const struct record_field msg_grant_fields[] = {
    RF_BYTES(struct msg_grant, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_grant, conn_name, MSG_MAX_NAME),
    RF_LIST(struct msg_grant, methods, MSG_MAX_LIST),
    RF_LIST(struct msg_grant, paths, MSG_MAX_LIST),
    RF_LIST(struct msg_grant, deny_query, MSG_MAX_LIST),
};

static const struct record_field msg_key_issue_fields[] = {
    RF_U8(struct msg_key_issue, kind),
    RF_BYTES(struct msg_key_issue, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_issue, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_issue, env, MSG_MAX_NAME),
    RF_LIST(struct msg_key_issue, cidrs, MSG_MAX_LIST),
    RF_LIST(struct msg_key_issue, grants, MSG_MAX_GRANTS),
    RF_I64(struct msg_key_issue, ttl_ms),
    RF_I64(struct msg_key_issue, expires_ms),
    RF_U32(struct msg_key_issue, rate_per_minute),
    RF_U32(struct msg_key_issue, rate_per_day),
    RF_U32(struct msg_key_issue, max_concurrent),
};

static const struct record_field msg_key_extend_fields[] = {
    RF_BYTES(struct msg_key_extend, ref, MSG_MAX_KEY),
    RF_I64(struct msg_key_extend, ttl_ms),
    RF_I64(struct msg_key_extend, expires_ms),
};

static const struct record_field msg_key_info_fields[] = {
    RF_BYTES(struct msg_key_info, id, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_info, key, MSG_MAX_KEY),
    RF_BYTES(struct msg_key_info, masked, MSG_MAX_NAME),
    RF_U8(struct msg_key_info, kind),
    RF_BYTES(struct msg_key_info, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_info, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_info, env, MSG_MAX_NAME),
    RF_LIST(struct msg_key_info, cidrs, MSG_MAX_LIST),
    RF_LIST(struct msg_key_info, grants, MSG_MAX_GRANTS),
    RF_U8(struct msg_key_info, state),
    RF_I64(struct msg_key_info, created_ms),
    RF_I64(struct msg_key_info, expires_ms),
    RF_I64(struct msg_key_info, revoked_ms),
    RF_I64(struct msg_key_info, last_used_ms),
    RF_U32(struct msg_key_info, in_flight),
    RF_U32(struct msg_key_info, rate_per_minute),
    RF_U32(struct msg_key_info, rate_per_day),
    RF_U32(struct msg_key_info, max_concurrent),
};

static const struct record_field msg_audit_query_fields[] = {
    RF_U8(struct msg_audit_query, mode),
    RF_U32(struct msg_audit_query, limit),
    RF_BYTES(struct msg_audit_query, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, kind, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, key_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, env, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, decision, MSG_MAX_NAME),
    RF_U16(struct msg_audit_query, status),
    RF_I64(struct msg_audit_query, since_ms),
    RF_I64(struct msg_audit_query, until_ms),
};

static const struct record_field msg_audit_entry_fields[] = {
    RF_U64(struct msg_audit_entry, seq),
    RF_FIXED(struct msg_audit_entry, prev_hash, 32),
    RF_FIXED(struct msg_audit_entry, hash, 32),
    RF_BYTES(struct msg_audit_entry, row, AUDIT_MAX_ROW),
    RF_U64(struct msg_audit_entry, response_seq),
    RF_BYTES(struct msg_audit_entry, response, AUDIT_MAX_ROW),
};

static const struct record_field msg_audit_verified_fields[] = {
    RF_U8(struct msg_audit_verified, ok),
    RF_U64(struct msg_audit_verified, rows),
    RF_U64(struct msg_audit_verified, first_seq),
    RF_U64(struct msg_audit_verified, last_seq),
    RF_FIXED(struct msg_audit_verified, head, 32),
    RF_U64(struct msg_audit_verified, bad_seq),
    RF_BYTES(struct msg_audit_verified, text, MSG_MAX_TEXT),
};

static const struct record_field msg_status_fields[] = {
    RF_BYTES(struct msg_status, version, MSG_MAX_NAME),
    RF_I64(struct msg_status, started_ms),
    RF_U8(struct msg_status, unsealed),
    RF_U8(struct msg_status, audit_ok),
    RF_BYTES(struct msg_status, token_state, MSG_MAX_NAME),
    RF_BYTES(struct msg_status, token_label, MSG_MAX_NAME),
    RF_BYTES(struct msg_status, token_model, MSG_MAX_NAME),
    RF_BYTES(struct msg_status, token_module, MSG_MAX_URL),
    RF_BYTES(struct msg_status, mechanism, MSG_MAX_NAME),
    RF_U32(struct msg_status, kek_generation),
    RF_BYTES(struct msg_status, secret_memory, MSG_MAX_NAME),
    RF_BYTES(struct msg_status, audit_error, MSG_MAX_TEXT),
    RF_U64(struct msg_status, audit_rows),
    RF_U32(struct msg_status, connections),
    RF_U64(struct msg_status, keys),
    RF_U64(struct msg_status, live_keys),
    RF_U32(struct msg_status, in_flight),
    RF_U32(struct msg_status, relays),
    RF_U64(struct msg_status, requests),
    RF_U64(struct msg_status, refused),
    RF_U64(struct msg_status, batches),
    RF_U64(struct msg_status, unwraps),
    RF_U64(struct msg_status, policy_version),
};

static const struct record_field msg_done_fields[] = {
    RF_I64(struct msg_done, err),
    RF_BYTES(struct msg_done, text, MSG_MAX_TEXT),
};

const struct record_desc msg_grant_desc = RECORD_DESC(struct msg_grant, msg_grant_fields);
const struct record_desc msg_dial_desc = RECORD_DESC(struct msg_dial, msg_dial_fields);

/* ---- who may say what to whom, and when ---- */

enum {
	SUPERVISOR = IPC_BIT(IPC_SUPERVISOR),
	KEEPER = IPC_BIT(IPC_KEEPER),
	RELAY = IPC_BIT(IPC_RELAY),
	CONSOLE = IPC_BIT(IPC_CONSOLE),
	COURIER = IPC_BIT(IPC_COURIER),
	CONTROL = IPC_BIT(IPC_CONTROL),
	EVERY_ROLE = KEEPER | RELAY | CONSOLE | COURIER,
};

#define BODY(s)                       (&(const struct record_desc)RECORD_DESC(struct msg_##s, msg_##s##_fields))
#define ROW(type, s, f, t, p)         [MSG_##type] = {#type, BODY(s), f, t, IPC_PHASE_##p, false}
#define ROW_WITH_FD(type, s, f, t, p) [MSG_##type] = {#type, BODY(s), f, t, IPC_PHASE_##p, true}

/* clang-format off */
static const struct ipc_row rows[MSG_TYPES] = {
	ROW(SETUP, setup, SUPERVISOR, EVERY_ROLE, SETUP),
	ROW_WITH_FD(LISTENER, listener, SUPERVISOR, KEEPER | RELAY | CONSOLE, SETUP),
	ROW_WITH_FD(PEER, peer, SUPERVISOR, KEEPER | RELAY | CONSOLE | COURIER, ANY),
	ROW(TLS, tls, SUPERVISOR, RELAY | CONSOLE, ANY),
	ROW(TRUST, trust, SUPERVISOR, RELAY | COURIER, ANY),
	ROW(START, empty, SUPERVISOR, EVERY_ROLE, SETUP),
	ROW(READY, empty, EVERY_ROLE, SUPERVISOR, ANY),
	ROW(FAILED, text, EVERY_ROLE, SUPERVISOR, ANY),
	ROW(STOP, stop, SUPERVISOR, EVERY_ROLE, ANY),
	ROW(GATE, gate, KEEPER, RELAY, SERVE),
	ROW(UPSTREAM, upstream, KEEPER, RELAY, SERVE),
	ROW(UPSTREAM_DROP, upstream_drop, KEEPER, RELAY, SERVE),
	ROW(AUTHORIZE, authorize, RELAY, KEEPER, SERVE),
	ROW(DECISION, decision, KEEPER, RELAY, SERVE),
	ROW(CUT, cut, KEEPER, RELAY, SERVE),
	ROW(COMPLETE, complete, RELAY, KEEPER, SERVE),
	ROW(REFUSED, refused, RELAY, KEEPER, SERVE),
	ROW(STATUS_GET, empty, CONTROL | CONSOLE, KEEPER, SERVE),
	ROW(STATUS, status, KEEPER, CONTROL | CONSOLE, SERVE),
	ROW(CONN_ADD, conn_add, CONTROL, KEEPER, SERVE),
	ROW(CONN_GET, ref, CONTROL, KEEPER, SERVE),
	ROW(CONN_LIST, list, CONTROL, KEEPER, SERVE),
	ROW(CONN_ROTATE, conn_rotate, CONTROL, KEEPER, SERVE),
	ROW(CONN_STATE, conn_state, CONTROL, KEEPER, SERVE),
	ROW(CONN_REMOVE, ref, CONTROL, KEEPER, SERVE),
	ROW(CONN_INFO, conn_info, KEEPER, CONTROL, SERVE),
	ROW(KEY_ISSUE, key_issue, CONTROL, KEEPER, SERVE),
	ROW(KEY_GET, ref, CONTROL, KEEPER, SERVE),
	ROW(KEY_LIST, list, CONTROL, KEEPER, SERVE),
	ROW(KEY_REVOKE, ref, CONTROL, KEEPER, SERVE),
	ROW(KEY_EXTEND, key_extend, CONTROL, KEEPER, SERVE),
	ROW(KEY_INFO, key_info, KEEPER, CONTROL, SERVE),
	ROW(AUDIT_QUERY, audit_query, CONTROL, KEEPER, SERVE),
	ROW(AUDIT_ENTRY, audit_entry, KEEPER, CONTROL, SERVE),
	ROW(AUDIT_VERIFY, empty, CONTROL, KEEPER, SERVE),
	ROW(AUDIT_VERIFIED, audit_verified, KEEPER, CONTROL, SERVE),
	ROW(DONE, done, KEEPER, CONTROL | CONSOLE, SERVE),
	ROW(LOG_LEVEL, log_level, SUPERVISOR, EVERY_ROLE, SERVE),
	ROW(AGAIN, again, RELAY, KEEPER, SERVE),
	ROW(EXPIRY, expiry, KEEPER, RELAY, SERVE),
	ROW(CONN_IDENTITY, conn_identity, CONTROL, KEEPER, SERVE),
	ROW(CONN_PROXY, conn_proxy, CONTROL, KEEPER, SERVE),
};
/* clang-format on */

const struct ipc_row *ipc_row(unsigned type)
{
	if (type >= MSG_TYPES || !rows[type].name)
		return NULL;
	return &rows[type];
}

bool ipc_permitted(unsigned type, enum ipc_role from, enum ipc_role to, enum ipc_phase phase)
{
	const struct ipc_row *row = ipc_row(type);

	return row && (row->from & IPC_BIT(from)) && (row->to & IPC_BIT(to)) &&
	       (row->phase & phase) && ipc_roles_may_talk(from, to);
}
