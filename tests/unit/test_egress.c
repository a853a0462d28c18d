/*
 * The text form of an egress proxy, and what a host name says of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/egress.h"
#include "policy/host_class.h"

static void check_good(const char *text, enum egress_kind kind, const char *host, unsigned port,
                       const char *again)
{
	char mem[EGRESS_TEXT];
	struct egress e;
	struct rk_fault fault;

	assert_int_equal(egress_parse(rk_str(text), &e, &fault), 0);
	assert_int_equal(e.kind, kind);
	assert_string_equal(e.host, host);
	assert_int_equal(e.port, port);
	assert_string_equal(egress_format(&e, mem), again);
}

static void test_the_three_forms(void **state)
{
	(void)state;
	check_good("", EGRESS_DEFAULT, "", 0, "");
	check_good("none", EGRESS_DIRECT, "", 0, "none");
	check_good("http://Proxy.Example.com:3128", EGRESS_PROXY, "proxy.example.com", 3128,
	           "http://proxy.example.com:3128");
	check_good("HTTP://proxy:1", EGRESS_PROXY, "proxy", 1, "http://proxy:1");
	check_good("http://10.0.0.1:65535", EGRESS_PROXY, "10.0.0.1", 65535,
	           "http://10.0.0.1:65535");
	check_good("http://[2001:DB8:0::1]:8080", EGRESS_PROXY, "2001:db8::1", 8080,
	           "http://[2001:db8::1]:8080");
	check_good("http://under_score.a-b.example:80", EGRESS_PROXY, "under_score.a-b.example",
	           80, "http://under_score.a-b.example:80");
}

static void test_everything_else_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
	    "None",
	    "proxy:3128",
	    "http://",
	    "http://:3128",
	    "http://proxy",
	    "http://proxy:",
	    "http://proxy:0",
	    "http://proxy:65536",
	    "http://proxy:+80",
	    "http://proxy:080808",
	    "http://proxy:80/",
	    "http://proxy:80/path",
	    "http://proxy :80",
	    "http://-proxy:80",
	    "http://proxy-:80",
	    "http://proxy..example:80",
	    "http://.proxy:80",
	    "http://proxy.:80",
	    "http://127.1:80",
	    "http://2130706433:80",
	    "http://0x7f.0x1:80",
	    "http://2001:db8::1:80",
	    "http://[2001:db8::1:80",
	    "http://[10.0.0.1]:80",
	    "http://[proxy]:80",
	    "http://[]:80",
	    "http://user:hunter2@proxy:80",
	    "https://proxy:443",
	    "socks5://proxy:1080",
	    "http://pr\xc3\xb6xy:80",
	    "http://proxy:80\n",
	};
	struct egress e = {.port = 7};
	struct rk_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(egress_parse(rk_str(bad[i]), &e, &fault), RK_E_INVALID);
		assert_int_equal(e.port, 7);
		assert_null(strstr(fault.text, "hunter2"));
		assert_non_null(strstr(fault.text, "egress proxy"));
	}
}

static void test_a_host_has_at_most_253_bytes_and_labels_63(void **state)
{
	char text[300], label[70];
	struct egress e;
	struct rk_fault fault;

	(void)state;
	memset(label, 'a', sizeof label);
	snprintf(text, sizeof text, "http://%.63s.%.63s.%.63s.%.61s:80", label, label, label,
	         label);
	assert_int_equal(egress_parse(rk_str(text), &e, &fault), 0);
	assert_int_equal(strlen(e.host), EGRESS_HOST_MAX);
	snprintf(text, sizeof text, "http://%.63s.%.63s.%.63s.%.62s:80", label, label, label,
	         label);
	assert_int_equal(egress_parse(rk_str(text), &e, &fault), RK_E_INVALID);
	snprintf(text, sizeof text, "http://%.64s:80", label);
	assert_int_equal(egress_parse(rk_str(text), &e, &fault), RK_E_INVALID);
}

static void test_names_that_can_only_be_local_or_a_metadata_service(void **state)
{
	static const struct {
		const char *name;
		enum host_class want;
	} cases[] = {
	    {"api.openai.com", HOST_PUBLIC},
	    {"localhost.example.com", HOST_PUBLIC},
	    {"notlocalhost.com", HOST_PUBLIC},
	    {"internal.example.com", HOST_PUBLIC},
	    {"metadata.example.com", HOST_PUBLIC},
	    {"localhost", HOST_LOCAL},
	    {"LocalHost", HOST_LOCAL},
	    {"a.b.localhost", HOST_LOCAL},
	    {"localhost.localdomain", HOST_LOCAL},
	    {"printer.local", HOST_LOCAL},
	    {"vault.corp.internal", HOST_LOCAL},
	    {"nas.home.arpa", HOST_LOCAL},
	    {"intranet", HOST_LOCAL},
	    {"db1", HOST_LOCAL},
	    {"metadata.google.internal", HOST_METADATA},
	    {"METADATA.google.internal", HOST_METADATA},
	    {"metadata.goog", HOST_METADATA},
	    {"metadata", HOST_METADATA},
	    {"instance-data", HOST_METADATA},
	    {"instance-data.ec2.internal", HOST_METADATA},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(host_class(rk_str(cases[i].name)), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_three_forms),
	    cmocka_unit_test(test_everything_else_is_refused_and_changes_nothing),
	    cmocka_unit_test(test_a_host_has_at_most_253_bytes_and_labels_63),
	    cmocka_unit_test(test_names_that_can_only_be_local_or_a_metadata_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
