#include "ipc/catalogue_manage.h"

static const struct record_field msg_mgmt_issue_fields[] = {
    RF_U8(struct msg_mgmt_issue, role),
    RF_BYTES(struct msg_mgmt_issue, name, MSG_MAX_NAME),
    RF_I64(struct msg_mgmt_issue, ttl_ms),
    RF_I64(struct msg_mgmt_issue, expires_ms),
    RF_LIST(struct msg_mgmt_issue, grants, MSG_MAX_GRANTS),
    RF_U32(struct msg_mgmt_issue, kinds),
    RF_I64(struct msg_mgmt_issue, max_ttl_ms),
    RF_U32(struct msg_mgmt_issue, max_live_keys),
    RF_U32(struct msg_mgmt_issue, rate_per_minute),
    RF_U32(struct msg_mgmt_issue, rate_per_day),
    RF_U32(struct msg_mgmt_issue, max_concurrent),
    RF_BYTES(struct msg_mgmt_issue, env, MSG_MAX_NAME),
    RF_BYTES(struct msg_mgmt_issue, holder, MSG_MAX_NAME),
};

static const struct record_field msg_mgmt_update_fields[] = {
    RF_BYTES(struct msg_mgmt_update, ref, MSG_MAX_KEY),
    RF_U32(struct msg_mgmt_update, set),
    RF_BYTES(struct msg_mgmt_update, name, MSG_MAX_NAME),
    RF_I64(struct msg_mgmt_update, ttl_ms),
    RF_I64(struct msg_mgmt_update, expires_ms),
};

static const struct record_field msg_mgmt_revoke_fields[] = {
    RF_BYTES(struct msg_mgmt_revoke, ref, MSG_MAX_KEY),
    RF_U8(struct msg_mgmt_revoke, cascade),
};

static const struct record_field msg_mgmt_info_fields[] = {
    RF_BYTES(struct msg_mgmt_info, id, MSG_MAX_NAME),
    RF_BYTES(struct msg_mgmt_info, key, MSG_MAX_KEY),
    RF_BYTES(struct msg_mgmt_info, masked, MSG_MAX_NAME),
    RF_U8(struct msg_mgmt_info, role),
    RF_BYTES(struct msg_mgmt_info, name, MSG_MAX_NAME),
    RF_U8(struct msg_mgmt_info, state),
    RF_I64(struct msg_mgmt_info, created_ms),
    RF_I64(struct msg_mgmt_info, expires_ms),
    RF_I64(struct msg_mgmt_info, revoked_ms),
    RF_I64(struct msg_mgmt_info, last_used_ms),
    RF_U64(struct msg_mgmt_info, revision),
    RF_U32(struct msg_mgmt_info, minted),
    RF_U32(struct msg_mgmt_info, live_keys),
    RF_LIST(struct msg_mgmt_info, grants, MSG_MAX_GRANTS),
    RF_U32(struct msg_mgmt_info, kinds),
    RF_I64(struct msg_mgmt_info, max_ttl_ms),
    RF_U32(struct msg_mgmt_info, max_live_keys),
    RF_U32(struct msg_mgmt_info, rate_per_minute),
    RF_U32(struct msg_mgmt_info, rate_per_day),
    RF_U32(struct msg_mgmt_info, max_concurrent),
    RF_BYTES(struct msg_mgmt_info, env, MSG_MAX_NAME),
    RF_BYTES(struct msg_mgmt_info, holder, MSG_MAX_NAME),
};

static const struct record_field msg_mint_bounds_fields[] = {
    RF_LIST(struct msg_mint_bounds, grants, MSG_MAX_GRANTS),
    RF_U32(struct msg_mint_bounds, kinds),
    RF_I64(struct msg_mint_bounds, max_ttl_ms),
    RF_U32(struct msg_mint_bounds, max_live_keys),
    RF_U32(struct msg_mint_bounds, rate_per_minute),
    RF_U32(struct msg_mint_bounds, rate_per_day),
    RF_U32(struct msg_mint_bounds, max_concurrent),
    RF_BYTES(struct msg_mint_bounds, env, MSG_MAX_NAME),
    RF_BYTES(struct msg_mint_bounds, holder, MSG_MAX_NAME),
};

