/*
 * The message catalogue: every message type, its body, who may send it to whom and
 * in which phase of the channel. Adding a message means adding one row here and one
 * struct in ipc/messages.h; there is no other list.
 */
#ifndef IPC_CATALOGUE_H
#define IPC_CATALOGUE_H

#include "base/record.h"
#include "ipc/messages_contain.h"
#include "ipc/messages_manage.h"
#include "ipc/messages_trust.h"
#include "ipc/roles.h"

enum ipc_type {
	/* supervisor and roles */
	MSG_SETUP = 1,
	MSG_LISTENER,
	MSG_PEER,
	MSG_TLS,
	MSG_TRUST,
	MSG_START,
	MSG_READY,
	MSG_FAILED,
	MSG_STOP,
	/* keeper and relay */
	MSG_GATE,
	MSG_UPSTREAM,
	MSG_UPSTREAM_DROP,
	MSG_AUTHORIZE,
	MSG_DECISION,
	MSG_CUT,
	MSG_COMPLETE,
	MSG_REFUSED,
	/* management */
	MSG_STATUS_GET,
	MSG_STATUS,
	MSG_CONN_ADD,
	MSG_CONN_GET,
	MSG_CONN_LIST,
	MSG_CONN_ROTATE,
	MSG_CONN_STATE,
	MSG_CONN_REMOVE,
	MSG_CONN_INFO,
	MSG_KEY_ISSUE,
	MSG_KEY_GET,
	MSG_KEY_LIST,
	MSG_KEY_REVOKE,
	MSG_KEY_EXTEND,
	MSG_KEY_INFO,
	MSG_AUDIT_QUERY,
	MSG_AUDIT_ENTRY,
	MSG_AUDIT_VERIFY,
	MSG_AUDIT_VERIFIED,
	MSG_DONE,
	/* supervisor and roles, after a reload */
	MSG_LOG_LEVEL,
	/* keeper and relay, of a request in flight */
	MSG_AGAIN,
	MSG_EXPIRY,
	/* management: how an upstream is reached */
	MSG_CONN_IDENTITY,
	MSG_CONN_PROXY,
	/* console and keeper: whose command the next one with the same id is */
	MSG_CALLER,
	MSG_FORGET,
	/* keeper and relay: what a key may do */
	MSG_DISCOVER,
	MSG_DISCOVERED,
	/* keeper and courier */
	MSG_DELIVER,
	MSG_DELIVERED,
	/* management: settings, webhooks, what was sent */
	MSG_SETTINGS_GET,
	MSG_SETTINGS_SET,
	MSG_SETTINGS,
	MSG_MAIL_TEST,
	MSG_HOOK_ADD,
	MSG_HOOK_GET,
	MSG_HOOK_LIST,
	MSG_HOOK_UPDATE,
	MSG_HOOK_REMOVE,
	MSG_HOOK_ROTATE,
	MSG_HOOK_TEST,
	MSG_HOOK_INFO,
	MSG_DELIVERY_LIST,
	MSG_DELIVERY_GET,
	MSG_DELIVERY_REPLAY,
	MSG_DELIVERY_INFO,
	/* management: who manages, and what may be minted */
	MSG_KEY_MINT,
	MSG_KEY_UPDATE,
	MSG_MGMT_ISSUE,
	MSG_MGMT_GET,
	MSG_MGMT_LIST,
	MSG_MGMT_UPDATE,
	MSG_MGMT_REVOKE,
	MSG_MGMT_INFO,
	MSG_USER_ADD,
	MSG_USER_GET,
	MSG_USER_LIST,
	MSG_USER_UPDATE,
	MSG_USER_REMOVE,
	MSG_USER_INFO,
	/* management: holders and their addresses */
	MSG_HOLDER_LIST,
	MSG_HOLDER_GET,
	MSG_HOLDER_SET,
	MSG_HOLDER_REVOKE,
	MSG_HOLDER_INFO,
	MSG_TRUST_LIST,
	MSG_TRUST_GET,
	MSG_TRUST_ADD,
	MSG_TRUST_APPROVE,
	MSG_TRUST_REMOVE,
	MSG_TRUST_INFO,
	MSG_TRUST_CONFIRM_GET,
	MSG_TRUST_CONFIRM,
	/* management: containment */
	MSG_PANIC_ON,
	MSG_PANIC_OFF,
	/* management: versions of a connection's credential */
	MSG_CREDENTIAL_LIST,
	MSG_CREDENTIAL_INFO,
	MSG_CONN_ROLLBACK,
	MSG_CONN_PURGE,
	/* management: what a connection is */
	MSG_CONN_UPDATE,
	/* management: keys that were found in public */
	MSG_LEAK_REPORT,
	MSG_LEAK_VERDICT,
	/* the test of a connection: asked for, and made by a relay */
	MSG_CONN_PROBE,
	MSG_PROBE_RESULT,
	MSG_PROBE,
	MSG_PROBED,
	MSG_TAKEN,
	MSG_TYPES
};

