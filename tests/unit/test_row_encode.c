#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keeper/row_encode.h"

#define ID     "AbCdEfGhIjK9"
#define SECRET "0123456789abcdefghijABCDEFGHzZ09aA"
#define KEY    "rk_app_" ID SECRET
#define HIDDEN "rk_app_" ID "**********************************"

static char bytes[AUDIT_MAX_ROW];

/* What is read back; borrows from `bytes`. */
static struct audit_row through(const struct audit_row *row)
{
	struct audit_row back;
	ssize_t n = row_encode(row, bytes, sizeof bytes);

	assert_true(n > 0);
	assert_null(memmem(bytes, (size_t)n, SECRET, sizeof SECRET - 1));
	assert_int_equal(record_unpack(&audit_row_desc, rk_slice(bytes, (size_t)n), &back), 0);
	return back;
}

static void a_key_in_any_text_of_a_row_is_hidden(void **state)
{
	(void)state;
	for (unsigned i = 0; i < audit_row_desc.field_count; i++) {
		const struct record_field *f = &audit_row_desc.fields[i];
		struct rk_slice key = rk_str(KEY), got;
		struct audit_row row = {.type = AUDIT_REQUEST}, back;

		if (f->kind != RECORD_BYTES || f->max < key.n)
			continue;
		memcpy((char *)&row + f->offset, &key, sizeof key);
		back = through(&row);
		memcpy(&got, (char *)&back + f->offset, sizeof got);
		assert_true(rk_slice_is(got, HIDDEN));
	}
}

static void a_key_among_the_query_names_is_hidden(void **state)
{
	char list[256];
	size_t used = 0;
	struct audit_row row = {.type = AUDIT_REQUEST}, back;
	struct rk_slice item;

	(void)state;
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("a")), 0);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str(KEY)), 0);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("b")), 0);
	row.query_names = rk_slice(list, used);
	back = through(&row);
	assert_int_equal(record_list_count(back.query_names), 3);
	assert_true(record_list_next(&back.query_names, &item) && rk_slice_is(item, "a"));
	assert_true(record_list_next(&back.query_names, &item) && rk_slice_is(item, HIDDEN));
	assert_true(record_list_next(&back.query_names, &item) && rk_slice_is(item, "b"));
}

/* The length of a text may be 48 or 65: '0' and 'A', as in the tail of a key before it. */
static void the_lengths_between_texts_stay_when_they_look_like_base62(void **state)
{
	static const char text[] = "00000000000000000000000000000000000000000000000000"
	                           "00000000000000000000000000000000000000000000000000"
	                           "0000000000000000000000000000";

	(void)state;
	for (size_t n = 0; n <= AUDIT_MAX_NAME && n < sizeof text; n++) {
		struct audit_row row = {
		    .type = AUDIT_REQUEST,
		    .conn_id = rk_str(KEY),
		    .conn_name = rk_slice(text, n),
		    .path = rk_str("/" KEY),
		};
		struct audit_row back = through(&row);

		assert_true(rk_slice_is(back.conn_id, HIDDEN));
		assert_true(rk_slice_eq(back.conn_name, row.conn_name));
		assert_true(rk_slice_is(back.path, "/" HIDDEN));
	}
}

static void a_row_without_a_key_is_as_the_record_code_writes_it(void **state)
{
	char plain[1024];
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .key_id = rk_str("key_" ID),
	    .path = rk_str("/v1/rk_app_/rk_app_" ID),
	    .user_agent = rk_str("agent/1"),
	};
	ssize_t n = record_pack(&audit_row_desc, &row, plain, sizeof plain);

	(void)state;
	assert_true(n > 0);
	assert_int_equal(row_encode(&row, bytes, sizeof bytes), n);
	assert_memory_equal(bytes, plain, (size_t)n);
}

static void a_row_that_does_not_fit_is_refused(void **state)
{
	struct audit_row row = {.type = AUDIT_REQUEST, .path = rk_str("/" KEY)};

	(void)state;
	assert_int_equal(row_encode(&row, bytes, 16), RK_E_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_in_any_text_of_a_row_is_hidden),
	    cmocka_unit_test(a_key_among_the_query_names_is_hidden),
	    cmocka_unit_test(the_lengths_between_texts_stay_when_they_look_like_base62),
	    cmocka_unit_test(a_row_without_a_key_is_as_the_record_code_writes_it),
	    cmocka_unit_test(a_row_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
