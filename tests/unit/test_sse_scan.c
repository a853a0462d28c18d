#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy/sse_scan.h"

/* The data of each event in brackets. */
static char said[1024];
static bool open;

static void data(struct rk_slice piece, void *arg)
{
	size_t n = strlen(said);

	assert_ptr_equal(arg, said);
	assert_true(piece.n > 0);
	snprintf(said + n, sizeof said - n, "%s%.*s", open ? "" : "[", RK_FMT(piece));
	open = true;
}

static void event(void *arg)
{
	assert_ptr_equal(arg, said);
	strcat(said, open ? "]" : "[]");
	open = false;
}

static const struct sse_scan_ops ops = {.data = data, .event = event};

static void scan_in(const char *text, size_t piece)
{
	struct rk_slice left = rk_str(text);
	struct sse_scan s;

	said[0] = '\0';
	open = false;
	sse_scan_init(&s, &ops, said);
	while (left.n) {
		size_t n = left.n < piece ? left.n : piece;

		sse_scan_feed(&s, rk_slice(left.p, n));
		left = rk_slice_skip(left, n);
	}
}

static void expect(const char *text, const char *events)
{
	for (size_t piece = 1; piece <= 5; piece++) {
		scan_in(text, piece);
		assert_string_equal(said, events);
	}
	scan_in(text, SIZE_MAX);
	assert_string_equal(said, events);
}

static void test_each_event_s_data_comes_by_itself(void **state)
{
	(void)state;
	expect("data: {\"a\":1}\n\ndata: [DONE]\n\n", "[{\"a\":1}][[DONE]]");
	expect("event: message_delta\ndata: {}\nid: 7\nretry: 10\n\n", "[{}]");
	expect(": keep-alive\n\n: again\n\ndata: x\n\n", "[x]");
}

static void test_lines_end_in_three_ways(void **state)
{
	(void)state;
	expect("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[a][b][c]");
	expect("data: a\r\n\ndata: b\n\r\ndata: c\n\r", "[a][b][c]");
}

static void test_lines_of_one_event_are_joined(void **state)
{
	(void)state;
	expect("data: {\ndata: }\n\n", "[{\n}]");
	expect("data\ndata\n\n", "[\n]");
	expect("data:\ndata: x\n\n", "[\nx]");
}

static void test_only_one_space_behind_the_colon_is_not_data(void **state)
{
	(void)state;
	expect("data:x\n\ndata: x\n\ndata:  x\n\ndata:\tx \n\n", "[x][x][ x][\tx ]");
}

static void test_an_event_without_data_is_none(void **state)
{
	(void)state;
	expect("\n\nevent: ping\n\nid: 1\n\n", "");
	expect("data\n\ndata:\n\ndata: \n\n", "[][][]");
}

static void test_other_fields_are_not_data(void **state)
{
	(void)state;
	expect("datax: 1\ndat: 2\n data: 3\nData: 4\nxdata: 5\ndata 6\n:data: 7\n\n", "");
	expect("dat\na: 1\n\ndata: 2\n\n", "[2]");
}

static void test_what_is_not_complete_is_no_event(void **state)
{
	(void)state;
	expect("data: a\n\ndata: b", "[a][b");
	expect("data: a\n", "[a");
}

static void test_a_byte_order_mark_is_skipped_at_the_start_only(void **state)
{
	(void)state;
	expect("\xef\xbb\xbf"
	       "data: a\n\n",
	       "[a]");
	expect("\xef\xbb"
	       "data: a\n\ndata: b\n\n",
	       "[b]");
	expect("data: a\n\n\xef\xbb\xbf"
	       "data: b\n\n",
	       "[a]");
	expect("\xef\xbb\xbf\n\ndata: a\n\n", "[a]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_event_s_data_comes_by_itself),
	    cmocka_unit_test(test_lines_end_in_three_ways),
	    cmocka_unit_test(test_lines_of_one_event_are_joined),
	    cmocka_unit_test(test_only_one_space_behind_the_colon_is_not_data),
	    cmocka_unit_test(test_an_event_without_data_is_none),
	    cmocka_unit_test(test_other_fields_are_not_data),
	    cmocka_unit_test(test_what_is_not_complete_is_no_event),
	    cmocka_unit_test(test_a_byte_order_mark_is_skipped_at_the_start_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
