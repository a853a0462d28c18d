#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/websocket.h"

#define ASKS    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static struct h1_head head;
static char text[2048];

static void request(const char *method, const char *fields)
{
	int n =
	    snprintf(text, sizeof text, "%s /c HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);

	assert_int_equal(h1_parse_request(rk_slice(text, (size_t)n), H1_MAX_HEAD, &head), n);
}

static bool asked(const char *fields)
{
	request("GET", fields);
	return websocket_asked(&head);
}

static void test_an_upgrade_to_websocket_alone_is_one(void **state)
{
	(void)state;
	assert_true(asked(ASKS));
	assert_true(asked("Connection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n"));
	assert_false(asked("Upgrade: websocket\r\n"));
	assert_false(asked("Connection: Upgrade\r\n"));
	assert_false(asked("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
	assert_false(asked("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"));
	assert_false(asked(ASKS "Upgrade: h2c\r\n"));
	assert_false(asked(ASKS "Upgrade: websocket\r\n"));
	assert_false(asked("Connection: Upgrade\r\nUpgrade: websocket/13\r\n"));
}

static void expect_fault(const char *method, const char *fields, const char *fault)
{
	request(method, fields);
	assert_true(websocket_asked(&head));
	if (fault)
		assert_string_equal(websocket_request_fault(&head), fault);
	else
		assert_null(websocket_request_fault(&head));
}

static void test_a_whole_handshake_has_no_fault(void **state)
{
	(void)state;
	expect_fault("GET", ASKS KEY VERSION, NULL);
	expect_fault("GET", ASKS "sec-websocket-key:  AAAAAAAAAAAAAAAAAAAAAA==\r\n" VERSION,
	             NULL);
}

static void test_a_handshake_is_a_get_without_a_body(void **state)
{
	(void)state;
	expect_fault("POST", ASKS KEY VERSION, "websocket_not_get");
	expect_fault("HEAD", ASKS KEY VERSION, "websocket_not_get");
	expect_fault("GET", ASKS KEY VERSION "Content-Length: 1\r\n", "websocket_with_body");
	expect_fault("GET", ASKS KEY VERSION "Transfer-Encoding: chunked\r\n",
	             "websocket_with_body");
	expect_fault("GET", ASKS KEY VERSION "Expect: 100-continue\r\n", "websocket_with_body");
}

static void test_a_handshake_has_one_version_and_one_key(void **state)
{
	(void)state;
	expect_fault("GET", ASKS KEY, "bad_websocket_version");
	expect_fault("GET", ASKS KEY "Sec-WebSocket-Version: 8\r\n", "bad_websocket_version");
	expect_fault("GET", ASKS KEY VERSION VERSION, "bad_websocket_version");
	expect_fault("GET", ASKS VERSION, "bad_websocket_key");
	expect_fault("GET", ASKS VERSION KEY KEY, "bad_websocket_key");
	expect_fault("GET", ASKS VERSION "Sec-WebSocket-Key: short\r\n", "bad_websocket_key");
	expect_fault("GET", ASKS VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ??\r\n",
	             "bad_websocket_key");
	expect_fault("GET", ASKS VERSION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n",
	             "bad_websocket_key");
	/* Connection may not take them away */
	expect_fault("GET", ASKS "Connection: Sec-WebSocket-Key\r\n" KEY VERSION,
	             "bad_websocket_key");
}

static const char *response_fault(const char *fields)
{
	int n =
	    snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", fields);

	assert_int_equal(
	    h1_parse_response(rk_slice(text, (size_t)n), H1_MAX_HEAD, false, &head), n);
	return websocket_response_fault(&head);
}

static void test_a_101_switches_to_websocket_and_frames_nothing(void **state)
{
	(void)state;
	assert_null(response_fault(ASKS));
	assert_null(
	    response_fault("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"));
	assert_string_equal(response_fault("Upgrade: websocket\r\n"), "bad_upgrade_response");
	assert_string_equal(response_fault("Connection: Upgrade\r\nUpgrade: h2c\r\n"),
	                    "bad_upgrade_response");
	assert_string_equal(response_fault(ASKS "Content-Length: 0\r\n"),
	                    "framed_upgrade_response");
	assert_string_equal(response_fault(ASKS "Transfer-Encoding: chunked\r\n"),
	                    "framed_upgrade_response");
}

static void test_frames_end_where_their_lengths_say(void **state)
{
	static char bytes[131072];
	size_t n = 0;

	(void)state;
	memcpy(bytes + n, "\x89\x00", 2); /* a ping without payload */
	n += 2;
	memcpy(bytes + n, "\x81\x03\x7e\x7f\x81", 5); /* lengths in the payload are none */
	n += 5;
	memcpy(bytes + n, "\x81\x80\x01\x02\x03\x04", 6); /* masked and empty */
	n += 6;
	memcpy(bytes + n, "\x02\x7e\x00\x7b", 4);
	n += 4 + 123;
	assert_int_equal(n, 140);
	{
		static const char large[] = "\x80\x7f\x00\x00\x00\x00\x00\x01\x01\xc9";

		memcpy(bytes + n, large, sizeof large - 1);
		n += sizeof large - 1 + 0x101c9;
	}
	assert_int_equal(n, 140 + 10 + 65993);
	for (size_t size = 1; size < 200; size++) {
		struct websocket_frames w = {0};

		for (size_t at = 0; at < n; at += size) {
			size_t to = at + size < n ? at + size : n;
			bool end = websocket_frames_pass(&w, rk_slice(bytes + at, to - at));

			assert_int_equal(end, to == 2 || to == 7 || to == 13 || to == 140 ||
			                          to == n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_upgrade_to_websocket_alone_is_one),
	    cmocka_unit_test(test_a_whole_handshake_has_no_fault),
	    cmocka_unit_test(test_a_handshake_is_a_get_without_a_body),
	    cmocka_unit_test(test_a_handshake_has_one_version_and_one_key),
	    cmocka_unit_test(test_a_101_switches_to_websocket_and_frames_nothing),
	    cmocka_unit_test(test_frames_end_where_their_lengths_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
