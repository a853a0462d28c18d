/*
 * Limits of a key, with the time in the test's hands; and against a slow reference that
 * remembers every request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "policy/rate.h"

enum { SECOND = 1000, MINUTE = 60000, DAY_S = 86400 };

/* 2026-07-01T00:00:00Z, and a time since boot that does not fit its days. */
static const struct rate_now start = {.mono_ms = 123456789, .wall_ms = INT64_C(1782864000000)};

static struct rate_now later(struct rate_now t, int64_t ms)
{
	t.mono_ms += ms;
	t.wall_ms += ms;
	return t;
}

struct answer {
	enum reason reason;
	struct rate_report report;
	const char *detail;
};

static struct answer look(struct rate *r, uint32_t in_flight, struct rate_now now)
{
	struct answer a = {.detail = ""};

	a.reason = rate_check(r, in_flight, now, &a.report, &a.detail);
	return a;
}

/* As the keeper does: what passes is counted. */
static struct answer ask(struct rate *r, uint32_t in_flight, struct rate_now now)
{
	struct answer a = look(r, in_flight, now);

	if (a.reason == REASON_OK)
		rate_take(r, now);
	return a;
}

static unsigned burst(struct rate *r, unsigned requests, struct rate_now now)
{
	unsigned allowed = 0;

	while (requests--)
		allowed += ask(r, 0, now).reason == REASON_OK;
	return allowed;
}

static void without_limits_everything_passes_and_nothing_is_told(void **state)
{
	const struct rate_report none = {0};
	struct rate r = {0};
	struct answer a;

	(void)state;
	assert_false(rate_limits_any(&r.limits));
	assert_int_equal(burst(&r, 1000, start), 1000);
	a = ask(&r, 1000, start);
	assert_memory_equal(&a.report, &none, sizeof none);
}

static void a_minute_holds_its_limit_and_no_more(void **state)
{
	struct rate r = {.limits = {.per_minute = 10}};
	struct answer a = ask(&r, 0, start);

	(void)state;
	assert_int_equal(a.report.minute_limit, 10);
	assert_int_equal(a.report.minute_left, 9);
	assert_int_equal(a.report.retry_after_s, 0);
	assert_int_equal(burst(&r, 100, start), 9);
	a = ask(&r, 0, start);
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_string_equal(a.detail, "per_minute");
	assert_int_equal(a.report.minute_left, 0);
}

static void a_looked_at_request_is_not_counted(void **state)
{
	struct rate r = {.limits = {.per_minute = 1, .per_day = 1}};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(look(&r, 0, start).reason, REASON_OK);
	assert_int_equal(burst(&r, 2, start), 1);
}

static void a_refused_request_is_not_counted(void **state)
{
	struct rate r = {.limits = {.per_minute = 5, .per_day = 1000}};

	(void)state;
	for (int s = 0; s < 120; s++)
		burst(&r, 50, later(start, s * SECOND));
	assert_in_range(r.day_used, 5, 10);
}

/* The failing of counters that start anew each minute. */
static void no_two_bursts_stand_close_around_a_border(void **state)
{
	(void)state;
	for (int64_t offset = 0; offset < MINUTE; offset += 777) {
		struct rate r = {.limits = {.per_minute = 100}};
		struct rate_now t = later(start, offset);
		unsigned allowed = burst(&r, 100, t);

		for (int ms = 0; ms < MINUTE; ms += 250)
			allowed += burst(&r, 100, later(t, ms));
		assert_int_equal(allowed, 100);
	}
}

static void after_the_time_that_was_told_a_request_passes_and_not_before(void **state)
{
	(void)state;
	for (int64_t offset = 0; offset < 3 * RATE_SLOT_MS; offset += 333) {
		struct rate r = {.limits = {.per_minute = 3}};
		struct rate_now t = later(start, offset);
		struct answer a;

		burst(&r, 3, t);
		a = ask(&r, 0, later(t, 7 * SECOND));
		assert_int_equal(a.reason, REASON_RATE_LIMITED);
		assert_in_range(a.report.retry_after_s, 53, 56);
		assert_int_equal(a.report.minute_reset_s, a.report.retry_after_s);
		t = later(t, 7 * SECOND + (a.report.retry_after_s - 1) * SECOND - 1);
		assert_int_equal(look(&r, 0, t).reason, REASON_RATE_LIMITED);
		assert_int_equal(look(&r, 0, later(t, SECOND + 1)).reason, REASON_OK);
	}
}

