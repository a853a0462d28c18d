#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base62.h"
#include "base/secret.h"

static void assert_sha256(const char *text, const char *want)
{
	uint8_t sum[32];
	char hex[65];

	rk_sha256(rk_str(text), sum);
	rk_hex(sum, sizeof sum, hex);
	assert_string_equal(hex, want);
}

static void test_random_text_is_base62_and_uses_every_digit(void **state)
{
	enum { N = 62 * 400 };
	static char text[N + 1];
	unsigned count[256] = {0};

	(void)state;
	text[N] = '!';
	rk_base62_random(text, N);
	assert_int_equal(text[N], '!');
	assert_true(rk_base62_is(rk_slice(text, N)));
	for (size_t i = 0; i < N; i++)
		count[(unsigned char)text[i]]++;
	/* 400 each on average; a modulo bias would give the first eight 500 and more */
	for (unsigned c = 0; c < 256; c++)
		assert_true(count[c] == 0 || (count[c] > 280 && count[c] < 530));
	assert_in_range(count['0'] + count['1'] + count['2'] + count['3'], 1360, 1840);
}

static void test_two_random_texts_differ(void **state)
{
	char a[28], b[28];

	(void)state;
	rk_base62_random(a, sizeof a);
	rk_base62_random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void test_numbers_have_a_fixed_number_of_digits(void **state)
{
	char out[12] = "";

	(void)state;
	rk_base62_u64(0, out, 6);
	assert_string_equal(out, "000000");
	rk_base62_u64(61, out, 6);
	assert_string_equal(out, "00000z");
	rk_base62_u64(0xffffffff, out, 6);
	assert_string_equal(out, "4gfFC3");
	rk_base62_u64(UINT64_MAX, out, 11);
	assert_string_equal(out, "LygHa16AHYF");
}

static void test_only_digits_and_ascii_letters_are_base62(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		char text[3] = {'a', (char)c, 'Z'};
		bool want =
		    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		assert_int_equal(rk_base62_is(rk_slice(text, 3)), want);
	}
	assert_false(rk_base62_is(rk_str("")));
}

static void test_digests_match_the_published_vectors(void **state)
{
	(void)state;
	assert_sha256("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_sha256("abc",
	              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(rk_crc32(rk_str("123456789")), 0xcbf43926);
	assert_int_equal(rk_crc32(rk_str("")), 0);
}

static void test_hex_is_lower_case(void **state)
{
	char out[7];

	(void)state;
	rk_hex("\x00\xaf\x9b", 3, out);
	assert_string_equal(out, "00af9b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_text_is_base62_and_uses_every_digit),
	    cmocka_unit_test(test_two_random_texts_differ),
	    cmocka_unit_test(test_numbers_have_a_fixed_number_of_digits),
	    cmocka_unit_test(test_only_digits_and_ascii_letters_are_base62),
	    cmocka_unit_test(test_digests_match_the_published_vectors),
	    cmocka_unit_test(test_hex_is_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
