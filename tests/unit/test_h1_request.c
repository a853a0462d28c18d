#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/h1.h"

#define S(text)      ((struct rk_slice){(text), sizeof(text) - 1})
#define LINE         "GET /c/v1 HTTP/1.1\r\n"
#define HOST         "Host: proxy\r\n"
#define WITH(fields) LINE HOST fields "\r\n"

static struct h1_head head;

/* Parses from a block that ends where the input ends, so that reading on is caught. */
static int parse_limited(struct rk_slice in, size_t limit)
{
	char *copy = malloc(in.n ? in.n : 1);
	int exact;

	assert_non_null(copy);
	if (in.n)
		memcpy(copy, in.p, in.n);
	exact = h1_parse_request(rk_slice(copy, in.n), limit, &head);
	free(copy);
	assert_int_equal(h1_parse_request(in, limit, &head), exact);
	return exact;
}

static int parse(struct rk_slice in)
{
	return parse_limited(in, H1_MAX_HEAD);
}

/* The whole of it is one head, and no part of it is. */
static void accept(struct rk_slice in)
{
	for (size_t n = 0; n < in.n; n++)
		assert_int_equal(parse(rk_slice(in.p, n)), 0);
	assert_int_equal(parse(in), (int)in.n);
}

static void refuse(struct rk_slice in, int err)
{
	assert_int_equal(parse(in), err);
}

static const struct h1_field *field(const char *name)
{
	for (size_t i = 0; i < head.field_count; i++) {
		if (rk_slice_is(head.fields[i].name, name))
			return &head.fields[i];
	}
	fail_msg("no field %s", name);
	return NULL;
}

static void test_a_plain_request_is_taken_apart(void **state)
{
	(void)state;
	accept(S("POST /c/v1/files?a=b HTTP/1.1\r\nHost: proxy:8443\r\nContent-Length: 12\r\n"
	         "X-Thing:\t a b \t\r\nEmpty:\r\n\r\n"));
	assert_true(rk_slice_is(head.method, "POST"));
	assert_true(rk_slice_is(head.target, "/c/v1/files?a=b"));
	assert_true(rk_slice_is(head.host, "proxy:8443"));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.body, H1_BODY_LENGTH);
	assert_int_equal(head.content_length, 12);
	assert_true(head.keep_alive);
	assert_false(head.expect_continue);
	assert_false(head.upgrade);
	assert_int_equal(head.field_count, 4);
	assert_true(rk_slice_is(field("X-Thing")->value, "a b"));
	assert_int_equal(field("Empty")->value.n, 0);
}

static void test_what_follows_the_head_is_not_consumed(void **state)
{
	static const char text[] = WITH("") "GET /next HTTP/1.1\r\n";

	(void)state;
	assert_int_equal(parse(S(text)), (int)sizeof(WITH("")) - 1);
}

static void test_lines_end_with_cr_lf_and_nothing_else(void **state)
{
	(void)state;
	refuse(S("GET /c HTTP/1.1\nHost: proxy\r\n\r\n"), H1_E_LINE_END);
	refuse(S("GET /c HTTP/1.1\rHost: proxy\r\n\r\n"), H1_E_LINE_END);
	refuse(S(LINE "Host: proxy\n\r\n"), H1_E_LINE_END);
	refuse(S(LINE "Host: proxy\rA: b\r\n\r\n"), H1_E_LINE_END);
	refuse(S(LINE HOST "\n"), H1_E_LINE_END);
	refuse(S(LINE HOST "\rX"), H1_E_LINE_END);
	refuse(S(LINE HOST "A: b\r\r\n\r\n"), H1_E_LINE_END);
	refuse(S("GET /c\n"), H1_E_LINE_END);
	accept(S(LINE HOST "A: b\r\n\r\n"));
}

static void test_folded_lines_are_refused(void **state)
{
	(void)state;
	refuse(S(WITH("A: b\r\n c\r\n")), H1_E_LINE_END);
	refuse(S(WITH("A: b\r\n\tc\r\n")), H1_E_LINE_END);
	refuse(S(LINE " Host: proxy\r\n\r\n"), H1_E_LINE_END);
	accept(S(WITH("A: b\r\nc:\r\n")));
}

