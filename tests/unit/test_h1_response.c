#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/h1.h"

#define S(text)  ((struct rk_slice){(text), sizeof(text) - 1})
#define OK(rest) "HTTP/1.1 200 OK\r\n" rest "\r\n"

static struct h1_head head;

static int parse(struct rk_slice in, bool head_request)
{
	char *copy = malloc(in.n ? in.n : 1);
	int exact;

	assert_non_null(copy);
	if (in.n)
		memcpy(copy, in.p, in.n);
	exact = h1_parse_response(rk_slice(copy, in.n), H1_MAX_HEAD, head_request, &head);
	free(copy);
	assert_int_equal(h1_parse_response(in, H1_MAX_HEAD, head_request, &head), exact);
	return exact;
}

static void accept(struct rk_slice in)
{
	for (size_t n = 0; n < in.n; n++)
		assert_int_equal(parse(rk_slice(in.p, n), false), 0);
	assert_int_equal(parse(in, false), (int)in.n);
}

static void refuse(struct rk_slice in, int err)
{
	assert_int_equal(parse(in, false), err);
}

static void test_a_plain_response_is_taken_apart(void **state)
{
	(void)state;
	accept(S("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX-A: b\r\n\r\n"));
	assert_int_equal(head.status, 404);
	assert_int_equal(head.body, H1_BODY_LENGTH);
	assert_int_equal(head.content_length, 3);
	assert_true(head.keep_alive);
	assert_int_equal(head.field_count, 2);
}

static void test_a_reason_phrase_may_be_missing(void **state)
{
	(void)state;
	accept(S("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"));
	accept(S("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"));
	accept(S("HTTP/1.1 200 S\xc3\xa4mtlich  gut\t\r\nContent-Length: 0\r\n\r\n"));
	assert_int_equal(head.status, 200);
}

static void test_malformed_status_lines_are_refused(void **state)
{
	(void)state;
	refuse(S("HTTP/1.1 20 OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 2000 OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 20a OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 099 OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 600 OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1  200 OK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 200 O\0K\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 200 O\x7fK\r\n\r\n"), H1_E_STATUS);
	refuse(S("HTTP/1.1 200 OK\n\r\n"), H1_E_LINE_END);
	refuse(S("HTTP/1.1 200 OK\rX\r\n\r\n"), H1_E_LINE_END);
	refuse(S("HTTP/2.0 200 OK\r\n\r\n"), H1_E_VERSION);
	refuse(S("HTTP/1.1\r\n\r\n"), H1_E_VERSION);
	refuse(S("\r\nHTTP/1.1 200 OK\r\n\r\n"), H1_E_VERSION);
	refuse(S("<html>"), H1_E_VERSION);
	accept(S("HTTP/1.1 599 Odd\r\n\r\n"));
}

static void test_bytes_beyond_ascii_pass_in_values_and_nowhere_else(void **state)
{
	(void)state;
	accept(S(OK(
	    "Content-Disposition: attachment; filename=\"r\xe9sum\xe9 long name.pdf\"\r\n")));
	assert_true(rk_slice_is(head.fields[0].value,
	                        "attachment; filename=\"r\xe9sum\xe9 long name.pdf\""));
	refuse(S(OK("X-\xe9: a\r\n")), H1_E_HEADER_NAME);
	refuse(S(OK("X-A: abcdefgh\x7f\xe9\r\n")), H1_E_HEADER_VALUE);
	refuse(S(OK("X-A: \xe9\xe9\xe9\xe9\xe9\xe9\xe9\x01\r\n")), H1_E_HEADER_VALUE);
	refuse(S(OK("X-A: a\0b\r\n")), H1_E_HEADER_VALUE);
}

static void test_lines_end_with_cr_lf_and_are_not_folded(void **state)
{
	(void)state;
	refuse(S(OK("A: b\nC: d\r\n")), H1_E_LINE_END);
	refuse(S(OK("A: b\rC: d\r\n")), H1_E_LINE_END);
	refuse(S(OK("A: b\r\n c\r\n")), H1_E_LINE_END);
	refuse(S(OK("A : b\r\n")), H1_E_HEADER_NAME);
	accept(S(OK("A: b\r\nC: d\r\n")));
}

