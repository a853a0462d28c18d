#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/retry.h"

enum { MIDDLE = 1000 }; /* the random number that spreads to neither side */

static void test_pauses_double_from_five_seconds_to_six_hours(void **state)
{
	(void)state;
	assert_int_equal(retry_delay_ms(1, MIDDLE, 0), 5000);
	assert_int_equal(retry_delay_ms(2, MIDDLE, 0), 10000);
	assert_int_equal(retry_delay_ms(5, MIDDLE, 0), 80000);
	assert_int_equal(retry_delay_ms(13, MIDDLE, 0), 5000 * 4096);
	assert_int_equal(retry_delay_ms(14, MIDDLE, 0), RETRY_LONGEST_MS);
	assert_int_equal(retry_delay_ms(UINT32_MAX, MIDDLE, 0), RETRY_LONGEST_MS);
}

static void test_a_pause_is_spread_by_a_fifth_to_either_side(void **state)
{
	(void)state;
	for (uint32_t random = 0; random < 5000; random++)
		assert_in_range(retry_delay_ms(3, random, 0), 16000, 24000);
	assert_int_equal(retry_delay_ms(3, 0, 0), 16000);
	assert_int_equal(retry_delay_ms(3, 2000, 0), 24000);
}

static void test_who_asks_for_time_gets_it_within_reason(void **state)
{
	(void)state;
	assert_int_equal(retry_delay_ms(1, MIDDLE, 1), 5000);
	assert_int_equal(retry_delay_ms(1, MIDDLE, 600), 600000);
	assert_int_equal(retry_delay_ms(1, MIDDLE, UINT32_MAX), RETRY_LONGEST_MS);
}

static void test_it_is_given_up_after_three_days_or_soon_when_refused(void **state)
{
	int64_t all_ms = 0;

	(void)state;
	for (uint32_t n = 1; !retry_is_over(n, false); n++)
		all_ms += retry_delay_ms(n, MIDDLE, 0);
	assert_in_range(all_ms / 3600000, 66, 84);
	assert_false(retry_is_over(RETRY_REFUSED_ATTEMPTS - 1, true));
	assert_true(retry_is_over(RETRY_REFUSED_ATTEMPTS, true));
	assert_false(retry_is_over(RETRY_REFUSED_ATTEMPTS, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pauses_double_from_five_seconds_to_six_hours),
	    cmocka_unit_test(test_a_pause_is_spread_by_a_fifth_to_either_side),
	    cmocka_unit_test(test_who_asks_for_time_gets_it_within_reason),
	    cmocka_unit_test(test_it_is_given_up_after_three_days_or_soon_when_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
