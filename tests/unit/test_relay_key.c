#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>

#include "base/base62.h"
#include "policy/relay_key.h"

struct text {
	char s[RELAY_KEY_MAX + 1];
	size_t n;
};

static struct text generate(enum holder_kind kind, struct relay_key *key)
{
	struct text t = {.n = 0};

	t.n = relay_key_generate(kind, t.s, key);
	assert_in_range(t.n, 1, RELAY_KEY_MAX);
	return t;
}

static int parse(const struct text *t, struct relay_key *out)
{
	return relay_key_parse(rk_slice(t->s, t->n), out);
}

static void test_a_new_key_of_each_kind_parses_to_its_kind_and_id(void **state)
{
	(void)state;
	for (unsigned k = 0; k < HOLDER_KINDS; k++) {
		struct relay_key made, read;
		struct text t = generate((enum holder_kind)k, &made);

		assert_int_equal(parse(&t, &read), 0);
		assert_int_equal(read.kind, k);
		assert_memory_equal(read.id, made.id, RELAY_KEY_ID);
	}
}

static void test_a_new_key_matches_the_published_expression(void **state)
{
	regex_t re;

	(void)state;
	assert_int_equal(regcomp(&re, "\\brk_(app|agent|person|vendor)_[0-9A-Za-z]{46}\\b",
	                         REG_EXTENDED | REG_NOSUB),
	                 0);
	for (unsigned k = 0; k < HOLDER_KINDS; k++) {
		struct relay_key key;
		struct text t = generate((enum holder_kind)k, &key);

		assert_int_equal(regexec(&re, t.s, 0, NULL, 0), 0);
	}
	regfree(&re);
}

static void test_a_known_key_stays_valid_in_later_versions(void **state)
{
	static const char known[] = "rk_agent_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd0mQn1i";
	struct relay_key key;

	(void)state;
	assert_int_equal(relay_key_parse(rk_str(known), &key), 0);
	assert_int_equal(key.kind, HOLDER_AGENT);
	assert_memory_equal(key.id, "0123456789AB", RELAY_KEY_ID);
}

static void test_no_character_of_a_key_may_differ(void **state)
{
	struct relay_key made, read;
	struct text t = generate(HOLDER_VENDOR, &made);

	(void)state;
	for (size_t i = 0; i < t.n; i++) {
		char was = t.s[i];

		t.s[i] = was == 'x' ? 'y' : 'x';
		assert_int_equal(parse(&t, &read), RK_E_INVALID);
		t.s[i] = (char)(was ^ 0x20);
		assert_int_equal(parse(&t, &read), RK_E_INVALID);
		t.s[i] = was;
	}
	assert_int_equal(parse(&t, &read), 0);
}

static void test_a_key_of_another_length_is_refused(void **state)
{
	struct relay_key made, read;
	struct text t = generate(HOLDER_APP, &made);

	(void)state;
	for (size_t n = 0; n < t.n; n++)
		assert_int_equal(relay_key_parse(rk_slice(t.s, n), &read), RK_E_INVALID);
	assert_int_equal(relay_key_parse(rk_slice(t.s, t.n + 1), &read), RK_E_INVALID);
	assert_int_equal(relay_key_parse(rk_slice(t.s + 1, t.n - 1), &read), RK_E_INVALID);
}

static void test_other_prefixes_are_refused_even_with_a_right_checksum(void **state)
{
	static const char *const prefixes[] = {"rk_mgmt_", "rk_apps_", "rk_App_", "RK_app_",
	                                       "sk_app_",  "rk__",     "rk_app.", "rk-app_"};
	static const char tail[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd";

	(void)state;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		struct relay_key key;
		struct text t = {.n = 0};

		t.n = strlen(prefixes[i]);
		memcpy(t.s, prefixes[i], t.n);
		memcpy(t.s + t.n, tail, sizeof tail - 1);
		t.n += sizeof tail - 1;
		rk_base62_u64(rk_crc32(rk_slice(t.s, t.n)), t.s + t.n, RELAY_KEY_CRC);
		t.n += RELAY_KEY_CRC;
		assert_int_equal(parse(&t, &key), RK_E_INVALID);
	}
}

