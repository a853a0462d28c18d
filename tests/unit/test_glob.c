#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "policy/glob.h"
#include "tests/lib/glob_reference.h"

static bool matches(const char *pattern, const char *path)
{
	return glob_match(rk_str(pattern), rk_str(path));
}

static void test_a_pattern_without_stars_is_the_path_itself(void **state)
{
	(void)state;
	assert_true(matches("/v1/responses", "/v1/responses"));
	assert_false(matches("/v1/responses", "/v1/responses/"));
	assert_false(matches("/v1/responses", "/v1/response"));
	assert_false(matches("/v1/responses", "/v1/responsesX"));
	assert_false(matches("/v1/responses", "/v1/Responses"));
	assert_false(matches("/v1/a.c", "/v1/abc"));
	assert_false(matches("/v1/[ab]", "/v1/a"));
	assert_false(matches("/v1/?", "/v1/a"));
}

static void test_one_star_stays_within_its_segment(void **state)
{
	(void)state;
	assert_true(matches("/v1/*/content", "/v1/file-1/content"));
	assert_true(matches("/v1/file-*/content", "/v1/file-/content"));
	assert_false(matches("/v1/*/content", "/v1/a/b/content"));
	assert_true(matches("/v1/a*c*e", "/v1/abcbcde"));
	assert_false(matches("/v1/a*c*e", "/v1/abc/de"));
	assert_true(matches("/v1/x*", "/v1/xyz"));
	assert_false(matches("/v1/x*", "/v1/xyz/a"));
}

static void test_two_stars_cross_segments(void **state)
{
	(void)state;
	assert_true(matches("/v1/**/content", "/v1/a/b/c/content"));
	assert_true(matches("/v1/**", "/v1/"));
	assert_true(matches("/v1/**", "/v1/a/b"));
	assert_false(matches("/v1/**", "/v1"));
	assert_true(matches("/v1**", "/v1"));
	assert_true(matches("/**/b*/d", "/a/b/c/bx/d"));
	assert_false(matches("/**/b*/d", "/a/b/c/cx/d"));
	assert_true(matches("/a/***/b", "/a/x/y/b"));
}

static void test_a_trailing_star_segment_covers_what_is_below_at_any_depth(void **state)
{
	(void)state;
	assert_true(matches("/v1/files/*", "/v1/files/a"));
	assert_true(matches("/v1/files/*", "/v1/files/a/content"));
	assert_false(matches("/v1/files/*", "/v1/files"));
	assert_false(matches("/v1/files/*", "/v1/files/"));
	assert_false(matches("/v1/files/*", "/v1/filesystem/a"));
	assert_true(matches("/*", "/a/b"));
	assert_false(matches("/*", "/"));
	assert_true(matches("/**/files/*", "/a/b/files/c/d"));
	assert_true(matches("/*/files/*", "/a/files/c/d"));
	assert_false(matches("/*/files/*", "/a/b/files/c"));
}

static void test_an_encoded_slash_is_not_a_slash(void **state)
{
	(void)state;
	assert_true(matches("/projects/*/issues", "/projects/group%2Fname/issues"));
	assert_false(matches("/projects/group/name/issues", "/projects/group%2Fname/issues"));
	assert_false(matches("/projects/group%2fname", "/projects/group%2Fname"));
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static struct rk_slice generate(uint64_t *seed, char *dst, size_t most, const char *alphabet)
{
	size_t n = next_random(seed) % (most + 1), letters = strlen(alphabet);

	for (size_t i = 0; i < n; i++)
		dst[i] = alphabet[next_random(seed) % letters];
	return rk_slice(dst, n);
}

static void test_every_generated_pair_agrees_with_the_definition(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	unsigned matched = 0;
	char a[24], b[24];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct rk_slice pattern =
		    generate(&seed, a, 2 + i % 12, i % 2 ? "a/**" : "ab/**");
		struct rk_slice path = generate(&seed, b, 2 + i % 16, i % 2 ? "aa/" : "ab/");
		bool want = glob_reference(pattern, path);

		matched += want;
		if (glob_match(pattern, path) != want)
			fail_msg("%.*s on %.*s: not %d", RK_FMT(pattern), RK_FMT(path), want);
	}
	/* the comparison is worth something only when both answers are common */
	assert_in_range(matched, 10000, 190000);
}

