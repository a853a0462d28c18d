/*
 * Path globs of grants (PRODUCT section 1). Matched against the full upstream path, byte by
 * byte:
 *   '*'   any run of bytes without '/', also empty
 *   '**'  any run of bytes
 *   a trailing "/ *" (without the space) matches one or more further segments at any depth:
 *         /v1/files/ * covers /v1/files/a and /v1/files/a/content, not /v1/files or /v1/files/
 * A run of more than two stars is "**". Everything else is literal; there is no escape and no
 * class. Pure. At most pattern length times path length steps, whatever the pattern.
 */
#ifndef POLICY_GLOB_H
#define POLICY_GLOB_H

#include "base/err.h"
#include "base/slice.h"

enum { GLOB_MAX_BYTES = 512 };

/* A pattern starts with '/', passes target_check_path() with stars counted as letters, and is
 * at most GLOB_MAX_BYTES long. */
RK_MUST_CHECK int glob_check(struct rk_slice pattern, struct rk_fault *fault);

bool glob_match(struct rk_slice pattern, struct rk_slice path);

#endif
