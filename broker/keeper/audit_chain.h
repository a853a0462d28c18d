/*
 * The audit chain's one formula: SHA-256(previous hash || seq as u64 little-endian || body).
 * The row before the first one counts as 32 zero bytes. A context belongs to one thread.
 */
#ifndef KEEPER_AUDIT_CHAIN_H
#define KEEPER_AUDIT_CHAIN_H

#include "base/err.h"
#include "base/slice.h"

enum { AUDIT_HASH = 32 };

struct audit_chain;

RK_MUST_CHECK int audit_chain_new(struct audit_chain **out);
void audit_chain_free(struct audit_chain *c);

/* `out` may be `prev`. RK_E_CRYPTO when the digest fails; out is untouched then. */
RK_MUST_CHECK int audit_chain_hash(struct audit_chain *c, const uint8_t prev[AUDIT_HASH],
                                   uint64_t seq, struct rk_slice body, uint8_t out[AUDIT_HASH]);

#endif
