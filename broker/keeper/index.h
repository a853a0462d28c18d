/*
 * The policy in memory: connections, relay keys, grants, and which requests are in flight for
 * each. Authoritative while the keeper runs; touched by the loop's thread only.
 *
 * A relay key is found by SHA-256 of the presented text in O(1), whatever their number; a key
 * takes under 400 bytes (equal grants, holders, names and prefixes are stored once). Revocation
 * is one store into the key, and the requests in flight hang off it.
 */
#ifndef KEEPER_INDEX_H
#define KEEPER_INDEX_H

#include "base/ipaddr.h"
#include "ipc/messages_manage.h"
#include "keeper/store.h"
#include "policy/auth_style.h"
#include "policy/base_url.h"
#include "policy/rate.h"
#include "policy/relay_key.h"

struct index;
struct index_holder;
struct index_grant_node;
struct pl_credential;

enum { INDEX_MAX_GRANTS = 255, INDEX_MAX_CIDRS = 255 };

/* A client identity or an egress proxy, as struct store_egress. */
struct index_egress {
	uint32_t version;
	struct rk_slice public, blob; /* owned */
};

/* Who waits for a connection's credential, and its unwraps that are under way. */
struct index_lane {
	struct pl_credential *fresh; /* in the open batch */
	uint64_t fresh_batch;        /* number of that batch */
	struct pl_request *waiting, *waiting_last;
	struct pl_credential *last; /* submitted last; a worker may have it or not yet */
	uint32_t unwrapping_id;     /* upstream_id of those that workers have, */
	unsigned unwrapping;        /* and their number */
};

/* Immutable; counted, because an unwrap on another thread may still need the one before. */
struct index_auth {
	struct auth_style style;
	uint32_t refs; /* loop thread */
};

struct index_conn {
	uint32_t number; /* in order of creation, never used twice */
	char id[MSG_MAX_NAME + 1];
	char name[MSG_MAX_NAME + 1];
	char provider[MSG_MAX_NAME + 1];
	struct base_url url;     /* parsed; owns its text */
	struct index_auth *auth; /* parsed */
	uint32_t target; /* counts how often base URL or options changed: what was decided for
	                    another one is not sent to this one */
	struct rk_slice auth_list; /* LIST as given, owned */
	struct rk_slice ca_pem;    /* owned */
	uint32_t flags;
	bool enabled;
	bool removed;         /* out of the index; freed when refs is 0 */
	uint32_t refs;        /* requests in flight and unwrap jobs that still need it */
	uint32_t upstream_id; /* new whenever anything the relay sees changes */
	uint32_t credential_version;
	struct rk_slice blob; /* owned */
	char hint[MSG_MAX_NAME + 1];
	struct index_egress identity, proxy;
	char client_subject[128]; /* of the client certificate; "": none */
	int64_t client_expires_ms;
	int64_t created_ms, updated_ms;
	uint32_t revision;
	struct index_request *open;      /* in flight through this connection */
	struct index_grant_node *grants; /* the index's: compiled grants on it */
	struct index_lane lane[2]; /* the pipeline's: without, and with what a dial takes */
};

/* Compiled grant: immutable, shared between keys. */
struct index_grant {
	struct index_conn *conn;    /* NULL when it was removed */
	struct rk_slice methods;    /* LIST */
	struct rk_slice paths;      /* LIST */
	struct rk_slice deny_query; /* LIST */
};

struct index_key {
	uint8_t digest[32];
	uint32_t number;       /* in order of creation */
	char id[RELAY_KEY_ID]; /* without "key_" */
	char hint[RELAY_KEY_HINT];
	uint8_t kind;
	uint8_t grant_count, cidr_count;
	uint8_t flags; /* enum key_flags */
	bool counted;  /* among the live ones of who minted it (keeper/minted.h) */
	uint8_t mails; /* about new addresses, on its holder's mail_day */
	uint32_t in_flight;
	uint32_t revision;
	uint32_t minted_by;
	uint32_t owner_next;    /* number of its holder's next older key; SLOTS_NONE: none */
	const char *name, *env; /* interned */
	struct index_holder *owner;              /* keeper/index_holder.h */
	const struct index_grant *const *grants; /* interned set */
	const struct rk_cidr *cidrs;             /* interned set */
	int64_t created_ms, expires_ms, revoked_ms, last_used_ms;
	struct index_request *open;
	struct rate *rate; /* owned; NULL: no limits */
};

/* An allowed request between AUTHORIZE and COMPLETE. Lives in two lists: its key's and its
 * connection's. */
