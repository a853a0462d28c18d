/*
 * What management accepts: names, addresses, certificates, grants, dates. Pure. Each returns 0,
 * or RK_E_INVALID / RK_E_TOOBIG / RK_E_DENIED with one plain sentence.
 */
#ifndef KEEPER_MANAGE_CHECK_H
#define KEEPER_MANAGE_CHECK_H

#include "ipc/messages_manage.h"
#include "policy/base_url.h"
#include "policy/rate.h"

enum {
	CHECK_NAME_MAX = 63,
	CHECK_QUERY_NAME_MAX = 128,
	CHECK_MAX_GRANTS = 64,
	CHECK_MAX_CIDRS = 64,
};

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62}; `what` begins the sentence ("a holder's name"). */
RK_MUST_CHECK int check_name(const char *what, struct rk_slice name, struct rk_fault *fault);

/* A name as above that stands for itself in the proxy's URL: no id, nothing the proxy serves.
 */
RK_MUST_CHECK int check_conn_name(struct rk_slice name, struct rk_fault *fault);

/* An address as the host: public, or allowed by `flags`; metadata services and the like never.
 */
RK_MUST_CHECK int check_upstream(const struct base_url *url, uint32_t flags,
                                 struct rk_fault *fault);

/*
 * The same when a proxy looks the host up: then all that can be checked of a name is what it
 * says of itself.
 */
RK_MUST_CHECK int check_proxied(const struct base_url *url, uint32_t flags,
                                struct rk_fault *fault);

/* "user:password" as Basic can carry it: printable ASCII, a colon. */
RK_MUST_CHECK int check_proxy_secret(struct rk_slice secret, struct rk_fault *fault);

/* One or more certificates, no private key, nothing that does not parse. Empty is fine. */
RK_MUST_CHECK int check_ca_pem(struct rk_slice pem, struct rk_fault *fault);

/* Methods, paths and denied query names of a grant. */
RK_MUST_CHECK int check_grant(const struct msg_grant *g, struct rk_fault *fault);

/* Prefixes in their canonical text into list[MSG_MAX_LIST]. */
RK_MUST_CHECK int check_cidrs(struct rk_slice cidrs, char *list, size_t *used,
                              struct rk_fault *fault);

/*
 * What flags a new key gets: of a person or a vendor it is for trusted addresses only, unless
 * it has prefixes or any address was asked for.
 */
RK_MUST_CHECK int check_key_flags(const struct msg_key_issue *b, uint32_t *flags,
                                  struct rk_fault *fault);

/* None of them over RATE_MAX. */
RK_MUST_CHECK int check_limits(const struct rate_limits *l, struct rk_fault *fault);

/* From a span or a date, not both; in the future. Both 0: *expires_ms is 0. */
RK_MUST_CHECK int check_expiry(int64_t now_ms, int64_t ttl_ms, int64_t date_ms,
                               int64_t *expires_ms, struct rk_fault *fault);

#endif
