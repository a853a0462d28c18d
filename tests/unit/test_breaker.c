/* The circuit breaker of an upstream and the order of its addresses, with the time in the
 * test's hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/addresses.h"
#include "relay/breaker.h"

enum { SECOND_US = 1000000 };

static const int64_t start_us = INT64_C(123456789);

/* Fails as often as it takes; when. */
static void open_it(struct breaker *b, int64_t now_us)
{
	for (int i = 1; i <= BREAKER_FAILURES; i++)
		assert_int_equal(breaker_failed(b, false, now_us), i == BREAKER_FAILURES);
}

/* What it says, and for how many seconds when that is no. */
static enum breaker_word ask(struct breaker *b, int64_t now_us, uint32_t *retry_s)
{
	*retry_s = 0;
	return breaker_ask(b, now_us, retry_s);
}

static void test_failures_in_a_row_open_it_and_fewer_do_not(void **state)
{
	struct breaker b = {0};
	uint32_t retry_s;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 1; i < BREAKER_FAILURES; i++) {
			assert_false(breaker_failed(&b, false, start_us));
			assert_int_equal(ask(&b, start_us, &retry_s), BREAKER_DIAL);
		}
		assert_false(breaker_succeeded(&b)); /* in a row only */
	}
	open_it(&b, start_us);
	assert_int_equal(ask(&b, start_us, &retry_s), BREAKER_OPEN);
	assert_int_equal(retry_s, 1);
}

static void test_one_probe_at_a_time_once_it_has_waited(void **state)
{
	struct breaker b = {0};
	uint32_t retry_s;

	(void)state;
	open_it(&b, start_us);
	assert_int_equal(ask(&b, start_us + SECOND_US - 1, &retry_s), BREAKER_OPEN);
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_PROBE);
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_OPEN);
	assert_int_equal(retry_s, 1);
	assert_int_equal(ask(&b, start_us + 20 * SECOND_US, &retry_s), BREAKER_OPEN);
	assert_true(breaker_succeeded(&b));
	assert_int_equal(ask(&b, start_us + 20 * SECOND_US, &retry_s), BREAKER_DIAL);
	/* closed as if nothing had been */
	open_it(&b, start_us);
	assert_int_equal(ask(&b, start_us, &retry_s), BREAKER_OPEN);
	assert_int_equal(retry_s, 1);
}

static void test_each_probe_that_fails_doubles_the_wait_up_to_the_most(void **state)
{
	static const uint32_t waits_s[] = {1, 2, 4, 8, 16, 30, 30, 30};
	struct breaker b = {0};
	int64_t now_us = start_us;
	uint32_t retry_s;

	(void)state;
	open_it(&b, now_us);
	for (size_t i = 0; i < sizeof waits_s / sizeof *waits_s; i++) {
		assert_int_equal(ask(&b, now_us, &retry_s), BREAKER_OPEN);
		assert_int_equal(retry_s, waits_s[i]);
		now_us += (int64_t)SECOND_US * waits_s[i] - 1;
		assert_int_equal(ask(&b, now_us, &retry_s), BREAKER_OPEN);
		assert_int_equal(retry_s, 1);
		now_us++;
		assert_int_equal(ask(&b, now_us, &retry_s), BREAKER_PROBE);
		assert_true(breaker_failed(&b, true, now_us));
	}
}

static void test_dials_from_before_it_opened_do_not_prolong_it(void **state)
{
	struct breaker b = {0};
	uint32_t retry_s;

	(void)state;
	open_it(&b, start_us);
	for (int i = 0; i < 100; i++)
		assert_false(breaker_failed(&b, false, start_us + SECOND_US / 2));
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_PROBE);
	assert_false(breaker_failed(&b, false, start_us + SECOND_US));
	/* but one that got through after all closes it */
	assert_true(breaker_succeeded(&b));
	assert_int_equal(ask(&b, start_us, &retry_s), BREAKER_DIAL);
}

static void test_a_probe_without_a_result_makes_room_for_the_next(void **state)
{
	struct breaker b = {0};
	uint32_t retry_s;

	(void)state;
	open_it(&b, start_us);
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_PROBE);
	breaker_abandoned(&b, false); /* somebody else's dial */
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_OPEN);
	breaker_abandoned(&b, true);
	assert_int_equal(ask(&b, start_us + SECOND_US, &retry_s), BREAKER_PROBE);
}

/* ---- addresses ---- */

static struct rk_ip ip(const char *text)
{
	struct rk_ip out;

	assert_int_equal(rk_ip_parse(rk_str(text), &out), 0);
	return out;
}

/* The addresses 10.0.0.<digit> in this order, put in order; "" for the result as digits. */
static const char *ordered(const struct address_faults *f, const char *digits, int64_t now_us)
{
	static char out[ADDRESSES_MAX + 1];
	struct rk_ip addrs[ADDRESSES_MAX];
	unsigned n = (unsigned)strlen(digits);

	for (unsigned i = 0; i < n; i++) {
		addrs[i] = ip("10.0.0.0");
		addrs[i].b[15] = (uint8_t)(digits[i] - '0');
	}
	addresses_order(f, addrs, n, now_us);
	for (unsigned i = 0; i < n; i++)
		out[i] = (char)('0' + addrs[i].b[15]);
	out[n] = '\0';
	return out;
}

static void spoil(struct address_faults *f, int digit, int64_t now_us)
{
	struct rk_ip at = ip("10.0.0.0");

	at.b[15] = (uint8_t)digit;
	addresses_failed(f, &at, now_us);
}

static void test_an_address_that_failed_comes_last_for_a_while(void **state)
{
	const int64_t over_us = start_us + (int64_t)SECOND_US * ADDRESSES_BAD_S;
	struct address_faults f = {0};
	struct rk_ip one = ip("10.0.0.1");

	(void)state;
	assert_string_equal(ordered(&f, "1234", start_us), "1234");
	spoil(&f, 1, start_us);
	assert_string_equal(ordered(&f, "1234", start_us), "2341");
	spoil(&f, 3, start_us);
	assert_string_equal(ordered(&f, "1234", start_us), "2413");
	assert_string_equal(ordered(&f, "13", start_us), "13"); /* all of them: as they came */
	assert_string_equal(ordered(&f, "1", start_us), "1");
	assert_string_equal(ordered(&f, "1234", over_us - 1), "2413");
	assert_string_equal(ordered(&f, "1234", over_us), "1234");
	addresses_good(&f, &one);
	assert_string_equal(ordered(&f, "1234", start_us), "1243");
}

static void test_more_addresses_than_are_remembered_forget_the_oldest(void **state)
{
	struct address_faults f = {0};

	(void)state;
	for (int i = 1; i <= ADDRESSES_MAX + 1; i++)
		spoil(&f, i, start_us + i);
	assert_string_equal(ordered(&f, "12", start_us + 20), "12");
	assert_string_equal(ordered(&f, "291", start_us + 20), "129");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_failures_in_a_row_open_it_and_fewer_do_not),
	    cmocka_unit_test(test_one_probe_at_a_time_once_it_has_waited),
	    cmocka_unit_test(test_each_probe_that_fails_doubles_the_wait_up_to_the_most),
	    cmocka_unit_test(test_dials_from_before_it_opened_do_not_prolong_it),
	    cmocka_unit_test(test_a_probe_without_a_result_makes_room_for_the_next),
	    cmocka_unit_test(test_an_address_that_failed_comes_last_for_a_while),
	    cmocka_unit_test(test_more_addresses_than_are_remembered_forget_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