enum ipc_phase {
	IPC_PHASE_SETUP = 1, /* a role before START */
	IPC_PHASE_SERVE = 2,
	IPC_PHASE_ANY = 3,
};

struct ipc_row {
	const char *name;
	const struct record_desc *body;
	uint8_t from;  /* IPC_BIT mask */
	uint8_t to;    /* IPC_BIT mask */
	uint8_t phase; /* enum ipc_phase */
	bool fd;       /* exactly one descriptor comes with it */
};

/* The row of a type, or NULL when there is no such type. */
const struct ipc_row *ipc_row(unsigned type);

/* Whether `from` may send `type` to `to` in `phase`. */
bool ipc_permitted(unsigned type, enum ipc_role from, enum ipc_role to, enum ipc_phase phase);

extern const struct record_desc msg_notice_desc; /* kept in the outbox */
extern const struct record_desc msg_dial_desc;   /* msg_decision.dial */
extern const struct record_desc msg_reach_desc;  /* msg_discovered.reaches */

/* Room for any decoded body. */
union ipc_body {
	struct msg_setup setup;
	struct msg_listener listener;
	struct msg_peer peer;
	struct msg_tls tls;
	struct msg_trust trust;
	struct msg_empty empty;
	struct msg_stop stop;
	struct msg_text text;
	struct msg_gate gate;
	struct msg_upstream upstream;
	struct msg_upstream_drop upstream_drop;
	struct msg_authorize authorize;
	struct msg_decision decision;
	struct msg_again again;
	struct msg_cut cut;
	struct msg_expiry expiry;
	struct msg_complete complete;
	struct msg_refused refused;
	struct msg_discover discover;
	struct msg_discovered discovered;
	struct msg_conn_add conn_add;
	struct msg_ref ref;
	struct msg_list list;
	struct msg_conn_rotate conn_rotate;
	struct msg_conn_identity conn_identity;
	struct msg_conn_proxy conn_proxy;
	struct msg_conn_state conn_state;
	struct msg_conn_info conn_info;
	struct msg_key_issue key_issue;
	struct msg_key_extend key_extend;
	struct msg_key_info key_info;
	struct msg_key_mint key_mint;
	struct msg_key_update key_update;
	struct msg_mgmt_issue mgmt_issue;
	struct msg_mgmt_update mgmt_update;
	struct msg_mgmt_revoke mgmt_revoke;
	struct msg_mgmt_info mgmt_info;
	struct msg_user_add user_add;
	struct msg_user_update user_update;
	struct msg_user_info user_info;
	struct msg_audit_query audit_query;
	struct msg_audit_entry audit_entry;
	struct msg_audit_verified audit_verified;
	struct msg_status status;
	struct msg_holder_list holder_list;
	struct msg_holder_set holder_set;
	struct msg_holder_info holder_info;
	struct msg_trust_list trust_list;
	struct msg_trust_add trust_add;
	struct msg_trust_info trust_info;
	struct msg_confirm confirm;
	struct msg_panic panic;
	struct msg_leak_report leak_report;
	struct msg_leak_verdict leak_verdict;
	struct msg_credential_list credential_list;
	struct msg_credential_ref credential_ref;
	struct msg_credential_info credential_info;
	struct msg_conn_update conn_update;
	struct msg_conn_probe conn_probe;
	struct msg_probe_result probe_result;
	struct msg_probe probe;
	struct msg_probed probed;
	struct msg_caller caller;
	struct msg_deliver deliver;
	struct msg_delivered delivered;
	struct msg_settings_set settings_set;
	struct msg_settings settings;
	struct msg_mail_test mail_test;
	struct msg_hook_add hook_add;
	struct msg_hook_list hook_list;
	struct msg_hook_update hook_update;
	struct msg_hook_info hook_info;
	struct msg_delivery_list delivery_list;
	struct msg_delivery_info delivery_info;
	struct msg_taken taken;
	struct msg_done done;
	struct msg_log_level log_level;
};

#endif
