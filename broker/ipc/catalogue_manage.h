/*
 * The bodies of the management messages, for the catalogue's table of rows and for those who
 * translate them (broker/api).
 */
#ifndef IPC_CATALOGUE_MANAGE_H
#define IPC_CATALOGUE_MANAGE_H

#include "ipc/catalogue.h"

extern const struct record_desc msg_conn_add_desc;
extern const struct record_desc msg_conn_identity_desc;
extern const struct record_desc msg_conn_proxy_desc;
extern const struct record_desc msg_ref_desc;
extern const struct record_desc msg_list_desc;
extern const struct record_desc msg_conn_rotate_desc;
extern const struct record_desc msg_conn_state_desc;
extern const struct record_desc msg_conn_info_desc;
extern const struct record_desc msg_grant_desc;
extern const struct record_desc msg_key_issue_desc;
extern const struct record_desc msg_key_extend_desc;
extern const struct record_desc msg_key_info_desc;
extern const struct record_desc msg_key_mint_desc;
extern const struct record_desc msg_key_update_desc;
extern const struct record_desc msg_mgmt_issue_desc;
extern const struct record_desc msg_mgmt_update_desc;
extern const struct record_desc msg_mgmt_revoke_desc;
extern const struct record_desc msg_mgmt_info_desc;
extern const struct record_desc msg_mint_bounds_desc; /* stored with a management key */
extern const struct record_desc msg_user_add_desc;
extern const struct record_desc msg_user_update_desc;
extern const struct record_desc msg_user_info_desc;
extern const struct record_desc msg_audit_query_desc;
extern const struct record_desc msg_audit_entry_desc;
extern const struct record_desc msg_audit_verified_desc;
extern const struct record_desc msg_status_desc;
extern const struct record_desc msg_settings_set_desc;
extern const struct record_desc msg_settings_desc;
extern const struct record_desc msg_mail_test_desc;
extern const struct record_desc msg_hook_add_desc;
extern const struct record_desc msg_hook_update_desc;
extern const struct record_desc msg_hook_list_desc;
extern const struct record_desc msg_hook_info_desc;
extern const struct record_desc msg_delivery_list_desc;
extern const struct record_desc msg_delivery_info_desc;

#endif
