#include "api/fields.h"
#include "ipc/catalogue_contain.h"
#include "policy/reason.h"

/* ---- change of a connection ---- */

#define SET(m) API_AT(struct msg_conn_update, m)

static const struct api_field connection_change_fields[] = {
    {"name", "Another name.", API_STRING, 0, SET(name), .max = MSG_MAX_NAME,
     .set = CONN_SET_NAME},
    {"provider", "What kind of interface the upstream has.", API_STRING, API_NULL,
     SET(provider), .max = MSG_MAX_NAME, .set = CONN_SET_PROVIDER, .example = "openai"},
    {"allow_private", "Its upstream may have a private address.", API_FLAG, 0, SET(flags),
     .bits = UPSTREAM_ALLOW_PRIVATE, .set = CONN_SET_PRIVATE},
    {"allow_encoded_slash", "%2F is let through as a part of a segment.", API_FLAG, 0,
     SET(flags), .bits = UPSTREAM_ALLOW_ENCODED_SLASH, .set = CONN_SET_ENCODED_SLASH},
    {"allow_set_cookie", "Set-Cookie of its upstream reaches the client.", API_FLAG, 0,
     SET(flags), .bits = UPSTREAM_ALLOW_SET_COOKIE, .set = CONN_SET_COOKIE},
    {"base_url", "Only together with the secret.", API_STRING, 0, SET(base_url),
     .max = MSG_MAX_URL, .set = CONN_SET_BASE_URL, .example = "https://api.openai.com/v1"},
    {"auth", "Only together with the secret; empty: bearer.", API_STRINGS, 0, SET(auth),
     .max = MSG_MAX_AUTH, .set = CONN_SET_AUTH, .example = "bearer"},
    {"ca_pem", "Only together with the secret; null: the system's.", API_STRING, API_NULL,
     SET(ca_pem), .max = MSG_MAX_PEM, .set = CONN_SET_CA},
    {"secret",
     "A new one, or the same once more: where it goes, and how, changes only with "
     "it.",
     API_STRING, API_SECRET | API_OMIT, SET(secret), .max = MSG_MAX_SECRET},
};
const struct api_schema api_connection_change = {
    .name = "ConnectionChange",
    .about = "What shall be different of a connection.",
    .desc = &msg_conn_update_desc,
    API_FIELDS(connection_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_conn_update, set),
};

/* ---- credentials ---- */

#define CRED(m) API_AT(struct msg_credential_info, m)

static const struct api_field credential_fields[] = {
    {"connection_id", "Whose it is.", API_STRING, 0, CRED(conn_id), .max = MSG_MAX_NAME},
    {"version", "Counts the secrets that the connection had.", API_INTEGER, 0, CRED(version)},
    {"current", "The one in use.", API_BOOL, 0, CRED(current)},
    {"restorable", "It was given for the upstream that the connection has now.", API_BOOL, 0,
     CRED(restorable)},
    {"secret_hint", "The secret itself is never shown.", API_STRING, 0, CRED(hint),
     .max = MSG_MAX_NAME, .example = "sk_••••5f81"},
    {"mechanism", "How the token wraps it.", API_STRING, 0, CRED(mechanism),
     .max = MSG_MAX_NAME, .example = "aes-gcm"},
    {"kek_generation", "Which key of the token wraps it.", API_INTEGER, 0,
     CRED(kek_generation)},
    {"created_at", "When it was given.", API_TIME, API_NULL, CRED(created_ms)},
};
const struct api_schema api_credential = {
    .name = "Credential",
    .about = "One version of a connection's real secret.",
    .desc = &msg_credential_info_desc,
    API_FIELDS(credential_fields),
};

static const struct api_field rollback_fields[] = {
    {"version", "Which one comes back, as the newest.", API_INTEGER, API_REQUIRED,
     API_AT(struct msg_credential_ref, version), .min = 1},
};
const struct api_schema api_rollback = {
    .name = "Rollback",
    .about = "An earlier secret that shall be in use again.",
    .desc = &msg_credential_ref_desc,
    API_FIELDS(rollback_fields),
};

/* ---- test of a connection ---- */

#define PROBE(m) API_AT(struct msg_probe_result, m)

static const char *reason_code(unsigned reason)
{
	return reason_info(reason)->code;
}

static const struct api_field probe_fields[] = {
    {"method", "GET or HEAD; none: GET.", API_STRING, API_NULL,
     API_AT(struct msg_conn_probe, method), .max = MSG_MAX_NAME, .example = "GET"},
    {"path", "Behind the base URL; none: what suits the provider.", API_STRING, API_NULL,
     API_AT(struct msg_conn_probe, path), .max = MSG_MAX_URL, .example = "/models"},
};
const struct api_schema api_probe = {
    .name = "ConnectionTest",
    .about = "One request to the upstream with the real key.",
    .desc = &msg_conn_probe_desc,
    API_FIELDS(probe_fields),
};

static const struct api_field upstream_certificate_fields[] = {
    {"subject", "Distinguished name.", API_STRING, 0, PROBE(subject), .max = MSG_MAX_SUBJECT},
    {"expires_at", "End of its validity.", API_TIME, API_NULL, PROBE(expires_ms)},
};
static const struct api_schema upstream_certificate = {
    .name = "UpstreamCertificate",
    .about = "What the upstream showed.",
    API_FIELDS(upstream_certificate_fields),
};

static const struct api_field result_fields[] = {
    {"connection_id", "Which was tested.", API_STRING, 0, PROBE(conn_id), .max = MSG_MAX_NAME},
    {"request_id", "Of the request in the audit log.", API_REQUEST_ID, API_NULL,
     PROBE(request_id)},
    {"method", "Of the request.", API_STRING, 0, PROBE(method), .max = MSG_MAX_NAME},
    {"path", "As the upstream saw it.", API_STRING, 0, PROBE(path), .max = 2 * MSG_MAX_URL},
    {"status", "Of the upstream; null: no answer.", API_INTEGER, API_NULL, PROBE(status)},
    {"reason", "Why there is none.", API_ENUM, 0, PROBE(reason), .value = reason_code,
     .last = REASON_COUNT - 1},
    {"detail", "More about it.", API_STRING, API_NULL, PROBE(detail), .max = AUDIT_MAX_DETAIL},
    {"dial_us", "Microseconds to the connection.", API_INTEGER, 0, PROBE(dial_us)},
    {"tls_us", "Microseconds of the TLS handshake.", API_INTEGER, 0, PROBE(tls_us)},
    {"first_byte_us", "Microseconds from the request to the answer's first byte.", API_INTEGER,
     0, PROBE(first_byte_us)},
    {"certificate", "Null: there was none.", API_GROUP, API_NULL,
     .object = &upstream_certificate},
};
const struct api_schema api_probe_result = {
    .name = "ConnectionTestResult",
    .about = "What came of the test of a connection.",
    .desc = &msg_probe_result_desc,
    API_FIELDS(result_fields),
};
