/*
 * What an audit entry must be like: the criteria of msg_audit_query, checked once and held
 * against row after row. Every criterion that is set must hold:
 *
 *   holder, kind, key id, environment, provider, model, client address: the request's
 *   connection, key  by id or name; management actions on it pass too
 *   decision         requests only
 *   status           requests only; the refusal's or the upstream's
 *   reason           requests only; of the response where that has one of its own
 *   request id, actor, action, target, type: equal
 *   path             begins with it
 *   time             since_ms <= time of the first row < until_ms
 */
#ifndef KEEPER_AUDIT_FILTER_H
#define KEEPER_AUDIT_FILTER_H

#include "ipc/messages_manage.h"
#include "keeper/audit_terms.h"

struct audit_filter;

/* Copies what it needs. RK_E_INVALID: no such decision, kind, type, reason; no address, prefix
 * or request id; a name that is too long. */
RK_MUST_CHECK int audit_filter_new(const struct msg_audit_query *q, struct audit_filter **out,
                                   struct rk_fault *fault);
void audit_filter_free(struct audit_filter *f);

/* Whether a REQUEST / MANAGE / STATE row passes; `response` may be NULL. */
bool audit_filter_matches(const struct audit_filter *f, const struct audit_row *row,
                          const struct audit_row *response);

/* Whether `row` passes with some response, if not without one. */
bool audit_filter_may_match(const struct audit_filter *f, const struct audit_row *row);

/* Whether a response may change what audit_filter_matches() says of its request. */
bool audit_filter_waits(const struct audit_filter *f, const struct audit_row *row);

/* No criterion is set. */
bool audit_filter_is_empty(const struct audit_filter *f);
int64_t audit_filter_since_ms(const struct audit_filter *f); /* 0: none */
int64_t audit_filter_until_ms(const struct audit_filter *f);

enum { AUDIT_FILTER_TERMS = 20 };

/* Terms that every entry has that passes, at least one; the rare ones first. */
struct audit_filter_terms {
	uint64_t at[AUDIT_FILTER_TERMS];
	unsigned n;
	unsigned by_response; /* bit i: term i may be the response's */
};
void audit_filter_terms(const struct audit_filter *f, const uint8_t salt[RK_SIPHASH_KEY],
                        struct audit_filter_terms *out);

#endif
