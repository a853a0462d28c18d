/*
 * Holders, and the addresses that each of them is trusted at: the commands, and what answers
 * them. Field tables: ipc/catalogue_trust.c.
 */
#ifndef IPC_MESSAGES_TRUST_H
#define IPC_MESSAGES_TRUST_H

#include "ipc/messages.h"

enum {
	MSG_MAX_HOLDER = 80, /* "kind:name" */
	MSG_MAX_EMAIL = 254, /* RFC 5321 section 4.5.3.1.3, without the brackets */
	MSG_MAX_ADDRESS = 64,
};

enum trust_state {
	TRUST_PENDING = 1, /* seen, and refused until somebody confirms it */
	TRUST_TRUSTED = 2,
	TRUST_REMOVED = 3, /* in the answer to a removal */
};

/* Who decided that an address is trusted. */
enum trust_how {
	TRUST_BY_NOBODY,  /* pending */
	TRUST_BY_FIRST,   /* the holder's first one */
	TRUST_BY_MANAGER, /* an administrator or operator */
	TRUST_BY_LINK,    /* whoever had the link of the mail */
};

struct msg_holder_list {
	struct rk_slice kind;  /* name of one; empty: all */
	struct rk_slice after; /* "kind:name" of the last one seen; empty: from the start */
	uint32_t limit;        /* 0: all */
};

enum holder_set { HOLDER_SET_EMAIL = 1 };

struct msg_holder_set {
	struct rk_slice ref; /* "kind:name" */
	uint32_t set;        /* enum holder_set */
	struct rk_slice email;
};

struct msg_holder_info {
	struct rk_slice ref; /* "kind:name" */
	uint8_t kind;
	struct rk_slice name;
	struct rk_slice email; /* empty: none */
	uint32_t keys;         /* of it, whatever their state */
	uint32_t live_keys;
	uint32_t trusted_ips;
	uint32_t pending_ips;
	uint32_t
	    revoked; /* in the answer to HOLDER_REVOKE: how many keys it was in force for */
	uint64_t revision;
};

struct msg_trust_list {
	struct rk_slice holder; /* "kind:name"; empty: all */
	struct rk_slice key;    /* those that came with this key: as in msg_ref */
	uint8_t state;          /* enum trust_state; 0: all */
	struct rk_slice after;  /* id of the last one seen */
	uint32_t limit;         /* 0: all */
};

struct msg_trust_add {
	struct rk_slice holder;  /* "kind:name" */
	struct rk_slice address; /* or prefix; of one IPv6 address its /64 is meant */
};

struct msg_trust_info {
	struct rk_slice id; /* "ip_17" */
	uint8_t holder_kind;
	struct rk_slice holder;
	struct rk_slice address; /* or prefix */
	uint8_t state;           /* enum trust_state */
	uint8_t how;             /* enum trust_how */
	/* the request that it was seen with first; empty when somebody added it */
	struct rk_slice key_id;
	struct rk_slice key_masked;
	struct rk_slice conn_id;
	struct rk_slice conn_name; /* empty when the connection is gone */
	struct rk_slice user_agent;
	int64_t first_ms;
	int64_t decided_ms;      /* 0: not yet */
	int64_t code_expires_ms; /* of the link in the mail; 0: none is open */
	uint64_t revision;
};

/* TRUST_CONFIRM_GET changes nothing; TRUST_CONFIRM uses the code up. */
struct msg_confirm {
	struct rk_slice code;
};

#endif
