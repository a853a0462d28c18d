/*
 * The bodies of all messages. Each is a record (base/record.h) whose field table
 * stands in ipc/catalogue.c beside who may send it to whom. Slices in a received
 * message borrow the receive buffer until the handler returns.
 *
 * Sizes are chosen by the receiver's table, never by the sender.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include "base/record.h"
#include "ipc/audit_row.h"

enum {
	MSG_MAX_NAME = 64, /* connection, holder, key and environment names */
	MSG_MAX_URL = 1024,
	MSG_MAX_PATH = 8192,
	MSG_MAX_PEM = 32768,
	MSG_MAX_SERVER_KEY = 8192,
	MSG_MAX_SECRET = 16384,
	MSG_MAX_AUTH = 1024,  /* a LIST of auth styles */
	MSG_MAX_CHAIN = 9216, /* a client certificate with those behind it */
	MSG_MAX_CLIENT_KEY = 4096,
	MSG_MAX_EGRESS = 272, /* text of base/egress.h */
	MSG_MAX_PROXY_SECRET = 512,
	MSG_MAX_DIAL = MSG_MAX_CLIENT_KEY + MSG_MAX_PROXY_SECRET + 8,
	MSG_MAX_KEY = 256,
	MSG_MAX_INJECT =
	    24576,           /* rendered credential headers: base64 of a secret and its names */
	MSG_MAX_MASKS = 512, /* fingerprints of the forms of one secret */
	MSG_MAX_LIST = 8192, /* a list of globs, methods, names, prefixes */
	MSG_MAX_GRANT = 16384,
	MSG_MAX_GRANTS = 32768,
	MSG_MAX_TEXT = 512,
};

/* ---- supervisor and roles ---- */

/* First message to a role: the checked configuration, and which role it is. */
struct msg_setup {
	uint8_t role; /* enum ipc_role */
	uint32_t instance;
	uint32_t relays;
	struct rk_slice state_dir;
	struct rk_slice token_module;
	struct rk_slice token_init_args;
	struct rk_slice token_env; /* LIST of NAME=VALUE */
	struct rk_slice token;
	struct rk_slice token_pin_file;
	uint32_t owner_uid; /* of the state directory: may use the control socket beside root */
	uint32_t drop_uid;  /* of the network roles when started as root, else UINT32_MAX */
	uint32_t drop_gid;
	uint8_t journal_normal;
	uint8_t secret_locked;
	uint8_t log_level;
	uint8_t proxy_protocol;
	struct rk_slice trusted_proxies; /* LIST of prefixes */
	uint32_t max_connections;        /* 0: as many as there can be */
	uint32_t max_connections_per_client;
	struct rk_slice egress; /* base/egress.h */
};

enum listener_kind { LISTENER_PROXY = 1, LISTENER_CONSOLE = 2, LISTENER_CONTROL = 3 };

struct msg_listener { /* with a descriptor */
	uint8_t kind;
};

struct msg_peer { /* with a descriptor: one end of a channel */
	uint8_t role;
	uint32_t instance;
};

struct msg_tls {                     /* server identity; again after a reload */
	struct rk_slice certificate; /* PEM chain */
	struct rk_slice key;         /* PEM */
};

struct msg_trust { /* PEM bundle for upstream certificates, in pieces; `last` ends it */
	struct rk_slice pem;
	uint8_t last;
};

struct msg_empty {
	uint8_t zero;
};

struct msg_stop {
	uint32_t grace_ms;
};

struct msg_log_level {
	uint8_t level; /* enum log_level */
};

struct msg_text {
	struct rk_slice text;
};

/* ---- keeper and relay ---- */

/* Whether requests can be served; pushed on every change. */
struct msg_gate {
	uint8_t unsealed;
	uint8_t audit_ok;
};

enum upstream_flags {
	UPSTREAM_ALLOW_PRIVATE = 1,
	UPSTREAM_ALLOW_ENCODED_SLASH = 2,
	UPSTREAM_QUERY_AUTH = 4, /* the relay key is accepted in the query string */
	UPSTREAM_ALLOW_SET_COOKIE = 8,
	UPSTREAM_PROXY_SECRET = 16, /* its egress proxy asks for a credential */
};

/*
 * The public part of a connection. A new upstream_id is given whenever anything about it
 * changes, the credential too: pooled upstream connections are keyed by it and so never shared
 * between credentials.
 */
struct msg_upstream {
	uint32_t upstream_id;
	uint32_t replaces; /* the id this one follows, or 0 */
	struct rk_slice conn_id;
	struct rk_slice name;
	struct rk_slice
	    host; /* for SNI, verification and Host; IPv6 literals without brackets */
	uint16_t port;
	struct rk_slice base_path; /* "" or "/v1": no slash at the end */
	uint32_t flags;
	struct rk_slice ca_pem; /* private CA bundle; empty: the system's */
	struct rk_slice
	    set_headers; /* LIST of names that the credential sets: the client's are removed */
	struct rk_slice egress;       /* base/egress.h; empty: as the configuration says */
	struct rk_slice client_chain; /* PEM; the key comes with a DECISION that dials */
};

