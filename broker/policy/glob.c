#include "policy/glob.h"

#include "http/target.h"

int glob_check(struct rk_slice pattern, struct rk_fault *fault)
{
	char plain[GLOB_MAX_BYTES];
	int err;

	if (pattern.n > GLOB_MAX_BYTES)
		return rk_fail(fault, RK_E_TOOBIG, "a path glob has at most %d bytes",
		               GLOB_MAX_BYTES);
	if (pattern.n == 0 || pattern.p[0] != '/')
		return rk_fail(fault, RK_E_INVALID,
		               "a path glob starts with \"/\", as in /v1/files/*");
	for (size_t i = 0; i < pattern.n; i++)
		plain[i] = pattern.p[i] == '*' ? 'x' : pattern.p[i];
	/* %2F may stand in a glob: only connections that opted in have paths with it */
	err = target_check_path(rk_slice(plain, pattern.n), TARGET_ALLOW_ENCODED_SLASH);
	if (err)
		return rk_fail(fault, RK_E_INVALID, "no path can match this glob: %s",
		               target_err_code(err));
	return 0;
}

struct matcher {
	struct rk_slice pat;
	struct rk_slice path;
	bool tail;     /* the pattern ended in a lone star behind '/', now cut off */
	size_t pi;     /* next byte of the pattern */
	size_t si;     /* next byte of the path */
	size_t any_pi; /* behind the last "**" */
	size_t any_si; /* where that run ends */
	size_t one_pi; /* behind the last '*' since the last "**"; 0: none */
	size_t one_si;
	bool any_met;
};

/* Reads the run of stars at pi: from two on, it crosses '/'. */
static void take_stars(struct matcher *m)
{
	size_t from = m->pi;

	while (m->pi < m->pat.n && m->pat.p[m->pi] == '*')
		m->pi++;
	if (m->pi - from >= 2) {
		m->any_met = true;
		m->any_pi = m->pi;
		m->any_si = m->si;
		m->one_pi = 0;
	} else {
		m->one_pi = m->pi;
		m->one_si = m->si;
	}
}

/*
 * Gives the last star that can take it one byte more. Only the last of each sort is ever tried
 * again: an earlier one could only bring the later ones to a place that they reach by
 * themselves.
 *
 * Once a '*' behind the "**" is exhausted, every start in the same segment of the path fails as
 * well: the part before the first '/' of the pattern would match at a later place, never reach
 * farther. So the run is grown to the next segment at once, which bounds the work by pattern
 * length times path length.
 */
static bool backtrack(struct matcher *m)
{
	const char *slash;

	if (m->one_pi && m->one_si < m->path.n && m->path.p[m->one_si] != '/') {
		m->si = ++m->one_si;
		m->pi = m->one_pi;
		return true;
	}
	if (!m->any_met || m->any_si >= m->path.n)
		return false;
	if (m->one_pi) {
		slash = memchr(m->path.p + m->any_si, '/', m->path.n - m->any_si);
		if (!slash)
			return false;
		m->any_si = (size_t)(slash - m->path.p);
		m->one_pi = 0;
	}
	m->si = ++m->any_si;
	m->pi = m->any_pi;
	return true;
}

bool glob_match(struct rk_slice pattern, struct rk_slice path)
{
	struct matcher m = {.pat = pattern, .path = path};

	if (pattern.n >= 2 && memcmp(pattern.p + pattern.n - 2, "/*", 2) == 0) {
		m.pat.n--;
		m.tail = true;
	}
	for (;;) {
		if (m.pi < m.pat.n && m.pat.p[m.pi] == '*') {
			take_stars(&m);
			if (m.any_met && m.any_pi == m.pat.n && !m.tail)
				return true;
			continue;
		}
		if (m.pi == m.pat.n) {
			if (m.tail ? m.si < path.n && path.p[m.si] != '/' : m.si == path.n)
				return true;
		} else if (m.si < path.n && m.pat.p[m.pi] == path.p[m.si]) {
			m.pi++;
			m.si++;
			continue;
		}
		if (!backtrack(&m))
			return false;
	}
}