static void test_field_names_are_tokens_that_touch_their_colon(void **state)
{
	(void)state;
	refuse(S(WITH("A : b\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("A\t: b\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH(": b\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("A(b: c\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("A\0: c\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("A\x80: c\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("nocolon\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("\"q\": c\r\n")), H1_E_HEADER_NAME);
	accept(S(WITH("A!#$%&'*+-.^_`|~9z: c\r\n")));
}

static void test_values_hold_no_control_bytes_and_nothing_beyond_ascii(void **state)
{
	char text[] = WITH("Long-Name: 0123456789abcdef\r\n");
	char *at = strstr(text, "0123");

	(void)state;
	/* At every place of the eight bytes that are looked at together, and behind them. */
	for (size_t place = 0; place < 16; place++) {
		char was = at[place];

		for (int byte = 0; byte < 256; byte++) {
			int got;

			at[place] = (char)byte;
			got = parse(S(text));
			if (byte == '\r' || byte == '\n')
				assert_int_equal(got, H1_E_LINE_END);
			else if ((byte < 0x20 && byte != '\t') || byte >= 0x7f)
				assert_int_equal(got, H1_E_HEADER_VALUE);
			else
				assert_int_equal(got, (int)sizeof(text) - 1);
		}
		at[place] = was;
	}
}

static void test_content_length_is_one_plain_number(void **state)
{
	static const struct rk_slice bad[] = {
	    S(WITH("Content-Length: +5\r\n")),
	    S(WITH("Content-Length: -5\r\n")),
	    S(WITH("Content-Length: 5 5\r\n")),
	    S(WITH("Content-Length: 5,5\r\n")),
	    S(WITH("Content-Length: 5, 5\r\n")),
	    S(WITH("Content-Length: 0x5\r\n")),
	    S(WITH("Content-Length: 5a\r\n")),
	    S(WITH("Content-Length: 05\r\n")),
	    S(WITH("Content-Length: \"5\"\r\n")),
	    S(WITH("Content-Length: \r\n")),
	    S(WITH("Content-Length: 9223372036854775808\r\n")),
	    S(WITH("Content-Length: 18446744073709551616\r\n")),
	    S(WITH("Content-Length: 99999999999999999999999\r\n")),
	    S(WITH("Content-Length: 5\r\nContent-Length: 5\r\n")),
	    S(WITH("Content-Length: 5\r\ncontent-length: 6\r\n")),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], H1_E_LENGTH);
	accept(S(WITH("Content-Length: 5\r\n")));
	assert_int_equal(head.content_length, 5);
	accept(S(WITH("CONTENT-LENGTH:0\r\n")));
	assert_int_equal(head.body, H1_BODY_LENGTH);
	assert_int_equal(head.content_length, 0);
	accept(S(WITH("Content-Length: 9223372036854775807\r\n")));
	assert_true(head.content_length == INT64_MAX);
}

static void test_transfer_encoding_is_chunked_once(void **state)
{
	static const struct rk_slice bad[] = {
	    S(WITH("Transfer-Encoding: gzip\r\n")),
	    S(WITH("Transfer-Encoding: gzip, chunked\r\n")),
	    S(WITH("Transfer-Encoding: chunked, chunked\r\n")),
	    S(WITH("Transfer-Encoding: chunked,\r\n")),
	    S(WITH("Transfer-Encoding: xchunked\r\n")),
	    S(WITH("Transfer-Encoding: \"chunked\"\r\n")),
	    S(WITH("Transfer-Encoding: chunked;q=1\r\n")),
	    S(WITH("Transfer-Encoding: identity\r\n")),
	    S(WITH("Transfer-Encoding:\r\n")),
	    S(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
	    S("POST /c HTTP/1.0\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], H1_E_FRAMING);
	accept(S(WITH("transfer-encoding: CHUNKED\r\n")));
	assert_int_equal(head.body, H1_BODY_CHUNKED);
}

static void test_two_framings_are_refused(void **state)
{
	(void)state;
	refuse(S(WITH("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), H1_E_FRAMING);
	refuse(S(WITH("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")), H1_E_FRAMING);
	refuse(S(WITH("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")), H1_E_FRAMING);
	accept(S(WITH("Transfer-Encoding: chunked\r\nX-Content-Length: 5\r\n")));
}

static void test_framing_spelt_with_an_underscore_is_refused(void **state)
{
	(void)state;
	refuse(S(WITH("Content_Length: 5\r\n")), H1_E_HEADER_NAME);
	refuse(S(WITH("transfer_encoding: chunked\r\n")), H1_E_HEADER_NAME);
	accept(S(WITH("content_type: text/plain\r\n")));
	assert_int_equal(field("content_type")->id, H1_HDR_OTHER);
}

static void test_without_framing_there_is_no_body(void **state)
{
	(void)state;
	accept(S("POST /c HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	assert_int_equal(head.body, H1_BODY_NONE);
}

static void test_versions_are_1_0_and_1_1(void **state)
{
	static const struct rk_slice bad[] = {
	    S("GET /c\r\n\r\n"),
	    S("GET /c HTTP/2.0\r\nHost: proxy\r\n\r\n"),
	    S("GET /c HTTP/1.2\r\nHost: proxy\r\n\r\n"),
	    S("GET /c HTTP/0.9\r\nHost: proxy\r\n\r\n"),
	    S("GET /c http/1.1\r\nHost: proxy\r\n\r\n"),
	    S("GET /c HTTP/1.1 \r\nHost: proxy\r\n\r\n"),
	    S("GET /c HTTP/1.10\r\nHost: proxy\r\n\r\n"),
	    S("GET /c  HTTP/1.1\r\nHost: proxy\r\n\r\n"),
	    S("GET /c HTTP/11\r\nHost: proxy\r\n\r\n"),
	    S("GET /c ICY/1.1\r\nHost: proxy\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], H1_E_VERSION);
	accept(S("GET /c HTTP/1.0\r\nHost: proxy\r\n\r\n"));
	assert_int_equal(head.minor, 0);
}

static void test_keep_alive_follows_version_and_connection(void **state)
{
	(void)state;
	accept(S("GET /c HTTP/1.0\r\nHost: proxy\r\n\r\n"));
	assert_false(head.keep_alive);
	accept(S("GET /c HTTP/1.0\r\nHost: proxy\r\nConnection: Keep-Alive\r\n\r\n"));
	assert_true(head.keep_alive);
	accept(S(WITH("Connection: CLOSE\r\n")));
	assert_false(head.keep_alive);
	accept(S(WITH("Connection: keep-alive, close\r\n")));
	assert_false(head.keep_alive);
	accept(S(WITH("Connection: closed\r\n")));
	assert_true(head.keep_alive);
}

static void test_one_empty_line_may_come_first(void **state)
{
	(void)state;
	accept(S("\r\n" WITH("")));
	refuse(S("\r\n\r\n" WITH("")), H1_E_METHOD);
	refuse(S("\n" WITH("")), H1_E_LINE_END);
	refuse(S("\r" WITH("")), H1_E_LINE_END);
	refuse(S(" " WITH("")), H1_E_METHOD);
}

static void test_host_is_there_once_and_a_host(void **state)
{
	static const struct rk_slice bad[] = {
	    S(LINE "\r\n"),
	    S(LINE "Hostage: proxy\r\n\r\n"),
	    S(LINE "Host: proxy\r\nHost: proxy\r\n\r\n"),
	    S(LINE "Host: proxy\r\nhost: other\r\n\r\n"),
	    S(LINE "Host:\r\n\r\n"),
	    S(LINE "Host: user@proxy\r\n\r\n"),
	    S(LINE "Host: proxy/path\r\n\r\n"),
	    S(LINE "Host: pro xy\r\n\r\n"),
	    S(LINE "Host: proxy, other\r\n\r\n"),
	    S(LINE "Host: http://proxy\r\n\r\n"),
	    S(LINE "Host: proxy:\r\n\r\n"),
	    S(LINE "Host: proxy:0\r\n\r\n"),
	    S(LINE "Host: proxy:65536\r\n\r\n"),
	    S(LINE "Host: proxy:123456\r\n\r\n"),
	    S(LINE "Host: proxy:+80\r\n\r\n"),
	    S(LINE "Host: proxy:8a\r\n\r\n"),
	    S(LINE "Host: proxy:80:80\r\n\r\n"),
	    S(LINE "Host: :80\r\n\r\n"),
	    S(LINE "Host: .\r\n\r\n"),
	    S(LINE "Host: a..b\r\n\r\n"),
	    S(LINE "Host: %70roxy\r\n\r\n"),
	    S(LINE "Host: ::1\r\n\r\n"),
	    S(LINE "Host: []\r\n\r\n"),
	    S(LINE "Host: [::1\r\n\r\n"),
	    S(LINE "Host: [::1]x\r\n\r\n"),
	    S(LINE "Host: [::g]\r\n\r\n"),
	    S(LINE "Host: [::1%25eth0]\r\n\r\n"),
	    S(LINE "Host: [1.2.3.4]\r\n\r\n"),
	    S("GET /c HTTP/1.0\r\nHost:\r\n\r\n"),
	};
	static const struct rk_slice good[] = {
	    S(LINE "Host: proxy\r\n\r\n"),
	    S(LINE "Host: proxy.example.:65535\r\n\r\n"),
	    S(LINE "hOST: 192.0.2.1:1\r\n\r\n"),
	    S(LINE "Host: [::1]\r\n\r\n"),
	    S(LINE "Host: [2001:db8::1]:8443\r\n\r\n"),
	    S(LINE "Host: [::ffff:192.0.2.1]\r\n\r\n"),
	    S(LINE "Host: proxy\r\nHostage: x\r\n\r\n"),
	    /* HTTP/1.0 knows no Host: load balancers check health this way */
	    S("OPTIONS /healthz HTTP/1.0\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], H1_E_HOST);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		accept(good[i]);
}

static void test_absolute_form_agrees_with_host(void **state)
{
	(void)state;
	accept(S("GET http://Proxy:80/c?x HTTP/1.1\r\nHost: proxy:80\r\n\r\n"));
	assert_true(rk_slice_is(head.target, "/c?x"));
	accept(S("GET HTTPS://proxy/c HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	assert_true(rk_slice_is(head.target, "/c"));
	accept(S("GET http://proxy/c HTTP/1.0\r\n\r\n"));
	assert_true(rk_slice_is(head.host, "proxy"));
	refuse(S("GET http://other/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_HOST);
	refuse(S("GET http://proxy:80/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_HOST);
	refuse(S("GET http://u@proxy/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_HOST);
	refuse(S("GET http://u@proxy/c HTTP/1.0\r\n\r\n"), H1_E_HOST);
	refuse(S("GET http://proxy HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET http:///c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET http:/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET httpx://proxy/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET ftp://proxy/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
}

static void test_other_target_forms_and_raw_bytes_are_refused(void **state)
{
	(void)state;
	refuse(S("OPTIONS * HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET proxy:443 HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET host:443 HTTP/1.1\r\nHost: host\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET c/v1 HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET  /c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET /\xc3\xa9 HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET /\0 HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET /\t HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	refuse(S("GET /\x7f HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_TARGET);
	accept(S("OPTIONS / HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	accept(S("GET /%C3%A9 HTTP/1.1\r\nHost: proxy\r\n\r\n"));
}

static void test_methods_are_tokens_other_than_connect_and_trace(void **state)
{
	(void)state;
	refuse(S("CONNECT /c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_METHOD);
	refuse(S("CONNECT proxy:443 HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_METHOD);
	refuse(S("TRACE /c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_METHOD);
	refuse(S("G@T /c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_METHOD);
	refuse(S("GET\t/c HTTP/1.1\r\nHost: proxy\r\n\r\n"), H1_E_METHOD);
	refuse(S("GET\r\n\r\n"), H1_E_METHOD);
	refuse(S("ABCDEFGHIJKLMNOPQRSTUVWXY"), H1_E_METHOD);
	refuse(S("\x16\x03\x01"), H1_E_METHOD);
	accept(S("ABCDEFGHIJKLMNOPQRSTUVWX /c HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	accept(S("get /c HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	assert_true(rk_slice_is(head.method, "get"));
	accept(S("M-SEARCH /c HTTP/1.1\r\nHost: proxy\r\n\r\n"));
}

static void test_connection_names_nothing_that_frames_routes_or_authenticates(void **state)
{
	static const struct rk_slice bad[] = {
	    S(WITH("Connection: host\r\n")),
	    S(WITH("Connection: close, Content-Length\r\nContent-Length: 1\r\n")),
	    S(WITH("Connection: Transfer-Encoding\r\n")),
	    S(WITH("Connection: Authorization\r\n")),
	    S(WITH("Connection: x-api-key\r\n")),
	    S(WITH("Connection: x_api_key\r\n")),
	    S(WITH("Connection: X-RelayKey\r\n")),
	    S(WITH("Connection: close\r\nConnection: api-key\r\n")),
	    S(WITH("Connection: a b\r\n")),
	    S(WITH("Connection: \"close\"\r\n")),
	    S(WITH("Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n")),
	    S(WITH("Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n")),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], H1_E_CONNECTION);
	accept(S(WITH("Connection: close, , hostage ,TE\r\n")));
	accept(S(WITH("Connection:\r\n")));
	accept(S(WITH("Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\r\n")));
}

static void test_fields_named_in_connection_are_hop_by_hop(void **state)
{
	(void)state;
	accept(
	    S(WITH("X-Early: 1\r\nConnection: x-early, X-LATE\r\nX-Late: 2\r\nX-End: 3\r\n")));
	assert_true(field("X-Early")->hop);
	assert_true(field("X-Late")->hop);
	assert_false(field("X-End")->hop);
	assert_true(field("Connection")->hop);
	assert_false(field("Host")->hop);
}

static void test_fields_that_are_hop_by_hop_by_themselves_are_marked(void **state)
{
	(void)state;
	accept(S(WITH("TE: trailers\r\nTrailer: a\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\n"
	              "Proxy-Connection: close\r\nProxy-Authorization: x\r\n"
	              "Transfer-Encoding: chunked\r\nTEA: 1\r\n")));
	assert_true(field("TE")->hop);
	assert_true(field("Trailer")->hop);
	assert_true(field("Upgrade")->hop);
	assert_true(field("Keep-Alive")->hop);
	assert_true(field("Proxy-Connection")->hop);
	assert_true(field("Proxy-Authorization")->hop);
	assert_true(field("Transfer-Encoding")->hop);
	assert_false(field("TEA")->hop);
}

static void test_upgrade_counts_when_connection_names_it(void **state)
{
	(void)state;
	accept(S(WITH("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")));
	assert_true(head.upgrade);
	accept(S(WITH("Upgrade: websocket\r\n")));
	assert_false(head.upgrade);
	accept(S(WITH("Connection: Upgrade\r\n")));
	assert_false(head.upgrade);
	accept(S("GET /c HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"));
	assert_false(head.upgrade);
}

static void test_only_100_continue_may_be_expected(void **state)
{
	(void)state;
	refuse(S(WITH("Expect: 200-ok\r\n")), H1_E_EXPECT);
	refuse(S(WITH("Expect:\r\n")), H1_E_EXPECT);
	refuse(S(WITH("Expect: 100-continue, x\r\n")), H1_E_EXPECT);
	refuse(S(WITH("Expect: 100-continue\r\nExpect: 100-continue\r\n")), H1_E_EXPECT);
	accept(S(WITH("Expect: 100-Continue\r\n")));
	assert_true(head.expect_continue);
	accept(S("PUT /c HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"));
	assert_false(head.expect_continue);
}

/* A head with `fields` fields besides Host. */
static size_t many_fields(char *dst, size_t cap, int fields)
{
	int n = snprintf(dst, cap, LINE HOST);

	for (int i = 0; i < fields; i++)
		n += snprintf(dst + n, cap - (size_t)n, "F%d: v\r\n", i);
	n += snprintf(dst + n, cap - (size_t)n, "\r\n");
	return (size_t)n;
}

static void test_the_number_of_fields_is_limited(void **state)
{
	static char text[4096];

	(void)state;
	accept(rk_slice(text, many_fields(text, sizeof(text), H1_MAX_FIELDS - 1)));
	assert_int_equal(head.field_count, H1_MAX_FIELDS);
	refuse(rk_slice(text, many_fields(text, sizeof(text), H1_MAX_FIELDS)), H1_E_TOO_MANY);
}

static void test_a_head_up_to_the_limit_is_taken_and_one_byte_more_is_not(void **state)
{
	static const char text[] = WITH("A: b\r\n");
	const size_t n = sizeof(text) - 1;

	(void)state;
	assert_int_equal(parse_limited(rk_slice(text, n), n), (int)n);
	assert_int_equal(parse_limited(rk_slice(text, n), n - 1), H1_E_TOO_LARGE);
	assert_int_equal(parse_limited(rk_slice(text, n - 1), n - 1), H1_E_TOO_LARGE);
	assert_int_equal(parse_limited(rk_slice(text, n - 2), n - 1), 0);
}

static void test_a_head_without_end_is_too_large_at_the_limit(void **state)
{
	static char text[H1_MAX_HEAD + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, LINE HOST "A: ", sizeof(LINE HOST "A: ") - 1);
	assert_int_equal(parse(rk_slice(text, H1_MAX_HEAD - 1)), 0);
	assert_int_equal(parse(rk_slice(text, H1_MAX_HEAD)), H1_E_TOO_LARGE);
	/* A caller's larger limit does not lift the parser's own. */
	assert_int_equal(parse_limited(rk_slice(text, sizeof(text)), SIZE_MAX), H1_E_TOO_LARGE);
}

static void test_what_is_wrong_already_is_refused_before_the_head_is_complete(void **state)
{
	(void)state;
	refuse(S("GET /c HTTP/2"), H1_E_VERSION);
	refuse(S("GET *"), H1_E_TARGET);
	refuse(S(LINE HOST "A b"), H1_E_HEADER_NAME);
	refuse(S(LINE HOST "A: \x01"), H1_E_HEADER_VALUE);
	refuse(S(LINE HOST "Content-Length: x\r\n"), H1_E_LENGTH);
	assert_int_equal(parse(S(LINE HOST "Content-Length: x")), 0);
}

static void test_known_names_have_their_ids_in_any_case(void **state)
{
	static const struct {
		const char *name;
		enum h1_hdr id;
	} cases[] = {
	    {"HOST", H1_HDR_HOST},
	    {"hostage", H1_HDR_OTHER},
	    {"hos", H1_HDR_OTHER},
	    {"connection", H1_HDR_CONNECTION},
	    {"Content-Length", H1_HDR_CONTENT_LENGTH},
	    {"Transfer-Encoding", H1_HDR_TRANSFER_ENCODING},
	    {"te", H1_HDR_TE},
	    {"tE2", H1_HDR_OTHER},
	    {"Trailer", H1_HDR_TRAILER},
	    {"Upgrade", H1_HDR_UPGRADE},
	    {"Upgrade-Insecure-Requests", H1_HDR_OTHER},
	    {"Sec-WebSocket-Protocol", H1_HDR_WS_PROTOCOL},
	    {"sec_websocket_protocol", H1_HDR_WS_PROTOCOL},
	    {"Sec-WebSocket-Key", H1_HDR_OTHER},
	    {"Keep-Alive", H1_HDR_KEEP_ALIVE},
	    {"Proxy-Connection", H1_HDR_PROXY_CONNECTION},
	    {"Expect", H1_HDR_EXPECT},
	    {"authorization", H1_HDR_AUTHORIZATION},
	    {"Proxy-Authorization", H1_HDR_PROXY_AUTHORIZATION},
	    {"Cookie", H1_HDR_COOKIE},
	    {"Set-Cookie", H1_HDR_SET_COOKIE},
	    {"User-Agent", H1_HDR_USER_AGENT},
	    {"Content-Type", H1_HDR_CONTENT_TYPE},
	    {"Date", H1_HDR_DATE},
	    {"Server", H1_HDR_SERVER},
	    {"Forwarded", H1_HDR_FORWARDED},
	    {"X-Forwarded-For", H1_HDR_FORWARDED},
	    {"X_Forwarded_Proto", H1_HDR_FORWARDED},
	    {"x-forwarded-", H1_HDR_OTHER},
	    {"X-Real-IP", H1_HDR_FORWARDED},
	    {"Via", H1_HDR_FORWARDED},
	    {"X-RelayKey", H1_HDR_RELAYKEY},
	    {"x-relaykey-request-id", H1_HDR_RELAYKEY},
	    {"x_relaykey", H1_HDR_RELAYKEY},
	    {"x-relaykeys", H1_HDR_OTHER},
	    {"X-HTTP-Method-Override", H1_HDR_OVERRIDE},
	    {"X-HTTP-Method", H1_HDR_OVERRIDE},
	    {"X-Method-Override", H1_HDR_OVERRIDE},
	    {"X-Original-URL", H1_HDR_OVERRIDE},
	    {"X-Original-URI", H1_HDR_OVERRIDE},
	    {"x_rewrite_url", H1_HDR_OVERRIDE},
	    {"user_agent", H1_HDR_OTHER},
	    {"keep_alive", H1_HDR_OTHER},
	    {"Accept", H1_HDR_OTHER},
	    {"", H1_HDR_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (h1_hdr_id(rk_str(cases[i].name)) != cases[i].id)
			fail_msg("%s has id %d", cases[i].name,
			         h1_hdr_id(rk_str(cases[i].name)));
	}
}

static void test_an_unknown_header_with_a_relay_key_is_a_credential(void **state)
{
	(void)state;
	accept(S(
	    WITH("X-Own: rk_vendor_abc\r\nX-Other: rk_live_abc\r\nUser-Agent: rk_app_x\r\n")));
	assert_int_equal(field("X-Own")->id, H1_HDR_CREDENTIAL);
	assert_int_equal(field("X-Other")->id, H1_HDR_OTHER);
	assert_int_equal(field("User-Agent")->id, H1_HDR_USER_AGENT);
}

static void test_fields_of_one_id_are_found_in_order(void **state)
{
	size_t pos = 0;

	(void)state;
	accept(S(WITH("Via: a\r\nCookie: x\r\nForwarded: for=b\r\n")));
	assert_true(rk_slice_is(h1_next_field(&head, H1_HDR_FORWARDED, &pos)->value, "a"));
	assert_true(rk_slice_is(h1_next_field(&head, H1_HDR_FORWARDED, &pos)->value, "for=b"));
	assert_null(h1_next_field(&head, H1_HDR_FORWARDED, &pos));
}

static void test_every_error_has_a_code(void **state)
{
	(void)state;
	for (int err = H1_E_TRAILER; err < 0; err++) {
		assert_non_null(h1_err_code(err));
		assert_string_not_equal(h1_err_code(err), "bad_request");
	}
	assert_string_equal(h1_err_code(0), "bad_request");
	assert_string_equal(h1_err_code(-1000), "bad_request");
	assert_string_equal(h1_err_code(H1_E_HEADER_NAME), "bad_header_name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_plain_request_is_taken_apart),
	    cmocka_unit_test(test_what_follows_the_head_is_not_consumed),
	    cmocka_unit_test(test_lines_end_with_cr_lf_and_nothing_else),
	    cmocka_unit_test(test_folded_lines_are_refused),
	    cmocka_unit_test(test_field_names_are_tokens_that_touch_their_colon),
	    cmocka_unit_test(test_values_hold_no_control_bytes_and_nothing_beyond_ascii),
	    cmocka_unit_test(test_content_length_is_one_plain_number),
	    cmocka_unit_test(test_transfer_encoding_is_chunked_once),
	    cmocka_unit_test(test_two_framings_are_refused),
	    cmocka_unit_test(test_framing_spelt_with_an_underscore_is_refused),
	    cmocka_unit_test(test_without_framing_there_is_no_body),
	    cmocka_unit_test(test_versions_are_1_0_and_1_1),
	    cmocka_unit_test(test_keep_alive_follows_version_and_connection),
	    cmocka_unit_test(test_one_empty_line_may_come_first),
	    cmocka_unit_test(test_host_is_there_once_and_a_host),
	    cmocka_unit_test(test_absolute_form_agrees_with_host),
	    cmocka_unit_test(test_other_target_forms_and_raw_bytes_are_refused),
	    cmocka_unit_test(test_methods_are_tokens_other_than_connect_and_trace),
	    cmocka_unit_test(test_connection_names_nothing_that_frames_routes_or_authenticates),
	    cmocka_unit_test(test_fields_named_in_connection_are_hop_by_hop),
	    cmocka_unit_test(test_fields_that_are_hop_by_hop_by_themselves_are_marked),
	    cmocka_unit_test(test_upgrade_counts_when_connection_names_it),
	    cmocka_unit_test(test_only_100_continue_may_be_expected),
	    cmocka_unit_test(test_the_number_of_fields_is_limited),
	    cmocka_unit_test(test_a_head_up_to_the_limit_is_taken_and_one_byte_more_is_not),
	    cmocka_unit_test(test_a_head_without_end_is_too_large_at_the_limit),
	    cmocka_unit_test(test_what_is_wrong_already_is_refused_before_the_head_is_complete),
	    cmocka_unit_test(test_known_names_have_their_ids_in_any_case),
	    cmocka_unit_test(test_an_unknown_header_with_a_relay_key_is_a_credential),
	    cmocka_unit_test(test_fields_of_one_id_are_found_in_order),
	    cmocka_unit_test(test_every_error_has_a_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
