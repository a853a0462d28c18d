/*
 * The schemas of all resources. A message that the interface carries has one here for each way
 * that it looks: what is sent (a request's body) and what is shown.
 */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include "api/schema.h"

/* fields_conn.c */
extern const struct api_schema api_connection;     /* msg_conn_info */
extern const struct api_schema api_connection_new; /* msg_conn_add */
extern const struct api_schema api_secret_new;     /* msg_conn_rotate */
extern const struct api_schema api_identity_new;   /* msg_conn_identity */
extern const struct api_schema api_egress_new;     /* msg_conn_proxy */

/* fields_key.c */
extern const struct api_schema api_relay_key;     /* msg_key_info */
extern const struct api_schema api_relay_key_new; /* msg_key_issue */
extern const struct api_schema api_expiry_new;    /* msg_key_extend */
extern const struct api_schema api_grant;         /* msg_grant, shown */
extern const struct api_schema api_grant_new;     /* msg_grant, sent */
const char *api_key_state(unsigned state);

/* fields_key_change.c */
extern const struct api_schema api_relay_key_change;     /* msg_key_update */
extern const struct api_schema api_delegated_credential; /* msg_key_mint */

/* fields_care.c */
extern const struct api_schema api_connection_change; /* msg_conn_update */
extern const struct api_schema api_credential;        /* msg_credential_info */
extern const struct api_schema api_rollback;          /* msg_credential_ref */
extern const struct api_schema api_probe;             /* msg_conn_probe */
extern const struct api_schema api_probe_result;      /* msg_probe_result */

/* fields_access.c */
extern const struct api_schema api_mgmt_key;        /* msg_mgmt_info */
extern const struct api_schema api_mgmt_key_new;    /* msg_mgmt_issue */
extern const struct api_schema api_mgmt_key_change; /* msg_mgmt_update */
extern const struct api_schema api_user;            /* msg_user_info */
extern const struct api_schema api_user_new;        /* msg_user_add */
extern const struct api_schema api_user_change;     /* msg_user_update */

/* fields_trust.c */
extern const struct api_schema api_holder;         /* msg_holder_info */
extern const struct api_schema api_holder_change;  /* msg_holder_set */
extern const struct api_schema api_trusted_ip;     /* msg_trust_info */
extern const struct api_schema api_trusted_ip_new; /* msg_trust_add */
const char *api_trust_state(unsigned state);

/* fields_settings.c */
extern const struct api_schema api_settings;        /* msg_settings */
extern const struct api_schema api_settings_change; /* msg_settings_set */
extern const struct api_schema api_mail_test;       /* msg_mail_test */
const char *api_smtp_tls(unsigned tls);

/* fields_hook.c */
extern const struct api_schema api_webhook;        /* msg_hook_info */
extern const struct api_schema api_webhook_new;    /* msg_hook_add */
extern const struct api_schema api_webhook_change; /* msg_hook_update */
extern const struct api_schema api_delivery;       /* msg_delivery_info */
const char *api_delivery_kind(unsigned kind);
const char *api_delivery_state(unsigned state);

/* fields_contain.c */
extern const struct api_schema api_panic_new;    /* msg_panic */
extern const struct api_schema api_leak_verdict; /* msg_leak_verdict */
const char *api_leak_finding(unsigned finding);

/* fields_status.c */
extern const struct api_schema api_status; /* msg_status */

/* audit.c */
extern const struct api_schema api_audit_entry;    /* struct api_audit */
extern const struct api_schema api_audit_verified; /* msg_audit_verified */

/* names of enums */
const char *api_holder_kind(unsigned kind);

#endif
