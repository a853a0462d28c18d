#include "ipc/catalogue_manage.h"

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
    RF_U64(struct msg_conn_info, revision),
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
    RF_U32(struct msg_key_issue, flags),
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
    RF_U32(struct msg_key_info, flags),
    RF_U64(struct msg_key_info, revision),
    RF_BYTES(struct msg_key_info, minted_by, MSG_MAX_NAME),
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
    RF_U8(struct msg_audit_query, order),
    RF_U64(struct msg_audit_query, cursor),
    RF_BYTES(struct msg_audit_query, type, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, reason, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, provider, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, model, AUDIT_MAX_NAME),
    RF_BYTES(struct msg_audit_query, client, MSG_MAX_NAME),
    RF_BYTES(struct msg_audit_query, request_id, AUDIT_MAX_NAME),
    RF_BYTES(struct msg_audit_query, path, MSG_MAX_URL),
    RF_BYTES(struct msg_audit_query, actor, AUDIT_MAX_NAME),
    RF_BYTES(struct msg_audit_query, action, AUDIT_MAX_NAME),
    RF_BYTES(struct msg_audit_query, target, AUDIT_MAX_NAME),
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
    RF_U8(struct msg_status, panic),
    RF_I64(struct msg_status, panic_ms),
    RF_BYTES(struct msg_status, panic_by, MSG_MAX_NAME),
    RF_BYTES(struct msg_status, panic_reason, MSG_MAX_REASON),
};

static const struct record_field msg_settings_set_fields[] = {
    RF_U32(struct msg_settings_set, set),
    RF_BYTES(struct msg_settings_set, public_url, MSG_MAX_URL),
    RF_BYTES(struct msg_settings_set, smtp_host, MSG_MAX_HOST),
    RF_U16(struct msg_settings_set, smtp_port),
    RF_U8(struct msg_settings_set, smtp_tls),
    RF_BYTES(struct msg_settings_set, smtp_user, MSG_MAX_SMTP_USER),
    RF_BYTES(struct msg_settings_set, smtp_password, MSG_MAX_SMTP_PASSWORD),
    RF_BYTES(struct msg_settings_set, smtp_ca, MSG_MAX_PEM),
    RF_BYTES(struct msg_settings_set, mail_from, MSG_MAX_MAIL),
    RF_LIST(struct msg_settings_set, alert_mail, MSG_MAX_MAILS),
    RF_U8(struct msg_settings_set, trust_first_ip),
    RF_LIST(struct msg_settings_set, trust_presets, MSG_MAX_LIST),
    RF_U32(struct msg_settings_set, mails_per_key_day),
    RF_I64(struct msg_settings_set, confirm_ttl_ms),
    RF_LIST(struct msg_settings_set, leak_keys, MSG_MAX_LIST),
};

static const struct record_field msg_settings_fields[] = {
    RF_BYTES(struct msg_settings, public_url, MSG_MAX_URL),
    RF_BYTES(struct msg_settings, smtp_host, MSG_MAX_HOST),
    RF_U16(struct msg_settings, smtp_port),
    RF_U8(struct msg_settings, smtp_tls),
    RF_BYTES(struct msg_settings, smtp_user, MSG_MAX_SMTP_USER),
    RF_U8(struct msg_settings, smtp_password),
    RF_BYTES(struct msg_settings, smtp_ca, MSG_MAX_PEM),
    RF_BYTES(struct msg_settings, mail_from, MSG_MAX_MAIL),
    RF_LIST(struct msg_settings, alert_mail, MSG_MAX_MAILS),
    RF_U8(struct msg_settings, trust_first_ip),
    RF_LIST(struct msg_settings, trust_presets, MSG_MAX_LIST),
    RF_U32(struct msg_settings, mails_per_key_day),
    RF_I64(struct msg_settings, confirm_ttl_ms),
    RF_LIST(struct msg_settings, leak_keys, MSG_MAX_LIST),
    RF_I64(struct msg_settings, updated_ms),
    RF_U32(struct msg_settings, revision),
};

static const struct record_field msg_mail_test_fields[] = {
    RF_BYTES(struct msg_mail_test, address, MSG_MAX_MAIL),
};

static const struct record_field msg_hook_add_fields[] = {
    RF_BYTES(struct msg_hook_add, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_hook_add, url, MSG_MAX_URL),
    RF_U32(struct msg_hook_add, events),
    RF_U32(struct msg_hook_add, flags),
    RF_BYTES(struct msg_hook_add, ca_pem, MSG_MAX_PEM),
};

static const struct record_field msg_hook_update_fields[] = {
    RF_BYTES(struct msg_hook_update, ref, MSG_MAX_KEY),
    RF_U32(struct msg_hook_update, set),
    RF_BYTES(struct msg_hook_update, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_hook_update, url, MSG_MAX_URL),
    RF_U32(struct msg_hook_update, events),
    RF_U32(struct msg_hook_update, flags),
    RF_BYTES(struct msg_hook_update, ca_pem, MSG_MAX_PEM),
    RF_U8(struct msg_hook_update, enabled),
};

static const struct record_field msg_hook_list_fields[] = {
    RF_BYTES(struct msg_hook_list, after, MSG_MAX_NAME),
    RF_U32(struct msg_hook_list, limit),
};

