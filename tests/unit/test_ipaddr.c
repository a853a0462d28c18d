#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/ipaddr.h"

static struct rk_ip ip_of(const char *text)
{
	struct rk_ip ip;

	assert_int_equal(rk_ip_parse(rk_str(text), &ip), 0);
	return ip;
}

static struct rk_cidr cidr_of(const char *text)
{
	struct rk_cidr c;

	assert_int_equal(rk_cidr_parse(rk_str(text), &c), 0);
	return c;
}

static bool within(const char *cidr, const char *addr)
{
	struct rk_cidr c = cidr_of(cidr);
	struct rk_ip ip = ip_of(addr);

	return rk_cidr_contains(&c, &ip);
}

static void test_addresses_are_written_in_their_canonical_form(void **state)
{
	static const char *const pairs[][2] = {
	    {"10.1.2.3", "10.1.2.3"},
	    {"::ffff:10.1.2.3", "10.1.2.3"},
	    {"::FFFF:0a01:0203", "10.1.2.3"},
	    {"2001:0DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	    {"::", "::"},
	    {"0:0:0:0:0:0:0:1", "::1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct rk_ip ip = ip_of(pairs[i][0]);
		char text[RK_IP_TEXT];

		rk_ip_format(&ip, text);
		assert_string_equal(text, pairs[i][1]);
	}
}

static void test_what_another_parser_might_read_as_an_address_is_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "10.1.2",
	                                  "10.1.2.3.4",
	                                  "010.1.2.3",
	                                  "10.1.2.03",
	                                  "0x0a.1.2.3",
	                                  "167838211",
	                                  "10.1.2.256",
	                                  " 10.1.2.3",
	                                  "10.1.2.3 ",
	                                  "10.1.2.3/32",
	                                  "[::1]",
	                                  "fe80::1%eth0",
	                                  "1::2::3",
	                                  ":::",
	                                  "12345::",
	                                  "::g",
	                                  "1:2:3:4:5:6:7:8:9",
	                                  "::ffff:10.1.2",
	                                  "localhost",
	                                  "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	struct rk_ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rk_ip_parse(rk_str(bad[i]), &ip), RK_E_INVALID);
	assert_int_equal(rk_ip_parse(rk_slice("10.1.2.3\0", 9), &ip), RK_E_INVALID);
}

static void test_socket_addresses_survive_the_round_trip(void **state)
{
	static const char *const texts[] = {"10.1.2.3", "2001:db8::1"};
	static const int families[] = {AF_INET, AF_INET6};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rk_ip ip = ip_of(texts[i]), back;
		struct sockaddr_storage ss;
		uint16_t port = 0;

		assert_in_range(rk_ip_to_sockaddr(&ip, 8443, &ss), 1, sizeof ss);
		assert_int_equal(ss.ss_family, families[i]);
		assert_int_equal(rk_ip_from_sockaddr((struct sockaddr *)&ss, &back, &port), 0);
		assert_memory_equal(&ip, &back, sizeof ip);
		assert_int_equal(port, 8443);
	}
}

static void test_a_mapped_socket_address_is_the_ipv4_address(void **state)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
	struct rk_ip ip, want = ip_of("10.0.0.1");

	(void)state;
	memcpy(&sa.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	assert_int_equal(rk_ip_from_sockaddr((struct sockaddr *)&sa, &ip, NULL), 0);
	assert_memory_equal(&ip, &want, sizeof ip);
	assert_true(rk_ip_is_v4(&ip));
	sa.sin6_family = AF_UNIX;
	assert_int_equal(rk_ip_from_sockaddr((struct sockaddr *)&sa, &ip, NULL),
	                 RK_E_UNSUPPORTED);
}