struct index_request {
	struct index_key *key;
	struct index_conn *conn;
	struct index_request *key_next, **key_prev;
	struct index_request *conn_next, **conn_prev;
};

RK_MUST_CHECK int index_new(struct index **out);
void index_free(struct index *ix);

/* From the store's form; validates everything again (RK_E_INVALID, RK_E_TOOBIG), RK_E_EXISTS
 * when id, name or digest is taken. The grants' connections must be there already (unknown ones
 * become NULL). */
RK_MUST_CHECK int index_add_conn(struct index *ix, const struct store_conn *c,
                                 struct index_conn **out, struct rk_fault *fault);
RK_MUST_CHECK int index_add_key(struct index *ix, const struct store_key *k,
                                struct index_key **out, struct rk_fault *fault);

/*
 * A change of a key in two steps: the members that `set` (enum key_set) names are compiled into
 * *fresh, which can fail, and then take the place of the key's own, which cannot. What was
 * compiled and is not assumed is dropped with index_key_drop(). Revision and the rest stay.
 */
RK_MUST_CHECK int index_key_compile(struct index *ix, const struct store_key *k, uint32_t set,
                                    struct index_key *fresh, struct rk_fault *fault);
void index_key_assume(struct index *ix, struct index_key *key, struct index_key *fresh,
                      uint32_t set);
void index_key_drop(struct index_key *fresh);

/* Replaces blob, version and hint, and gives a new upstream_id. */
RK_MUST_CHECK int index_conn_rotate(struct index *ix, struct index_conn *c,
                                    const struct store_credential *cred, int64_t now_ms);
/* The same for how its upstream is reached. */
RK_MUST_CHECK int index_conn_set_egress(struct index *ix, struct index_conn *c,
                                        enum store_egress_kind kind,
                                        const struct store_egress *e, int64_t now_ms);
/* What is in `set` of it; the name must be free (RK_E_EXISTS). Grants on it stay. */
struct store_conn_change;
RK_MUST_CHECK int index_conn_update(struct index *ix, struct index_conn *c,
                                    const struct store_conn_change *change,
                                    struct rk_fault *fault);
struct index_auth *index_auth_ref(struct index_auth *a);
void index_auth_unref(struct index_auth *a); /* accepts NULL */
/* Whether a connection to its upstream takes a secret of its own. */
static inline bool index_conn_dials_secretly(const struct index_conn *c)
{
	return c->identity.blob.n || c->proxy.blob.n;
}
/* In force, not yet stored: the revision is raised by whoever stores it. */
void index_conn_set_enabled(struct index *ix, struct index_conn *c, bool enabled,
                            int64_t now_ms);

/* Takes it out; grants on it become dead. Freed when no request holds it. */
void index_conn_remove(struct index *ix, struct index_conn *c);
void index_conn_ref(struct index_conn *c);
void index_conn_unref(struct index_conn *c);

/* By id or name; NULL. */
struct index_conn *index_conn_find(struct index *ix, struct rk_slice ref);
/* Of its holder. Interned. */
const char *index_key_holder(const struct index_key *k);
struct index_key *index_key_by_digest(struct index *ix, const uint8_t digest[32]);
/* id with or without "key_". */
struct index_key *index_key_by_id(struct index *ix, struct rk_slice id);

/*
 * id, whole key (hashed here), or masked form. RK_E_NOTFOUND; RK_E_AMBIGUOUS when a masked form
 * fits several keys that are not revoked (fault text lists up to five ids). A masked form
 * prefers keys that are not revoked.
 */
RK_MUST_CHECK int index_key_resolve(struct index *ix, struct rk_slice ref,
                                    struct index_key **out, struct rk_fault *fault);

/* Iteration in order of creation: pass NULL to start, the last one to go on; NULL at the end.
 */
struct index_conn *index_conn_next(struct index *ix, const struct index_conn *after);
struct index_key *index_key_next(struct index *ix, const struct index_key *after);

size_t index_conn_count(const struct index *ix);
size_t index_key_count(const struct index *ix);
size_t index_key_live(const struct index *ix, int64_t now_ms); /* O(keys): for status */
size_t index_conn_live_keys(struct index *ix, const struct index_conn *c, int64_t now_ms);
size_t index_bytes(const struct index *ix); /* memory held, for the benchmark */

void index_request_open(struct index_request *r, struct index_key *key,
                        struct index_conn *conn);
void index_request_close(struct index_request *r);

#endif
