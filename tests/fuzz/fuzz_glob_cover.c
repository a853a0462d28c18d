/*
 * Whether globs cover a glob, against the definition. Input: a glob and those that may cover
 * it, one a line. A "no" is proved by the path that comes with it. A "yes" is tried with every
 * path of a few bytes over the alphabet of the input's first letters, '/', and one letter that
 * is nowhere in it.
 */
#include "tests/fuzz/fuzz.h"

#include "policy/glob_cover.h"
#include "tests/lib/glob_reference.h"

enum { MAX_GLOBS = 8, TRY_LENGTH = 6, TRY_LETTERS = 4 };

struct question {
	struct rk_slice glob[MAX_GLOBS];
	unsigned count;
};

static void split(struct rk_slice in, struct question *q)
{
	q->count = 0;
	while (q->count < MAX_GLOBS) {
		const char *lf = in.n ? memchr(in.p, '\n', in.n) : NULL;
		size_t n = lf ? (size_t)(lf - in.p) : in.n;

		q->glob[q->count++] = rk_slice(in.p, n);
		if (!lf)
			return;
		in = rk_slice_skip(in, n + 1);
	}
}

static bool any_matches(const struct question *q, struct rk_slice path)
{
	for (unsigned i = 1; i < q->count; i++) {
		if (glob_reference(q->glob[i], path))
			return true;
	}
	return false;
}

static void letters_of(const struct question *q, char letters[TRY_LETTERS])
{
	unsigned n = 2;

	letters[0] = '/';
	letters[1] = '\1';
	for (unsigned i = 0; i < q->count; i++) {
		for (size_t k = 0; k < q->glob[i].n && n < TRY_LETTERS; k++) {
			char c = q->glob[i].p[k];

			if (c != '*' && !memchr(letters, c, n))
				letters[n++] = c;
		}
	}
	while (n < TRY_LETTERS)
		letters[n++] = '\2';
}

static void try_all(const struct question *q)
{
	char letters[TRY_LETTERS], path[TRY_LENGTH];

	letters_of(q, letters);
	for (unsigned n = 0; n <= TRY_LENGTH; n++) {
		for (unsigned word = 0; word < 1u << 2 * n; word++) {
			struct rk_slice p = rk_slice(path, n);

			for (unsigned i = 0; i < n; i++)
				path[i] = letters[word >> 2 * i & 3];
			/* the quick one first; fuzz_glob holds it to the reference */
			if (glob_match(q->glob[0], p))
				REQUIRE(any_matches(q, p));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char witness[GLOB_COVER_WITNESS];
	struct glob_cover *c;
	struct question q;
	int covered;

	if (size > 96)
		return 0;
	split(rk_slice(data, size), &q);
	REQUIRE(glob_cover_new(&c) == 0);
	for (unsigned i = 1; i < q.count; i++)
		REQUIRE(glob_cover_add(c, q.glob[i]) == 0);
	covered = glob_cover_check(c, q.glob[0], witness);
	if (covered == 0) {
		struct rk_slice path = rk_str(witness);

		/* a NUL in it would end it early, and an empty glob matches the empty path */
		if (!memchr(data, 0, size) && (path.n || q.glob[0].n == 0) &&
		    path.n <= GLOB_REFERENCE_MAX) {
			REQUIRE(glob_reference(q.glob[0], path));
			REQUIRE(!any_matches(&q, path));
		}
	} else if (covered == 1) {
		try_all(&q);
	} else {
		REQUIRE(covered == RK_E_TOOBIG);
	}
	glob_cover_free(c);
	return 0;
}
