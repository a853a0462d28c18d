#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/proxy_v2.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4  "\xc0\x00\x02\x07\x0a\x00\x00\x01\x1f\x90\x01\xbb"
#define V6                                                                                     \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x1f\x90\x01\xbb"
#define BYTES(text) ((struct rk_slice){(text), sizeof(text) - 1})

static struct proxy_v2 got;

static void expect(struct rk_slice in, int want)
{
	got.port = 9;
	assert_int_equal(proxy_v2_parse(in, &got), want);
}

static void expect_source(struct rk_slice in, const char *ip, uint16_t port)
{
	char text[RK_IP_TEXT];

	expect(in, (int)in.n);
	assert_false(got.local);
	rk_ip_format(&got.ip, text);
	assert_string_equal(text, ip);
	assert_int_equal(got.port, port);
}

static void test_the_source_of_ipv4_and_ipv6_is_read(void **state)
{
	(void)state;
	expect_source(BYTES(SIG "\x21\x11\x00\x0c" V4), "192.0.2.7", 8080);
	expect_source(BYTES(SIG "\x21\x21\x00\x24" V6), "2001:db8::7", 8080);
}

static void test_what_follows_is_left_alone(void **state)
{
	(void)state;
	expect(BYTES(SIG "\x21\x11\x00\x0c" V4 "\x16\x03\x01"), 28);
}

static void test_local_has_no_source(void **state)
{
	(void)state;
	expect(BYTES(SIG "\x20\x00\x00\x00"), 16);
	assert_true(got.local);
	expect(BYTES(SIG "\x20\x11\x00\x0c" V4), 28);
	assert_true(got.local);
	expect(BYTES(SIG "\x20\x00\x00\x02xx"), 18); /* to be skipped, whatever it is */
	assert_true(got.local);
}

static void test_tlvs_are_skipped_when_they_fit(void **state)
{
	(void)state;
	expect_source(BYTES(SIG "\x21\x11\x00\x14" V4 "\x01\x00\x02h2\x04\x00\x00"),
	              "192.0.2.7", 8080);
	expect(BYTES(SIG "\x21\x11\x00\x0d" V4 "\x01"), PROXY_V2_E_TLV);
	expect(BYTES(SIG "\x21\x11\x00\x0f" V4 "\x01\x00\x01"), PROXY_V2_E_TLV);
	expect(BYTES(SIG "\x21\x11\x00\x10" V4 "\x01\xff\xff!"), PROXY_V2_E_TLV);
}

static void test_everything_else_is_refused(void **state)
{
	static const struct {
		struct rk_slice in;
		int err;
	} bad[] = {
	    {BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 8080 443\r\n"), PROXY_V2_E_SIGNATURE},
	    {BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), PROXY_V2_E_SIGNATURE},
	    {BYTES("\r\n\r\n\0\r\nQUIT\r"), PROXY_V2_E_SIGNATURE},
	    {BYTES(SIG "\x11\x11\x00\x0c" V4), PROXY_V2_E_VERSION},
	    {BYTES(SIG "\x31\x11\x00\x0c" V4), PROXY_V2_E_VERSION},
	    {BYTES(SIG "\x22\x11\x00\x0c" V4), PROXY_V2_E_COMMAND},
	    {BYTES(SIG "\x2f\x11\x00\x0c" V4), PROXY_V2_E_COMMAND},
	    {BYTES(SIG "\x21\x00\x00\x00"), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x21\x12\x00\x0c" V4), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x21\x22\x00\x24" V6), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x21\x31\x00\x00"), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x20\x41\x00\x00"), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x20\x13\x00\x00"), PROXY_V2_E_FAMILY},
	    {BYTES(SIG "\x21\x11\x00\x0b" V4), PROXY_V2_E_LENGTH},
	    {BYTES(SIG "\x21\x21\x00\x0c" V4), PROXY_V2_E_LENGTH},
	    {BYTES(SIG "\x21\x11\x08\x01"), PROXY_V2_E_LENGTH},
	    {BYTES(SIG "\x20\x00\xff\xff"), PROXY_V2_E_LENGTH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		expect(bad[i].in, bad[i].err);
		assert_int_equal(got.port, 9); /* untouched */
		assert_string_not_equal(proxy_v2_err_code(bad[i].err), "bad_proxy_header");
	}
}

static void test_it_may_come_byte_by_byte_and_no_byte_more_is_asked_for(void **state)
{
	static const struct rk_slice whole = BYTES(SIG "\x21\x11\x00\x11" V4 "\x04\x00\x02zz");

	(void)state;
	for (size_t n = 0; n < whole.n; n++) {
		struct rk_slice in = rk_slice(whole.p, n);
		size_t missing = proxy_v2_missing(in);

		expect(in, 0);
		assert_int_equal(missing, n < 16 ? 16 - n : whole.n - n);
	}
	expect(whole, (int)whole.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_source_of_ipv4_and_ipv6_is_read),
	    cmocka_unit_test(test_what_follows_is_left_alone),
	    cmocka_unit_test(test_local_has_no_source),
	    cmocka_unit_test(test_tlvs_are_skipped_when_they_fit),
	    cmocka_unit_test(test_everything_else_is_refused),
	    cmocka_unit_test(test_it_may_come_byte_by_byte_and_no_byte_more_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
