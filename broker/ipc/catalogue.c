#include "ipc/catalogue_contain.h"
#include "ipc/catalogue_manage.h"
#include "ipc/catalogue_trust.h"

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

static const struct record_field msg_discover_fields[] = {
    RF_FIXED(struct msg_discover, request_id, 16),
    RF_BYTES(struct msg_discover, key, MSG_MAX_KEY),
    RF_U8(struct msg_discover, key_conflict),
    RF_BYTES(struct msg_discover, method, MSG_MAX_NAME),
    RF_FIXED(struct msg_discover, client_ip, 16),
    RF_BYTES(struct msg_discover, user_agent, AUDIT_MAX_USER_AGENT),
};

static const struct record_field msg_discovered_fields[] = {
    RF_U16(struct msg_discovered, reason),
    RF_BYTES(struct msg_discovered, key_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_discovered, masked, MSG_MAX_NAME),
    RF_U8(struct msg_discovered, kind),
    RF_BYTES(struct msg_discovered, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_discovered, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_discovered, env, MSG_MAX_NAME),
    RF_I64(struct msg_discovered, expires_ms),
    RF_LIST(struct msg_discovered, cidrs, MSG_MAX_LIST),
    RF_U32(struct msg_discovered, minute_limit),
    RF_U32(struct msg_discovered, minute_left),
    RF_U32(struct msg_discovered, minute_reset_s),
    RF_U32(struct msg_discovered, day_limit),
    RF_U32(struct msg_discovered, day_left),
    RF_U32(struct msg_discovered, day_reset_s),
    RF_U32(struct msg_discovered, concurrent_limit),
    RF_U32(struct msg_discovered, concurrent_left),
    RF_LIST(struct msg_discovered, reaches, MSG_MAX_GRANTS),
    RF_U32(struct msg_discovered, left_out),
};

static const struct record_field msg_reach_fields[] = {
    RF_BYTES(struct msg_reach, conn_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_reach, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_reach, provider, MSG_MAX_NAME),
    RF_BYTES(struct msg_reach, base_path, MSG_MAX_URL),
    RF_U8(struct msg_reach, enabled),
    RF_LIST(struct msg_reach, methods, MSG_MAX_LIST),
    RF_LIST(struct msg_reach, paths, MSG_MAX_LIST),
    RF_LIST(struct msg_reach, deny_query, MSG_MAX_LIST),
};

static const struct record_field msg_notice_fields[] = {
    RF_U8(struct msg_notice, kind),
    RF_FIXED(struct msg_notice, id, 16),
    RF_I64(struct msg_notice, time_ms),
    RF_BYTES(struct msg_notice, key_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_notice, key_masked, MSG_MAX_NAME),
    RF_U8(struct msg_notice, holder_kind),
    RF_BYTES(struct msg_notice, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_notice, conn_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_notice, conn_name, MSG_MAX_NAME),
    RF_FIXED(struct msg_notice, client_ip, 16),
    RF_BYTES(struct msg_notice, user_agent, AUDIT_MAX_USER_AGENT),
    RF_BYTES(struct msg_notice, actor, MSG_MAX_NAME),
    RF_BYTES(struct msg_notice, code, MSG_MAX_NAME),
    RF_I64(struct msg_notice, until_ms),
    RF_BYTES(struct msg_notice, detail, AUDIT_MAX_DETAIL),
};

static const struct record_field msg_deliver_fields[] = {
    RF_U8(struct msg_deliver, kind),
    RF_U64(struct msg_deliver, delivery),
    RF_BYTES(struct msg_deliver, target, MSG_MAX_URL),
    RF_U16(struct msg_deliver, port),
    RF_U8(struct msg_deliver, tls),
    RF_U8(struct msg_deliver, allow_private),
    RF_BYTES(struct msg_deliver, ca_pem, MSG_MAX_PEM),
    RF_BYTES(struct msg_deliver, user, MSG_MAX_SMTP_USER),
    RF_BYTES(struct msg_deliver, secret, MSG_MAX_SMTP_PASSWORD),
    RF_BYTES(struct msg_deliver, mail_from, MSG_MAX_MAIL),
    RF_BYTES(struct msg_deliver, mail_to, MSG_MAX_MAIL),
    RF_BYTES(struct msg_deliver, public_url, MSG_MAX_URL),
    RF_BYTES(struct msg_deliver, notice, MSG_MAX_NOTICE),
};

