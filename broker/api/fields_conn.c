#include "api/fields.h"
#include "ipc/catalogue_manage.h"

#define CONN(m) API_AT(struct msg_conn_info, m)

static const struct api_field certificate_shown_fields[] = {
    {"subject", "Distinguished name.", API_STRING, 0, CONN(client_subject),
     .max = MSG_MAX_TEXT},
    {"expires_at", "End of its validity.", API_TIME, API_NULL, CONN(client_expires_ms)},
};
static const struct api_schema certificate_shown = {
    .name = "ClientCertificate",
    .about = "What the broker shows to an upstream that asks for a certificate.",
    API_FIELDS(certificate_shown_fields),
};

static const struct api_field connection_fields[] = {
    {"id", "Never changes, and stands for the connection in the proxy's URL.", API_STRING, 0,
     CONN(id), .max = MSG_MAX_NAME, .example = "conn_4fZ09abcDEf1"},
    {"name", "Stands for the connection in the proxy's URL too.", API_STRING, 0, CONN(name),
     .max = MSG_MAX_NAME, .example = "openai"},
    {"provider", "What kind of interface the upstream has.", API_STRING, API_NULL,
     CONN(provider), .max = MSG_MAX_NAME, .example = "openai"},
    {"base_url", "Requests go to this URL and what follows the connection in theirs.",
     API_STRING, 0, CONN(base_url), .max = MSG_MAX_URL, .example = "https://api.openai.com/v1"},
    {"auth", "How the secret is put into a request.", API_STRINGS, 0, CONN(auth),
     .max = MSG_MAX_LIST, .example = "bearer"},
    {"enabled", "False while it is frozen.", API_BOOL, 0, CONN(enabled)},
    {"allow_private", "Its upstream may have a private address.", API_FLAG, 0, CONN(flags),
     .bits = UPSTREAM_ALLOW_PRIVATE},
    {"allow_encoded_slash", "%2F is let through as a part of a segment.", API_FLAG, 0,
     CONN(flags), .bits = UPSTREAM_ALLOW_ENCODED_SLASH},
    {"allow_set_cookie", "Set-Cookie of its upstream reaches the client.", API_FLAG, 0,
     CONN(flags), .bits = UPSTREAM_ALLOW_SET_COOKIE},
    {"private_ca", "It has a CA bundle of its own.", API_BOOL, 0, CONN(private_ca)},
    {"credential_version", "How often the secret was set.", API_INTEGER, 0,
     CONN(credential_version)},
    {"kek_generation", "Which key of the token wraps the secret.", API_INTEGER, 0,
     CONN(kek_generation)},
    {"mechanism", "How the token wraps it.", API_STRING, 0, CONN(mechanism),
     .max = MSG_MAX_NAME, .example = "aes-gcm"},
    {"secret_hint", "The secret itself is never shown.", API_STRING, 0, CONN(secret_hint),
     .max = MSG_MAX_NAME, .example = "sk_••••5f81"},
    {"created_at", "When it was added.", API_TIME, API_NULL, CONN(created_ms)},
    {"updated_at", "When it was changed last.", API_TIME, API_NULL, CONN(updated_ms)},
    {"live_keys", "Relay keys that may use it now.", API_INTEGER, 0, CONN(live_keys)},
    {"client_certificate", "Null: none.", API_GROUP, API_NULL, .object = &certificate_shown},
    {"egress_proxy", "The proxy it is reached through; null: as configured.", API_STRING,
     API_NULL, CONN(egress), .max = MSG_MAX_EGRESS},
    {"egress_proxy_secret_set", "That proxy gets a credential.", API_BOOL, 0,
     CONN(proxy_secret)},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     CONN(revision)},
};
const struct api_schema api_connection = {
    .name = "Connection",
    .about = "A protected upstream: a base URL and the real key to it.",
    .desc = &msg_conn_info_desc,
    API_FIELDS(connection_fields),
};

#define ADD(m)    API_AT(struct msg_conn_add, m)
#define IDENT(m)  API_AT(struct msg_conn_identity, m)
#define EGRESS(m) API_AT(struct msg_conn_proxy, m)

static const struct api_field certificate_added_fields[] = {
    {"certificate", "PEM, the leaf first.", API_STRING, API_REQUIRED, ADD(client_chain),
     .max = MSG_MAX_CHAIN},
    {"private_key", "PEM.", API_STRING, API_REQUIRED | API_SECRET, ADD(client_key),
     .max = MSG_MAX_CLIENT_KEY},
};
static const struct api_schema certificate_added = {
    .name = "ClientCertificateNew",
    .about = "What the broker shall show to an upstream that asks for a certificate.",
    API_FIELDS(certificate_added_fields),
};

