/*
 * Bodies of the messages of containment and of the care of connections. Field tables:
 * ipc/catalogue_contain.c.
 */
#ifndef IPC_MESSAGES_CONTAIN_H
#define IPC_MESSAGES_CONTAIN_H

#include "base/slice.h"
#include "ipc/audit_row.h"

enum {
	MSG_MAX_REASON = 256,
	MSG_MAX_LEAK = 49152,       /* bytes of a report as it came */
	MSG_MAX_LEAK_TOKENS = 256,  /* in it */
	MSG_MAX_LEAK_ITEMS = 14336, /* LIST of encoded msg_leak_item */
	MSG_MAX_LEAK_SOURCE = 200,
	MSG_MAX_SIGNATURE = 128,
	MSG_MAX_SUBJECT = 128,
};

/* Stop all traffic, or let it go on. */
struct msg_panic {
	struct rk_slice reason;
};

/* ---- keys that were found in public ---- */

/* A token within the payload, so that nothing can be reported that does not stand there. */
struct msg_leak_item {
	uint32_t at;
	uint16_t n;
	struct rk_slice source; /* where it was found: "commit", a URL, both; may be empty */
};

/*
 * From nobody in particular only with a signature over the payload (ECDSA P-256, SHA-256) of a
 * secret scanner whose public key is in the settings under key_id; from those who may operate
 * as it is.
 */
struct msg_leak_report {
	struct rk_slice payload;
	struct rk_slice items; /* LIST of encoded msg_leak_item */
	struct rk_slice key_id;
	struct rk_slice signature; /* DER */
};

enum leak_finding {
	LEAK_UNKNOWN = 1, /* never issued here */
	LEAK_REVOKED,     /* by this report */
	LEAK_OVER,        /* was revoked or had expired before */
	LEAK_HONEY,
};

/* One an item, in their order; DONE ends them. */
struct msg_leak_verdict {
	uint8_t finding; /* enum leak_finding; all but UNKNOWN are true positives */
	struct rk_slice key_id;
	struct rk_slice masked;
};

/* ---- credential versions ---- */

struct msg_credential_list {
	struct rk_slice ref; /* of the connection */
	uint32_t before;     /* version seen last; 0: from the newest */
	uint32_t limit;      /* 0: as many as one page has */
};

struct msg_credential_ref { /* restore it, or remove it for good */
	struct rk_slice ref;
	uint32_t version;
};

struct msg_credential_info {
	struct rk_slice conn_id;
	uint32_t version;
	uint8_t current;
	uint8_t restorable; /* it was given for the upstream that the connection has now */
	struct rk_slice hint;
	struct rk_slice mechanism;
	uint32_t kek_generation;
	int64_t created_ms;
};

/* ---- change of a connection ---- */

enum conn_set {
	CONN_SET_NAME = 1,
	CONN_SET_PROVIDER = 2,
	CONN_SET_FLAGS = 4,
	CONN_SET_BASE_URL = 8, /* these three only together with the secret: */
	CONN_SET_AUTH = 16,
	CONN_SET_CA = 32,
	/* one of the flags; CONN_SET_FLAGS is all of them */
	CONN_SET_PRIVATE = 64,
	CONN_SET_ENCODED_SLASH = 128,
	CONN_SET_COOKIE = 256,
	CONN_SET_ALL = 511,
};

struct msg_conn_update {
	struct rk_slice ref;
	uint32_t set; /* enum conn_set */
	struct rk_slice name;
	struct rk_slice provider;
	struct rk_slice base_url;
	struct rk_slice auth; /* LIST, as in msg_conn_add */
	uint32_t flags;
	struct rk_slice ca_pem;
	struct rk_slice secret; /* a new one; empty: it stays */
};

/* ---- test of a connection ---- */

struct msg_conn_probe {
	struct rk_slice ref;
	struct rk_slice method; /* GET or HEAD; empty: GET */
	struct rk_slice
	    path; /* behind the base path; empty: what suits the provider, else none */
};

struct msg_probe_result {
	struct rk_slice conn_id;
	struct rk_slice method;
	struct rk_slice path; /* full, as the upstream saw it */
	uint8_t request_id[16];
	uint16_t status;      /* of the upstream; 0: no answer */
	uint16_t reason;      /* enum reason: why there is none */
	struct rk_slice code; /* of the reason */
	struct rk_slice detail;
	uint32_t dial_us, tls_us, first_byte_us;
	struct rk_slice subject; /* of the upstream's certificate */
	int64_t expires_ms;
};

/* keeper -> relay: make this one request, for nobody. Message id: the keeper's. */
struct msg_probe {
	uint32_t upstream_id;
	uint8_t request_id[16];
	uint8_t head;                   /* HEAD instead of GET */
	struct rk_slice rest;           /* path behind the base path */
	struct rk_slice inject_headers; /* as in msg_decision; and so on */
	struct rk_slice inject_query;
	struct rk_slice dial;
};

/* relay -> keeper: what came of it. It names no key, and nothing is answered. */
struct msg_probed {
	uint16_t status;
	uint16_t reason;
	struct rk_slice detail;
	uint32_t dial_us; /* name, connection, egress proxy */
	uint32_t tls_us;
	uint32_t first_byte_us; /* from the request sent to the answer's first byte */
	struct rk_slice subject;
	int64_t expires_ms;
};

#endif
