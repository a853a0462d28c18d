#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/record_pack.h"
#include "tests/lib/sample_record.h"

/* Tags of the sample's fields. */
enum { COUNT = 3, ITEMS = 8 };

static const struct sample full = {
    .flag = 0xfe,
    .port = 8443,
    .count = 0xdeadbeef,
    .id = 0x1122334455667788,
    .when_ms = -2,
    .name = {"billing", 7},
    .hash = {1, 2, 3, 4},
    .items = {"\3\0\0\0GET\0\0\0\0", 11},
};

static const char full_packed[] = "\1\xfe\1"
                                  "\2\xfb\x41"
                                  "\3\xef\xfd\xb6\xf5\x0d"
                                  "\4\x88\xef\x99\xab\xc5\xe8\x8c\x91\x11"
                                  "\5\3"
                                  "\6\7billing"
                                  "\7\1\2\3\4"
                                  "\x08\x0b\3\0\0\0GET\0\0\0";

#define BYTES(literal) rk_slice((literal), sizeof(literal) - 1)

static void assert_same(const struct sample *a, const struct sample *b)
{
	assert_true(a->id == b->id);
	assert_int_equal(a->flag, b->flag);
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->count, b->count);
	assert_true(a->when_ms == b->when_ms);
	assert_true(rk_slice_eq(a->name, b->name));
	assert_memory_equal(a->hash, b->hash, sizeof a->hash);
	assert_true(rk_slice_eq(a->items, b->items));
}

static void assert_packs_to(const struct sample *s, struct rk_slice want)
{
	unsigned char out[SAMPLE_WIRE_MAX];
	struct sample back;
	ssize_t n = record_pack(&sample_desc, s, out, sizeof out);

	assert_int_equal(n, want.n);
	if (want.n)
		assert_memory_equal(out, want.p, want.n);
	assert_int_equal(record_unpack(&sample_desc, want, &back), 0);
	assert_same(&back, s);
}

static void assert_refused(struct rk_slice in, int err)
{
	struct sample s, zero;

	memset(&zero, 0, sizeof zero);
	memset(&s, 0xaa, sizeof s);
	assert_int_equal(record_unpack(&sample_desc, in, &s), err);
	assert_memory_equal(&s, &zero, sizeof s);
}

static void assert_taken(struct rk_slice in)
{
	struct sample s;

	assert_int_equal(record_unpack(&sample_desc, in, &s), 0);
}

static void test_every_kind_of_field_has_its_bytes_and_comes_back(void **state)
{
	(void)state;
	assert_packs_to(&full, rk_slice(full_packed, sizeof full_packed));
}

static void test_a_record_of_zeros_is_no_bytes(void **state)
{
	const struct sample zero = {0};

	(void)state;
	assert_packs_to(&zero, rk_slice(NULL, 0));
}

static void test_a_field_that_is_not_zero_is_alone_in_the_bytes(void **state)
{
	(void)state;
	assert_packs_to(&(struct sample){.port = 443}, BYTES("\2\xbb\3"));
	assert_packs_to(&(struct sample){.name = rk_str("x")}, BYTES("\6\1x"));
	assert_packs_to(&(struct sample){.hash = {0, 0, 0, 9}}, BYTES("\7\0\0\0\x09"));
}

static void test_an_empty_slice_with_an_address_is_left_out(void **state)
{
	const struct sample s = {.name = {"x", 0}, .items = {"x", 0}};
	unsigned char out[8];

	(void)state;
	assert_int_equal(record_pack(&sample_desc, &s, out, sizeof out), 0);
}

static void test_integers_survive_at_the_ends_of_their_ranges(void **state)
{
	(void)state;
	assert_packs_to(&(struct sample){.flag = 1}, BYTES("\1\1"));
	assert_packs_to(&(struct sample){.flag = 127}, BYTES("\1\x7f"));
	assert_packs_to(&(struct sample){.flag = 128}, BYTES("\1\x80\1"));
	assert_packs_to(&(struct sample){.flag = UINT8_MAX}, BYTES("\1\xff\1"));
	assert_packs_to(&(struct sample){.port = UINT16_MAX}, BYTES("\2\xff\xff\3"));
	assert_packs_to(&(struct sample){.count = UINT32_MAX}, BYTES("\3\xff\xff\xff\xff\x0f"));
	assert_packs_to(&(struct sample){.id = UINT64_MAX},
	                BYTES("\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"));
}

