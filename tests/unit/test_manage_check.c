/*
 * What management accepts, piece by piece; the commands themselves are in test_manage_conn.c
 * and test_manage_key.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "keeper/manage_check.h"
#include "tests/lib/policy_sample.h"

/* A self-signed certificate of a key that nobody has. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjDCCATOgAwIBAgIUKQdEEaJhlQNiA0Bm+2X8BEEWg4wwCgYIKoZIzj0EAwIw\n"
    "GzEZMBcGA1UEAwwQcmVsYXlrZXkgdGVzdCBDQTAgFw0yNjExMjIyMzQ2NTFaGA8y\n"
    "MTI2MTAyOTIzNDY1MVowGzEZMBcGA1UEAwwQcmVsYXlrZXkgdGVzdCBDQTBZMBMG\n"
    "ByqGSM49AgEGCCqGSM49AwEHA0IABNMekYo12Yq8YI/Ppnpz9cailXwFG7nCmjMj\n"
    "Xx5BPiL3ooGlTm9iEjQwPdFZGU5hZFdGYsqjYgwSslPO5PLW5bCjUzBRMB0GA1Ud\n"
    "DgQWBBQxoiTlhu9NqXqgq/oafYrymuHHyTAfBgNVHSMEGDAWgBQxoiTlhu9NqXqg\n"
    "q/oafYrymuHHyTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIF6r\n"
    "LZREyMo/CdWZ+lTBflKRpaMYFc87BaUPNLQVJG8aAiAVdAx9Utnfxd0KPFeNI+S8\n"
    "hmPMGmtaT2kBoAnFSQ/Dtw==\n"
    "-----END CERTIFICATE-----\n";

static struct rk_fault fault;

static int ca(const char *text)
{
	int err = check_ca_pem(rk_str(text), &fault);

	assert_true(err == 0 || fault.text[0]);
	return err;
}

static void test_one_certificate_or_several_or_none_will_do(void **state)
{
	char twice[2 * sizeof certificate + 64];

	(void)state;
	assert_int_equal(ca(""), 0);
	assert_int_equal(ca(certificate), 0);
	snprintf(twice, sizeof twice, "# the first\n%s\n# the second\n%s", certificate,
	         certificate);
	assert_int_equal(ca(twice), 0);
}

static void test_a_damaged_second_certificate_is_found(void **state)
{
	char twice[2 * sizeof certificate];

	(void)state;
	snprintf(twice, sizeof twice, "%s%s", certificate, certificate);
	memset(twice + sizeof certificate + 60, 'A', 80);
	assert_int_equal(ca(twice), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "certificate 2"));
	snprintf(twice, sizeof twice, "%s%.*s", certificate, (int)sizeof certificate / 2,
	         certificate);
	assert_int_equal(ca(twice), RK_E_INVALID);
}

static void test_a_private_key_beside_the_certificate_is_refused(void **state)
{
	char both[sizeof certificate + 128];

	(void)state;
	snprintf(both, sizeof both,
	         "%s-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n",
	         certificate);
	assert_int_equal(ca(both), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "private key"));
}

static void test_text_without_a_certificate_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ca("\n"), RK_E_INVALID);
	assert_int_equal(ca("MIIB"), RK_E_INVALID);
	assert_int_equal(ca("-----BEGIN CERTIFICATE REQUEST-----\nAA==\n"
	                    "-----END CERTIFICATE REQUEST-----\n"),
	                 RK_E_INVALID);
}

static void test_a_name_is_one_path_segment_that_no_shell_or_url_changes(void **state)
{
	static const char *const good[] = {"a", "0", "A-b_c.d", "openai-prod.eu"};
	static const char *const bad[] = {"",    ".",    "-",   "_a",  "a/b",
	                                  "a b", "a%2f", "a\n", "a:b", "a*"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(check_name("it", rk_str(good[i]), &fault), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(check_name("it", rk_str(bad[i]), &fault), RK_E_INVALID);
	assert_int_equal(check_name("it", rk_slice("a\0b", 3), &fault), RK_E_INVALID);
}

static void test_prefixes_come_out_in_their_one_form(void **state)
{
	struct sample_list in;
	char out[MSG_MAX_LIST];
	size_t used = 0;
	struct rk_slice list, item;

	(void)state;
	assert_int_equal(
	    check_cidrs(sample_words(&in, "2001:DB8:0::/32 10.0.0.1"), out, &used, &fault), 0);
	list = rk_slice(out, used);
	assert_true(record_list_next(&list, &item));
	assert_true(rk_slice_is(item, "2001:db8::/32"));
	assert_true(record_list_next(&list, &item));
	assert_true(rk_slice_starts(item, rk_str("10.0.0.1")));
	assert_false(record_list_next(&list, &item));
}

static void test_the_sixty_fifth_prefix_is_refused(void **state)
{
	char in[MSG_MAX_LIST], out[MSG_MAX_LIST];
	size_t used = 0, written = 0;

	(void)state;
	for (int i = 0; i < CHECK_MAX_CIDRS; i++)
		assert_int_equal(record_list_add(in, sizeof in, &used, rk_str("10.0.0.0/8")),
		                 0);
	assert_int_equal(check_cidrs(rk_slice(in, used), out, &written, &fault), 0);
	assert_int_equal(record_list_add(in, sizeof in, &used, rk_str("10.0.0.0/8")), 0);
	written = 0;
	assert_int_equal(check_cidrs(rk_slice(in, used), out, &written, &fault), RK_E_TOOBIG);
}

static void test_a_limit_is_a_number_that_can_be_shown(void **state)
{
	struct rate_limits l = {
	    .per_minute = RATE_MAX, .per_day = RATE_MAX, .max_concurrent = 1};

	(void)state;
	assert_int_equal(check_limits(&l, &fault), 0);
	l.per_day = RATE_MAX + 1u;
	assert_int_equal(check_limits(&l, &fault), RK_E_INVALID);
	l.per_day = 0;
	assert_int_equal(check_limits(&l, &fault), 0);
	l.max_concurrent = UINT32_MAX;
	assert_int_equal(check_limits(&l, &fault), RK_E_INVALID);
}

static void test_expiry_is_counted_from_now_and_never_overflows(void **state)
{
	const int64_t now = INT64_C(1700000000000);
	int64_t at = 7;

	(void)state;
	assert_int_equal(check_expiry(now, 1000, 0, &at, &fault), 0);
	assert_int_equal(at, now + 1000);
	assert_int_equal(check_expiry(now, 0, now + 1, &at, &fault), 0);
	assert_int_equal(at, now + 1);
	assert_int_equal(check_expiry(now, 0, 0, &at, &fault), 0);
	assert_int_equal(at, 0);
	at = 7;
	assert_int_equal(check_expiry(now, 0, now, &at, &fault), RK_E_INVALID);
	assert_int_equal(check_expiry(now, INT64_MAX, 0, &at, &fault), RK_E_INVALID);
	assert_int_equal(check_expiry(now, 0, INT64_MAX, &at, &fault), RK_E_INVALID);
	assert_int_equal(check_expiry(now, -1, 0, &at, &fault), RK_E_INVALID);
	assert_int_equal(check_expiry(now, 0, -1, &at, &fault), RK_E_INVALID);
	assert_int_equal(check_expiry(now, 1, now + 1, &at, &fault), RK_E_INVALID);
	assert_int_equal(at, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_certificate_or_several_or_none_will_do),
	    cmocka_unit_test(test_a_damaged_second_certificate_is_found),
	    cmocka_unit_test(test_a_private_key_beside_the_certificate_is_refused),
	    cmocka_unit_test(test_text_without_a_certificate_is_refused),
	    cmocka_unit_test(test_a_name_is_one_path_segment_that_no_shell_or_url_changes),
	    cmocka_unit_test(test_prefixes_come_out_in_their_one_form),
	    cmocka_unit_test(test_the_sixty_fifth_prefix_is_refused),
	    cmocka_unit_test(test_a_limit_is_a_number_that_can_be_shown),
	    cmocka_unit_test(test_expiry_is_counted_from_now_and_never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
