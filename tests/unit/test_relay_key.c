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

/* a key in its three parts, and what becomes of the last two */
#define ID     "AbCdEfGhIjK9"
#define SECRET "0123456789abcdefghijABCDEFGH"
#define CRC    "zZ09aA"
#define STARS  "**********************************"

static void assert_redacted(const char *from, const char *to)
{
	char text[512];
	size_t n = strlen(from);

	assert_true(n < sizeof text && strlen(to) == n);
	memcpy(text, from, n + 1);
	relay_key_redact(text, n);
	assert_string_equal(text, to);
}

static void assert_kept(const char *text)
{
	assert_redacted(text, text);
}

static void test_a_key_in_a_text_keeps_its_id_only(void **state)
{
	(void)state;
	assert_redacted("rk_app_" ID SECRET CRC, "rk_app_" ID STARS);
	assert_redacted("/v1/rk_agent_" ID SECRET CRC "/x", "/v1/rk_agent_" ID STARS "/x");
	assert_redacted("k=rk_person_" ID SECRET CRC "&", "k=rk_person_" ID STARS "&");
	assert_redacted("(rk_vendor_" ID SECRET CRC ")", "(rk_vendor_" ID STARS ")");
	assert_redacted("xrk_app_" ID SECRET CRC, "xrk_app_" ID STARS);
}

static void test_a_management_key_in_a_text_keeps_its_role_and_id_only(void **state)
{
	(void)state;
	assert_redacted("rk_mgmt_admin_" ID SECRET CRC, "rk_mgmt_admin_" ID STARS);
	assert_redacted("rk_mgmt_abcdefghijklmnop_" ID SECRET CRC,
	                "rk_mgmt_abcdefghijklmnop_" ID STARS);
	assert_kept("rk_mgmt_abcdefghijklmnopq_" ID SECRET CRC);
	assert_kept("rk_mgmt__" ID SECRET CRC);
	assert_kept("rk_mgmt_" ID SECRET CRC);
}

static void test_a_key_whose_underscores_are_percent_encoded_goes_too(void **state)
{
	(void)state;
	assert_redacted("rk%5Fapp%5F" ID SECRET CRC, "rk%5Fapp%5F" ID STARS);
	assert_redacted("rk%5fapp_" ID SECRET CRC, "rk%5fapp_" ID STARS);
	assert_redacted("rk%5Fmgmt%5Fadmin%5f" ID SECRET CRC, "rk%5Fmgmt%5Fadmin%5f" ID STARS);
	assert_redacted("rk_app_" ID SECRET CRC "rk%5Fapp%5F" ID SECRET CRC,
	                "rk_app_" ID STARS "rk%5Fapp%5F" ID STARS);
	assert_kept("rk%5Eapp%5F" ID SECRET CRC);
	assert_kept("rk%5");
}

static void test_a_tail_with_the_prefix_in_it_hides_nothing_of_the_next_key(void **state)
{
	(void)state;
	assert_redacted("rk_app_" ID "01234rk789abcdrkhijABCDEFGHi" CRC "rk_app_" ID SECRET CRC,
	                "rk_app_" ID STARS "rk_app_" ID STARS);
}

static void test_a_role_that_reaches_into_the_next_key_does_not_save_the_one_after(void **state)
{
	(void)state;
	assert_redacted(
	    "rk_mgmt_xrk_mgmt4567890123456789012345678901234567890rk_app_" ID SECRET CRC,
	    "rk_mgmt_xrk_mgmt45678901*****************************rk_app_" ID STARS);
	assert_kept("rk_mgmtadmin_" ID SECRET CRC);
}

static void test_a_damaged_key_goes_as_a_whole_one_does(void **state)
{
	(void)state;
	/* cut off, with a character too many, with a wrong checksum */
	assert_redacted("rk_app_" ID "0123456789abcdefghij",
	                "rk_app_" ID "********************");
	assert_redacted("rk_app_" ID SECRET CRC "more", "rk_app_" ID STARS "****");
	assert_redacted("rk_app_" ID SECRET "000000", "rk_app_" ID STARS);
}

static void test_every_key_of_a_text_goes_even_without_a_space_between_them(void **state)
{
	(void)state;
	assert_redacted("rk_app_" ID SECRET CRC " rk_app_" ID SECRET CRC,
	                "rk_app_" ID STARS " rk_app_" ID STARS);
	assert_redacted("rk_app_" ID SECRET CRC "rk_vendor_" ID SECRET CRC,
	                "rk_app_" ID STARS "rk_vendor_" ID STARS);
	assert_redacted("rk_rk_app_rk_app_" ID SECRET CRC, "rk_rk_app_rk_app_" ID STARS);
}

static void test_what_is_no_key_stays_as_it_is(void **state)
{
	(void)state;
	assert_kept("");
	assert_kept("rk_");
	assert_kept("rk_app");
	assert_kept("rk_app_");
	assert_kept("rk_app_" ID);
	assert_kept("rk_app_" ID "0123456789abcdefghi"); /* one short of what counts */
	assert_kept("rk_app_" ID "-" SECRET CRC);
	assert_kept("rk_app." ID SECRET CRC);
	assert_kept("rk_apps_" ID SECRET CRC);
	assert_kept("RK_APP_" ID SECRET CRC);
	assert_kept("key_" ID);
	assert_kept("rk_app...91k");
}

static void test_nothing_behind_the_given_bytes_is_touched(void **state)
{
	char text[] = "rk_app_" ID SECRET CRC;
	const size_t short_of = sizeof "rk_app_" ID - 1 + 19;

	(void)state;
	relay_key_redact(text, short_of);
	assert_string_equal(text, "rk_app_" ID SECRET CRC);
	relay_key_redact(text, short_of + 1);
	assert_string_equal(text, "rk_app_" ID "********************"
	                          "ABCDEFGH" CRC);
	relay_key_redact(NULL, 0);
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
	    cmocka_unit_test(test_a_key_in_a_text_keeps_its_id_only),
	    cmocka_unit_test(test_a_management_key_in_a_text_keeps_its_role_and_id_only),
	    cmocka_unit_test(test_a_key_whose_underscores_are_percent_encoded_goes_too),
	    cmocka_unit_test(test_a_tail_with_the_prefix_in_it_hides_nothing_of_the_next_key),
	    cmocka_unit_test(
	        test_a_role_that_reaches_into_the_next_key_does_not_save_the_one_after),
	    cmocka_unit_test(test_a_damaged_key_goes_as_a_whole_one_does),
	    cmocka_unit_test(test_every_key_of_a_text_goes_even_without_a_space_between_them),
	    cmocka_unit_test(test_what_is_no_key_stays_as_it_is),
	    cmocka_unit_test(test_nothing_behind_the_given_bytes_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