static void test_signed_integers_are_short_on_both_sides_of_zero(void **state)
{
	(void)state;
	assert_packs_to(&(struct sample){.when_ms = -1}, BYTES("\5\1"));
	assert_packs_to(&(struct sample){.when_ms = 1}, BYTES("\5\2"));
	assert_packs_to(&(struct sample){.when_ms = -64}, BYTES("\5\x7f"));
	assert_packs_to(&(struct sample){.when_ms = 64}, BYTES("\5\x80\1"));
	assert_packs_to(&(struct sample){.when_ms = INT64_MAX},
	                BYTES("\5\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"));
	assert_packs_to(&(struct sample){.when_ms = INT64_MIN},
	                BYTES("\5\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"));
}

static void test_unpacked_slices_borrow_from_the_input(void **state)
{
	static const char in[] = "\6\2ab";
	struct sample s;

	(void)state;
	assert_int_equal(record_unpack(&sample_desc, rk_slice(in, 4), &s), 0);
	assert_ptr_equal(s.name.p, in + 2);
}

static void test_zeros_and_empty_values_are_refused(void **state)
{
	(void)state;
	assert_refused(BYTES("\1\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\4\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\5\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\6\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\7\0\0\0\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\x08\0"), RK_E_PROTOCOL);
	assert_taken(BYTES("\1\1"));
	assert_taken(BYTES("\6\1\0"));
	assert_taken(BYTES("\x08\4\0\0\0\0"));
}

static void test_tags_that_do_not_rise_are_refused(void **state)
{
	(void)state;
	assert_refused(BYTES("\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\0\1"), RK_E_PROTOCOL);
	assert_refused(BYTES("\2\1\1\1"), RK_E_PROTOCOL);
	assert_refused(BYTES("\2\1\2\1"), RK_E_PROTOCOL);
	assert_taken(BYTES("\1\1\2\1"));
}

static void test_a_varint_with_a_byte_too_many_is_refused(void **state)
{
	(void)state;
	assert_refused(BYTES("\1\x81\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\4\x80\x80\0"), RK_E_PROTOCOL);
	assert_refused(BYTES("\6\x81\0x"), RK_E_PROTOCOL);
	assert_taken(BYTES("\4\x80\x80\1"));
}

