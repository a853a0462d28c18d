/*
 * The bodies of the management messages: the commands that the control socket and the console
 * bring to the keeper, and what it answers. Field tables: ipc/catalogue_manage.c.
 *
 * In a change of an object, `set` says which members are meant (bits of an enum beside it);
 * the others are left as they are.
 */
#ifndef IPC_MESSAGES_MANAGE_H
#define IPC_MESSAGES_MANAGE_H

#include "ipc/messages.h"
#include "ipc/messages_access.h"

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
	uint64_t revision;
};

struct msg_grant {
	struct rk_slice conn; /* name or id when issuing, id when shown */
	struct rk_slice conn_name;
	struct rk_slice methods;    /* LIST; "*" is every method */
	struct rk_slice paths;      /* LIST of globs */
	struct rk_slice deny_query; /* LIST of decoded names */
};

enum key_flags {
	KEY_TRUSTED_ONLY = 1, /* from addresses that its holder is trusted at */
	KEY_HONEY = 2,        /* never valid; its use raises an alert */
	KEY_FLAGS = 3,        /* those that a key has */
	/* in KEY_ISSUE: not KEY_TRUSTED_ONLY, which is what a person's or vendor's key is
	   when neither prefixes nor this are given */
	KEY_ANY_IP = 4,
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
	uint32_t flags; /* enum key_flags */
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
	uint64_t revision;
	struct rk_slice minted_by; /* id of a management key; empty: none */
	uint32_t flags;            /* enum key_flags */
};

enum audit_mode { AUDIT_MODE_LIST = 1, AUDIT_MODE_TAIL = 2, AUDIT_MODE_EXPORT = 3 };

/* Of a LIST. */
enum audit_order {
	AUDIT_NEWEST = 0,  /* the newest in front of `cursor`, the oldest of them first */
	AUDIT_FALLING = 1, /* the same ones, the newest of them first */
	AUDIT_RISING = 2,  /* the oldest behind `cursor`, the oldest of them first */
};

/* Every criterion that is set must hold; see keeper/audit_filter.h. */
struct msg_audit_query {
	uint8_t mode;
	uint32_t limit;         /* LIST: entries of a page; EXPORT and TAIL: 0 is all */
	struct rk_slice holder; /* name, "kind:name" or "kind:" */
	struct rk_slice kind;
	struct rk_slice conn;
	struct rk_slice key_id;
	struct rk_slice env;
	struct rk_slice decision;
	uint16_t status;
	int64_t since_ms;
	int64_t until_ms;
	uint8_t order; /* LIST: enum audit_order */
	/* LIST: seq of the entry at which the page before ended; 0: from the end, or with
	 * RISING from the start. TAIL: what came after this row first (of an entry the greater
	 * one of seq and response_seq); 0: only what comes from now on. EXPORT: rows behind it.
	 */
	uint64_t cursor;
	struct rk_slice type;   /* "request", "management", ... */
	struct rk_slice reason; /* code */
	struct rk_slice provider;
	struct rk_slice model;
	struct rk_slice client;     /* address or prefix */
	struct rk_slice request_id; /* 32 hexadecimal digits, with or without "req_" */
	struct rk_slice path;       /* what it begins with */
	struct rk_slice actor;
	struct rk_slice action;
	struct rk_slice target;
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
	uint8_t panic; /* all traffic is stopped; since when, by whom, why */
	int64_t panic_ms;
	struct rk_slice panic_by;
	struct rk_slice panic_reason;
};

/* ---- settings ---- */

enum smtp_tls { SMTP_TLS_NONE = 0, SMTP_TLS_STARTTLS = 1, SMTP_TLS_FULL = 2 };

enum settings_members {
	SETTINGS_PUBLIC_URL = 1 << 0,
	SETTINGS_SMTP_HOST = 1 << 1,
	SETTINGS_SMTP_PORT = 1 << 2,
	SETTINGS_SMTP_TLS = 1 << 3,
	SETTINGS_SMTP_USER = 1 << 4,
	SETTINGS_SMTP_PASSWORD = 1 << 5,
	SETTINGS_SMTP_CA = 1 << 6,
	SETTINGS_MAIL_FROM = 1 << 7,
	SETTINGS_ALERT_MAIL = 1 << 8,
	SETTINGS_TRUST_FIRST_IP = 1 << 9,
	SETTINGS_TRUST_PRESETS = 1 << 10,
	SETTINGS_MAILS_PER_KEY_DAY = 1 << 11,
	SETTINGS_CONFIRM_TTL = 1 << 12,
	SETTINGS_LEAK_KEYS = 1 << 13,
	SETTINGS_MEMBERS = (1 << 14) - 1,
};

