/* Connections counted by client address, also against a slow reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "relay/census.h"

static struct census *of_most(unsigned most)
{
	struct census *c = NULL;

	assert_int_equal(census_new(most, &c), 0);
	return c;
}

static struct rk_ip ip(const char *text)
{
	struct rk_ip out;

	assert_int_equal(rk_ip_parse(rk_str(text), &out), 0);
	return out;
}

static bool enter(struct census *c, const char *text, unsigned cap)
{
	struct rk_ip at = ip(text);

	return census_enter(c, &at, cap);
}

static void leave(struct census *c, const char *text)
{
	struct rk_ip at = ip(text);

	census_leave(c, &at);
}

static void test_an_address_may_have_its_cap_and_not_one_more(void **state)
{
	struct census *c = of_most(100);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(enter(c, "192.0.2.1", 3));
	assert_false(enter(c, "192.0.2.1", 3));
	assert_true(enter(c, "192.0.2.2", 3));
	leave(c, "192.0.2.1");
	assert_true(enter(c, "192.0.2.1", 3));
	assert_false(enter(c, "192.0.2.1", 3));
	census_free(c);
}

static void test_ipv6_counts_by_its_64_and_ipv4_by_its_address(void **state)
{
	struct census *c = of_most(100);

	(void)state;
	assert_true(enter(c, "2001:db8:1:2::1", 2));
	assert_true(enter(c, "2001:db8:1:2:ffff::7", 2));
	assert_false(enter(c, "2001:db8:1:2::3", 2));
	assert_true(enter(c, "2001:db8:1:3::1", 2));
	/* not to be taken for one another */
	assert_true(enter(c, "10.0.0.1", 1));
	assert_true(enter(c, "::a00:1", 1));
	assert_true(enter(c, "0:0:a00:1::", 1));
	assert_true(enter(c, "10.0.0.2", 1));
	assert_false(enter(c, "::ffff:10.0.0.1", 1));
	assert_int_equal(census_addresses(c), 6);
	census_free(c);
}

static void test_it_is_never_more_than_it_was_made_for(void **state)
{
	struct census *c = of_most(2);

	(void)state;
	assert_true(enter(c, "192.0.2.1", 9));
	assert_true(enter(c, "192.0.2.2", 9));
	assert_false(enter(c, "192.0.2.3", 9));
	assert_false(enter(c, "192.0.2.1", 9));
	leave(c, "192.0.2.3"); /* was never there */
	assert_false(enter(c, "192.0.2.3", 9));
	leave(c, "192.0.2.2");
	assert_true(enter(c, "192.0.2.3", 9));
	census_free(c);
}

static void test_any_sequence_counts_like_a_list(void **state)
{
	enum { MOST = 96, ADDRESSES = 150, CAP = 3, ROUNDS = 200000 };
	static unsigned has[ADDRESSES];
	struct census *c = of_most(MOST);
	unsigned all = 0, here = 0;
	struct rk_ip at = ip("10.0.0.0");

	(void)state;
	srand(4711);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned who = (unsigned)rand() % ADDRESSES;

		at.b[15] = (uint8_t)who;
		if (rand() % 2) {
			bool may = all < MOST && has[who] < CAP;

			assert_int_equal(census_enter(c, &at, CAP), may);
			here += may && !has[who];
			has[who] += may;
			all += may;
		} else if (has[who]) {
			census_leave(c, &at);
			has[who]--;
			all--;
			here -= !has[who];
		}
		who = (unsigned)rand() % ADDRESSES;
		at.b[15] = (uint8_t)who;
		assert_int_equal(census_of(c, &at), has[who]);
		assert_int_equal(census_addresses(c), here);
	}
	for (unsigned who = 0; who < ADDRESSES; who++) {
		at.b[15] = (uint8_t)who;
		while (has[who]) {
			census_leave(c, &at);
			has[who]--;
		}
	}
	assert_int_equal(census_addresses(c), 0);
	census_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_address_may_have_its_cap_and_not_one_more),
	    cmocka_unit_test(test_ipv6_counts_by_its_64_and_ipv4_by_its_address),
	    cmocka_unit_test(test_it_is_never_more_than_it_was_made_for),
	    cmocka_unit_test(test_any_sequence_counts_like_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