static void test_an_integer_over_its_width_is_refused(void **state)
{
	(void)state;
	assert_refused(BYTES("\1\x80\2"), RK_E_PROTOCOL);
	assert_refused(BYTES("\2\x80\x80\4"), RK_E_PROTOCOL);
	assert_refused(BYTES("\3\x80\x80\x80\x80\x10"), RK_E_PROTOCOL);
	assert_refused(BYTES("\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), RK_E_PROTOCOL);
	assert_refused(BYTES("\5\xff\xff\xff\xff\xff\xff\xff\xff\xff\3"), RK_E_PROTOCOL);
	assert_refused(BYTES("\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\1"), RK_E_PROTOCOL);
}

static void test_a_length_over_the_fields_maximum_is_refused_both_ways(void **state)
{
	struct sample s = {.name = rk_str("0123456789abcdef")};
	unsigned char out[SAMPLE_WIRE_MAX];

	(void)state;
	assert_packs_to(&s, BYTES("\6\x10"
	                          "0123456789abcdef"));
	assert_refused(BYTES("\6\x11"
	                     "0123456789abcdefg"),
	               RK_E_PROTOCOL);
	s.name = rk_str("0123456789abcdefg");
	assert_int_equal(record_pack(&sample_desc, &s, out, sizeof out), RK_E_TOOBIG);
}

static void test_a_malformed_list_is_refused_both_ways(void **state)
{
	const struct sample s = {.items = {"\5\0\0\0abcd", 8}};
	unsigned char out[SAMPLE_WIRE_MAX];

	(void)state;
	assert_int_equal(record_pack(&sample_desc, &s, out, sizeof out), RK_E_INVALID);
	assert_refused(BYTES("\x08\x08\5\0\0\0abcd"), RK_E_PROTOCOL);
	assert_taken(BYTES("\x08\x08\4\0\0\0abcd"));
}

static void test_a_tag_behind_the_table_is_of_a_newer_program(void **state)
{
	(void)state;
	assert_refused(BYTES("\x09"), RK_E_UNSUPPORTED);
	assert_refused(BYTES("\1\1\x09\1"), RK_E_UNSUPPORTED);
	assert_refused(BYTES("\1\1\xff\1"), RK_E_UNSUPPORTED);
}

static void test_what_an_older_program_packed_is_read(void **state)
{
	struct record_desc older = sample_desc;
	struct sample s = {.count = 7, .port = 80, .id = 9}, back;
	unsigned char out[SAMPLE_WIRE_MAX];
	ssize_t n;

	(void)state;
	older.field_count = COUNT;
	n = record_pack(&older, &s, out, sizeof out);
	assert_true(n > 0);
	assert_int_equal(record_unpack(&sample_desc, rk_slice(out, (size_t)n), &back), 0);
	s.id = 0;
	assert_same(&back, &s);
}

/* A cut between two fields leaves a record without the later ones; any other is refused. */
static void test_an_input_cut_inside_a_field_is_refused(void **state)
{
	static const size_t whole[] = {0, 3, 6, 12, 22, 24, 33, 38};
	size_t next = 0;

	(void)state;
	for (size_t n = 0; n < sizeof full_packed; n++) {
		if (next < sizeof whole / sizeof whole[0] && n == whole[next]) {
			assert_taken(rk_slice(full_packed, n));
			next++;
		} else {
			assert_refused(rk_slice(full_packed, n), RK_E_PROTOCOL);
		}
	}
	assert_int_equal(next, sizeof whole / sizeof whole[0]);
}

static void test_a_byte_too_many_is_refused(void **state)
{
	char in[sizeof full_packed + 1];

	(void)state;
	memcpy(in, full_packed, sizeof full_packed);
	for (unsigned b = 0; b <= ITEMS; b++) {
		in[sizeof full_packed] = (char)b;
		assert_refused(rk_slice(in, sizeof in), RK_E_PROTOCOL);
	}
}

static void test_a_record_is_not_written_beyond_the_room(void **state)
{
	unsigned char out[sizeof full_packed];

	(void)state;
	for (size_t cap = 0; cap < sizeof out; cap++) {
		out[cap] = 0x5a;
		assert_int_equal(record_pack(&sample_desc, &full, out, cap), RK_E_TOOBIG);
		assert_int_equal(out[cap], 0x5a);
	}
	assert_int_equal(record_pack(&sample_desc, &full, out, sizeof out), sizeof out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind_of_field_has_its_bytes_and_comes_back),
	    cmocka_unit_test(test_a_record_of_zeros_is_no_bytes),
	    cmocka_unit_test(test_a_field_that_is_not_zero_is_alone_in_the_bytes),
	    cmocka_unit_test(test_an_empty_slice_with_an_address_is_left_out),
	    cmocka_unit_test(test_integers_survive_at_the_ends_of_their_ranges),
	    cmocka_unit_test(test_signed_integers_are_short_on_both_sides_of_zero),
	    cmocka_unit_test(test_unpacked_slices_borrow_from_the_input),
	    cmocka_unit_test(test_zeros_and_empty_values_are_refused),
	    cmocka_unit_test(test_tags_that_do_not_rise_are_refused),
	    cmocka_unit_test(test_a_varint_with_a_byte_too_many_is_refused),
	    cmocka_unit_test(test_an_integer_over_its_width_is_refused),
	    cmocka_unit_test(test_a_length_over_the_fields_maximum_is_refused_both_ways),
	    cmocka_unit_test(test_a_malformed_list_is_refused_both_ways),
	    cmocka_unit_test(test_a_tag_behind_the_table_is_of_a_newer_program),
	    cmocka_unit_test(test_what_an_older_program_packed_is_read),
	    cmocka_unit_test(test_an_input_cut_inside_a_field_is_refused),
	    cmocka_unit_test(test_a_byte_too_many_is_refused),
	    cmocka_unit_test(test_a_record_is_not_written_beyond_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
