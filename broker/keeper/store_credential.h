/*
 * A connection's credential versions in the policy store, and the change of a connection. Store
 * worker; each change is one transaction.
 *
 * A version counts for the upstream that it was given for: the connection's `target` is raised
 * whenever that becomes another one, and a version of another target never becomes the current
 * one again. Else whoever points a connection elsewhere could read what it held before.
 */
#ifndef KEEPER_STORE_CREDENTIAL_H
#define KEEPER_STORE_CREDENTIAL_H

#include "keeper/store.h"

/* Versions below `before` (0: all), the newest first, at most `limit`. A callback's error ends
 * it. `restorable`: of the present target. RK_E_NOTFOUND without such a connection. */
RK_MUST_CHECK int store_credential_each(struct store *s, struct rk_slice conn_id,
                                        uint32_t before, unsigned limit,
                                        int (*each)(const struct store_credential *c,
                                                    bool restorable, void *arg),
                                        void *arg, struct rk_fault *fault);

/* Adds `c`, what version `from` holds, as the newest one. RK_E_NOTFOUND when that one is gone
 * by now, RK_E_DENIED when it is of another target. */
RK_MUST_CHECK int store_credential_restore(struct store *s, struct rk_slice conn_id,
                                           uint32_t from, const struct store_credential *c,
                                           struct rk_fault *fault);

/* For good: its place in the file is overwritten. RK_E_NOTFOUND; RK_E_STATE for the newest. */
RK_MUST_CHECK int store_credential_purge(struct store *s, struct rk_slice conn_id,
                                         uint32_t version, struct rk_fault *fault);

/* What changes of a connection: members named in `set` (enum conn_set). */
struct store_conn_change {
	uint32_t set;
	bool retarget; /* the secret goes elsewhere: a new credential comes with it */
	struct rk_slice name, provider, base_url, auth, ca_pem;
	uint32_t flags;
	struct store_credential credential; /* version 0: none */
	int64_t now_ms;
};

/* RK_E_EXISTS when the name is taken. */
RK_MUST_CHECK int store_conn_update(struct store *s, struct rk_slice conn_id,
                                    const struct store_conn_change *c, struct rk_fault *fault);

#endif
