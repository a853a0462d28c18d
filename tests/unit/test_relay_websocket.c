/*
 * A relay whose exchange becomes a WebSocket. The world is that of test_relay_role.c; the bytes
 * behind the handshake need not be frames, because the relay does not read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"
#include "base/clock.h"
#include "ipc/audit_row.h"

#define AUTH  "Authorization: Bearer " WORLD_KEY "\r\n"
#define HOST  "Host: proxy.test\r\n"
#define ASKS  "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define V13   "Sec-WebSocket-Version: 13\r\n"
#define NONCE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

#define WS_WITH(path, more) "GET " path " HTTP/1.1\r\n" HOST ASKS V13 NONCE more "\r\n"
#define WS(path)            WS_WITH(path, AUTH)

static void open_tunnel(struct peer *p, const char *request)
{
	struct reply r;

	peer_connect(p);
	peer_send(p, request);
	reply_read_head(p, &r);
	assert_int_equal(r.status, 101);
	assert_true(reply_has(&r, "101 Switching Protocols"));
	assert_true(reply_has(&r, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
	assert_true(reply_has(&r, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_true(reply_has(&r, "x-relaykey-request-id: req_"));
	assert_false(reply_has(&r, "content-length"));
	assert_false(reply_has(&r, "transfer-encoding"));
	reply_free(&r);
}

/* The next n bytes are those of `text`. */
static void expect_bytes(struct peer *p, const char *text)
{
	size_t n = strlen(text);

	while (p->n < n && peer_more(p) > 0)
		;
	assert_int_equal(p->n, n);
	assert_memory_equal(p->buf, text, n);
	peer_drop(p, n);
}