static void a_steady_pace_under_the_limit_is_never_refused(void **state)
{
	struct rate r = {.limits = {.per_minute = 60}};

	(void)state;
	/* a slot more than a minute counts: 31 slots of 2 s hold 58 requests at this pace */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ask(&r, 0, later(start, i * 1070)).reason, REASON_OK);
}

static void a_day_ends_at_midnight_utc(void **state)
{
	struct rate r = {.limits = {.per_day = 20}};
	struct rate_now evening = later(start, (DAY_S - 90) * SECOND);
	struct answer a;

	(void)state;
	assert_int_equal(burst(&r, 15, start), 15);
	assert_int_equal(burst(&r, 15, evening), 5);
	a = ask(&r, 0, evening);
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_string_equal(a.detail, "per_day");
	assert_int_equal(a.report.retry_after_s, 90);
	assert_int_equal(a.report.day_reset_s, 90);
	assert_int_equal(look(&r, 0, later(evening, 90 * SECOND - 1)).reason,
	                 REASON_RATE_LIMITED);
	a = ask(&r, 0, later(evening, 90 * SECOND));
	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.report.day_left, 19);
	assert_int_equal(a.report.day_reset_s, DAY_S);
}

static void the_limit_that_lasts_longest_is_told(void **state)
{
	struct rate r = {.limits = {.per_minute = 5, .per_day = 5, .max_concurrent = 1}};
	struct answer a;

	(void)state;
	burst(&r, 5, start);
	a = ask(&r, 1, start);
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_string_equal(a.detail, "per_day");
	assert_int_equal(a.report.retry_after_s, DAY_S);
	r.limits.per_day = 0;
	a = ask(&r, 1, start);
	assert_string_equal(a.detail, "per_minute");
	r.limits.per_minute = 0;
	a = ask(&r, 1, start);
	assert_int_equal(a.reason, REASON_CONCURRENCY_LIMITED);
	assert_string_equal(a.detail, "concurrent");
	assert_int_equal(a.report.retry_after_s, 1);
}

static void so_many_at_once_and_no_more(void **state)
{
	struct rate r = {.limits = {.max_concurrent = 4}};
	struct answer a;

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		a = ask(&r, n, start);
		assert_int_equal(a.reason, REASON_OK);
		assert_int_equal(a.report.concurrent_limit, 4);
		assert_int_equal(a.report.concurrent_left, 3 - n);
	}
	assert_int_equal(ask(&r, 4, start).reason, REASON_CONCURRENCY_LIMITED);
	assert_int_equal(ask(&r, 5, start).reason, REASON_CONCURRENCY_LIMITED);
	assert_int_equal(ask(&r, 3, start).reason, REASON_OK);
}

/* ---- clocks that jump ---- */

static void a_monotonic_clock_that_goes_back_stands_still(void **state)
{
	struct rate r = {.limits = {.per_minute = 5}};
	struct answer a;

	(void)state;
	burst(&r, 5, start);
	a = ask(&r, 0, later(start, -3600 * SECOND));
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_in_range(a.report.retry_after_s, 60, 62);
	a = ask(&r, 0, (struct rate_now){.mono_ms = -5});
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_int_equal(ask(&r, 0, later(start, 62 * SECOND)).reason, REASON_OK);
}

static void a_wall_clock_set_back_over_midnight_forgives_nothing(void **state)
{
	struct rate r = {.limits = {.per_day = 5}};
	struct answer a;

	(void)state;
	burst(&r, 5, start);
	a = ask(&r, 0, later(start, -10 * SECOND));
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_int_equal(a.report.retry_after_s, 10);
	assert_int_equal(ask(&r, 0, start).reason, REASON_OK);
}