static const struct record_field msg_key_mint_fields[] = {
    RF_BYTES(struct msg_key_mint, conn, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_mint, name, MSG_MAX_NAME),
    RF_LIST(struct msg_key_mint, methods, MSG_MAX_LIST),
    RF_LIST(struct msg_key_mint, paths, MSG_MAX_LIST),
    RF_LIST(struct msg_key_mint, deny_query, MSG_MAX_LIST),
    RF_I64(struct msg_key_mint, ttl_ms),
    RF_U32(struct msg_key_mint, set),
    RF_U8(struct msg_key_mint, kind),
    RF_BYTES(struct msg_key_mint, holder, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_mint, env, MSG_MAX_NAME),
    RF_LIST(struct msg_key_mint, cidrs, MSG_MAX_LIST),
    RF_U32(struct msg_key_mint, rate_per_minute),
    RF_U32(struct msg_key_mint, rate_per_day),
    RF_U32(struct msg_key_mint, max_concurrent),
    RF_U32(struct msg_key_mint, flags),
};

static const struct record_field msg_key_update_fields[] = {
    RF_BYTES(struct msg_key_update, ref, MSG_MAX_KEY),
    RF_U32(struct msg_key_update, set),
    RF_BYTES(struct msg_key_update, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_key_update, env, MSG_MAX_NAME),
    RF_I64(struct msg_key_update, ttl_ms),
    RF_I64(struct msg_key_update, expires_ms),
    RF_LIST(struct msg_key_update, cidrs, MSG_MAX_LIST),
    RF_LIST(struct msg_key_update, grants, MSG_MAX_GRANTS),
    RF_U32(struct msg_key_update, rate_per_minute),
    RF_U32(struct msg_key_update, rate_per_day),
    RF_U32(struct msg_key_update, max_concurrent),
    RF_U32(struct msg_key_update, flags),
};

static const struct record_field msg_user_add_fields[] = {
    RF_BYTES(struct msg_user_add, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_user_add, email, MSG_MAX_USER_EMAIL),
    RF_U8(struct msg_user_add, role),
};

static const struct record_field msg_user_update_fields[] = {
    RF_BYTES(struct msg_user_update, ref, MSG_MAX_KEY),
    RF_U32(struct msg_user_update, set),
    RF_BYTES(struct msg_user_update, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_user_update, email, MSG_MAX_USER_EMAIL),
    RF_U8(struct msg_user_update, role),
    RF_U8(struct msg_user_update, enabled),
};

static const struct record_field msg_user_info_fields[] = {
    RF_BYTES(struct msg_user_info, id, MSG_MAX_NAME),
    RF_BYTES(struct msg_user_info, name, MSG_MAX_NAME),
    RF_BYTES(struct msg_user_info, email, MSG_MAX_USER_EMAIL),
    RF_U8(struct msg_user_info, role),
    RF_U8(struct msg_user_info, enabled),
    RF_I64(struct msg_user_info, created_ms),
    RF_I64(struct msg_user_info, updated_ms),
    RF_U64(struct msg_user_info, revision),
};

const struct record_desc msg_mgmt_issue_desc =
    RECORD_DESC(struct msg_mgmt_issue, msg_mgmt_issue_fields);
const struct record_desc msg_mgmt_update_desc =
    RECORD_DESC(struct msg_mgmt_update, msg_mgmt_update_fields);
const struct record_desc msg_mgmt_revoke_desc =
    RECORD_DESC(struct msg_mgmt_revoke, msg_mgmt_revoke_fields);
const struct record_desc msg_mgmt_info_desc =
    RECORD_DESC(struct msg_mgmt_info, msg_mgmt_info_fields);
const struct record_desc msg_mint_bounds_desc =
    RECORD_DESC(struct msg_mint_bounds, msg_mint_bounds_fields);
const struct record_desc msg_key_mint_desc =
    RECORD_DESC(struct msg_key_mint, msg_key_mint_fields);
const struct record_desc msg_key_update_desc =
    RECORD_DESC(struct msg_key_update, msg_key_update_fields);
const struct record_desc msg_user_add_desc =
    RECORD_DESC(struct msg_user_add, msg_user_add_fields);
const struct record_desc msg_user_update_desc =
    RECORD_DESC(struct msg_user_update, msg_user_update_fields);
const struct record_desc msg_user_info_desc =
    RECORD_DESC(struct msg_user_info, msg_user_info_fields);
