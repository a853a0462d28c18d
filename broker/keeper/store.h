/*
 * policy.db: connections, credential versions (wrapped), holders, relay keys, grants, settings.
 * The index in memory (keeper/index.h) is authoritative while running and is rebuilt from here
 * at start.
 *
 * Every mutating call is one transaction, durable when it returns 0, with the policy version
 * raised by one; on error nothing changed. Used by one thread at a time (the store worker).
 * Structs borrow their slices.
 */
#ifndef KEEPER_STORE_H
#define KEEPER_STORE_H

#include "base/secret.h"
#include "base/slice.h"
#include "policy/rate.h"

struct store;

struct store_credential {
	uint32_t version;     /* 1, 2, ... per connection */
	struct rk_slice blob; /* as token_wrap() made it */
	struct rk_slice hint; /* "sk_••••5f81" */
	int64_t created_ms;
};

enum store_egress_kind { STORE_IDENTITY = 1, STORE_PROXY = 2 };

/* A client certificate with its key, or an egress proxy with its credential. */
struct store_egress {
	uint32_t version;       /* 1, 2, ... per connection and kind; 0: there never was one */
	struct rk_slice public; /* certificate chain, PEM; text of base/egress.h; may be empty
	                         */
	struct rk_slice blob;   /* as token_wrap() made it; may be empty */
	int64_t created_ms;
};

struct store_conn {
	struct rk_slice id; /* "conn_..." */
	struct rk_slice name;
	struct rk_slice provider;
	struct rk_slice base_url;
	struct rk_slice auth; /* LIST, as in msg_conn_add */
	uint32_t flags;
	bool enabled;
	struct rk_slice ca_pem;
	int64_t created_ms;
	int64_t updated_ms;
	uint32_t revision;                  /* 1, 2, ... */
	struct store_credential credential; /* the newest; and so on */
	struct store_egress identity, proxy;
};

struct store_key {
	struct rk_slice id; /* "key_..." */
	uint8_t digest[32]; /* SHA-256 of the key */
	char hint[3];
	uint8_t kind;
	struct rk_slice holder;
	struct rk_slice name;
	struct rk_slice env;
	struct rk_slice cidrs;  /* LIST */
	struct rk_slice grants; /* LIST of encoded msg_grant with conn = id */
	int64_t created_ms;
	int64_t expires_ms; /* 0: never */
	int64_t revoked_ms; /* 0: not */
	struct rate_limits limits;
	uint32_t flags;     /* enum key_flags */
	uint32_t revision;  /* 1, 2, ... */
	uint32_t minted_by; /* number of a management key; 0: none */
};

RK_MUST_CHECK int store_open(const char *path, const struct rk_secret *key, bool create,
                             struct store **out, struct rk_fault *fault);
void store_close(struct store *s);

/* Calls conn for each connection, then key for each relay key. A callback's error ends it and
 * is returned. */
struct store_holder;
struct store_trust;

struct store_loader {
	int (*conn)(const struct store_conn *c, void *arg);
	int (*key)(const struct store_key *k, void *arg);
	void *arg;
	/* keeper/store_trust.h; may be NULL. Holders come before keys, addresses after them. */
	int (*holder)(const struct store_holder *h, void *arg);
	int (*trust)(const struct store_trust *t, void *arg);
	void (*trust_last)(uint32_t number, void *arg); /* the highest that was ever given */
};
RK_MUST_CHECK int store_load(struct store *s, const struct store_loader *l,
                             uint64_t *policy_version, struct rk_fault *fault);

/* RK_E_EXISTS when id or name is taken. */
RK_MUST_CHECK int store_conn_add(struct store *s, const struct store_conn *c,
                                 struct rk_fault *fault);
/* Adds a credential version; earlier ones stay for rollback. */
RK_MUST_CHECK int store_conn_rotate(struct store *s, struct rk_slice conn_id,
                                    const struct store_credential *c, struct rk_fault *fault);
/* The same for how its upstream is reached. */
RK_MUST_CHECK int store_conn_set_egress(struct store *s, struct rk_slice conn_id,
                                        enum store_egress_kind kind,
                                        const struct store_egress *e, struct rk_fault *fault);
RK_MUST_CHECK int store_conn_set_enabled(struct store *s, struct rk_slice conn_id, bool enabled,
                                         int64_t now_ms, struct rk_fault *fault);
/* With all its credential versions. Grants that name it are the caller's business. */
RK_MUST_CHECK int store_conn_remove(struct store *s, struct rk_slice conn_id,
                                    struct rk_fault *fault);

RK_MUST_CHECK int store_key_add(struct store *s, const struct store_key *k,
                                struct rk_fault *fault);
RK_MUST_CHECK int store_key_set_revoked(struct store *s, struct rk_slice key_id,
                                        int64_t revoked_ms, struct rk_fault *fault);
RK_MUST_CHECK int store_key_set_expires(struct store *s, struct rk_slice key_id,
                                        int64_t expires_ms, struct rk_fault *fault);

#endif