struct msg_upstream_drop {
	uint32_t upstream_id;
};

/* relay -> keeper: may this request go on? There is no destination in it. Message id: the
 * exchange. */
struct msg_authorize {
	uint8_t request_id[16];
	struct rk_slice key; /* as presented; empty: none. `key_conflict` when two differed */
	uint8_t key_conflict;
	struct rk_slice conn; /* first path segment */
	struct rk_slice method;
	struct rk_slice rest;        /* path behind the connection, checked */
	struct rk_slice query_names; /* LIST, decoded */
	uint8_t client_ip[16];
	struct rk_slice user_agent;
	uint8_t dial; /* no connection is pooled: it would have to make one */
};

/* What making a connection to the upstream takes: an encoded record within a DECISION. */
struct msg_dial {
	struct rk_slice client_key;   /* DER; secret */
	struct rk_slice proxy_secret; /* "user:password"; secret */
};

/*
 * keeper -> relay. For anything but DECISION_ALLOWED only decision, reason and limits are set,
 * and the exchange is over: no COMPLETE follows.
 */
struct msg_decision {
	uint8_t decision;
	uint16_t reason;
	uint32_t upstream_id;
	struct rk_slice inject_headers; /* complete "Name: value\r\n" lines; secret */
	struct rk_slice inject_query;   /* "name=value", encoded; secret */
	struct rk_slice masks; /* LIST of fingerprints (http/mask.h): what the response must not
	                          show */
	int64_t cut_at_ms;     /* wall time when the key expires; 0: never */
	/* of a key with limits: struct rate_report (policy/rate.h); a limit of 0 is none */
	uint32_t minute_limit, minute_left, minute_reset_s;
	uint32_t day_limit, day_left, day_reset_s;
	uint32_t concurrent_limit, concurrent_left;
	uint32_t retry_after_s;
	struct rk_slice dial; /* encoded msg_dial, secret; empty: none needed or asked for */
};

/* keeper -> relay: end this exchange now (revoked, frozen). Message id: the exchange. */
struct msg_cut {
	uint16_t reason;
};

/* keeper -> relay: the key of this exchange expires at another time than its DECISION said.
 * Message id: the exchange. */
struct msg_expiry {
	int64_t cut_at_ms; /* wall time; 0: never; one that has passed: now */
};

/*
 * relay -> keeper: the pooled upstream connection of an allowed exchange (the message id) died
 * before it answered, and the head is wiped; or it was gone before, and making one takes what
 * the first DECISION did not hold. Asks for a second DECISION, one that dials, once an
 * exchange; until that comes, the relay says nothing else of it.
 */
struct msg_again {
	uint8_t sent; /* the request may have gone out */
};

/* relay -> keeper: how an allowed exchange ended. Message id: the exchange. */
struct msg_complete {
	uint16_t status; /* upstream status, 0 when there was none */
	uint16_t reason; /* REASON_OK, or why the relay answered itself */
	uint8_t outcome; /* enum audit_outcome */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint32_t upstream_us;
	uint32_t total_us;
	struct rk_slice detail;
};

/* relay -> keeper: refused without asking (malformed, too large): for the audit log only. */
struct msg_refused {
	uint8_t request_id[16];
	uint16_t reason;
	struct rk_slice detail;
	struct rk_slice conn;
	struct rk_slice method;
	struct rk_slice path; /* without query; unprintable bytes as '?' */
	uint8_t client_ip[16];
	struct rk_slice user_agent;
};

/* ---- management: control socket (and console) to keeper ---- */

struct msg_conn_add {
	struct rk_slice name;
	struct rk_slice provider;
	struct rk_slice base_url;
	struct rk_slice
	    auth; /* LIST of "bearer", "basic[:USER]", "header:NAME[:PREFIX]", "query:NAME" */
	uint32_t flags; /* enum upstream_flags: ALLOW_PRIVATE, ALLOW_ENCODED_SLASH,
	                   ALLOW_SET_COOKIE */
	struct rk_slice ca_pem;
	struct rk_slice secret;
	struct rk_slice egress;       /* base/egress.h */
	struct rk_slice proxy_secret; /* "user:password" */
	struct rk_slice client_chain; /* PEM; and its key: both or neither */
	struct rk_slice client_key;
};

/* Both empty: no client certificate any more. */
struct msg_conn_identity {
	struct rk_slice ref;
	struct rk_slice client_chain;
	struct rk_slice client_key;
};

struct msg_conn_proxy {
	struct rk_slice ref;
	struct rk_slice egress;
	struct rk_slice proxy_secret;
};

struct msg_ref {
	struct rk_slice ref; /* id, name, whole or masked relay key, as the message allows */
	uint8_t force;
};

struct msg_list {
	struct rk_slice conn;   /* keys: only those with a grant on it */
	struct rk_slice holder; /* keys: "kind:name" or "kind:" */
	uint8_t live_only;
	struct rk_slice after; /* id of the last one seen; empty: from the start */
	uint32_t limit;        /* 0: all */
};

