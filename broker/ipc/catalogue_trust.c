#include "ipc/catalogue_trust.h"

static const struct record_field msg_holder_list_fields[] = {
    RF_BYTES(struct msg_holder_list, kind, MSG_MAX_NAME),
    RF_BYTES(struct msg_holder_list, after, MSG_MAX_HOLDER),
    RF_U32(struct msg_holder_list, limit),
};

static const struct record_field msg_holder_set_fields[] = {
    RF_BYTES(struct msg_holder_set, ref, MSG_MAX_HOLDER),
    RF_U32(struct msg_holder_set, set),
    RF_BYTES(struct msg_holder_set, email, MSG_MAX_EMAIL),
};

static const struct record_field msg_holder_info_fields[] = {
    RF_BYTES(struct msg_holder_info, ref, MSG_MAX_HOLDER),
    RF_U8(struct msg_holder_info, kind),
    RF_BYTES(struct msg_holder_info, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_holder_info, email, MSG_MAX_EMAIL),
    RF_U32(struct msg_holder_info, keys),
    RF_U32(struct msg_holder_info, live_keys),
    RF_U32(struct msg_holder_info, trusted_ips),
    RF_U32(struct msg_holder_info, pending_ips),
    RF_U32(struct msg_holder_info, revoked),
    RF_U64(struct msg_holder_info, revision),
};

static const struct record_field msg_trust_list_fields[] = {
    RF_BYTES(struct msg_trust_list, holder, MSG_MAX_HOLDER),
    RF_BYTES(struct msg_trust_list, key, MSG_MAX_KEY),
    RF_U8(struct msg_trust_list, state),
    RF_BYTES(struct msg_trust_list, after, MSG_MAX_NAME),
    RF_U32(struct msg_trust_list, limit),
};

static const struct record_field msg_trust_add_fields[] = {
    RF_BYTES(struct msg_trust_add, holder, MSG_MAX_HOLDER),
    RF_BYTES(struct msg_trust_add, address, MSG_MAX_ADDRESS),
};

static const struct record_field msg_trust_info_fields[] = {
    RF_BYTES(struct msg_trust_info, id, MSG_MAX_NAME),
    RF_U8(struct msg_trust_info, holder_kind),
    RF_BYTES(struct msg_trust_info, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_trust_info, address, MSG_MAX_ADDRESS),
    RF_U8(struct msg_trust_info, state),
    RF_U8(struct msg_trust_info, how),
    RF_BYTES(struct msg_trust_info, key_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_trust_info, key_masked, MSG_MAX_NAME),
    RF_BYTES(struct msg_trust_info, conn_id, MSG_MAX_NAME),
    RF_BYTES(struct msg_trust_info, conn_name, MSG_MAX_NAME),
    RF_BYTES(struct msg_trust_info, user_agent, AUDIT_MAX_USER_AGENT),
    RF_I64(struct msg_trust_info, first_ms),
    RF_I64(struct msg_trust_info, decided_ms),
    RF_I64(struct msg_trust_info, code_expires_ms),
    RF_U64(struct msg_trust_info, revision),
};

static const struct record_field msg_confirm_fields[] = {
    RF_BYTES(struct msg_confirm, code, MSG_MAX_NAME),
};

const struct record_desc msg_holder_list_desc =
    RECORD_DESC(struct msg_holder_list, msg_holder_list_fields);
const struct record_desc msg_holder_set_desc =
    RECORD_DESC(struct msg_holder_set, msg_holder_set_fields);
const struct record_desc msg_holder_info_desc =
    RECORD_DESC(struct msg_holder_info, msg_holder_info_fields);
const struct record_desc msg_trust_list_desc =
    RECORD_DESC(struct msg_trust_list, msg_trust_list_fields);
const struct record_desc msg_trust_add_desc =
    RECORD_DESC(struct msg_trust_add, msg_trust_add_fields);
const struct record_desc msg_trust_info_desc =
    RECORD_DESC(struct msg_trust_info, msg_trust_info_fields);
const struct record_desc msg_confirm_desc = RECORD_DESC(struct msg_confirm, msg_confirm_fields);
