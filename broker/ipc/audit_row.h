/*
 * One row of the audit journal. It is stored, hashed and handed on as a packed record
 * (base/record_pack.h), because most of its fields are empty in most rows: a request takes
 * about 200 bytes and its user agent for both of its rows. A row has one packed form, and the
 * chain covers it:
 *   hash = SHA-256(previous hash || seq as u64 little-endian || packed row)
 *
 * A proxied request has a REQUEST row, durable before anything is forwarded, and a RESPONSE
 * row with the same request id after it. A refused request has one REQUEST row only.
 *
 * Fields are only ever appended, so that older rows can be read, and zero must do for a row
 * from before a field was there. No field may hold a secret, a relay key, a cookie or a query
 * value.
 */
#ifndef IPC_AUDIT_ROW_H
#define IPC_AUDIT_ROW_H

#include "base/record_pack.h"

enum audit_type {
	AUDIT_START = 1, /* the keeper opened the journal */
	AUDIT_REQUEST = 2,
	AUDIT_RESPONSE = 3,
	AUDIT_MANAGE = 4, /* a management action; durable before it takes effect */
	AUDIT_STATE = 5,  /* sealed, unsealed, token lost, role restarted, ... */
	AUDIT_STOP = 6,
};

enum audit_outcome {
	OUTCOME_NONE = 0,
	OUTCOME_COMPLETE = 1,
	OUTCOME_CLIENT_GONE = 2,
	OUTCOME_UPSTREAM_GONE = 3,
	OUTCOME_CUT = 4,    /* key revoked, expired, connection frozen */
	OUTCOME_BROKER = 5, /* a process of the broker ended while the request was open */
	OUTCOME_TIMEOUT = 6,
	OUTCOME_NOT_SENT = 7, /* allowed, but never reached the upstream */
};

enum {
	AUDIT_MAX_ROW = 24576,
	AUDIT_MAX_NAME = 128,
	AUDIT_MAX_USER_AGENT = 256,
	AUDIT_MAX_PATH = 8192,
	AUDIT_MAX_QUERY_NAMES = 4096,
	AUDIT_MAX_DETAIL = 512,
};

struct audit_row {
	uint8_t type; /* enum audit_type */
	int64_t time_ms;
	uint8_t request_id[16];
	struct rk_slice key_id; /* "key_..." */
	uint8_t holder_kind;    /* enum holder_kind, valid when key_id is not empty */
	struct rk_slice holder;
	struct rk_slice conn_id;
	struct rk_slice conn_name; /* for an unknown connection: what was asked for */
	struct rk_slice provider;
	struct rk_slice env;
	uint8_t client_ip[16]; /* struct rk_ip */
	struct rk_slice user_agent;
	struct rk_slice method;
	struct rk_slice path; /* full upstream path; as asked when there is no connection */
	struct rk_slice query_names; /* LIST */
	struct rk_slice model;
	uint8_t decision; /* enum decision */
	uint16_t reason;  /* enum reason */
	uint64_t policy_version;
	int64_t reserved_pusd;
	int64_t final_pusd;
	uint16_t status;    /* RESPONSE: of the upstream; REQUEST: of the refusal, else 0 */
	uint64_t bytes_in;  /* request body bytes from the client */
	uint64_t bytes_out; /* response body bytes to the client */
	uint64_t tokens_in;
	uint64_t tokens_out;
	uint32_t unwrap_us;
	uint32_t upstream_us; /* head sent to response head */
	uint32_t total_us;
	uint8_t outcome;        /* enum audit_outcome */
	struct rk_slice detail; /* parser code, error text; printable ASCII */
	struct rk_slice actor;  /* MANAGE: "uid:1000" */
	struct rk_slice action; /* MANAGE: "connection.add", STATE: "token.lost" */
	struct rk_slice target; /* MANAGE: id of the object */
};

extern const struct record_desc audit_row_desc;

/* "request", "response", ...; "unknown" otherwise. */
const char *audit_type_name(unsigned type);
const char *audit_outcome_name(unsigned outcome);

#endif
