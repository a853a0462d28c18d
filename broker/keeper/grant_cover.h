/*
 * Whether a grant allows nothing that other grants do not allow: for bounds of what may be
 * minted, and to tell a change that only takes away. Exact (policy/glob_cover.h), and "no"
 * where that is too much work.
 */
#ifndef KEEPER_GRANT_COVER_H
#define KEEPER_GRANT_COVER_H

#include "keeper/index.h"

enum { GRANT_COVER_METHODS = 64 }; /* most methods of a grant that is looked at */

struct grant_cover;

RK_MUST_CHECK int grant_cover_new(struct grant_cover **out);
void grant_cover_free(struct grant_cover *c);

/*
 * Every request that `g` lets pass is let pass by one of by[n], of which those count that are
 * on the same connection and deny no query parameter that `g` does not deny: 1. Otherwise 0,
 * with a text that says what is left out; negative when it could not be told (RK_E_TOOBIG,
 * RK_E_NOMEM). One object answers for several grants: its limit of work is for all of them.
 */
RK_MUST_CHECK int grant_cover_check(struct grant_cover *c, const struct index_grant *g,
                                    const struct index_grant *const *by, unsigned n,
                                    struct rk_fault *fault);

#endif
