/* When a dead role comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/restart.h"

/* Starts at *now, dies `lived` ms later; returns the delay, which then passes. */
static int64_t die_after(struct restart *r, int64_t *now, int64_t lived)
{
	int64_t delay;

	restart_started(r, *now);
	*now += lived;
	delay = restart_delay_ms(r, *now);
	*now += delay;
	return delay;
}

static void the_first_death_is_answered_at_once(void **state)
{
	struct restart r = {0};
	int64_t now = 5;

	(void)state;
	assert_int_equal(die_after(&r, &now, 10), 0);
}

static void further_deaths_wait_twice_as_long_each_up_to_the_limit(void **state)
{
	static const int64_t expected[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
	struct restart r = {0};
	int64_t now = 5;

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_int_equal(die_after(&r, &now, 10), expected[i]);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(die_after(&r, &now, 10), RESTART_MAX_MS);
}

static void a_minute_of_life_makes_it_the_first_death_again(void **state)
{
	struct restart r = {0};
	int64_t now = 5;

	(void)state;
	assert_int_equal(die_after(&r, &now, 10), 0);
	assert_int_equal(die_after(&r, &now, RESTART_STEADY_MS - 1), RESTART_FIRST_MS);
	assert_int_equal(die_after(&r, &now, RESTART_STEADY_MS), 0);
	assert_int_equal(die_after(&r, &now, 10), RESTART_FIRST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_death_is_answered_at_once),
	    cmocka_unit_test(further_deaths_wait_twice_as_long_each_up_to_the_limit),
	    cmocka_unit_test(a_minute_of_life_makes_it_the_first_death_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
