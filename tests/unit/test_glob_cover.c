/* Whether a set of globs covers one: each "yes" beside the "no" next to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "policy/glob_cover.h"
#include "tests/lib/glob_reference.h"

/* `set`: globs with single spaces between them. */
static int check(const char *glob, const char *set, char *witness)
{
	struct glob_cover *c;
	int covered;

	assert_int_equal(glob_cover_new(&c), 0);
	while (*set) {
		size_t n = strcspn(set, " ");

		assert_int_equal(glob_cover_add(c, rk_slice(set, n)), 0);
		set += n + (set[n] == ' ');
	}
	covered = glob_cover_check(c, rk_str(glob), witness);
	glob_cover_free(c);
	return covered;
}

static void covered(const char *glob, const char *set)
{
	if (check(glob, set, NULL) != 1)
		fail_msg("%s is not covered by %s", glob, set);
}

static bool any_matches(const char *set, const char *path)
{
	bool any = false;

	while (*set) {
		size_t n = strcspn(set, " ");

		any = any || glob_match(rk_slice(set, n), rk_str(path));
		set += n + (set[n] == ' ');
	}
	return any;
}

/* `path` is one that is left out; the one that is told of must be one too. */
static void not_covered(const char *glob, const char *set, const char *path)
{
	char witness[GLOB_COVER_WITNESS];

	assert_true(glob_match(rk_str(glob), rk_str(path)) && !any_matches(set, path));
	if (check(glob, set, witness) != 0)
		fail_msg("%s is covered by %s", glob, set);
	if (!glob_match(rk_str(glob), rk_str(witness)) || any_matches(set, witness))
		fail_msg("%s %s: %s proves nothing", glob, set, witness);
}

static void test_a_glob_covers_itself_and_what_is_narrower(void **state)
{
	(void)state;
	covered("/v1/responses", "/v1/responses");
	covered("/v1/responses", "/v1/*");
	covered("/v1/files/*", "/v1/files/*");
	covered("/v1/files/*", "/v1/**");
	covered("/v1/*/content", "/v1/**");
	covered("/a*c", "/a*");
	covered("/**", "/***");
	covered("/crm/v3/objects/contacts/*", "/crm/v3/objects/*");
}

static void test_what_is_wider_is_not_covered_and_a_path_proves_it(void **state)
{
	(void)state;
	not_covered("/v1/*", "/v1/responses", "/v1/x");
	not_covered("/v1/**", "/v1/*", "/v1/");
	not_covered("/v2/x", "/v1/**", "/v2/x");
	not_covered("/a*", "/a*c", "/a");
	not_covered("/**", "/*", "/");
	not_covered("/v1/files", "/v1/files/*", "/v1/files");
	not_covered("/a/**", "/a*", "/a/");
}

static void test_an_empty_set_covers_nothing(void **state)
{
	(void)state;
	not_covered("/a", "", "/a");
}

static void test_several_globs_may_cover_what_none_does_alone(void **state)
{
	(void)state;
	covered("/**", "/ /* //**");
	not_covered("/**", "/ /*", "//");
	covered("/a/**", "/a/ /a/* /a//**");
	not_covered("/a/**", "/a/ /a/*", "/a//");
	covered("/x*", "/x /xa* /x*b* /x*");
	covered("/a/b/*", "/a/*/* /z");
	/* every run of letters begins with one that is x, or with another one */
	not_covered("/*", "/x* /y*", "/z");
}

static void test_stars_inside_a_segment_do_not_cross_it(void **state)
{
	(void)state;
	covered("/a/x/b", "/a/*/b");
	not_covered("/a/**/b", "/a/*/b", "/a//x/b");
	covered("/a*b*c", "/a*c");
	not_covered("/a*c", "/a*b*c", "/ac");
	covered("/**a**b**", "/**b**");
	covered("/**a/b**", "/**a**b**");
	not_covered("/**a**b**", "/**a*b**", "/a/b");
}

static void test_bytes_that_stand_nowhere_count_too(void **state)
{
	(void)state;
	not_covered("/*", "/a* /b* /c* /d*", "/x");
	not_covered("/v1/x*", "/v1/xx* /v1/x", "/v1/xy");
}

/* All short globs over a small alphabet, each against each: both answers against a full search
 * of short paths. */