static void test_two_keys_share_neither_id_nor_secret(void **state)
{
	struct relay_key a, b;
	struct text x = generate(HOLDER_APP, &a), y = generate(HOLDER_APP, &b);

	(void)state;
	assert_memory_not_equal(a.id, b.id, RELAY_KEY_ID);
	assert_memory_not_equal(x.s + 7 + RELAY_KEY_ID, y.s + 7 + RELAY_KEY_ID,
	                        RELAY_KEY_SECRET);
}

static void test_a_masked_key_shows_its_kind_and_last_three_characters(void **state)
{
	char masked[RELAY_KEY_MASKED], hint[RELAY_KEY_HINT];
	enum holder_kind kind;

	(void)state;
	relay_key_mask(HOLDER_VENDOR, "91k", masked);
	assert_string_equal(masked, "rk_vendor...91k");
	for (unsigned k = 0; k < HOLDER_KINDS; k++) {
		relay_key_mask((enum holder_kind)k, "aZ0", masked);
		assert_int_equal(relay_key_parse_masked(rk_str(masked), &kind, hint), 0);
		assert_int_equal(kind, k);
		assert_memory_equal(hint, "aZ0", RELAY_KEY_HINT);
	}
}

static void test_what_is_not_a_masked_key_is_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "rk_",
	                                  "rk_vendor",
	                                  "rk_vendor...",
	                                  "rk_vendor...9",
	                                  "rk_vendor...91",
	                                  "rk_vendor...91k9",
	                                  "rk_vendor..91k",
	                                  "rk_vendor....91k",
	                                  "rk_vendor...9-k",
	                                  "rk_mgmt...91k",
	                                  "rk_vendor_..91k",
	                                  "rk_vendor...91k "};
	char hint[RELAY_KEY_HINT] = "abc";
	enum holder_kind kind = HOLDER_PERSON;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(relay_key_parse_masked(rk_str(bad[i]), &kind, hint),
		                 RK_E_INVALID);
	assert_int_equal(kind, HOLDER_PERSON);
	assert_memory_equal(hint, "abc", RELAY_KEY_HINT);
}

static void test_kind_names_are_read_back_exactly(void **state)
{
	enum holder_kind kind;

	(void)state;
	for (unsigned k = 0; k < HOLDER_KINDS; k++) {
		const char *name = holder_kind_name((enum holder_kind)k);

		assert_int_equal(holder_kind_parse(rk_str(name), &kind), 0);
		assert_int_equal(kind, k);
	}
	assert_string_equal(holder_kind_name(HOLDER_KINDS), "unknown");
	assert_int_equal(holder_kind_parse(rk_str("unknown"), &kind), RK_E_INVALID);
	assert_int_equal(holder_kind_parse(rk_str("Vendor"), &kind), RK_E_INVALID);
	assert_int_equal(holder_kind_parse(rk_str("vend"), &kind), RK_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_new_key_of_each_kind_parses_to_its_kind_and_id),
	    cmocka_unit_test(test_a_new_key_matches_the_published_expression),
	    cmocka_unit_test(test_a_known_key_stays_valid_in_later_versions),
	    cmocka_unit_test(test_no_character_of_a_key_may_differ),
	    cmocka_unit_test(test_a_key_of_another_length_is_refused),
	    cmocka_unit_test(test_other_prefixes_are_refused_even_with_a_right_checksum),
	    cmocka_unit_test(test_two_keys_share_neither_id_nor_secret),
	    cmocka_unit_test(test_a_masked_key_shows_its_kind_and_last_three_characters),
	    cmocka_unit_test(test_what_is_not_a_masked_key_is_refused),
	    cmocka_unit_test(test_kind_names_are_read_back_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