static bool ended_properly(struct peer *p)
{
	return peer_more(p) <= 0 && (SSL_get_shutdown(p->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static unsigned tunnels_ended(void)
{
	unsigned n;

	pthread_mutex_lock(&world.lock);
	n = world.tunnels_ended;
	pthread_mutex_unlock(&world.lock);
	return n;
}

static void test_the_upstream_sees_a_handshake_with_the_real_credential_alone(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	/* an answer other than 101 is an ordinary response: here, the head as it came */
	peer_send(&p, "GET /mock/echo HTTP/1.1\r\n" HOST ASKS V13 NONCE
	              "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key." WORLD_KEY
	              ", v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
	              "Origin: https://app.example\r\n\r\n");
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_true(r.whole);
	assert_non_null(strstr(r.body, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
	assert_non_null(strstr(r.body, "\r\nSec-WebSocket-Protocol: realtime,v1\r\n"));
	assert_non_null(strstr(r.body, "\r\nAuthorization: Bearer " WORLD_SECRET "\r\n"));
	assert_non_null(strstr(r.body, "\r\n" NONCE));
	assert_non_null(strstr(r.body, "\r\n" V13));
	assert_non_null(strstr(r.body, "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"));
	assert_null(strstr(r.body, WORLD_KEY));
	assert_null(strstr(r.body, "openai"));
	/* what a client sends behind its handshake is never taken for the next request */
	assert_true(reply_has(&r, "Connection: close"));
	reply_free(&r);
	peer_close(&p);
}

static void test_bytes_pass_both_ways_and_are_counted(void **state)
{
	unsigned before = world_notes();
	struct world_note note;
	struct peer p;

	(void)state;
	open_tunnel(&p, WS("/mock/ws"));
	for (int i = 0; i < 3; i++) {
		peer_send(&p, "0\r\n\r\nGET / HTTP/1.1\r\n");
		expect_bytes(&p, "0\r\n\r\nGET / HTTP/1.1\r\n");
	}
	SSL_shutdown(p.ssl);
	assert_true(ended_properly(&p));
	peer_close(&p);
	note = world_wait_note(before + 1);
	assert_int_equal(note.status, 101);
	assert_int_equal(note.outcome, OUTCOME_COMPLETE);
	assert_int_equal(note.reason, REASON_OK);
	assert_int_equal(note.bytes_in, 63);
	assert_int_equal(note.bytes_out, 63);
}

static void test_bytes_that_come_early_wait_for_the_101(void **state)
{
	struct peer p;

	(void)state;
	open_tunnel(&p, WS("/mock/ws") "early frames");
	expect_bytes(&p, "early frames");
	peer_close(&p);
	open_tunnel(&p, WS("/mock/ws-eager"));
	expect_bytes(&p, "first");
	peer_send(&p, "second");
	expect_bytes(&p, "second");
	peer_close(&p);
}

static void test_early_bytes_of_a_refused_handshake_are_no_request(void **state)
{
	static const char *const handshakes[] = {
	    WS("/mock/none") "GET /mock/echo HTTP/1.1\r\n" HOST AUTH "\r\n",
	    WS_WITH("/mock/ws", "x-api-key: rk_app_wrong\r\n") "GET /healthz HTTP/1.1\r\n" HOST
	                                                       "\r\n",
	};
	static const int status[] = {404, 401};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct peer p;
		struct reply r;

		peer_connect(&p);
		peer_send(&p, handshakes[i]);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, status[i]);
		assert_true(r.whole);
		assert_true(reply_has(&r, "Connection: close"));
		reply_free(&r);
		assert_true(ended_properly(&p));
		peer_close(&p);
	}
}

static void test_the_upstream_may_end_it_first(void **state)
{
	unsigned before = world_notes();
	struct peer p;

	(void)state;
	open_tunnel(&p, WS("/mock/ws"));
	peer_send(&p, "bye");
	assert_true(ended_properly(&p));
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_COMPLETE);
}

static void test_a_side_that_breaks_off_ends_the_other(void **state)
{
	static const struct linger reset = {1, 0};
	unsigned before = world_notes(), ended;
	struct peer p;

	(void)state;
	open_tunnel(&p, WS("/mock/ws"));
	peer_send(&p, "drop");
	assert_true(peer_more(&p) <= 0);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_UPSTREAM_GONE);

	ended = tunnels_ended();
	open_tunnel(&p, WS("/mock/ws"));
	setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	SSL_free(p.ssl);
	p.ssl = NULL;
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 2).outcome, OUTCOME_CLIENT_GONE);
	for (int i = 0; i < 500 && tunnels_ended() == ended; i++)
		usleep(2000);
	assert_int_equal(tunnels_ended(), ended + 1);
}

static void test_a_cut_ends_both_sides_at_once(void **state)
{
	const struct msg_cut cut = {.reason = REASON_INVALID_KEY};
	unsigned before = world_notes(), ended = tunnels_ended();
	struct peer p;
	int64_t from;

	(void)state;
	open_tunnel(&p, WS("/mock/ws"));
	peer_send(&p, "x");
	expect_bytes(&p, "x");
	from = rk_mono_us();
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, world.last_id, &cut, -1), 0);
	assert_false(ended_properly(&p));
	while (tunnels_ended() == ended && rk_mono_us() - from < 1000000)
		usleep(1000);
	assert_true(rk_mono_us() - from < 100000);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CUT);
}

static void test_a_tunnel_ends_when_its_key_expires(void **state)
{
	unsigned before = world_notes();
	struct peer p;

	(void)state;
	open_tunnel(&p, WS_WITH("/mock/ws", "x-api-key: " WORLD_EXPIRING "\r\n"));
	assert_false(ended_properly(&p));
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CUT);
}