static void test_each_block_has_its_class_and_its_neighbours_have_not(void **state)
{
	static const struct {
		const char *ip;
		enum ip_class class;
	} table[] = {
	    {"126.255.255.255", IP_PUBLIC},
	    {"127.0.0.0", IP_LOOPBACK},
	    {"127.255.255.255", IP_LOOPBACK},
	    {"128.0.0.0", IP_PUBLIC},
	    {"9.255.255.255", IP_PUBLIC},
	    {"10.0.0.0", IP_PRIVATE},
	    {"10.255.255.255", IP_PRIVATE},
	    {"11.0.0.0", IP_PUBLIC},
	    {"172.15.255.255", IP_PUBLIC},
	    {"172.16.0.0", IP_PRIVATE},
	    {"172.31.255.255", IP_PRIVATE},
	    {"172.32.0.0", IP_PUBLIC},
	    {"192.167.255.255", IP_PUBLIC},
	    {"192.168.0.0", IP_PRIVATE},
	    {"192.168.255.255", IP_PRIVATE},
	    {"192.169.0.0", IP_PUBLIC},
	    {"100.63.255.255", IP_PUBLIC},
	    {"100.64.0.0", IP_PRIVATE},
	    {"100.127.255.255", IP_PRIVATE},
	    {"100.128.0.0", IP_PUBLIC},
	    {"100.100.100.199", IP_PRIVATE},
	    {"100.100.100.200", IP_METADATA},
	    {"100.100.100.201", IP_PRIVATE},
	    {"168.63.129.15", IP_PUBLIC},
	    {"168.63.129.16", IP_METADATA},
	    {"168.63.129.17", IP_PUBLIC},
	    {"169.253.255.255", IP_PUBLIC},
	    {"169.254.169.254", IP_LINK_LOCAL},
	    {"169.254.255.255", IP_LINK_LOCAL},
	    {"169.255.0.0", IP_PUBLIC},
	    {"0.0.0.0", IP_SPECIAL},
	    {"0.255.255.255", IP_SPECIAL},
	    {"1.0.0.0", IP_PUBLIC},
	    {"191.255.255.255", IP_PUBLIC},
	    {"192.0.0.192", IP_SPECIAL},
	    {"192.0.1.0", IP_PUBLIC},
	    {"192.0.2.1", IP_SPECIAL},
	    {"192.0.3.0", IP_PUBLIC},
	    {"192.88.99.1", IP_SPECIAL},
	    {"198.17.255.255", IP_PUBLIC},
	    {"198.18.0.0", IP_SPECIAL},
	    {"198.19.255.255", IP_SPECIAL},
	    {"198.20.0.0", IP_PUBLIC},
	    {"198.51.100.7", IP_SPECIAL},
	    {"198.51.101.0", IP_PUBLIC},
	    {"203.0.113.255", IP_SPECIAL},
	    {"203.0.114.0", IP_PUBLIC},
	    {"223.255.255.255", IP_PUBLIC},
	    {"224.0.0.1", IP_SPECIAL},
	    {"240.0.0.1", IP_SPECIAL},
	    {"255.255.255.255", IP_SPECIAL},
	    {"8.8.8.8", IP_PUBLIC},
	    {"::", IP_SPECIAL},
	    {"::1", IP_LOOPBACK},
	    {"::2", IP_SPECIAL},
	    {"fbff::", IP_SPECIAL},
	    {"fc00::", IP_PRIVATE},
	    {"fdff:ffff::1", IP_PRIVATE},
	    {"fe00::", IP_SPECIAL},
	    {"fd00:ec2::253", IP_PRIVATE},
	    {"fd00:ec2::254", IP_METADATA},
	    {"fd20:ce::254", IP_METADATA},
	    {"fe7f::", IP_SPECIAL},
	    {"fe80::1", IP_LINK_LOCAL},
	    {"febf:ffff::1", IP_LINK_LOCAL},
	    {"fec0::1", IP_SPECIAL},
	    {"ff02::1", IP_SPECIAL},
	    {"2001:db7::1", IP_PUBLIC},
	    {"2001:db8::1", IP_SPECIAL},
	    {"2001:db9::1", IP_PUBLIC},
	    {"2001:1ff::1", IP_SPECIAL},
	    {"2001:200::1", IP_PUBLIC},
	    {"3fff::1", IP_SPECIAL},
	    {"4000::1", IP_SPECIAL},
	    {"2606:4700::1111", IP_PUBLIC},
	    {"100::1", IP_SPECIAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct rk_ip ip = ip_of(table[i].ip);

		if (rk_ip_classify(&ip) != table[i].class)
			fail_msg("%s is %s, not %s", table[i].ip,
			         rk_ip_class_name(rk_ip_classify(&ip)),
			         rk_ip_class_name(table[i].class));
	}
}

static void test_an_ipv4_address_inside_an_ipv6_one_is_never_public(void **state)
{
	static const char *const forms[] = {"::10.0.0.1",
	                                    "::8.8.8.8",
	                                    "::ffff:0:8.8.8.8",
	                                    "64:ff9b::8.8.8.8",
	                                    "64:ff9b::169.254.169.254",
	                                    "64:ff9b:1::a00:1",
	                                    "2002:a00:1::1",
	                                    "2002:808:808::1",
	                                    "2001:0:a00:1::1",
	                                    "2001::5ef5:79fb"};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct rk_ip ip = ip_of(forms[i]);

		assert_int_equal(rk_ip_classify(&ip), IP_SPECIAL);
	}
}

