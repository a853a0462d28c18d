#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"

static void test_equality_needs_the_same_length_and_bytes(void **state)
{
	(void)state;
	assert_true(rk_slice_is(rk_slice("hostage", 4), "host"));
	assert_false(rk_slice_is(rk_str("hostage"), "host"));
	assert_false(rk_slice_is(rk_str("hos"), "host"));
	assert_true(rk_slice_eq(rk_slice(NULL, 0), rk_str("")));
}

static void test_case_is_ignored_for_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(rk_slice_ieq(rk_str("X-Api-KEY"), rk_str("x-aPI-key")));
	assert_false(rk_slice_ieq(rk_str("x-api-key"), rk_str("x_api_key")));
	/* '@' and '`', '[' and '{' differ by the case bit alone */
	assert_false(rk_slice_ieq(rk_str("@["), rk_str("`{")));
	assert_false(rk_slice_ieq(rk_str("host"), rk_str("hostage")));
}

static void test_skipping_beyond_the_end_gives_the_empty_slice(void **state)
{
	struct rk_slice s = rk_str("abc");

	(void)state;
	assert_true(rk_slice_is(rk_slice_skip(s, 1), "bc"));
	assert_int_equal(rk_slice_skip(s, 99).n, 0);
	assert_int_equal(rk_slice_skip(rk_slice(NULL, 0), 1).n, 0);
}

static void test_a_prefix_is_found_and_a_longer_one_is_not(void **state)
{
	(void)state;
	assert_true(rk_slice_starts(rk_str("pkcs11:token=x"), rk_str("pkcs11:")));
	assert_true(rk_slice_starts(rk_str("x"), rk_str("")));
	assert_false(rk_slice_starts(rk_str("pkcs"), rk_str("pkcs11:")));
}

static void test_decimals_are_read_up_to_the_largest(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(rk_slice_u64(rk_str("0"), &v));
	assert_int_equal(v, 0);
	assert_true(rk_slice_u64(rk_str("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
}

static void test_what_is_not_a_plain_decimal_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"",
	                                  "+1",
	                                  "-1",
	                                  " 1",
	                                  "1 ",
	                                  "0x1",
	                                  "1a",
	                                  "1:",
	                                  "1/",
	                                  "18446744073709551616",
	                                  "99999999999999999999",
	                                  "000000000000000000001"};
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(rk_slice_u64(rk_str(bad[i]), &v));
	assert_int_equal(v, 7);
}

static void test_a_copy_to_a_c_string_must_fit_with_its_terminator(void **state)
{
	char dst[4] = "zzz";

	(void)state;
	assert_true(rk_slice_cstr(rk_str("abc"), dst, sizeof dst));
	assert_string_equal(dst, "abc");
	assert_false(rk_slice_cstr(rk_str("abcd"), dst, sizeof dst));
	assert_string_equal(dst, "");
	assert_false(rk_slice_cstr(rk_str("abc"), dst, 0));
}

static void test_a_nul_byte_cannot_shorten_a_c_string(void **state)
{
	char dst[16];

	(void)state;
	assert_false(rk_slice_cstr(rk_slice("ab\0cd", 5), dst, sizeof dst));
	assert_string_equal(dst, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equality_needs_the_same_length_and_bytes),
	    cmocka_unit_test(test_case_is_ignored_for_ascii_letters_only),
	    cmocka_unit_test(test_skipping_beyond_the_end_gives_the_empty_slice),
	    cmocka_unit_test(test_a_prefix_is_found_and_a_longer_one_is_not),
	    cmocka_unit_test(test_decimals_are_read_up_to_the_largest),
	    cmocka_unit_test(test_what_is_not_a_plain_decimal_is_refused_and_changes_nothing),
	    cmocka_unit_test(test_a_copy_to_a_c_string_must_fit_with_its_terminator),
	    cmocka_unit_test(test_a_nul_byte_cannot_shorten_a_c_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
