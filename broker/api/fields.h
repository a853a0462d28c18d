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

/* fields_trust.c */
extern const struct api_schema api_holder;         /* msg_holder_info */
extern const struct api_schema api_holder_change;  /* msg_holder_set */
extern const struct api_schema api_trusted_ip;     /* msg_trust_info */
extern const struct api_schema api_trusted_ip_new; /* msg_trust_add */
const char *api_trust_state(unsigned state);

/* fields_status.c */
extern const struct api_schema api_status; /* msg_status */

/* audit.c */
extern const struct api_schema api_audit_entry;    /* struct api_audit */
extern const struct api_schema api_audit_verified; /* msg_audit_verified */

/* names of enums */
const char *api_holder_kind(unsigned kind);

#endif