static const struct record_field msg_delivered_fields[] = {
    RF_U8(struct msg_delivered, result),
    RF_U16(struct msg_delivered, status),
    RF_U32(struct msg_delivered, retry_after_s),
    RF_BYTES(struct msg_delivered, text, MSG_MAX_TEXT),
};

static const struct record_field msg_caller_fields[] = {
    RF_BYTES(struct msg_caller, credential, MSG_MAX_KEY),
    RF_FIXED(struct msg_caller, client_ip, 16),
    RF_BYTES(struct msg_caller, user_agent, AUDIT_MAX_USER_AGENT),
    RF_BYTES(struct msg_caller, idempotency_key, MSG_MAX_IDEMPOTENCY_KEY),
    RF_U64(struct msg_caller, if_revision),
};

static const struct record_field msg_taken_fields[] = {
    RF_U32(struct msg_taken, bytes),
};

static const struct record_field msg_done_fields[] = {
    RF_I64(struct msg_done, err),
    RF_BYTES(struct msg_done, text, MSG_MAX_TEXT),
    RF_U8(struct msg_done, more),
};

const struct record_desc msg_notice_desc = RECORD_DESC(struct msg_notice, msg_notice_fields);
const struct record_desc msg_reach_desc = RECORD_DESC(struct msg_reach, msg_reach_fields);
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

#define BODY(s)               (&(const struct record_desc)RECORD_DESC(struct msg_##s, msg_##s##_fields))
#define ROW(type, s, f, t, p) [MSG_##type] = {#type, BODY(s), f, t, IPC_PHASE_##p, false}
/* bodies of ipc/catalogue_manage.c: a command to the keeper, and what it answers */
#define COMMAND(type, s)                                                                       \
	[MSG_##type] = {#type,  &msg_##s##_desc, CONTROL | CONSOLE,                            \
	                KEEPER, IPC_PHASE_SERVE, false}