static void test_two_framings_are_refused(void **state)
{
	(void)state;
	refuse(S(OK("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), H1_E_FRAMING);
	refuse(S(OK("Transfer-Encoding: gzip, chunked\r\n")), H1_E_FRAMING);
	refuse(S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_E_FRAMING);
	refuse(S(OK("Content-Length: 5\r\nContent-Length: 5\r\n")), H1_E_LENGTH);
	refuse(S(OK("Content-Length: 5, 5\r\n")), H1_E_LENGTH);
	refuse(S("HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n"), H1_E_LENGTH);
	accept(S(OK("Transfer-Encoding: chunked\r\n")));
	assert_int_equal(head.body, H1_BODY_CHUNKED);
	assert_true(head.keep_alive);
}

static void test_without_framing_the_body_ends_with_the_connection(void **state)
{
	(void)state;
	accept(S(OK("Connection: keep-alive\r\n")));
	assert_int_equal(head.body, H1_BODY_CLOSE);
	assert_false(head.keep_alive);
	accept(S(OK("Content-Length: 0\r\n")));
	assert_int_equal(head.body, H1_BODY_LENGTH);
	assert_true(head.keep_alive);
}

static void test_some_statuses_have_no_body(void **state)
{
	static const struct rk_slice none[] = {
	    S("HTTP/1.1 100 Continue\r\n\r\n"),
	    S("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
	    S("HTTP/1.1 204 No Content\r\n\r\n"),
	    S("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
	    S("HTTP/1.1 304 Not Modified\r\n\r\n"),
	    S("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		accept(none[i]);
		assert_int_equal(head.body, H1_BODY_NONE);
		assert_true(head.keep_alive);
	}
	accept(S("HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\n"));
	assert_int_equal(head.body, H1_BODY_LENGTH);
}

static void test_a_body_announced_where_none_can_be_ends_the_connection(void **state)
{
	(void)state;
	accept(S("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"));
	assert_int_equal(head.body, H1_BODY_NONE);
	assert_false(head.keep_alive);
	accept(S("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"));
	assert_int_equal(head.body, H1_BODY_NONE);
	assert_false(head.keep_alive);
}

static void test_a_response_to_head_has_no_body(void **state)
{
	static const struct rk_slice text = S(OK("Content-Length: 5\r\n"));
	static const struct rk_slice chunked = S(OK("Transfer-Encoding: chunked\r\n"));
	static const struct rk_slice bare = S(OK(""));

	(void)state;
	assert_int_equal(parse(text, true), (int)text.n);
	assert_int_equal(head.body, H1_BODY_NONE);
	assert_int_equal(head.content_length, 5);
	assert_true(head.keep_alive);
	assert_int_equal(parse(chunked, true), (int)chunked.n);
	assert_int_equal(head.body, H1_BODY_NONE);
	assert_int_equal(parse(bare, true), (int)bare.n);
	assert_int_equal(head.body, H1_BODY_NONE);
	assert_true(head.keep_alive);
	assert_int_equal(parse(text, false), (int)text.n);
	assert_int_equal(head.body, H1_BODY_LENGTH);
}

static void test_keep_alive_follows_version_and_connection(void **state)
{
	(void)state;
	accept(S(OK("Content-Length: 1\r\nConnection: close\r\n")));
	assert_false(head.keep_alive);
	accept(S("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"));
	assert_false(head.keep_alive);
	accept(S("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"));
	assert_true(head.keep_alive);
}

static void test_a_server_may_name_transfer_encoding_in_connection(void **state)
{
	(void)state;
	accept(S(OK("Connection: Transfer-Encoding, X-A\r\nTransfer-Encoding: chunked\r\n"
	            "X-A: b\r\n")));
	assert_int_equal(head.body, H1_BODY_CHUNKED);
	assert_true(head.fields[2].hop);
}

static void test_switching_protocols_is_seen(void **state)
{
	(void)state;
	accept(
	    S("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
	assert_int_equal(head.status, 101);
	assert_true(head.upgrade);
	assert_int_equal(head.body, H1_BODY_NONE);
}

static void test_what_only_a_request_must_not_say_a_response_may(void **state)
{
	(void)state;
	accept(S(OK("Host: a b\r\nHost: c\r\nExpect: x\r\nX-Echo: rk_app_1\r\n")));
	assert_int_equal(head.fields[3].id, H1_HDR_OTHER);
}

static void test_limits_hold(void **state)
{
	static char text[H1_MAX_HEAD];
	static const char start[] = "HTTP/1.1 200 OK\r\nA: ";
	size_t n;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, start, sizeof(start) - 1);
	assert_int_equal(parse(rk_slice(text, sizeof(text) - 1), false), 0);
	assert_int_equal(parse(rk_slice(text, sizeof(text)), false), H1_E_TOO_LARGE);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	assert_int_equal(parse(rk_slice(text, sizeof(text)), false), (int)sizeof(text));

	n = sizeof("HTTP/1.1 200 OK\r\n") - 1;
	for (int i = 0; i < H1_MAX_FIELDS; i++, n += 5)
		memcpy(text + n, "A: \r\n", 5);
	memcpy(text + n, "\r\n", 2);
	assert_int_equal(parse(rk_slice(text, n + 2), false), (int)n + 2);
	memcpy(text + n, "A:", 2);
	assert_int_equal(parse(rk_slice(text, n + 2), false), H1_E_TOO_MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_plain_response_is_taken_apart),
	    cmocka_unit_test(test_a_reason_phrase_may_be_missing),
	    cmocka_unit_test(test_malformed_status_lines_are_refused),
	    cmocka_unit_test(test_bytes_beyond_ascii_pass_in_values_and_nowhere_else),
	    cmocka_unit_test(test_lines_end_with_cr_lf_and_are_not_folded),
	    cmocka_unit_test(test_two_framings_are_refused),
	    cmocka_unit_test(test_without_framing_the_body_ends_with_the_connection),
	    cmocka_unit_test(test_some_statuses_have_no_body),
	    cmocka_unit_test(test_a_body_announced_where_none_can_be_ends_the_connection),
	    cmocka_unit_test(test_a_response_to_head_has_no_body),
	    cmocka_unit_test(test_keep_alive_follows_version_and_connection),
	    cmocka_unit_test(test_a_server_may_name_transfer_encoding_in_connection),
	    cmocka_unit_test(test_switching_protocols_is_seen),
	    cmocka_unit_test(test_what_only_a_request_must_not_say_a_response_may),
	    cmocka_unit_test(test_limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
