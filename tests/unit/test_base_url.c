#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/base_url.h"

static void assert_url(const char *text, const char *host, unsigned port, const char *path)
{
	struct base_url url;
	struct rk_fault fault = {""};

	if (base_url_parse(rk_str(text), &url, &fault))
		fail_msg("%s: %s", text, fault.text);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, path);
}

static void assert_refused(const char *text)
{
	struct base_url url;
	struct rk_fault fault = {""};

	memset(&url, 0x5a, sizeof url);
	if (base_url_parse(rk_str(text), &url, &fault) == 0)
		fail_msg("%s was accepted", text);
	assert_true(fault.text[0] != '\0');
	assert_int_equal(url.host[0], 0x5a);
}

static void test_host_port_and_path_are_taken_apart(void **state)
{
	(void)state;
	assert_url("https://api.openai.com/v1", "api.openai.com", 443, "/v1");
	assert_url("https://api.stripe.com", "api.stripe.com", 443, "");
	assert_url("https://grafana.example.com:3000/api/v2", "grafana.example.com", 3000,
	           "/api/v2");
	assert_url("https://my_host.internal", "my_host.internal", 443, "");
	assert_url("https://gateway", "gateway", 443, "");
}

static void test_host_and_scheme_are_read_without_regard_to_case(void **state)
{
	(void)state;
	assert_url("HTTPS://API.Example.COM/V1", "api.example.com", 443, "/V1");
}

static void test_one_slash_at_the_end_is_dropped(void **state)
{
	(void)state;
	assert_url("https://example.com/", "example.com", 443, "");
	assert_url("https://example.com/v1/", "example.com", 443, "/v1");
	assert_refused("https://example.com/v1//");
	assert_refused("https://example.com//");
}

static void test_addresses_are_literals_in_one_form(void **state)
{
	struct base_url url;

	(void)state;
	assert_url("https://10.0.0.1:8443/x", "10.0.0.1", 8443, "/x");
	assert_url("https://[2001:DB8:0::1]/x", "2001:db8::1", 443, "/x");
	assert_url("https://[2001:db8::1]:8443", "2001:db8::1", 8443, "");
	assert_url("https://[::ffff:10.0.0.1]", "10.0.0.1", 443, "");
	assert_int_equal(base_url_parse(rk_str("https://10.0.0.1"), &url, NULL), 0);
	assert_true(url.ip_literal);
	assert_int_equal(base_url_parse(rk_str("https://10.example.com"), &url, NULL), 0);
	assert_false(url.ip_literal);
}

static void test_an_address_that_only_some_resolvers_read_is_refused(void **state)
{
	(void)state;
	assert_refused("https://127.1");
	assert_refused("https://2130706433");
	assert_refused("https://0x7f000001");
	assert_refused("https://127.0.0.0x1");
	assert_refused("https://010.0.0.1");
	assert_refused("https://1.2.3.4.5");
	assert_refused("https://[fe80::1%25eth0]");
	assert_refused("https://[10.0.0.1]");
	assert_refused("https://2001:db8::1/v1");
	assert_url("https://127.1.example.com", "127.1.example.com", 443, "");
	assert_url("https://0x7f.example.com", "0x7f.example.com", 443, "");
}

static void test_only_https_is_accepted(void **state)
{
	struct base_url url;
	struct rk_fault fault;

	(void)state;
	assert_refused("http://example.com");
	assert_refused("ftp://example.com");
	assert_refused("example.com");
	assert_refused("https:/example.com");
	assert_refused("https:example.com");
	assert_refused("");
	assert_int_not_equal(base_url_parse(rk_str("http://example.com"), &url, &fault), 0);
	assert_non_null(strstr(fault.text, "https://"));
}

static void test_user_query_and_fragment_are_refused_and_not_repeated(void **state)
{
	struct base_url url;
	struct rk_fault fault;

	(void)state;
	assert_refused("https://example.com?x=1");
	assert_refused("https://example.com/v1#top");
	assert_refused("https://user@example.com");
	assert_int_not_equal(
	    base_url_parse(rk_str("https://user:hunter2@example.com"), &url, &fault), 0);
	assert_null(strstr(fault.text, "hunter2"));
	assert_url("https://example.com/@user:name", "example.com", 443, "/@user:name");
}

static void test_a_path_that_can_be_read_in_two_ways_is_refused(void **state)
{
	(void)state;
	assert_refused("https://example.com/a/../b");
	assert_refused("https://example.com/a%2fb");
	assert_refused("https://example.com/a%2e");
	assert_refused("https://example.com/a\\b");
	assert_refused("https://example.com/a b");
	assert_url("https://example.com/a%20b", "example.com", 443, "/a%20b");
}

static void test_ports_are_numbers_in_range(void **state)
{
	(void)state;
	assert_refused("https://example.com:0");
	assert_refused("https://example.com:65536");
	assert_refused("https://example.com:");
	assert_refused("https://example.com:+1");
	assert_refused("https://example.com:4x3");
	assert_refused("https://[::1]8443");
	assert_refused("https://[::1");
	assert_url("https://example.com:65535", "example.com", 65535, "");
}

static void test_labels_follow_the_rules_of_host_names(void **state)
{
	(void)state;
	assert_refused("https://");
	assert_refused("https:///v1");
	assert_refused("https://-a.example.com");
	assert_refused("https://a-.example.com");
	assert_refused("https://a..example.com");
	assert_refused("https://example.com.");
	assert_refused("https://ex*mple.com");
	assert_refused("https://ex\xc3\xa4mple.com");
	assert_refused("https://"
	               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com");
	assert_url("https://"
	           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com",
	           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com", 443,
	           "");
}

static void test_the_longest_text_fits_and_one_more_byte_does_not(void **state)
{
	char text[BASE_URL_MAX + 2];
	struct base_url url;

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text, "https://x.com/", 14);
	assert_int_equal(base_url_parse(rk_slice(text, BASE_URL_MAX), &url, NULL), 0);
	assert_int_equal(strlen(url.path), BASE_URL_MAX - 13);
	assert_int_equal(base_url_parse(rk_slice(text, BASE_URL_MAX + 1), &url, NULL),
	                 RK_E_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_host_port_and_path_are_taken_apart),
	    cmocka_unit_test(test_host_and_scheme_are_read_without_regard_to_case),
	    cmocka_unit_test(test_one_slash_at_the_end_is_dropped),
	    cmocka_unit_test(test_addresses_are_literals_in_one_form),
	    cmocka_unit_test(test_an_address_that_only_some_resolvers_read_is_refused),
	    cmocka_unit_test(test_only_https_is_accepted),
	    cmocka_unit_test(test_user_query_and_fragment_are_refused_and_not_repeated),
	    cmocka_unit_test(test_a_path_that_can_be_read_in_two_ways_is_refused),
	    cmocka_unit_test(test_ports_are_numbers_in_range),
	    cmocka_unit_test(test_labels_follow_the_rules_of_host_names),
	    cmocka_unit_test(test_the_longest_text_fits_and_one_more_byte_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
