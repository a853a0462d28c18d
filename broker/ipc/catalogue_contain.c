#include "ipc/catalogue_contain.h"

static const struct record_field msg_panic_fields[] = {
    RF_BYTES(struct msg_panic, reason, MSG_MAX_REASON),
};

static const struct record_field msg_leak_item_fields[] = {
    RF_U32(struct msg_leak_item, at),
    RF_U16(struct msg_leak_item, n),
    RF_BYTES(struct msg_leak_item, source, MSG_MAX_LEAK_SOURCE),
};

static const struct record_field msg_leak_report_fields[] = {
    RF_BYTES(struct msg_leak_report, payload, MSG_MAX_LEAK),
    RF_LIST(struct msg_leak_report, items, MSG_MAX_LEAK_ITEMS),
    RF_BYTES(struct msg_leak_report, key_id, MSG_MAX_KEY),
    RF_BYTES(struct msg_leak_report, signature, MSG_MAX_SIGNATURE),
};

static const struct record_field msg_leak_verdict_fields[] = {
    RF_U8(struct msg_leak_verdict, finding),
    RF_BYTES(struct msg_leak_verdict, key_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_leak_verdict, masked, MSG_MAX_NAME),
};

static const struct record_field msg_credential_list_fields[] = {
    RF_BYTES(struct msg_credential_list, ref, MSG_MAX_KEY),
    RF_U32(struct msg_credential_list, before),
    RF_U32(struct msg_credential_list, limit),
};

static const struct record_field msg_credential_ref_fields[] = {
    RF_BYTES(struct msg_credential_ref, ref, MSG_MAX_KEY),
    RF_U32(struct msg_credential_ref, version),
};

static const struct record_field msg_credential_info_fields[] = {
    RF_BYTES(struct msg_credential_info, conn_id, MSG_MAX_NAME),
    RF_U32(struct msg_credential_info, version),
    RF_U8(struct msg_credential_info, current),
    RF_U8(struct msg_credential_info, restorable),
    RF_BYTES(struct msg_credential_info, hint, MSG_MAX_NAME),
    RF_BYTES(struct msg_credential_info, mechanism, MSG_MAX_NAME),
    RF_U32(struct msg_credential_info, kek_generation),
    RF_I64(struct msg_credential_info, created_ms),
};

static const struct record_field msg_conn_update_fields[] = {
    RF_BYTES(struct msg_conn_update, ref, MSG_MAX_KEY),
    RF_U32(struct msg_conn_update, set),
    RF_BYTES(struct msg_conn_update, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_update, provider, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_update, base_url, MSG_MAX_URL),
    RF_LIST(struct msg_conn_update, auth, MSG_MAX_AUTH),
    RF_U32(struct msg_conn_update, flags),
    RF_BYTES(struct msg_conn_update, ca_pem, MSG_MAX_PEM),
    RF_BYTES(struct msg_conn_update, secret, MSG_MAX_SECRET),
};

static const struct record_field msg_conn_probe_fields[] = {
    RF_BYTES(struct msg_conn_probe, ref, MSG_MAX_KEY),
    RF_BYTES(struct msg_conn_probe, method, MSG_MAX_NAME),
    RF_BYTES(struct msg_conn_probe, path, MSG_MAX_URL),
};

static const struct record_field msg_probe_result_fields[] = {
    RF_BYTES(struct msg_probe_result, conn_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_probe_result, method, MSG_MAX_NAME),
    RF_BYTES(struct msg_probe_result, path, 2 * MSG_MAX_URL),
    RF_FIXED(struct msg_probe_result, request_id, 16),
    RF_U16(struct msg_probe_result, status),
    RF_U16(struct msg_probe_result, reason),
    RF_BYTES(struct msg_probe_result, code, MSG_MAX_NAME),
    RF_BYTES(struct msg_probe_result, detail, MSG_MAX_TEXT),
    RF_U32(struct msg_probe_result, dial_us),
    RF_U32(struct msg_probe_result, tls_us),
    RF_U32(struct msg_probe_result, first_byte_us),
    RF_BYTES(struct msg_probe_result, subject, MSG_MAX_SUBJECT),
    RF_I64(struct msg_probe_result, expires_ms),
};

static const struct record_field msg_probe_fields[] = {
    RF_U32(struct msg_probe, upstream_id),
    RF_FIXED(struct msg_probe, request_id, 16),
    RF_U8(struct msg_probe, head),
    RF_BYTES(struct msg_probe, rest, MSG_MAX_URL),
    RF_BYTES(struct msg_probe, inject_headers, MSG_MAX_INJECT),
    RF_BYTES(struct msg_probe, inject_query, MSG_MAX_INJECT),
    RF_BYTES(struct msg_probe, dial, MSG_MAX_DIAL),
};

static const struct record_field msg_probed_fields[] = {
    RF_U16(struct msg_probed, status),
    RF_U16(struct msg_probed, reason),
    RF_BYTES(struct msg_probed, detail, MSG_MAX_TEXT),
    RF_U32(struct msg_probed, dial_us),
    RF_U32(struct msg_probed, tls_us),
    RF_U32(struct msg_probed, first_byte_us),
    RF_BYTES(struct msg_probed, subject, MSG_MAX_SUBJECT),
    RF_I64(struct msg_probed, expires_ms),
};

const struct record_desc msg_panic_desc = RECORD_DESC(struct msg_panic, msg_panic_fields);
const struct record_desc msg_leak_item_desc =
    RECORD_DESC(struct msg_leak_item, msg_leak_item_fields);
const struct record_desc msg_leak_report_desc =
    RECORD_DESC(struct msg_leak_report, msg_leak_report_fields);
const struct record_desc msg_leak_verdict_desc =
    RECORD_DESC(struct msg_leak_verdict, msg_leak_verdict_fields);
const struct record_desc msg_credential_list_desc =
    RECORD_DESC(struct msg_credential_list, msg_credential_list_fields);
const struct record_desc msg_credential_ref_desc =
    RECORD_DESC(struct msg_credential_ref, msg_credential_ref_fields);
const struct record_desc msg_credential_info_desc =
    RECORD_DESC(struct msg_credential_info, msg_credential_info_fields);
const struct record_desc msg_conn_update_desc =
    RECORD_DESC(struct msg_conn_update, msg_conn_update_fields);
const struct record_desc msg_conn_probe_desc =
    RECORD_DESC(struct msg_conn_probe, msg_conn_probe_fields);
const struct record_desc msg_probe_result_desc =
    RECORD_DESC(struct msg_probe_result, msg_probe_result_fields);
const struct record_desc msg_probe_desc = RECORD_DESC(struct msg_probe, msg_probe_fields);
const struct record_desc msg_probed_desc = RECORD_DESC(struct msg_probed, msg_probed_fields);
