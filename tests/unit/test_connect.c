/*
 * CONNECT through a proxy: the request that is written, and how its answer is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http/connect.h"

static int arena(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(4 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault);
}

static void check_request(const char *host, uint16_t port, const char *credential,
                          const char *want)
{
	struct rk_secret s = {0};

	assert_int_equal(connect_request(rk_str(host), port, rk_str(credential), &s), 0);
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.p, want, s.len);
	assert_true(secret_arena_holds(s.p));
	rk_secret_free(&s);
}

static void test_the_request_names_host_and_port_twice(void **state)
{
	(void)state;
	check_request("api.example.com", 443, "",
	              "CONNECT api.example.com:443 HTTP/1.1\r\n"
	              "Host: api.example.com:443\r\n\r\n");
	check_request(
	    "2001:db8::7", 8443, "",
	    "CONNECT [2001:db8::7]:8443 HTTP/1.1\r\nHost: [2001:db8::7]:8443\r\n\r\n");
}

static void test_the_credential_goes_as_basic(void **state)
{
	(void)state;
	check_request("a.example", 65535, "Aladdin:open sesame",
	              "CONNECT a.example:65535 HTTP/1.1\r\nHost: a.example:65535\r\n"
	              "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
}

static void test_the_longest_parts_fit_and_longer_ones_are_refused(void **state)
{
	char host[257], credential[CONNECT_MAX_CREDENTIAL + 1];
	struct rk_secret s = {0};

	(void)state;
	memset(host, 'h', sizeof host);
	memset(credential, 'c', sizeof credential);
	assert_int_equal(connect_request(rk_slice(host, 255), 1,
	                                 rk_slice(credential, CONNECT_MAX_CREDENTIAL), &s),
	                 0);
	assert_memory_equal(s.p + s.len - 4, "\r\n\r\n", 4);
	rk_secret_free(&s);
	assert_int_equal(connect_request(rk_slice(host, 256), 1, rk_str(""), &s), RK_E_TOOBIG);
	assert_int_equal(
	    connect_request(rk_str("h"), 1, rk_slice(credential, sizeof credential), &s),
	    RK_E_TOOBIG);
	assert_int_equal(secret_arena_in_use(), 0);
}

static enum connect_answer answer(const char *text)
{
	static struct h1_head head;

	return connect_read(rk_str(text), 0, &head);
}

static void test_only_2xx_opens_the_tunnel(void **state)
{
	static const struct {
		const char *text;
		enum connect_answer want;
	} cases[] = {
	    {"HTTP/1.1 200 Connection established\r\n\r\n", CONNECT_OPEN},
	    {"HTTP/1.0 200 OK\r\nVia: 1.1 squid\r\n\r\n", CONNECT_OPEN},
	    {"HTTP/1.1 204 No\r\n\r\n", CONNECT_OPEN},
	    /* RFC 9110 9.3.6: what it says of a body does not count */
	    {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", CONNECT_OPEN},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CONNECT_OPEN},
	    {"HTTP/1.1 100 Continue\r\n\r\n", CONNECT_INTERIM},
	    {"HTTP/1.1 101 Switching\r\n\r\n", CONNECT_BAD},
	    {"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", CONNECT_REFUSED},
	    {"HTTP/1.1 403 Forbidden\r\n\r\n", CONNECT_REFUSED},
	    {"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n", CONNECT_AUTH},
	    {"HTTP/1.1 502 Bad Gateway\r\n\r\n", CONNECT_FAILED},
	    {"HTTP/1.1 599 Odd\r\n\r\n", CONNECT_FAILED},
	    {"", CONNECT_MORE},
	    {"HTTP/1.1 200 OK\r\n", CONNECT_MORE},
	    {"HTTP/1.1 200 OK\r\nA: b\r\n\r", CONNECT_MORE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(answer(cases[i].text), cases[i].want);
}

static void test_what_is_no_proper_head_is_refused(void **state)
{
	static const char *const cases[] = {
	    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
	    "HTTP/2 200\r\n\r\n",
	    "HTTP/1.1 99 Low\r\n\r\n",
	    "HTTP/1.1 200 OK\n\n",
	    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	    "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	    /* a byte behind the head was let in */
	    "HTTP/1.1 200 OK\r\n\r\n!",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(answer(cases[i]), CONNECT_BAD);
}

static void test_a_head_without_an_end_is_refused_at_the_limit(void **state)
{
	static char text[CONNECT_MAX_HEAD + 1];
	static struct h1_head head;
	int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nA: ");

	(void)state;
	memset(text + n, 'x', sizeof text - (size_t)n);
	assert_int_equal(connect_read(rk_slice(text, CONNECT_MAX_HEAD - 1), 0, &head),
	                 CONNECT_MORE);
	assert_int_equal(
	    connect_read(rk_slice(text, CONNECT_MAX_HEAD), CONNECT_MAX_HEAD - 1, &head),
	    CONNECT_BAD);
}

static void test_bytes_behind_the_head_stay_where_they_are(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\r\n\r\n";
	const size_t head = 19;

	(void)state;
	/* however much of it was seen before */
	for (size_t seen = 0; seen < head; seen++)
		assert_int_equal(connect_head_bytes(rk_slice(text, sizeof text - 1), seen),
		                 head);
	for (size_t n = 0; n < head; n++)
		assert_int_equal(connect_head_bytes(rk_slice(text, n), 0), n);
}

static void test_every_refusal_has_a_code(void **state)
{
	(void)state;
	for (int a = CONNECT_AUTH; a <= CONNECT_BAD; a++)
		assert_non_null(connect_detail((enum connect_answer)a));
	assert_null(connect_detail(CONNECT_OPEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_request_names_host_and_port_twice),
	    cmocka_unit_test(test_the_credential_goes_as_basic),
	    cmocka_unit_test(test_the_longest_parts_fit_and_longer_ones_are_refused),
	    cmocka_unit_test(test_only_2xx_opens_the_tunnel),
	    cmocka_unit_test(test_what_is_no_proper_head_is_refused),
	    cmocka_unit_test(test_a_head_without_an_end_is_refused_at_the_limit),
	    cmocka_unit_test(test_bytes_behind_the_head_stay_where_they_are),
	    cmocka_unit_test(test_every_refusal_has_a_code),
	};

	return cmocka_run_group_tests(tests, arena, NULL);
}
