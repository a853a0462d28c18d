/*
 * Sets of rows: a stored set holds the rows that went in, in the shorter of two forms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/row_set.h"

enum { BITS = 10, ROWS = 1 << BITS };

static struct row_set *set_of(const uint16_t *rows, size_t n)
{
	struct row_set *s = calloc(1, sizeof *s);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++)
		row_set_add(s, rows[i]);
	return s;
}

/* Stores every step-th row and loads it again; the bytes that took. */
static size_t store_every(unsigned step)
{
	static uint8_t stored[ROW_SET_STORED];
	uint16_t rows[ROWS];
	size_t n = 0, len;
	struct row_set *in, *out = set_of(NULL, 0);

	for (unsigned row = step - 1; row < ROWS; row += step)
		rows[n++] = (uint16_t)row;
	in = set_of(rows, n);
	len = row_set_store(rows, n, BITS, stored);
	assert_int_equal(row_set_load(rk_slice(stored, len), BITS, out), 0);
	assert_memory_equal(in, out, sizeof *in);
	free(in);
	free(out);
	return len;
}

static void test_what_is_stored_is_loaded_and_never_longer_than_a_bitmap(void **state)
{
	(void)state;
	for (unsigned step = 1; step <= ROWS; step++)
		assert_in_range(store_every(step), 2, 1 + ROWS / 8);
	assert_int_equal(store_every(1), 1 + ROWS / 8);
	assert_int_equal(store_every(ROWS), 1 + 2);
	assert_int_equal(store_every(100), 1 + ROWS / 100);
}

static void test_rows_are_found_in_both_directions(void **state)
{
	static const uint16_t rows[] = {0, 63, 64, 127, 500, ROWS - 1};
	struct row_set *s = set_of(rows, 6);
	int at = -1;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		at = row_set_from(s, (unsigned)(at + 1), BITS);
		assert_int_equal(at, rows[i]);
		assert_true(row_set_has(s, rows[i]));
	}
	assert_int_equal(row_set_from(s, ROWS, BITS), -1);
	at = ROWS;
	for (size_t i = 6; i > 0; i--) {
		at = row_set_below(s, (unsigned)at);
		assert_int_equal(at, rows[i - 1]);
	}
	assert_int_equal(row_set_below(s, 0), -1);
	free(s);
}

static void test_what_is_cleared_and_what_is_not_common_is_gone(void **state)
{
	static const uint16_t rows[] = {3, 64, 65, 200, 300}, others[] = {65, 300, 301};
	struct row_set *s = set_of(rows, 5), *o = set_of(others, 3);

	(void)state;
	assert_true(row_set_and(s, o, BITS));
	assert_int_equal(row_set_from(s, 0, BITS), 65);
	assert_int_equal(row_set_from(s, 66, BITS), 300);
	assert_int_equal(row_set_from(s, 301, BITS), -1);
	row_set_clear(s, 65, 300);
	assert_int_equal(row_set_from(s, 0, BITS), 300);
	row_set_clear(s, 0, ROWS);
	assert_int_equal(row_set_from(s, 0, BITS), -1);
	assert_false(row_set_and(s, o, BITS));
	free(s);
	free(o);
}

#define assert_no_set(bytes)                                                                   \
	assert_int_equal(row_set_load(rk_slice(bytes, sizeof(bytes) - 1), BITS, s),            \
	                 RK_E_CORRUPT)

static void test_what_is_no_set_is_refused(void **state)
{
	struct row_set *s = set_of(NULL, 0);

	(void)state;
	assert_no_set("");
	assert_no_set("\3");
	assert_no_set("\2too short");
	assert_no_set("\1\200");
	assert_no_set("\1\200\200\200\1");
	/* row 1024 of 1024; its twin is the last row */
	assert_no_set("\1\200\10");
	assert_int_equal(row_set_load(rk_slice("\1\377\7", 3), BITS, s), 0);
	assert_int_equal(row_set_from(s, 0, BITS), ROWS - 1);
	free(s);
}

#define load_bucket(bytes, name)                                                               \
	row_bucket_load(rk_slice(bytes, sizeof(bytes) - 1), name, BITS, s)

static void test_a_bucket_gives_a_name_its_rows(void **state)
{
#define BUCKET                                                                                 \
	"\1\0"                                                                                 \
	"\3\0\0\0"                                                                             \
	"\1\0\0\0\7\0"                                                                         \
	"\2\0\0\0\0\0"                                                                         \
	"\1\0\0\0\11\1"
	struct row_set *s = set_of(NULL, 0);

	(void)state;
	assert_int_equal(load_bucket(BUCKET, 9), 0);
	assert_int_equal(row_set_from(s, 0, BITS), -1);
	assert_int_equal(load_bucket(BUCKET, 3), ROW_BUCKET_ELSEWHERE);
	assert_int_equal(load_bucket(BUCKET, 1), 0);
	assert_int_equal(row_set_from(s, 0, BITS), 7);
	assert_int_equal(row_set_from(s, 8, BITS), 0x109);
	assert_int_equal(row_set_from(s, 0x10a, BITS), -1);
	assert_int_equal(load_bucket("", 1), RK_E_CORRUPT);
	assert_int_equal(load_bucket("\2\0\3\0\0\0", 1), RK_E_CORRUPT);
	assert_int_equal(load_bucket("\0\0\1\0\0\0\7", 1), RK_E_CORRUPT);
	assert_int_equal(load_bucket("\0\0\1\0\0\0\0\4", 1), RK_E_CORRUPT);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_stored_is_loaded_and_never_longer_than_a_bitmap),
	    cmocka_unit_test(test_rows_are_found_in_both_directions),
	    cmocka_unit_test(test_what_is_cleared_and_what_is_not_common_is_gone),
	    cmocka_unit_test(test_what_is_no_set_is_refused),
	    cmocka_unit_test(test_a_bucket_gives_a_name_its_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
