#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/forwarded.h"

static struct rk_cidrs trusted;

static void assert_client(const char *peer, const char *fields, const char *want)
{
	static struct h1_head head;
	char text[2048], ip_text[RK_IP_TEXT];
	struct rk_ip ip;
	int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);

	assert_int_equal(h1_parse_request(rk_slice(text, (size_t)n), H1_MAX_HEAD, &head), n);
	assert_int_equal(rk_ip_parse(rk_str(peer), &ip), 0);
	ip = forwarded_client(&head, &ip, &trusted);
	rk_ip_format(&ip, ip_text);
	assert_string_equal(ip_text, want);
}

static void test_a_peer_that_is_not_trusted_speaks_for_itself_only(void **state)
{
	(void)state;
	assert_client("192.0.2.1", "X-Forwarded-For: 198.51.100.7\r\n", "192.0.2.1");
	assert_client("192.0.2.1", "X-Forwarded-For: 10.0.0.1\r\n", "192.0.2.1");
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7");
}

static void test_the_right_most_address_that_is_not_trusted_counts(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n",
	              "198.51.100.7");
	assert_client("10.0.0.1", "X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2\r\n",
	              "198.51.100.7");
	assert_client("10.0.0.1",
	              "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7\r\n",
	              "198.51.100.7");
	assert_client("10.0.0.1",
	              "x-forwarded-for: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.3\r\n",
	              "203.0.113.9");
	assert_client("2001:db8:1::1", "X-Forwarded-For: 2001:db8:2::7,10.0.0.4\r\n",
	              "2001:db8:2::7");
}

static void test_without_the_field_it_is_the_proxy(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For:\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X_Forwarded_For: 198.51.100.7\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "Forwarded: for=198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n",
	              "10.0.0.1");
}

static void test_all_trusted_gives_the_farthest(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3");
}

static void test_what_is_no_address_ends_the_list(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7, unknown\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7, unknown, 10.0.0.2\r\n",
	              "10.0.0.2");
	assert_client("10.0.0.1", "X-Forwarded-For: unknown, 198.51.100.7\r\n", "198.51.100.7");
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 1.2.3\r\n",
	              "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: 010.1.1.1\r\n", "10.0.0.1");
}

static void test_elements_may_have_ports_and_blanks(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7:4711\r\n", "198.51.100.7");
	assert_client("10.0.0.1", "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7");
	assert_client("10.0.0.1", "X-Forwarded-For: [2001:db8::7]\r\n", "2001:db8::7");
	assert_client("10.0.0.1", "X-Forwarded-For: a,\t198.51.100.7 , ,\r\n", "198.51.100.7");
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7:99999\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: 198.51.100.7:\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: [2001:db8::7\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: [198.51.100.7]\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: [2001:db8::7]x\r\n", "10.0.0.1");
	assert_client("10.0.0.1", "X-Forwarded-For: []\r\n", "10.0.0.1");
}

static int setup(void **state)
{
	(void)state;
	trusted.count = 2;
	return rk_cidr_parse(rk_str("10.0.0.0/24"), &trusted.at[0]) ||
	       rk_cidr_parse(rk_str("2001:db8:1::/64"), &trusted.at[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_peer_that_is_not_trusted_speaks_for_itself_only),
	    cmocka_unit_test(test_the_right_most_address_that_is_not_trusted_counts),
	    cmocka_unit_test(test_without_the_field_it_is_the_proxy),
	    cmocka_unit_test(test_all_trusted_gives_the_farthest),
	    cmocka_unit_test(test_what_is_no_address_ends_the_list),
	    cmocka_unit_test(test_elements_may_have_ports_and_blanks),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