#define ANSWER(type, s)                                                                        \
	[MSG_##type] = {#type, &msg_##s##_desc, KEEPER, CONTROL | CONSOLE, IPC_PHASE_SERVE,    \
	                false}
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
	ANSWER(STATUS, status),
	COMMAND(CONN_ADD, conn_add),
	COMMAND(CONN_GET, ref),
	COMMAND(CONN_LIST, list),
	COMMAND(CONN_ROTATE, conn_rotate),
	COMMAND(CONN_STATE, conn_state),
	COMMAND(CONN_REMOVE, ref),
	ANSWER(CONN_INFO, conn_info),
	COMMAND(KEY_ISSUE, key_issue),
	COMMAND(KEY_GET, ref),
	COMMAND(KEY_LIST, list),
	COMMAND(KEY_REVOKE, ref),
	COMMAND(KEY_EXTEND, key_extend),
	ANSWER(KEY_INFO, key_info),
	COMMAND(AUDIT_QUERY, audit_query),
	ANSWER(AUDIT_ENTRY, audit_entry),
	ROW(AUDIT_VERIFY, empty, CONTROL | CONSOLE, KEEPER, SERVE),
	ANSWER(AUDIT_VERIFIED, audit_verified),
	ROW(DONE, done, KEEPER, CONTROL | CONSOLE, SERVE),
	ROW(LOG_LEVEL, log_level, SUPERVISOR, EVERY_ROLE, SERVE),
	ROW(AGAIN, again, RELAY, KEEPER, SERVE),
	ROW(EXPIRY, expiry, KEEPER, RELAY, SERVE),
	ROW(DISCOVER, discover, RELAY, KEEPER, SERVE),
	ROW(DISCOVERED, discovered, KEEPER, RELAY, SERVE),
	COMMAND(CONN_IDENTITY, conn_identity),
	COMMAND(CONN_PROXY, conn_proxy),
	ROW(CALLER, caller, CONSOLE, KEEPER, SERVE),
	ROW(FORGET, empty, CONSOLE, KEEPER, SERVE),
	ROW(DELIVER, deliver, KEEPER, COURIER, SERVE),
	ROW(DELIVERED, delivered, COURIER, KEEPER, SERVE),
	ROW(SETTINGS_GET, empty, CONTROL | CONSOLE, KEEPER, SERVE),
	COMMAND(SETTINGS_SET, settings_set),
	ANSWER(SETTINGS, settings),
	COMMAND(MAIL_TEST, mail_test),
	COMMAND(HOOK_ADD, hook_add),
	COMMAND(HOOK_GET, ref),
	COMMAND(HOOK_LIST, hook_list),
	COMMAND(HOOK_UPDATE, hook_update),
	COMMAND(HOOK_REMOVE, ref),
	COMMAND(HOOK_ROTATE, ref),
	COMMAND(HOOK_TEST, ref),
	ANSWER(HOOK_INFO, hook_info),
	COMMAND(DELIVERY_LIST, delivery_list),
	COMMAND(DELIVERY_GET, ref),
	COMMAND(DELIVERY_REPLAY, ref),
	ANSWER(DELIVERY_INFO, delivery_info),
	COMMAND(KEY_MINT, key_mint),
	COMMAND(KEY_UPDATE, key_update),
	COMMAND(MGMT_ISSUE, mgmt_issue),
	COMMAND(MGMT_GET, ref),
	COMMAND(MGMT_LIST, list),
	COMMAND(MGMT_UPDATE, mgmt_update),
	COMMAND(MGMT_REVOKE, mgmt_revoke),
	ANSWER(MGMT_INFO, mgmt_info),
	COMMAND(USER_ADD, user_add),
	COMMAND(USER_GET, ref),
	COMMAND(USER_LIST, list),
	COMMAND(USER_UPDATE, user_update),
	COMMAND(USER_REMOVE, ref),
	ANSWER(USER_INFO, user_info),
	COMMAND(HOLDER_LIST, holder_list),
	COMMAND(HOLDER_GET, ref),
	COMMAND(HOLDER_SET, holder_set),
	COMMAND(HOLDER_REVOKE, ref),
	ANSWER(HOLDER_INFO, holder_info),
	COMMAND(TRUST_LIST, trust_list),
	COMMAND(TRUST_GET, ref),
	COMMAND(TRUST_ADD, trust_add),
	COMMAND(TRUST_APPROVE, ref),
	COMMAND(TRUST_REMOVE, ref),
	ANSWER(TRUST_INFO, trust_info),
	COMMAND(TRUST_CONFIRM_GET, confirm),
	COMMAND(TRUST_CONFIRM, confirm),
	COMMAND(PANIC_ON, panic),
	COMMAND(PANIC_OFF, panic),
	COMMAND(CREDENTIAL_LIST, credential_list),
	ANSWER(CREDENTIAL_INFO, credential_info),
	COMMAND(CONN_ROLLBACK, credential_ref),
	COMMAND(CONN_PURGE, credential_ref),
	COMMAND(CONN_UPDATE, conn_update),
	COMMAND(LEAK_REPORT, leak_report),
	ANSWER(LEAK_VERDICT, leak_verdict),
	COMMAND(CONN_PROBE, conn_probe),
	ANSWER(PROBE_RESULT, probe_result),
	[MSG_PROBE] = {"PROBE", &msg_probe_desc, KEEPER, RELAY, IPC_PHASE_SERVE, false},
	[MSG_PROBED] = {"PROBED", &msg_probed_desc, RELAY, KEEPER, IPC_PHASE_SERVE, false},
	ROW(TAKEN, taken, CONSOLE, KEEPER, SERVE),
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
