#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/sample_record.h"

struct wire {
	unsigned char bytes[SAMPLE_WIRE_MAX];
	size_t n;
};

static struct sample full_sample(char *items, size_t *used)
{
	struct sample s = {.id = 0x1122334455667788,
	                   .flag = 0xfe,
	                   .port = 8443,
	                   .count = 0xdeadbeef,
	                   .when_ms = -2,
	                   .name = rk_str("billing"),
	                   .hash = {1, 2, 3, 4}};

	*used = 0;
	assert_int_equal(record_list_add(items, SAMPLE_ITEMS_MAX, used, rk_str("GET")), 0);
	assert_int_equal(record_list_add(items, SAMPLE_ITEMS_MAX, used, rk_str("")), 0);
	assert_int_equal(record_list_add(items, SAMPLE_ITEMS_MAX, used, rk_str("/v1/x")), 0);
	s.items = rk_slice(items, *used);
	return s;
}

static struct wire encode_full(void)
{
	char items[SAMPLE_ITEMS_MAX];
	size_t used;
	struct sample s = full_sample(items, &used);
	struct wire w;
	ssize_t n = record_encode(&sample_desc, &s, w.bytes, sizeof w.bytes);

	assert_true(n > 0);
	w.n = (size_t)n;
	assert_int_equal(record_size(&sample_desc, &s), w.n);
	return w;
}

static int decode_wire(const struct wire *w, struct sample *out)
{
	return record_decode(&sample_desc, rk_slice(w->bytes, w->n), out);
}

static void test_every_kind_of_field_survives_the_round_trip(void **state)
{
	struct wire w = encode_full();
	struct sample s;
	struct rk_slice item;

	(void)state;
	assert_int_equal(decode_wire(&w, &s), 0);
	assert_true(s.id == 0x1122334455667788);
	assert_int_equal(s.flag, 0xfe);
	assert_int_equal(s.port, 8443);
	assert_int_equal(s.count, 0xdeadbeef);
	assert_int_equal(s.when_ms, -2);
	assert_true(rk_slice_is(s.name, "billing"));
	assert_memory_equal(s.hash, "\1\2\3\4", 4);
	assert_int_equal(record_list_count(s.items), 3);
	assert_true(record_list_next(&s.items, &item));
	assert_true(rk_slice_is(item, "GET"));
	assert_true(record_list_next(&s.items, &item));
	assert_int_equal(item.n, 0);
	assert_true(record_list_next(&s.items, &item));
	assert_true(rk_slice_is(item, "/v1/x"));
	assert_false(record_list_next(&s.items, &item));
}

static void test_the_bytes_are_little_endian_in_table_order(void **state)
{
	struct wire w = encode_full();

	(void)state;
	assert_memory_equal(w.bytes, "\xfe\xfb\x20\xef\xbe\xad\xde\x88\x77", 9);
}

static void test_an_input_cut_anywhere_is_refused_and_leaves_zeros(void **state)
{
	struct wire w = encode_full();
	struct sample s, zero;

	(void)state;
	memset(&zero, 0, sizeof zero);
	for (size_t n = 0; n < w.n; n++) {
		memset(&s, 0xaa, sizeof s);
		assert_int_equal(record_decode(&sample_desc, rk_slice(w.bytes, n), &s),
		                 RK_E_PROTOCOL);
		assert_memory_equal(&s, &zero, sizeof s);
	}
}

static void test_a_byte_too_many_is_refused(void **state)
{
	struct wire w = encode_full();
	struct sample s;

	(void)state;
	w.bytes[w.n++] = 0;
	assert_int_equal(decode_wire(&w, &s), RK_E_PROTOCOL);
	assert_int_equal(record_decode_stored(&sample_desc, rk_slice(w.bytes, w.n), &s),
	                 RK_E_PROTOCOL);
}

static void test_a_length_over_the_fields_maximum_is_refused_both_ways(void **state)
{
	static const char long_name[SAMPLE_NAME_MAX + 1] = "";
	struct sample s = {.name = rk_slice(long_name, SAMPLE_NAME_MAX)};
	unsigned char out[256];
	ssize_t n = record_encode(&sample_desc, &s, out, sizeof out);

	(void)state;
	assert_true(n > 0);
	s.name.n++;
	assert_int_equal(record_encode(&sample_desc, &s, out, sizeof out), RK_E_TOOBIG);
	/* the length's low byte lies behind the scalars; the data for it would be there */
	out[23] = SAMPLE_NAME_MAX + 1;
	assert_int_equal(record_decode(&sample_desc, rk_slice(out, (size_t)n), &s),
	                 RK_E_PROTOCOL);
}

static void test_a_record_is_not_written_beyond_the_room(void **state)
{
	char items[SAMPLE_ITEMS_MAX];
	size_t used;
	struct sample s = full_sample(items, &used);
	unsigned char out[SAMPLE_WIRE_MAX + 1];
	size_t need = record_size(&sample_desc, &s);

	(void)state;
	for (size_t cap = 0; cap < need; cap++) {
		out[cap] = 0x5a;
		assert_int_equal(record_encode(&sample_desc, &s, out, cap), RK_E_TOOBIG);
		assert_int_equal(out[cap], 0x5a);
	}
	assert_int_equal(record_encode(&sample_desc, &s, out, need), need);
}

static void test_a_malformed_list_is_refused_both_ways(void **state)
{
	struct wire w = encode_full();
	struct sample s = {.items = rk_slice("\5\0\0\0abcd", 8)};
	unsigned char out[SAMPLE_WIRE_MAX];

	(void)state;
	assert_int_equal(record_encode(&sample_desc, &s, out, sizeof out), RK_E_INVALID);
	w.bytes[w.n - 9]++; /* the length of "/v1/x", now beyond the list's end */
	assert_int_equal(decode_wire(&w, &s), RK_E_PROTOCOL);
}

static void test_stored_records_may_end_after_a_whole_field(void **state)
{
	struct wire w = encode_full();
	struct sample s;

	(void)state;
	assert_int_equal(record_decode_stored(&sample_desc, rk_slice(w.bytes, 7), &s), 0);
	assert_int_equal(s.count, 0xdeadbeef);
	assert_true(s.id == 0 && s.name.n == 0 && s.items.n == 0);
	assert_int_equal(record_decode_stored(&sample_desc, rk_slice(w.bytes, 6), &s),
	                 RK_E_PROTOCOL);
	assert_int_equal(s.port, 0);
}

static void test_a_list_takes_elements_up_to_its_room(void **state)
{
	char list[10];
	size_t used = 0;

	(void)state;
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("ab")), 0);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("c")), RK_E_TOOBIG);
	assert_int_equal(used, 6);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("")), 0);
	assert_int_equal(used, 10);
	assert_int_equal(record_list_count(rk_slice(list, used)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind_of_field_survives_the_round_trip),
	    cmocka_unit_test(test_the_bytes_are_little_endian_in_table_order),
	    cmocka_unit_test(test_an_input_cut_anywhere_is_refused_and_leaves_zeros),
	    cmocka_unit_test(test_a_byte_too_many_is_refused),
	    cmocka_unit_test(test_a_length_over_the_fields_maximum_is_refused_both_ways),
	    cmocka_unit_test(test_a_record_is_not_written_beyond_the_room),
	    cmocka_unit_test(test_a_malformed_list_is_refused_both_ways),
	    cmocka_unit_test(test_stored_records_may_end_after_a_whole_field),
	    cmocka_unit_test(test_a_list_takes_elements_up_to_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