static void test_pairs_agree_with_the_definition(void **state)
{
	static const char letters[] = "a/*";
	char g[2][8], path[6], witness[GLOB_COVER_WITNESS];
	unsigned yes = 0, no = 0;

	(void)state;
	for (unsigned i = 0; i < 243; i++) {
		for (unsigned k = 0; k < 243; k++) {
			bool left_out = false;
			int got;

			for (unsigned d = 0, a = i, b = k; d < 5; d++, a /= 3, b /= 3) {
				g[0][d] = letters[a % 3];
				g[1][d] = letters[b % 3];
			}
			g[0][5] = g[1][5] = '\0';
			got = check(g[0], g[1], witness);
			for (unsigned n = 0; n <= 5 && !left_out; n++) {
				for (unsigned w = 0; w < 1u << n && !left_out; w++) {
					for (unsigned d = 0; d < n; d++)
						path[d] = "a/"[w >> d & 1];
					left_out =
					    glob_match(rk_str(g[0]), rk_slice(path, n)) &&
					    !glob_match(rk_str(g[1]), rk_slice(path, n));
				}
			}
			if (left_out && got != 0)
				fail_msg("%s %s", g[0], g[1]);
			if (got == 0 && (!glob_reference(rk_str(g[0]), rk_str(witness)) ||
			                 glob_reference(rk_str(g[1]), rk_str(witness))))
				fail_msg("%s %s: %s proves nothing", g[0], g[1], witness);
			yes += got == 1;
			no += got == 0;
		}
	}
	assert_true(yes > 1000 && no > 1000);
	assert_int_equal(yes + no, 243 * 243);
}

/* A pattern made to be hard ends in a refusal, not in a broker that stands still. */
static void test_the_work_has_a_limit(void **state)
{
	char glob[GLOB_MAX_BYTES + 1] = "/";
	struct glob_cover *c;
	char one[64];
	int err = 0;

	(void)state;
	assert_int_equal(glob_cover_new(&c), 0);
	for (unsigned i = 0; i < 400; i++) {
		snprintf(one, sizeof one, "/**a%.*s%c**", (int)(i % 24),
		         "**x**y**x**y**x**y**x**y", "xy"[i / 24 & 1]);
		assert_int_equal(glob_cover_add(c, rk_str(one)), 0);
	}
	for (size_t i = 1; i < 500; i += 4)
		memcpy(glob + i, "**b*", 4);
	for (unsigned i = 0; i < 200 && err >= 0; i++)
		err = glob_cover_check(c, rk_str(glob), NULL);
	assert_int_equal(err, RK_E_TOOBIG);
	/* and stays one */
	assert_int_equal(glob_cover_check(c, rk_str("/x"), NULL), RK_E_TOOBIG);
	glob_cover_free(c);
}

static void test_a_glob_or_a_set_that_is_too_long_is_refused(void **state)
{
	char longest[GLOB_MAX_BYTES + 1];
	struct glob_cover *c;
	unsigned n = 0;

	(void)state;
	memset(longest, 'a', sizeof longest);
	longest[0] = '/';
	assert_int_equal(glob_cover_new(&c), 0);
	assert_int_equal(glob_cover_add(c, rk_slice(longest, sizeof longest)), RK_E_TOOBIG);
	assert_int_equal(glob_cover_check(c, rk_slice(longest, sizeof longest), NULL),
	                 RK_E_TOOBIG);
	while (glob_cover_add(c, rk_slice(longest, GLOB_MAX_BYTES)) == 0)
		n++;
	assert_int_equal(n, GLOB_COVER_BYTES / (GLOB_MAX_BYTES + 2));
	assert_int_equal(glob_cover_check(c, rk_slice(longest, GLOB_MAX_BYTES), NULL), 1);
	glob_cover_clear(c);
	assert_int_equal(glob_cover_check(c, rk_slice(longest, GLOB_MAX_BYTES), NULL), 0);
	glob_cover_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_glob_covers_itself_and_what_is_narrower),
	    cmocka_unit_test(test_what_is_wider_is_not_covered_and_a_path_proves_it),
	    cmocka_unit_test(test_an_empty_set_covers_nothing),
	    cmocka_unit_test(test_several_globs_may_cover_what_none_does_alone),
	    cmocka_unit_test(test_stars_inside_a_segment_do_not_cross_it),
	    cmocka_unit_test(test_bytes_that_stand_nowhere_count_too),
	    cmocka_unit_test(test_pairs_agree_with_the_definition),
	    cmocka_unit_test(test_the_work_has_a_limit),
	    cmocka_unit_test(test_a_glob_or_a_set_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
