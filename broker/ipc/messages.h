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
	MSG_MAX_IDEMPOTENCY_KEY = 128,
	MSG_MAX_NOTICE = 2048,
	MSG_MAX_HOST = 253,
	MSG_MAX_MAIL = 254,
	MSG_MAX_MAILS = 4608, /* a LIST of addresses */
	MSG_MAX_SMTP_USER = 256,
	MSG_MAX_SMTP_PASSWORD = 512,
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

/*
 * relay -> keeper: what may this key do? Judged and written down like a request; counts towards
 * no limit. Message id: the exchange, which has no COMPLETE.
 */
struct msg_discover {
	uint8_t request_id[16];
	struct rk_slice key; /* as in msg_authorize */
	uint8_t key_conflict;
	struct rk_slice method;
	uint8_t client_ip[16];
	struct rk_slice user_agent;
};

/* keeper -> relay. For any reason but REASON_OK, only that is set. Nothing in it is secret. */
struct msg_discovered {
	uint16_t reason;
	struct rk_slice key_id;
	struct rk_slice masked;
	uint8_t kind;
	struct rk_slice holder;
	struct rk_slice name;
	struct rk_slice env;
	int64_t expires_ms;
	struct rk_slice cidrs; /* LIST; empty: any address */
	/* as in msg_decision; `left` before this request */
	uint32_t minute_limit, minute_left, minute_reset_s;
	uint32_t day_limit, day_left, day_reset_s;
	uint32_t concurrent_limit, concurrent_left;
	struct rk_slice reaches; /* LIST of encoded msg_reach */
	uint32_t left_out;       /* of them, because there was no room */
};

/* A grant as its holder sees it. */
struct msg_reach {
	struct rk_slice conn_id;
	struct rk_slice name;
	struct rk_slice provider;
	struct rk_slice base_path;
	uint8_t enabled;
	struct rk_slice methods;    /* LIST */
	struct rk_slice paths;      /* LIST of globs */
	struct rk_slice deny_query; /* LIST */
};

/* ---- keeper and courier ---- */

enum notice_kind {
	NOTICE_TEST = 1,     /* "does this webhook, this mail server work?" */
	NOTICE_NEW_IP,       /* locked until confirmed; with a code for the link */
	NOTICE_KEY_EXPIRING, /* a relay or management key ends soon */
	NOTICE_HONEY_KEY,    /* one was used */
	NOTICE_KEY_LEAKED,   /* reported, and revoked if it was one of ours */
	NOTICE_TOKEN_LOST,
	NOTICE_TOKEN_BACK,
	NOTICE_PANIC,     /* somebody stopped all traffic, or let it go on */
	NOTICE_BUDGET,    /* 80 or 100 % of it are gone */
	NOTICE_COLLECTOR, /* a syslog target is away or back */
	NOTICE_KINDS
};

/* Something that somebody outside has to hear of: kept in the outbox as an encoded record until
 * they have. What it says of keys and holders is what the audit log says. */
struct msg_notice {
	uint8_t kind;
	uint8_t id[16]; /* the same in each attempt to deliver it */
	int64_t time_ms;
	struct rk_slice key_id;
	struct rk_slice key_masked;
	uint8_t holder_kind; /* with a holder */
	struct rk_slice holder;
	struct rk_slice conn_id;
	struct rk_slice conn_name;
	uint8_t client_ip[16];
	struct rk_slice user_agent;
	struct rk_slice actor; /* who did it, as in the audit log */
	struct rk_slice code;  /* of a confirmation link; only in a mail to the holder */
	int64_t until_ms;      /* the link's or the key's end */
	struct rk_slice detail;
};

/* keeper -> courier: one attempt. Message id: the attempt, which DELIVERED answers. */
struct msg_deliver {
	uint8_t kind;           /* enum delivery_kind */
	uint64_t delivery;      /* its number, the same in each attempt */
	struct rk_slice target; /* URL of a webhook; host of the mail server */
	uint16_t port;          /* of the mail server */
	uint8_t tls;            /* enum smtp_tls */
	uint8_t allow_private;
	struct rk_slice ca_pem; /* that its certificate must be of; empty: the system's */
	struct rk_slice user;   /* for the mail server; empty: it asks for none */
	struct rk_slice secret; /* signs a webhook; password for the mail server */
	struct rk_slice mail_from;
	struct rk_slice mail_to;
	struct rk_slice public_url; /* of the console, for links */
	struct rk_slice notice;     /* encoded msg_notice */
};

enum deliver_result {
	DELIVER_OK = 1,
	DELIVER_AGAIN,   /* nobody there, or nobody that could take it now */
	DELIVER_REFUSED, /* it was not wanted as it is: that may be put right, but hardly by
	                  * itself
	                  */
	DELIVER_LASTING, /* it will never be taken */
};

/* courier -> keeper: how it ended. */
struct msg_delivered {
	uint8_t result;  /* enum deliver_result */
	uint16_t status; /* HTTP or SMTP; 0: no answer */
	uint32_t retry_after_s;
	struct rk_slice text; /* of a failure; printable ASCII */
};

/* ---- console and keeper ---- */

/*
 * console -> keeper: who brings the command that follows under the same message id, and on what
 * terms. One command a CALLER; its answer ends with the last message of that command. Who the
 * caller is and what it may do is the keeper's to find out.
 */
struct msg_caller {
	struct rk_slice credential; /* a management key as presented; secret; empty: nobody */
	uint8_t client_ip[16];
	struct rk_slice user_agent;
	struct rk_slice idempotency_key; /* of a change; empty: none */
	uint64_t if_revision; /* the change is made only of this revision; 0: of any */
};

/*
 * console -> keeper: so many bytes of a long answer (bodies as they were encoded) have gone on
 * to the client. At most MSG_WINDOW of them are on their way, so that one slow client fills
 * neither the channel nor the console.
 */
struct msg_taken {
	uint32_t bytes;
};

enum { MSG_WINDOW = 128 << 10 };

/* Ends every answer that is not one single message; carries the error otherwise. */
struct msg_done {
	int64_t err; /* 0 or enum rk_err */
	struct rk_slice text;
	uint8_t more; /* of a list with a limit: there is more behind the last one */
};

#endif
