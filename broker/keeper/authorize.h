/*
 * The decision over one request, from the index alone: no clock, no descriptor, no side effect.
 *
 * Order: sealed, key, connection, grant on it, disabled, client address (the key's prefixes,
 * then what its holder is trusted at), path, then the grants
 * (PRODUCT section 1; default deny). Every key problem is one reason, REASON_INVALID_KEY; the
 * detail for the audit row tells which. A connection is only said to be unknown to the holder
 * of a valid key.
 *
 * Several grants on one connection are alternatives: method, path and query names must pass in
 * the same one. "*" is every method; HEAD is not implied by GET.
 */
#ifndef KEEPER_AUTHORIZE_H
#define KEEPER_AUTHORIZE_H

#include "keeper/index.h"
#include "policy/reason.h"

struct authorized {
	enum reason reason;      /* REASON_OK: allowed */
	struct index_key *key;   /* known key, also when it is refused; NULL */
	struct index_conn *conn; /* known connection, also when it is refused; NULL */
	/* With REASON_IP_UNCONFIRMED: everything else is in order, and once the address is
	 * stored as its holder's first one the same request is allowed. */
	bool first;
	const char *detail;   /* static text for the audit row; "" */
	struct rk_slice path; /* the full upstream path, or as asked when there is none */
	char path_mem[MSG_MAX_PATH + BASE_URL_MAX];
};

/* *out borrows from m and the index; it need not be initialised. */
void authorize(struct index *ix, const struct msg_authorize *m, bool sealed, int64_t now_ms,
               struct authorized *out);

/*
 * The hurdles that are the key's alone, in the same order: sealed, key, client address. Of m,
 * key, key_conflict and client_ip are looked at. out->conn is NULL.
 */
void authorize_key(struct index *ix, const struct msg_authorize *m, bool sealed, int64_t now_ms,
                   struct authorized *out);

/*
 * The last hurdle, only for what passed all others: what is out of scope must not use up a
 * quota. A refusal puts reason and detail into *out. Nothing is counted (rate_take() does).
 */
enum reason authorize_limits(struct authorized *out, struct rate_now now,
                             struct rate_report *report);

/* Judged again just before the answer: what may have changed since the decision. */
enum reason authorize_still(const struct index_key *key, const struct index_conn *conn,
                            int64_t now_ms);
enum reason authorize_key_still(const struct index_key *key, int64_t now_ms);

/* Grants and addresses alone, for a request that was allowed when they were others. `path`: the
 * full upstream path. */
enum reason authorize_policy(const struct index *ix, const struct index_key *key,
                             const struct index_conn *conn, const uint8_t client_ip[16],
                             struct rk_slice method, struct rk_slice path,
                             struct rk_slice query_names);

#endif
