#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void assert_formats(int64_t ms, const char *want)
{
	char text[RK_TIME_TEXT];

	rk_time_format(ms, text);
	assert_string_equal(text, want);
}

static void assert_parses(const char *text, int64_t want)
{
	int64_t ms = -1;

	assert_int_equal(rk_time_parse(rk_str(text), &ms), 0);
	assert_int_equal(ms, want);
}

static void test_times_are_written_in_utc_with_milliseconds(void **state)
{
	(void)state;
	assert_formats(0, "1970-01-01T00:00:00.000Z");
	assert_formats(1777645338123, "2026-05-01T14:22:18.123Z");
	assert_formats(-1, "1969-12-31T23:59:59.999Z");
	assert_formats(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void test_a_time_beyond_four_digit_years_does_not_overflow_its_text(void **state)
{
	(void)state;
	assert_formats(253402300800000, "invalid-time");
	assert_formats(INT64_MAX, "invalid-time");
	assert_formats(INT64_MIN, "invalid-time");
}

static void test_date_times_and_bare_dates_are_read(void **state)
{
	(void)state;
	assert_parses("2026-05-01T14:22:18Z", 1777645338000);
	assert_parses("2026-05-01t14:22:18.123456z", 1777645338123);
	assert_parses("2026-05-01 14:22:18.1Z", 1777645338100);
	assert_parses("2026-05-01T16:22:18+02:00", 1777645338000);
	assert_parses("2026-05-01T13:52:18-00:30", 1777645338000);
	assert_parses("2024-02-29", 1709164800000);
	assert_parses("1970-01-01", 0);
}

static void test_impossible_or_incomplete_times_are_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "2026",
	                                  "2026-13-01",
	                                  "2026-00-01",
	                                  "2026-02-29",
	                                  "1900-02-29",
	                                  "2026-04-31",
	                                  "2026-05-01T",
	                                  "2026-05-01T14:22:18",
	                                  "2026-05-01T24:00:00Z",
	                                  "2026-05-01T14:60:00Z",
	                                  "2026-05-01T14:22:60Z",
	                                  "2026-05-01T14:22:18.Z",
	                                  "2026-05-01T14:22:18Zx",
	                                  "2026-05-01T14:22:18+2:00",
	                                  "2026-05-01T14:22:18+24:00",
	                                  "2026-5-1",
	                                  " 2026-05-01",
	                                  "2026-05-01 "};
	int64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rk_time_parse(rk_str(bad[i]), &ms), RK_E_INVALID);
	assert_int_equal(ms, 42);
}

static void test_every_day_of_four_centuries_survives_the_round_trip(void **state)
{
	char text[RK_TIME_TEXT];
	int64_t back;

	(void)state;
	for (int64_t day = -730; day < 146097; day++) {
		rk_time_format(day * 86400000, text);
		assert_int_equal(rk_time_parse(rk_str(text), &back), 0);
		assert_int_equal(back, day * 86400000);
	}
}

static void test_spans_are_read_in_each_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"90", 90000},     {"90s", 90000},     {"15m", 900000},          {"12h", 43200000},
	    {"7d", 604800000}, {"2w", 1209600000}, {"36525d", 3155760000000}};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(rk_span_parse(rk_str(good[i].text), &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
}

static void test_spans_of_nothing_or_of_centuries_are_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "s",
	                                  "0",
	                                  "0d",
	                                  "-1d",
	                                  "1.5h",
	                                  "7 d",
	                                  "7D",
	                                  "1y",
	                                  "36526d",
	                                  "18446744073709551615s",
	                                  "18446744073709551615w"};
	int64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rk_span_parse(rk_str(bad[i]), &ms), RK_E_INVALID);
	assert_int_equal(ms, 42);
}

static void test_the_clocks_go_forward(void **state)
{
	int64_t mono = rk_mono_us();

	(void)state;
	assert_true(rk_mono_us() >= mono);
	assert_true(rk_wall_ms() > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times_are_written_in_utc_with_milliseconds),
	    cmocka_unit_test(test_a_time_beyond_four_digit_years_does_not_overflow_its_text),
	    cmocka_unit_test(test_date_times_and_bare_dates_are_read),
	    cmocka_unit_test(test_impossible_or_incomplete_times_are_refused),
	    cmocka_unit_test(test_every_day_of_four_centuries_survives_the_round_trip),
	    cmocka_unit_test(test_spans_are_read_in_each_unit),
	    cmocka_unit_test(test_spans_of_nothing_or_of_centuries_are_refused),
	    cmocka_unit_test(test_the_clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