struct msg_settings_set {
	uint32_t set; /* enum settings_members */
	struct rk_slice public_url;
	struct rk_slice smtp_host;
	uint16_t smtp_port;
	uint8_t smtp_tls; /* enum smtp_tls */
	struct rk_slice smtp_user;
	struct rk_slice smtp_password; /* secret; empty: none any more */
	struct rk_slice smtp_ca;       /* PEM */
	struct rk_slice mail_from;
	struct rk_slice alert_mail; /* LIST of addresses */
	uint8_t trust_first_ip;
	struct rk_slice trust_presets; /* LIST of prefixes */
	uint32_t mails_per_key_day;
	int64_t confirm_ttl_ms;
	struct rk_slice leak_keys; /* LIST of "id\nPEM" */
};

struct msg_settings {
	struct rk_slice public_url;
	struct rk_slice smtp_host;
	uint16_t smtp_port;
	uint8_t smtp_tls;
	struct rk_slice smtp_user;
	uint8_t smtp_password; /* there is one */
	struct rk_slice smtp_ca;
	struct rk_slice mail_from;
	struct rk_slice alert_mail;
	uint8_t trust_first_ip;
	struct rk_slice trust_presets;
	uint32_t mails_per_key_day;
	int64_t confirm_ttl_ms;
	struct rk_slice leak_keys;
	int64_t updated_ms; /* 0: never changed */
	uint32_t revision;
};

/* ---- webhooks, and what was sent to them and by mail ---- */

enum hook_flags { HOOK_ALLOW_PRIVATE = 1 };

enum hook_members {
	HOOK_NAME = 1 << 0,
	HOOK_URL = 1 << 1,
	HOOK_EVENTS = 1 << 2,
	HOOK_FLAGS = 1 << 3,
	HOOK_CA = 1 << 4,
	HOOK_ENABLED = 1 << 5,
};

struct msg_hook_add {
	struct rk_slice name;
	struct rk_slice url;
	uint32_t events; /* mask of 1 << enum notice_kind; 0: every kind */
	uint32_t flags;  /* enum hook_flags */
	struct rk_slice ca_pem;
};

struct msg_hook_update {
	struct rk_slice ref;
	uint32_t set; /* enum hook_members */
	struct rk_slice name;
	struct rk_slice url;
	uint32_t events;
	uint32_t flags;
	struct rk_slice ca_pem;
	uint8_t enabled;
};

struct msg_hook_list {
	struct rk_slice after;
	uint32_t limit;
};

struct msg_hook_info {
	struct rk_slice id; /* "hook_..." */
	struct rk_slice name;
	struct rk_slice url;
	uint32_t events;
	uint32_t flags;
	uint8_t private_ca;
	uint8_t enabled;
	struct rk_slice secret; /* "whsec_...": only when it was made, in answer to HOOK_ADD and
	                           HOOK_ROTATE */
	int64_t created_ms;
	int64_t updated_ms;
	uint32_t revision;
};

enum delivery_kind { DELIVERY_MAIL = 1, DELIVERY_WEBHOOK = 2 };
enum delivery_state { DELIVERY_WAITING = 1, DELIVERY_SENT = 2, DELIVERY_FAILED = 3 };

struct msg_delivery_list {
	struct rk_slice hook; /* id or name; empty: of all, and mails */
	uint8_t kind;         /* enum delivery_kind; 0: both */
	uint8_t state;        /* enum delivery_state; 0: all */
	struct rk_slice after;
	uint32_t limit;
};

/* Newest first in a list. */
struct msg_delivery_info {
	struct rk_slice id; /* "dlv_..." */
	uint8_t kind;
	struct rk_slice target; /* id of the webhook; mail address */
	uint8_t event;          /* enum notice_kind */
	uint8_t notice_id[16];
	uint8_t state;
	uint32_t attempts;
	uint16_t status; /* of the last answer: HTTP or SMTP; 0: there was none */
	struct rk_slice error;
	int64_t created_ms;
	int64_t next_ms; /* when it is tried next; 0: not any more */
	int64_t done_ms;
};

/* An empty address: those that alerts go to. */
struct msg_mail_test {
	struct rk_slice address;
};

#endif
