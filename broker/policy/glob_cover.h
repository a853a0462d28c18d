/*
 * Whether every path that one glob matches is matched by at least one of some other globs
 * (policy/glob.h): what tells that a set of grants lies within another one. Exact, over all
 * strings of bytes: a trailing single star behind '/' lies within two stars there, and not the
 * other way round, because two match the empty run as well.
 *
 * Pure but for memory. The question is a hard one for patterns made to be hard, so the work has
 * a limit, GLOB_COVER_STEPS for all questions to one set; beyond it there is no answer
 * (RK_E_TOOBIG), which must be taken for "no". Patterns that people write need some hundred
 * steps.
 */
#ifndef POLICY_GLOB_COVER_H
#define POLICY_GLOB_COVER_H

#include "policy/glob.h"

enum {
	GLOB_COVER_BYTES = 49152,   /* of all the globs of a set */
	GLOB_COVER_STEPS = 1 << 21, /* some milliseconds */
	GLOB_COVER_WITNESS = 2048,  /* longest path that is told of */
};

struct glob_cover;

/* An empty set, which covers nothing. Returned owned; RK_E_NOMEM. */
RK_MUST_CHECK int glob_cover_new(struct glob_cover **out);
void glob_cover_free(struct glob_cover *c);

/* Adds a glob that passed glob_check(). RK_E_TOOBIG, RK_E_NOMEM. */
RK_MUST_CHECK int glob_cover_add(struct glob_cover *c, struct rk_slice glob);

/* Takes out what was added; the work done so far stays counted. */
void glob_cover_clear(struct glob_cover *c);

/*
 * 1: all of `glob` is covered. 0: not, and witness[GLOB_COVER_WITNESS] (NULL: not wanted) holds
 * a path, with a NUL, that `glob` matches and none of the set does; the empty string when it is
 * too long to tell. RK_E_TOOBIG: too much work. RK_E_NOMEM.
 */
RK_MUST_CHECK int glob_cover_check(struct glob_cover *c, struct rk_slice glob, char *witness);

#endif
