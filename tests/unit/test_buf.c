#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static void assert_holds(const struct rk_buf *b, const char *want)
{
	assert_true(rk_slice_is(rk_buf_slice(b), want));
}

static void test_what_is_added_comes_out_in_order(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, 100);
	assert_int_equal(rk_buf_add(&b, "one ", 4), 0);
	assert_int_equal(rk_buf_add_slice(&b, rk_str("two ")), 0);
	assert_int_equal(rk_buf_printf(&b, "%s %d", "three", 4), 0);
	rk_buf_consume(&b, 4);
	assert_holds(&b, "two three 4");
	rk_buf_free(&b);
}

static void test_the_limit_holds_for_every_way_in(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, 5);
	assert_int_equal(rk_buf_add(&b, "abc", 3), 0);
	assert_int_equal(rk_buf_add(&b, "def", 3), RK_E_TOOBIG);
	assert_int_equal(rk_buf_printf(&b, "%s", "def"), RK_E_TOOBIG);
	assert_null(rk_buf_reserve(&b, 3, NULL));
	assert_holds(&b, "abc");
	assert_int_equal(rk_buf_printf(&b, "%s", "de"), 0);
	assert_holds(&b, "abcde");
	assert_int_equal(b.limit, 5);
	rk_buf_free(&b);
}

static void test_room_is_never_more_than_the_limit_leaves(void **state)
{
	struct rk_buf b;
	size_t room;

	(void)state;
	rk_buf_init(&b, 600);
	assert_non_null(rk_buf_reserve(&b, 1, &room));
	assert_in_range(room, 1, 600);
	memset(rk_buf_reserve(&b, 600, &room), 'x', 600);
	assert_int_equal(room, 600);
	rk_buf_produced(&b, 599);
	assert_non_null(rk_buf_reserve(&b, 1, &room));
	assert_int_equal(room, 1);
	rk_buf_free(&b);
}

static void test_consumed_space_is_used_again(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, 8);
	assert_int_equal(rk_buf_add(&b, "abcdefgh", 8), 0);
	for (int i = 0; i < 1000; i++) {
		char c = (char)('a' + i % 26);

		rk_buf_consume(&b, 1);
		assert_int_equal(rk_buf_add(&b, &c, 1), 0);
		assert_int_equal(b.len, 8);
		assert_int_equal(rk_buf_data(&b)[7], c);
	}
	assert_true(b.cap <= 8);
	rk_buf_free(&b);
}

static void test_a_request_that_cannot_be_met_fails_instead_of_looping(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, SIZE_MAX);
	assert_int_equal(rk_buf_printf(&b, "%d", 1), 0);
	assert_null(rk_buf_reserve(&b, SIZE_MAX - 1, NULL));
	assert_null(rk_buf_reserve(&b, SIZE_MAX, NULL));
	assert_holds(&b, "1");
	assert_true(b.limit == SIZE_MAX);
	rk_buf_free(&b);
}

static void test_consuming_more_than_there_is_empties_the_buffer(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, 10);
	assert_int_equal(rk_buf_add(&b, "abc", 3), 0);
	rk_buf_consume(&b, 99);
	assert_holds(&b, "");
	rk_buf_free(&b);
}

static void test_trim_frees_an_empty_buffer_and_keeps_a_full_one(void **state)
{
	struct rk_buf b;

	(void)state;
	rk_buf_init(&b, 10);
	assert_int_equal(rk_buf_add(&b, "abc", 3), 0);
	rk_buf_trim(&b);
	assert_holds(&b, "abc");
	rk_buf_consume(&b, 3);
	rk_buf_trim(&b);
	assert_null(b.mem);
	assert_int_equal(b.limit, 10);
	assert_int_equal(rk_buf_add(&b, "again", 5), 0);
	rk_buf_free(&b);
}

static void test_a_zeroed_buffer_can_be_read_and_freed(void **state)
{
	struct rk_buf b = {.limit = 4};

	(void)state;
	assert_null(rk_buf_data(&b));
	assert_int_equal(rk_buf_slice(&b).n, 0);
	rk_buf_free(&b);
	rk_buf_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_added_comes_out_in_order),
	    cmocka_unit_test(test_the_limit_holds_for_every_way_in),
	    cmocka_unit_test(test_room_is_never_more_than_the_limit_leaves),
	    cmocka_unit_test(test_consumed_space_is_used_again),
	    cmocka_unit_test(test_a_request_that_cannot_be_met_fails_instead_of_looping),
	    cmocka_unit_test(test_consuming_more_than_there_is_empties_the_buffer),
	    cmocka_unit_test(test_trim_frees_an_empty_buffer_and_keeps_a_full_one),
	    cmocka_unit_test(test_a_zeroed_buffer_can_be_read_and_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