static const struct record_field msg_hook_info_fields[] = {
    RF_BYTES(struct msg_hook_info, id, MSG_MAX_NAME),
    RF_BYTES(struct msg_hook_info, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_hook_info, url, MSG_MAX_URL),
    RF_U32(struct msg_hook_info, events),
    RF_U32(struct msg_hook_info, flags),
    RF_U8(struct msg_hook_info, private_ca),
    RF_U8(struct msg_hook_info, enabled),
    RF_BYTES(struct msg_hook_info, secret, MSG_MAX_NAME),
    RF_I64(struct msg_hook_info, created_ms),
    RF_I64(struct msg_hook_info, updated_ms),
    RF_U32(struct msg_hook_info, revision),
};

static const struct record_field msg_delivery_list_fields[] = {
    RF_BYTES(struct msg_delivery_list, hook, MSG_MAX_NAME),
    RF_U8(struct msg_delivery_list, kind),
    RF_U8(struct msg_delivery_list, state),
    RF_BYTES(struct msg_delivery_list, after, MSG_MAX_NAME),
    RF_U32(struct msg_delivery_list, limit),
};

static const struct record_field msg_delivery_info_fields[] = {
    RF_BYTES(struct msg_delivery_info, id, MSG_MAX_NAME),
    RF_U8(struct msg_delivery_info, kind),
    RF_BYTES(struct msg_delivery_info, target, MSG_MAX_MAIL),
    RF_U8(struct msg_delivery_info, event),
    RF_FIXED(struct msg_delivery_info, notice_id, 16),
    RF_U8(struct msg_delivery_info, state),
    RF_U32(struct msg_delivery_info, attempts),
    RF_U16(struct msg_delivery_info, status),
    RF_BYTES(struct msg_delivery_info, error, MSG_MAX_TEXT),
    RF_I64(struct msg_delivery_info, created_ms),
    RF_I64(struct msg_delivery_info, next_ms),
    RF_I64(struct msg_delivery_info, done_ms),
};

const struct record_desc msg_conn_add_desc =
    RECORD_DESC(struct msg_conn_add, msg_conn_add_fields);
const struct record_desc msg_conn_identity_desc =
    RECORD_DESC(struct msg_conn_identity, msg_conn_identity_fields);
const struct record_desc msg_conn_proxy_desc =
    RECORD_DESC(struct msg_conn_proxy, msg_conn_proxy_fields);
const struct record_desc msg_ref_desc = RECORD_DESC(struct msg_ref, msg_ref_fields);
const struct record_desc msg_list_desc = RECORD_DESC(struct msg_list, msg_list_fields);
const struct record_desc msg_conn_rotate_desc =
    RECORD_DESC(struct msg_conn_rotate, msg_conn_rotate_fields);
const struct record_desc msg_conn_state_desc =
    RECORD_DESC(struct msg_conn_state, msg_conn_state_fields);
const struct record_desc msg_conn_info_desc =
    RECORD_DESC(struct msg_conn_info, msg_conn_info_fields);
const struct record_desc msg_grant_desc = RECORD_DESC(struct msg_grant, msg_grant_fields);
const struct record_desc msg_key_issue_desc =
    RECORD_DESC(struct msg_key_issue, msg_key_issue_fields);
const struct record_desc msg_key_extend_desc =
    RECORD_DESC(struct msg_key_extend, msg_key_extend_fields);
const struct record_desc msg_key_info_desc =
    RECORD_DESC(struct msg_key_info, msg_key_info_fields);
const struct record_desc msg_audit_query_desc =
    RECORD_DESC(struct msg_audit_query, msg_audit_query_fields);
const struct record_desc msg_audit_entry_desc =
    RECORD_DESC(struct msg_audit_entry, msg_audit_entry_fields);
const struct record_desc msg_audit_verified_desc =
    RECORD_DESC(struct msg_audit_verified, msg_audit_verified_fields);
const struct record_desc msg_status_desc = RECORD_DESC(struct msg_status, msg_status_fields);
const struct record_desc msg_settings_set_desc =
    RECORD_DESC(struct msg_settings_set, msg_settings_set_fields);
const struct record_desc msg_settings_desc =
    RECORD_DESC(struct msg_settings, msg_settings_fields);
const struct record_desc msg_mail_test_desc =
    RECORD_DESC(struct msg_mail_test, msg_mail_test_fields);
const struct record_desc msg_hook_add_desc =
    RECORD_DESC(struct msg_hook_add, msg_hook_add_fields);
const struct record_desc msg_hook_update_desc =
    RECORD_DESC(struct msg_hook_update, msg_hook_update_fields);
const struct record_desc msg_hook_list_desc =
    RECORD_DESC(struct msg_hook_list, msg_hook_list_fields);
const struct record_desc msg_hook_info_desc =
    RECORD_DESC(struct msg_hook_info, msg_hook_info_fields);
const struct record_desc msg_delivery_list_desc =
    RECORD_DESC(struct msg_delivery_list, msg_delivery_list_fields);
const struct record_desc msg_delivery_info_desc =
    RECORD_DESC(struct msg_delivery_info, msg_delivery_info_fields);
