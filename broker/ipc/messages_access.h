/*
 * The bodies of the messages about who manages the broker and what may be minted: management
 * keys, delegated credentials, changes of a relay key, users. Field tables:
 * ipc/catalogue_access.c. Part of ipc/messages_manage.h.
 */
#ifndef IPC_MESSAGES_ACCESS_H
#define IPC_MESSAGES_ACCESS_H

#include "base/record.h"

enum { MSG_MAX_USER_EMAIL = 254 };

/* Bounds are those of a provisioner's key: what it may mint lies within them. */
struct msg_mgmt_issue {
	uint8_t role; /* enum mgmt_role */
	struct rk_slice name;
	int64_t ttl_ms; /* 0: no expiry, unless expires_ms is set */
	int64_t expires_ms;
	struct rk_slice grants;   /* LIST of encoded msg_grant */
	uint32_t kinds;           /* mask of 1 << enum holder_kind; 0: every kind */
	int64_t max_ttl_ms;       /* 0: minted keys need not expire */
	uint32_t max_live_keys;   /* 0: any number */
	uint32_t rate_per_minute; /* highest limits; 0: none needed */
	uint32_t rate_per_day;
	uint32_t max_concurrent;
	struct rk_slice env;    /* empty: any */
	struct rk_slice holder; /* empty: any */
};

enum mgmt_set { MGMT_SET_NAME = 1, MGMT_SET_EXPIRY = 2 };

struct msg_mgmt_update {
	struct rk_slice ref;
	uint32_t set; /* enum mgmt_set */
	struct rk_slice name;
	int64_t ttl_ms; /* with expires_ms 0 too: never */
	int64_t expires_ms;
};

struct msg_mgmt_revoke {
	struct rk_slice ref;
	uint8_t cascade; /* the relay keys that it minted as well */
};

struct msg_mgmt_info {
	struct rk_slice id;
	struct rk_slice key; /* the key itself: only in the answer to MGMT_ISSUE */
	struct rk_slice masked;
	uint8_t role;
	struct rk_slice name;
	uint8_t state; /* enum key_state */
	int64_t created_ms;
	int64_t expires_ms;
	int64_t revoked_ms;
	int64_t last_used_ms;
	uint64_t revision;
	uint32_t minted; /* relay keys, ever and now */
	uint32_t live_keys;
	struct rk_slice grants; /* and so on: as issued */
	uint32_t kinds;
	int64_t max_ttl_ms;
	uint32_t max_live_keys;
	uint32_t rate_per_minute;
	uint32_t rate_per_day;
	uint32_t max_concurrent;
	struct rk_slice env;
	struct rk_slice holder;
};

/* As stored with the management key. Fields are only ever appended, and zero must do for one
 * from before a field was there: a budget comes here. */
struct msg_mint_bounds {
	struct rk_slice grants; /* LIST of encoded msg_grant with conn = id */
	uint32_t kinds;
	int64_t max_ttl_ms;
	uint32_t max_live_keys;
	uint32_t rate_per_minute;
	uint32_t rate_per_day;
	uint32_t max_concurrent;
	struct rk_slice env;
	struct rk_slice holder;
};

enum mint_set { MINT_SET_KIND = 1 };

/* POST /api/v1/delegated-credentials */
struct msg_key_mint {
	struct rk_slice conn;
	struct rk_slice name;
	struct rk_slice methods;
	struct rk_slice paths;
	struct rk_slice deny_query;
	int64_t ttl_ms;
	uint32_t set;           /* enum mint_set */
	uint8_t kind;           /* not set: the one kind of the bounds, or an agent */
	struct rk_slice holder; /* empty: of the bounds, or the management key's name */
	struct rk_slice env;    /* empty: of the bounds */
	struct rk_slice cidrs;
	uint32_t rate_per_minute; /* 0: of the bounds; and so on */
	uint32_t rate_per_day;
	uint32_t max_concurrent;
	uint32_t flags; /* enum key_flags */
};

enum key_set {
	KEY_SET_NAME = 1,
	KEY_SET_ENV = 2,
	KEY_SET_EXPIRY = 4, /* ttl_ms and expires_ms 0: never */
	KEY_SET_CIDRS = 8,
	KEY_SET_GRANTS = 16,
	KEY_SET_RATE_PER_MINUTE = 32,
	KEY_SET_RATE_PER_DAY = 64,
	KEY_SET_MAX_CONCURRENT = 128,
	KEY_SET_FLAGS = 256,
	KEY_SET_LIMITS =
	    KEY_SET_RATE_PER_MINUTE | KEY_SET_RATE_PER_DAY | KEY_SET_MAX_CONCURRENT,
	KEY_SET_ALL = 511,
};

struct msg_key_update {
	struct rk_slice ref;
	uint32_t set; /* enum key_set */
	struct rk_slice name;
	struct rk_slice env;
	int64_t ttl_ms;
	int64_t expires_ms;
	struct rk_slice cidrs;  /* LIST; empty: any address */
	struct rk_slice grants; /* LIST of encoded msg_grant */
	uint32_t rate_per_minute;
	uint32_t rate_per_day;
	uint32_t max_concurrent;
	uint32_t flags; /* KEY_TRUSTED_ONLY or 0 */
};

/* ---- people who sign in ---- */

struct msg_user_add {
	struct rk_slice name;
	struct rk_slice email;
	uint8_t role; /* enum mgmt_role */
};

enum user_set {
	USER_SET_NAME = 1,
	USER_SET_EMAIL = 2,
	USER_SET_ROLE = 4,
	USER_SET_ENABLED = 8
};

struct msg_user_update {
	struct rk_slice ref; /* id or name */
	uint32_t set;        /* enum user_set */
	struct rk_slice name;
	struct rk_slice email;
	uint8_t role;
	uint8_t enabled;
};

struct msg_user_info {
	struct rk_slice id;
	struct rk_slice name;
	struct rk_slice email;
	uint8_t role;
	uint8_t enabled;
	int64_t created_ms;
	int64_t updated_ms;
	uint64_t revision;
};

#endif