struct msg_conn_rotate {
	struct rk_slice ref;
	struct rk_slice secret;
};

struct msg_conn_state {
	struct rk_slice ref;
	uint8_t enabled;
};

struct msg_conn_info {
	struct rk_slice id;
	struct rk_slice name;
	struct rk_slice provider;
	struct rk_slice base_url;
	struct rk_slice auth; /* LIST */
	uint32_t flags;
	uint8_t enabled;
	uint8_t private_ca;
	uint32_t credential_version;
	uint32_t kek_generation;
	struct rk_slice mechanism;   /* "aes-gcm" */
	struct rk_slice secret_hint; /* "sk_••••5f81" */
	int64_t created_ms;
	int64_t updated_ms;
	uint32_t live_keys;
	struct rk_slice client_subject; /* of the client certificate; empty: none */
	int64_t client_expires_ms;
	struct rk_slice egress;
	uint8_t proxy_secret; /* there is one */
};

struct msg_grant {
	struct rk_slice conn; /* name or id when issuing, id when shown */
	struct rk_slice conn_name;
	struct rk_slice methods;    /* LIST; "*" is every method */
	struct rk_slice paths;      /* LIST of globs */
	struct rk_slice deny_query; /* LIST of decoded names */
};

struct msg_key_issue {
	uint8_t kind;
	struct rk_slice holder;
	struct rk_slice name;
	struct rk_slice env;
	struct rk_slice cidrs;  /* LIST; empty: any address */
	struct rk_slice grants; /* LIST of encoded msg_grant */
	int64_t ttl_ms;         /* 0: no expiry, unless expires_ms is set */
	int64_t expires_ms;
	uint32_t rate_per_minute; /* 0: none; and so on */
	uint32_t rate_per_day;
	uint32_t max_concurrent;
};

struct msg_key_extend {
	struct rk_slice ref;
	int64_t ttl_ms; /* from now */
	int64_t expires_ms;
};

enum key_state { KEY_ACTIVE = 1, KEY_REVOKED = 2, KEY_EXPIRED = 3 };

struct msg_key_info {
	struct rk_slice id;
	struct rk_slice key; /* the key itself: only in the answer to KEY_ISSUE */
	struct rk_slice masked;
	uint8_t kind;
	struct rk_slice holder;
	struct rk_slice name;
	struct rk_slice env;
	struct rk_slice cidrs;
	struct rk_slice grants; /* LIST of encoded msg_grant */
	uint8_t state;          /* enum key_state */
	int64_t created_ms;
	int64_t expires_ms;
	int64_t revoked_ms;
	int64_t last_used_ms;
	uint32_t in_flight;
	uint32_t rate_per_minute;
	uint32_t rate_per_day;
	uint32_t max_concurrent;
};

enum audit_mode { AUDIT_MODE_LIST = 1, AUDIT_MODE_TAIL = 2, AUDIT_MODE_EXPORT = 3 };

struct msg_audit_query {
	uint8_t mode;
	uint32_t limit; /* LIST: newest N; EXPORT: 0 is all */
	struct rk_slice holder;
	struct rk_slice kind;
	struct rk_slice conn;
	struct rk_slice key_id;
	struct rk_slice env;
	struct rk_slice decision;
	uint16_t status;
	int64_t since_ms;
	int64_t until_ms;
};

/* LIST and TAIL: a REQUEST row with its RESPONSE row where there is one. EXPORT: every row by
 * itself. */
struct msg_audit_entry {
	uint64_t seq;
	uint8_t prev_hash[32];
	uint8_t hash[32];
	struct rk_slice row;   /* packed struct audit_row */
	uint64_t response_seq; /* 0: none */
	struct rk_slice response;
};

struct msg_audit_verified {
	uint8_t ok;
	uint64_t rows;
	uint64_t first_seq;
	uint64_t last_seq;
	uint8_t head[32];
	uint64_t bad_seq;
	struct rk_slice text;
};

struct msg_status {
	struct rk_slice version;
	int64_t started_ms;
	uint8_t unsealed;
	uint8_t audit_ok;
	struct rk_slice token_state;
	struct rk_slice token_label;
	struct rk_slice token_model;
	struct rk_slice token_module;
	struct rk_slice mechanism;
	uint32_t kek_generation;
	struct rk_slice secret_memory;
	struct rk_slice audit_error; /* empty when audit_ok */
	uint64_t audit_rows;
	uint32_t connections;
	uint64_t keys;
	uint64_t live_keys;
	uint32_t in_flight;
	uint32_t relays;
	uint64_t requests;
	uint64_t refused;
	uint64_t batches; /* journal commits since start */
	uint64_t unwraps; /* credentials opened by the token since start */
	uint64_t policy_version;
};

/* Ends every answer that is not one single message; carries the error otherwise. */
struct msg_done {
	int64_t err; /* 0 or enum rk_err */
	struct rk_slice text;
};

#endif