static void a_clock_that_was_years_ahead_locks_nobody_out(void **state)
{
	struct rate r = {.limits = {.per_day = 5}};
	struct rate_now wrong = later(start, INT64_C(4000) * DAY_S * SECOND);
	struct answer a;

	(void)state;
	burst(&r, 5, wrong);
	a = ask(&r, 0, start);
	assert_int_equal(a.reason, REASON_RATE_LIMITED);
	assert_int_equal(a.report.retry_after_s, DAY_S);
	assert_int_equal(ask(&r, 0, later(start, DAY_S * SECOND)).reason, REASON_OK);
}

static void any_time_at_all_is_taken(void **state)
{
	static const int64_t times[] = {INT64_MIN / 2, -1, 0, 1, 61999, INT64_MAX / 4};
	struct rate r = {.limits = {.per_minute = RATE_MAX, .per_day = RATE_MAX}};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
			struct answer a = ask(&r, 0, (struct rate_now){times[i], times[k]});

			assert_int_equal(a.reason, REASON_OK);
			assert_in_range(a.report.minute_reset_s, 1, 62);
			assert_in_range(a.report.day_reset_s, 1, DAY_S);
		}
	}
}

/* ---- against a slow reference ---- */

struct reference {
	int64_t at[20000]; /* of every allowed request */
	size_t n;
};

static uint32_t since(const struct reference *ref, int64_t ms)
{
	uint32_t count = 0;

	for (size_t i = ref->n; i-- > 0 && ref->at[i] > ms;)
		count++;
	return count;
}

/*
 * Random limits, paces and bursts. Never more than the limit in any minute; a request is
 * refused only if the limit stands within a minute and a slot; what is told comes true.
 */
static void the_window_agrees_with_a_log_of_every_request(void **state)
{
	static struct reference ref;
	unsigned refused = 0;

	(void)state;
	srandom(7);
	for (int round = 0; round < 60; round++) {
		struct rate r = {.limits = {.per_minute = 1 + (uint32_t)random() % 40}};
		struct rate_now t = later(start, random() % 100000);
		int64_t pace = 1 + random() % 8000;

		ref.n = 0;
		for (int i = 0; i < 300; i++) {
			struct answer a = look(&r, 0, t);
			uint32_t counted = since(
			    &ref,
			    (t.mono_ms / RATE_SLOT_MS - RATE_SLOTS + 1) * RATE_SLOT_MS - 1);

			assert_int_equal(r.in_window, counted);
			if (a.reason == REASON_OK) {
				assert_true(since(&ref, t.mono_ms - MINUTE) <
				            r.limits.per_minute);
				assert_int_equal(a.report.minute_left,
				                 r.limits.per_minute - counted - 1);
				rate_take(&r, t);
				ref.at[ref.n++] = t.mono_ms;
			} else {
				struct rate copy = r;

				refused++;
				assert_true(since(&ref, t.mono_ms - MINUTE - RATE_SLOT_MS) >=
				            r.limits.per_minute);
				assert_int_equal(
				    look(&copy, 0, later(t, a.report.retry_after_s * SECOND))
				        .reason,
				    REASON_OK);
			}
			if (random() % 4)
				t = later(t, random() % pace);
		}
	}
	assert_true(refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_limits_everything_passes_and_nothing_is_told),
	    cmocka_unit_test(a_minute_holds_its_limit_and_no_more),
	    cmocka_unit_test(a_looked_at_request_is_not_counted),
	    cmocka_unit_test(a_refused_request_is_not_counted),
	    cmocka_unit_test(no_two_bursts_stand_close_around_a_border),
	    cmocka_unit_test(after_the_time_that_was_told_a_request_passes_and_not_before),
	    cmocka_unit_test(a_steady_pace_under_the_limit_is_never_refused),
	    cmocka_unit_test(a_day_ends_at_midnight_utc),
	    cmocka_unit_test(the_limit_that_lasts_longest_is_told),
	    cmocka_unit_test(so_many_at_once_and_no_more),
	    cmocka_unit_test(a_monotonic_clock_that_goes_back_stands_still),
	    cmocka_unit_test(a_wall_clock_set_back_over_midnight_forgives_nothing),
	    cmocka_unit_test(a_clock_that_was_years_ahead_locks_nobody_out),
	    cmocka_unit_test(any_time_at_all_is_taken),
	    cmocka_unit_test(the_window_agrees_with_a_log_of_every_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