static void test_a_mapped_address_has_the_class_of_its_ipv4_address(void **state)
{
	struct rk_ip inner = ip_of("::ffff:169.254.169.254"), outer = ip_of("::ffff:8.8.8.8");

	(void)state;
	assert_int_equal(rk_ip_classify(&inner), IP_LINK_LOCAL);
	assert_int_equal(rk_ip_classify(&outer), IP_PUBLIC);
}

static void test_prefixes_are_read_and_written_back(void **state)
{
	static const char *const pairs[][2] = {
	    {"10.0.0.0/8", "10.0.0.0/8"},
	    {"0.0.0.0/0", "0.0.0.0/0"},
	    {"192.0.2.7", "192.0.2.7/32"},
	    {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
	    {"2001:db8::/32", "2001:db8::/32"},
	    {"2001:db8::1", "2001:db8::1/128"},
	    {"::/0", "::/0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct rk_cidr c = cidr_of(pairs[i][0]);
		char text[RK_CIDR_TEXT];

		rk_cidr_format(&c, text);
		assert_string_equal(text, pairs[i][1]);
	}
}

static void test_malformed_prefixes_and_host_bits_are_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "/",
	                                  "/8",
	                                  "10.0.0.0/",
	                                  "10.0.0.0/33",
	                                  "10.0.0.0/08",
	                                  "10.0.0.0/+8",
	                                  "10.0.0.0/8/8",
	                                  "10.0.0.0/ 8",
	                                  "10.0.0.1/8",
	                                  "10.0.0.128/24",
	                                  "2001:db8::1/64",
	                                  "2001:db8::/129",
	                                  "10.0.0.0/-1",
	                                  "10/8"};
	struct rk_cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rk_cidr_parse(rk_str(bad[i]), &c), RK_E_INVALID);
}

static void test_a_prefix_contains_its_addresses_and_not_the_next_ones(void **state)
{
	(void)state;
	assert_true(within("10.0.0.0/8", "10.255.255.255"));
	assert_true(within("10.0.0.0/8", "::ffff:10.0.0.1"));
	assert_false(within("10.0.0.0/8", "11.0.0.0"));
	assert_true(within("192.0.2.128/25", "192.0.2.128"));
	assert_false(within("192.0.2.128/25", "192.0.2.127"));
	assert_true(within("192.0.2.7", "192.0.2.7"));
	assert_false(within("192.0.2.7", "192.0.2.6"));
	assert_true(within("2001:db8:8000::/33", "2001:db8:ffff::1"));
	assert_false(within("2001:db8:8000::/33", "2001:db8:7fff::1"));
}

static void test_each_family_has_its_own_everything(void **state)
{
	(void)state;
	assert_true(within("0.0.0.0/0", "203.0.113.9"));
	assert_false(within("0.0.0.0/0", "2001:db8::1"));
	assert_true(within("::/0", "2001:db8::1"));
	assert_false(within("::/0", "203.0.113.9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses_are_written_in_their_canonical_form),
	    cmocka_unit_test(test_what_another_parser_might_read_as_an_address_is_refused),
	    cmocka_unit_test(test_socket_addresses_survive_the_round_trip),
	    cmocka_unit_test(test_a_mapped_socket_address_is_the_ipv4_address),
	    cmocka_unit_test(test_each_block_has_its_class_and_its_neighbours_have_not),
	    cmocka_unit_test(test_an_ipv4_address_inside_an_ipv6_one_is_never_public),
	    cmocka_unit_test(test_a_mapped_address_has_the_class_of_its_ipv4_address),
	    cmocka_unit_test(test_prefixes_are_read_and_written_back),
	    cmocka_unit_test(test_malformed_prefixes_and_host_bits_are_refused),
	    cmocka_unit_test(test_a_prefix_contains_its_addresses_and_not_the_next_ones),
	    cmocka_unit_test(test_each_family_has_its_own_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