/* Exponential matching would take for ever here. */
static void test_hostile_pairs_of_full_size_are_decided_at_once(void **state)
{
	static const char *const units[] = {"a*",  "*a",  "**a",   "**a*b",
	                                    "/**", "*/a", "**/a*", "a"};
	char pattern[GLOB_MAX_BYTES];
	static char path[8192];

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		size_t unit = strlen(units[u]), n = 0;

		memcpy(pattern, "/**", 3);
		for (n = 3; n + unit < sizeof pattern; n += unit)
			memcpy(pattern + n, units[u], unit);
		pattern[n++] = 'z';
		for (size_t every = 2; every <= 4096; every *= 8) {
			for (size_t i = 0; i < sizeof path; i++)
				path[i] = i % every == 0 ? '/' : 'a';
			assert_false(
			    glob_match(rk_slice(pattern, n), rk_slice(path, sizeof path)));
		}
	}
}

/* Far longer than any path, so that work growing with its square would take minutes, not
 * moments. */
static void test_the_work_grows_with_the_path_and_not_with_its_square(void **state)
{
	static const char *const patterns[] = {"/**a*z", "/**a*a*z", "/**/a*z", "/**a*z/*"};
	static char path[1 << 18];
	clock_t start = clock();

	(void)state;
	memset(path, 'a', sizeof path);
	path[0] = '/';
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
		assert_false(glob_match(rk_str(patterns[i]), rk_slice(path, sizeof path)));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

static int check(const char *pattern)
{
	return glob_check(rk_str(pattern), NULL);
}

static void test_patterns_that_some_path_can_match_are_accepted(void **state)
{
	static const char *const good[] = {"/",
	                                   "/*",
	                                   "/**",
	                                   "/v1/files/*",
	                                   "/v1/**/content",
	                                   "/a*b/c",
	                                   "/projects/group%2Fname/*",
	                                   "/v1/",
	                                   "/v1/a-b_c~d.e:f@g"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(check(good[i]), 0);
}

static void test_patterns_that_no_path_can_match_are_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {"",
	                                  "*",
	                                  "v1/files",
	                                  "/v1//files",
	                                  "/v1/../x",
	                                  "/v1/./x",
	                                  "/v1/%2e%2e/x",
	                                  "/v1/%zz",
	                                  "/v1/a b",
	                                  "/v1/\xc3\xa4",
	                                  "/v1/a?b",
	                                  "/v1/a\\b",
	                                  "/v1#x"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct rk_fault fault = {.text = ""};

		if (glob_check(rk_str(bad[i]), &fault) != RK_E_INVALID)
			fail_msg("%s is accepted", bad[i]);
		assert_true(strlen(fault.text) > 20);
	}
}

static void test_a_pattern_has_a_greatest_length(void **state)
{
	char pattern[GLOB_MAX_BYTES + 1];

	(void)state;
	memset(pattern, 'a', sizeof pattern);
	pattern[0] = '/';
	assert_int_equal(glob_check(rk_slice(pattern, GLOB_MAX_BYTES), NULL), 0);
	assert_int_equal(glob_check(rk_slice(pattern, GLOB_MAX_BYTES + 1), NULL), RK_E_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_pattern_without_stars_is_the_path_itself),
	    cmocka_unit_test(test_one_star_stays_within_its_segment),
	    cmocka_unit_test(test_two_stars_cross_segments),
	    cmocka_unit_test(test_a_trailing_star_segment_covers_what_is_below_at_any_depth),
	    cmocka_unit_test(test_an_encoded_slash_is_not_a_slash),
	    cmocka_unit_test(test_every_generated_pair_agrees_with_the_definition),
	    cmocka_unit_test(test_hostile_pairs_of_full_size_are_decided_at_once),
	    cmocka_unit_test(test_the_work_grows_with_the_path_and_not_with_its_square),
	    cmocka_unit_test(test_patterns_that_some_path_can_match_are_accepted),
	    cmocka_unit_test(test_patterns_that_no_path_can_match_are_refused_with_a_reason),
	    cmocka_unit_test(test_a_pattern_has_a_greatest_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