static const struct api_field connection_new_fields[] = {
    {"name", "Letters, digits, dot, underscore, hyphen.", API_STRING, API_REQUIRED, ADD(name),
     .max = MSG_MAX_NAME, .example = "openai"},
    {"provider", "What kind of interface the upstream has.", API_STRING, API_NULL,
     ADD(provider), .max = MSG_MAX_NAME, .example = "openai"},
    {"base_url", "https only.", API_STRING, API_REQUIRED, ADD(base_url), .max = MSG_MAX_URL,
     .example = "https://api.openai.com/v1"},
    {"auth",
     "\"bearer\", \"basic\", \"basic:USER\", \"header:NAME\", \"header:NAME:PREFIX\" or "
     "\"query:NAME\". None: bearer.",
     API_STRINGS, 0, ADD(auth), .max = MSG_MAX_AUTH, .example = "bearer"},
    {"secret", "The real key. It is wrapped by the token and never shown again.", API_STRING,
     API_REQUIRED | API_SECRET, ADD(secret), .max = MSG_MAX_SECRET},
    {"allow_private", "Its upstream may have a private address.", API_FLAG, 0, ADD(flags),
     .bits = UPSTREAM_ALLOW_PRIVATE},
    {"allow_encoded_slash", "%2F is let through as a part of a segment.", API_FLAG, 0,
     ADD(flags), .bits = UPSTREAM_ALLOW_ENCODED_SLASH},
    {"allow_set_cookie", "Set-Cookie of its upstream reaches the client.", API_FLAG, 0,
     ADD(flags), .bits = UPSTREAM_ALLOW_SET_COOKIE},
    {"ca_pem", "CA bundle in PEM that its certificate is verified with; none: the system's.",
     API_STRING, API_NULL, ADD(ca_pem), .max = MSG_MAX_PEM},
    {"client_certificate", "Null: none.", API_GROUP, API_NULL, .object = &certificate_added},
    {"egress_proxy", "\"http://HOST:PORT\", or \"none\"; null: as configured.", API_STRING,
     API_NULL, ADD(egress), .max = MSG_MAX_EGRESS},
    {"egress_proxy_secret", "\"user:password\" for that proxy.", API_STRING,
     API_NULL | API_SECRET, ADD(proxy_secret), .max = MSG_MAX_PROXY_SECRET},
};
const struct api_schema api_connection_new = {
    .name = "ConnectionNew",
    .about = "A connection to add.",
    .desc = &msg_conn_add_desc,
    API_FIELDS(connection_new_fields),
};

static const struct api_field secret_new_fields[] = {
    {"secret", "The new real key, in force at once.", API_STRING, API_REQUIRED | API_SECRET,
     API_AT(struct msg_conn_rotate, secret), .max = MSG_MAX_SECRET},
};
const struct api_schema api_secret_new = {
    .name = "SecretNew",
    .about = "A new secret of a connection.",
    .desc = &msg_conn_rotate_desc,
    API_FIELDS(secret_new_fields),
};

static const struct api_field identity_new_fields[] = {
    {"certificate", "PEM, the leaf first.", API_STRING, API_REQUIRED, IDENT(client_chain),
     .max = MSG_MAX_CHAIN},
    {"private_key", "PEM.", API_STRING, API_REQUIRED | API_SECRET, IDENT(client_key),
     .max = MSG_MAX_CLIENT_KEY},
};
const struct api_schema api_identity_new = {
    .name = "ClientCertificateSet",
    .about = "Another client certificate of a connection.",
    .desc = &msg_conn_identity_desc,
    API_FIELDS(identity_new_fields),
};

static const struct api_field egress_new_fields[] = {
    {"url", "\"http://HOST:PORT\", or \"none\": directly.", API_STRING, API_REQUIRED,
     EGRESS(egress), .max = MSG_MAX_EGRESS, .example = "http://proxy.example:3128"},
    {"secret", "\"user:password\"; none: the earlier one is dropped.", API_STRING,
     API_NULL | API_SECRET, EGRESS(proxy_secret), .max = MSG_MAX_PROXY_SECRET},
};
const struct api_schema api_egress_new = {
    .name = "EgressProxySet",
    .about = "The proxy that a connection is reached through.",
    .desc = &msg_conn_proxy_desc,
    API_FIELDS(egress_new_fields),
};