static void test_a_tunnel_in_which_nothing_moves_ends(void **state)
{
	unsigned before = world_notes();
	struct world_note note;
	struct peer p;

	(void)state;
	open_tunnel(&p, WS("/mock/ws"));
	for (int i = 0; i < 4; i++) { /* longer than the deadline, in all */
		usleep(400000);
		peer_send(&p, "x");
		expect_bytes(&p, "x");
	}
	assert_false(ended_properly(&p));
	peer_close(&p);
	note = world_wait_note(before + 1);
	assert_int_equal(note.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(note.status, 101);
}

static void test_a_101_that_is_no_websocket_is_502(void **state)
{
	static const char *const bad[] = {
	    WS("/mock/ws-other"), WS("/mock/ws-unsaid"), WS("/mock/ws-framed"),
	    "GET /mock/ws HTTP/1.1\r\n" HOST AUTH "\r\n", /* nobody asked */
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned before = world_notes();
		struct peer p;
		struct reply r;

		peer_connect(&p);
		peer_send(&p, bad[i]);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 502);
		reply_free(&r);
		peer_close(&p);
		assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_UPSTREAM_GONE);
	}
}

static void test_a_malformed_handshake_is_refused_and_reported(void **state)
{
	static const struct {
		const char *request;
		int status;
	} bad[] = {
	    {"POST /mock/ws HTTP/1.1\r\n" HOST AUTH ASKS V13 NONCE "Content-Length: 0\r\n\r\n",
	     400},
	    {"GET /mock/ws HTTP/1.1\r\n" HOST AUTH ASKS V13 "\r\n", 400},
	    {"GET /mock/ws HTTP/1.1\r\n" HOST AUTH ASKS NONCE "\r\n", 400},
	    {"GET /mock/ws HTTP/1.1\r\n" HOST AUTH V13 NONCE
	     "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
	     501},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned before = world_notes();
		struct peer p;
		struct reply r;

		peer_connect(&p);
		peer_send(&p, bad[i].request);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, bad[i].status);
		reply_free(&r);
		peer_close(&p);
		assert_true(world_wait_note(before + 1).refused);
	}
}

static void test_two_keys_in_one_handshake_are_401(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, WS_WITH("/mock/ws", AUTH "Sec-WebSocket-Protocol: realtime, "
	                                       "openai-insecure-api-key.rk_app_other\r\n"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 401);
	reply_free(&r);
	peer_close(&p);
	open_tunnel(&p, WS_WITH("/mock/ws", AUTH "Sec-WebSocket-Protocol: realtime, "
	                                         "openai-insecure-api-key." WORLD_KEY "\r\n"));
	peer_close(&p);
}

static void test_a_handshake_never_takes_a_pooled_connection(void **state)
{
	struct peer p;
	struct reply r;
	unsigned accepted;

	(void)state;
	peer_connect(&p);
	peer_send(&p, "GET /mock/big/1 HTTP/1.1\r\n" HOST AUTH "\r\n");
	reply_read(&p, &r, false);
	reply_free(&r);
	accepted = world_upstream_accepted();
	peer_close(&p);
	open_tunnel(&p, WS("/mock/ws"));
	assert_int_equal(world_upstream_accepted(), accepted + 1);
	peer_close(&p);
}

static int setup(void **state)
{
	(void)state;
	alarm(120);
	return world_start();
}

static int teardown(void **state)
{
	(void)state;
	return world_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_upstream_sees_a_handshake_with_the_real_credential_alone),
	    cmocka_unit_test(test_bytes_pass_both_ways_and_are_counted),
	    cmocka_unit_test(test_bytes_that_come_early_wait_for_the_101),
	    cmocka_unit_test(test_early_bytes_of_a_refused_handshake_are_no_request),
	    cmocka_unit_test(test_the_upstream_may_end_it_first),
	    cmocka_unit_test(test_a_side_that_breaks_off_ends_the_other),
	    cmocka_unit_test(test_a_cut_ends_both_sides_at_once),
	    cmocka_unit_test(test_a_tunnel_ends_when_its_key_expires),
	    cmocka_unit_test(test_a_tunnel_in_which_nothing_moves_ends),
	    cmocka_unit_test(test_a_101_that_is_no_websocket_is_502),
	    cmocka_unit_test(test_a_malformed_handshake_is_refused_and_reported),
	    cmocka_unit_test(test_two_keys_in_one_handshake_are_401),
	    cmocka_unit_test(test_a_handshake_never_takes_a_pooled_connection),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
