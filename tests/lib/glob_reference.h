/*
 * The path glob's definition written down as slowly as possible, to compare glob_match() with:
 * which pairs of a pattern's end and a path's end match, by a full table. No backtracking, no
 * greed.
 */
#ifndef TESTS_LIB_GLOB_REFERENCE_H
#define TESTS_LIB_GLOB_REFERENCE_H

#include "base/slice.h"

enum { GLOB_REFERENCE_MAX = 512 }; /* most bytes of the pattern and of the path */

/* Row p of the table from the rows behind it: may pattern[p..] match path[s..]? */
static inline bool glob_reference(struct rk_slice pattern, struct rk_slice path)
{
	static bool match[GLOB_REFERENCE_MAX + 1][GLOB_REFERENCE_MAX + 1];
	size_t pn = pattern.n, sn = path.n;

	for (size_t p = pn + 1; p-- > 0;) {
		bool tail = p + 2 == pn && memcmp(pattern.p + p, "/*", 2) == 0;
		bool star = p < pn && pattern.p[p] == '*';
		bool deep = star && p + 1 < pn && pattern.p[p + 1] == '*';

		for (size_t s = sn + 1; s-- > 0;) {
			bool more = s < sn;

			if (p == pn)
				match[p][s] = !more;
			else if (tail)
				match[p][s] =
				    s + 1 < sn && path.p[s] == '/' && path.p[s + 1] != '/';
			else if (deep)
				match[p][s] = match[p + 2][s] || (more && match[p][s + 1]);
			else if (star)
				match[p][s] = match[p + 1][s] ||
				              (more && path.p[s] != '/' && match[p][s + 1]);
			else
				match[p][s] =
				    more && path.p[s] == pattern.p[p] && match[p + 1][s + 1];
		}
	}
	return match[0][0];
}

#endif
