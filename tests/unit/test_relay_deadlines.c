/*
 * Each state that a connection or a request can be stuck in, with a deadline of some tenths of
 * a second, and next to it one that is as slow as may be and comes through. The others are in
 * test_relay_role.c (head, decision, response head), test_relay_websocket.c (tunnel) and
 * test_relay_dial.c (dial, attempt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"
#include "base/clock.h"
#include "ipc/audit_row.h"
#include "relay/transfer.h"

#define AUTH      "Host: proxy.test\r\nAuthorization: Bearer " WORLD_KEY "\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" AUTH "\r\n"

enum {
	HANDSHAKE_MS = 500,
	HEAD_MS = 500,
	IDLE_MS = 700,
	BODY_MS = 800,
	RESPONSE_HEAD_MS = 800,
	RESPONSE_IDLE_MS = 600,
	CLIENT_WRITE_MS = 700,
	TUNNEL_END_MS = 400,
	POOL_MS = 500,
	LINGER_MS = 400,
	RETIRED_MS = 500,
	TICK_MS = 800, /* a coarse clock, and a busy machine */
};

/* A TCP connection to the relay, no TLS. */
static int tcp_connect(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                          .sin_port = htons((uint16_t)world.proxy_port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0);
	peer_patience(fd, 5);
	return fd;
}

/* How many ms until the relay ends it. */
static int64_t until_closed(struct peer *p)
{
	int64_t began_us = rk_mono_us();

	assert_true(peer_more(p) <= 0);
	return (rk_mono_us() - began_us) / 1000;
}

static void served(struct peer *p)
{
	struct reply r;

	peer_send(p, GET("/mock/big/1"));
	reply_read(p, &r, false);
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void assert_timed_out(unsigned note, enum reason reason)
{
	struct world_note n = world_wait_note(note);

	assert_int_equal(n.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(n.reason, reason);
}

static void test_a_client_that_never_says_hello_is_closed(void **state)
{
	int64_t began_us = rk_mono_us();
	int fd = tcp_connect();
	struct peer p;
	char byte;

	(void)state;
	/* a few bytes of a ClientHello, and one by one: it is a limit of the whole */
	for (int i = 0; i < 3; i++) {
		(void)!write(fd, "\x16\x03\x01" + i, 1);
		usleep(100000);
	}
	assert_true(read(fd, &byte, 1) <= 0);
	assert_in_range((rk_mono_us() - began_us) / 1000, HANDSHAKE_MS - 50,
	                HANDSHAKE_MS + TICK_MS);
	close(fd);
	peer_connect(&p);
	usleep((HANDSHAKE_MS + 100) * 1000); /* it is over with the handshake */
	served(&p);
	peer_close(&p);
}

static void test_a_head_that_trickles_is_refused_when_its_time_is_over(void **state)
{
	static const char head[] =
	    "GET /mock/big/1 HTTP/1.1\r\n" AUTH "X-Slow: aaaaaaaaaaaaaaa";
	unsigned notes = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	for (size_t i = 0; i < 8; i++) {
		peer_send_n(&p, head + i, 1);
		usleep(100000);
	}
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 408);
	assert_non_null(strstr(r.body, "head_timeout"));
	reply_free(&r);
	peer_close(&p);
	assert_true(world_wait_note(notes + 1).refused);
	/* in three pieces, in time */
	peer_connect(&p);
	peer_send(&p, "GET /mock/big/1 HTTP/1.1\r\n");
	usleep(HEAD_MS * 300);
	peer_send(&p, AUTH);
	usleep(HEAD_MS * 300);
	peer_send(&p, "\r\n");
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	reply_free(&r);
	peer_close(&p);
}

static void test_a_connection_without_a_request_is_ended_before_and_between(void **state)
{
	struct peer p;

	(void)state;
	peer_connect(&p);
	assert_in_range(until_closed(&p), IDLE_MS - 50, IDLE_MS + TICK_MS);
	assert_true(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN);
	peer_close(&p);
	peer_connect(&p);
	for (int i = 0; i < 3; i++) {
		served(&p);
		usleep(IDLE_MS * 600); /* anew after each */
	}
	served(&p);
	assert_in_range(until_closed(&p), IDLE_MS - 50, IDLE_MS + TICK_MS);
	peer_close(&p);
}

/* A body in pieces of n bytes, one every pause_ms, until it is answered or 3 s are over. */
static struct reply upload(size_t n, unsigned pause_ms, const char *framing)
{
	static char piece[8192];
	struct pollfd pfd = {.events = POLLIN};
	int64_t end_us = rk_mono_us() + 3000000;
	struct peer p;
	struct reply r;

	memset(piece, 'x', sizeof piece);
	peer_connect(&p);
	served(&p); /* and the session tickets are out of the way */
	pfd.fd = p.fd;
	peer_send(&p, "POST /mock/count HTTP/1.1\r\n" AUTH);
	peer_send(&p, framing);
	while (rk_mono_us() < end_us && poll(&pfd, 1, (int)pause_ms) == 0) {
		if (strstr(framing, "chunked")) {
			char size[16];

			snprintf(size, sizeof size, "%zx\r\n", n);
			peer_send(&p, size);
			peer_send_n(&p, piece, n);
			peer_send(&p, "\r\n");
		} else {
			peer_send_n(&p, piece, n);
		}
	}
	if (strstr(framing, "chunked"))
		peer_send(&p, "0\r\n\r\n");
	reply_read(&p, &r, false);
	peer_close(&p);
	return r;
}

static void test_a_body_that_trickles_is_one_that_does_not_come(void **state)
{
	static const char *const framings[] = {"Content-Length: 100000\r\n\r\n",
	                                       "Transfer-Encoding: chunked\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned notes = world_notes();
		int64_t began_us = rk_mono_us();
		struct reply r = upload(1, 100, framings[i]);

		assert_int_equal(r.status, 408);
		assert_non_null(strstr(r.body, "body_timeout"));
		assert_in_range((rk_mono_us() - began_us) / 1000, BODY_MS - 50,
		                BODY_MS + TICK_MS);
		reply_free(&r);
		assert_timed_out(notes + 2, REASON_CLIENT_TIMEOUT);
	}
}

static void test_a_body_that_never_comes_is_given_up(void **state)
{
	static const char *const more[] = {"Content-Length: 10\r\n\r\n",
	                                   "Content-Length: 2000\r\n\r\nhalf of it",
	                                   "Transfer-Encoding: chunked\r\n\r\n",
	                                   "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
		unsigned notes = world_notes();
		struct peer p;
		struct reply r;

		peer_connect(&p);
		peer_send(&p, "POST /mock/count HTTP/1.1\r\n" AUTH);
		peer_send(&p, more[i]);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 408);
		assert_non_null(strstr(r.body, "body_timeout"));
		reply_free(&r);
		peer_close(&p);
		assert_timed_out(notes + 1, REASON_CLIENT_TIMEOUT);
	}
}

static void test_a_slow_body_that_keeps_the_pace_arrives(void **state)
{
	/* for 3 s, each deadline 0.8 s */
	struct reply r =
	    upload(TRANSFER_PACE_BYTES / 2, 200, "Transfer-Encoding: chunked\r\n\r\n");

	(void)state;
	assert_int_equal(r.status, 200);
	assert_true(strtoul(r.body, NULL, 10) >= 8 * TRANSFER_PACE_BYTES / 2);
	reply_free(&r);
}

static void test_a_response_head_that_trickles_is_no_response(void **state)
{
	static const char *const paths[] = {GET("/mock/drip"), GET("/mock/silent")};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned notes = world_notes();
		struct peer p;
		struct reply r;

		peer_connect(&p);
		peer_send(&p, paths[i]);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 504);
		assert_non_null(strstr(r.body, "response_timeout"));
		reply_free(&r);
		assert_timed_out(notes + 1, REASON_UPSTREAM_TIMEOUT);
		served(&p);
		peer_close(&p);
	}
}

static void test_a_response_that_stalls_is_broken_off_and_a_slow_one_is_not(void **state)
{
	unsigned notes = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(reply_chunk(&p, &r), -1);
	assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	reply_free(&r);
	peer_close(&p);
	assert_timed_out(notes + 1, REASON_UPSTREAM_TIMEOUT);

	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reply_chunk(&p, &r), 9);
		usleep(RESPONSE_IDLE_MS * 600);
		assert_int_equal(write(world.go[1], "x", 1), 1);
	}
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(reply_chunk(&p, &r), 0);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_COMPLETE);
}

/* Resident memory of the relay. */
static long relay_kib(void)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)world.relay);
	f = fopen(path, "r");
	MUST(f);
	while (fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

static void test_clients_that_do_not_read_cost_little_and_are_ended(void **state)
{
	enum { CLIENTS = 20, EACH_KIB = 200 };
	unsigned notes = world_notes();
	struct peer *p = calloc(CLIENTS, sizeof *p);
	long before = relay_kib();

	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		peer_connect(&p[i]);
		peer_send(&p[i], GET("/mock/big/50000000"));
	}
	usleep(400000);
	/* what the sanitizer's allocator keeps is not the relay's */
#ifndef __SANITIZE_ADDRESS__
	assert_true(relay_kib() - before < CLIENTS * EACH_KIB);
#else
	(void)before;
#endif
	for (int i = 0; i < CLIENTS; i++)
		assert_timed_out(notes + 1 + (unsigned)i, REASON_CLIENT_TIMEOUT);
	for (int i = 0; i < CLIENTS; i++)
		peer_close(&p[i]);
	free(p);
}

static void test_answers_of_the_relay_itself_wait_no_longer_for_a_reader(void **state)
{
	enum { REQUESTS = 400 };
	static const char one[] = "GET /healthz HTTP/1.1\r\nHost: proxy.test\r\n\r\n";
	static char many[REQUESTS * sizeof one];
	struct pollfd pfd = {.events = POLLOUT};
	int64_t end_us = rk_mono_us() + 10000000;
	struct peer p;

	(void)state;
	for (int i = 0; i < REQUESTS; i++)
		memcpy(many + i * (sizeof one - 1), one, sizeof one - 1);
	peer_connect(&p);
	pfd.fd = p.fd;
	/* until the relay takes no more, because no answer of it is read */
	while (poll(&pfd, 1, 100) == 1 && rk_mono_us() < end_us &&
	       peer_send_n(&p, many, REQUESTS * (sizeof one - 1)))
		;
	pfd.events = POLLRDHUP;
	assert_int_equal(poll(&pfd, 1, CLIENT_WRITE_MS + TICK_MS), 1);
	assert_true(pfd.revents & (POLLHUP | POLLERR | POLLRDHUP));
	peer_close(&p);
}

static void test_a_client_that_reads_slowly_gets_all_of_it(void **state)
{
	enum { ALL = 30000000, PIECE = 3000000 };
	struct peer p;
	struct reply r;
	size_t got = 0;
	unsigned notes = world_notes();

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/big/30000000"));
	reply_read_head(&p, &r);
	while (got < ALL) {
		assert_int_equal(reply_take(&p, &r, PIECE), PIECE);
		got += PIECE;
		usleep(CLIENT_WRITE_MS * 400);
	}
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(notes + 1).outcome, OUTCOME_COMPLETE);
}

/* The kernel says for seconds that there is no room; what is acknowledged says more. */
static void test_a_client_that_reads_little_at_a_time_is_not_cut(void **state)
{
	enum { PIECE = 16384, PIECES = 5 * CLIENT_WRITE_MS / 50, RECEIVE_BYTES = 131072 };
	unsigned notes = world_notes();
	int bytes = RECEIVE_BYTES;
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	peer_send(&p, GET("/mock/big/100000000"));
	reply_read_head(&p, &r);
	for (int i = 0; i < PIECES; i++) {
		assert_int_equal(reply_take(&p, &r, PIECE), PIECE);
		usleep(50000);
	}
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(notes + 1).outcome, OUTCOME_CLIENT_GONE);
}

static void test_a_tunnel_of_which_one_side_stays_open_is_ended(void **state)
{
	unsigned notes = world_notes();
	struct peer p;
	struct reply r;
	int64_t began_us;

	(void)state;
	peer_connect(&p);
	peer_send(&p, "GET /mock/ws HTTP/1.1\r\n" AUTH
	              "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	              "Sec-WebSocket-Version: 13\r\n"
	              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 101);
	reply_free(&r);
	began_us = rk_mono_us();
	peer_send(&p, "bye");
	assert_timed_out(notes + 1, REASON_UPSTREAM_TIMEOUT);
	assert_in_range((rk_mono_us() - began_us) / 1000, TUNNEL_END_MS - 50,
	                TUNNEL_END_MS + TICK_MS);
	peer_close(&p);
}

static void test_a_pooled_connection_is_closed_when_nobody_needs_it(void **state)
{
	unsigned accepted;
	struct peer p;

	(void)state;
	peer_connect(&p);
	served(&p);
	accepted = world_upstream_accepted();
	usleep(POOL_MS * 500);
	served(&p);
	assert_int_equal(world_upstream_accepted(), accepted);
	peer_close(&p);
	usleep((POOL_MS + TICK_MS) * 1000);
	peer_connect(&p);
	served(&p);
	assert_int_equal(world_upstream_accepted(), accepted + 1);
	peer_close(&p);
}

/* Refused with a body that is not read to its end. */
static void refuse(struct peer *p)
{
	struct reply r;

	peer_connect(p);
	peer_send(p, "POST /mock/a//b HTTP/1.1\r\n" AUTH "Content-Length: 1000000\r\n\r\n");
	reply_read(p, &r, false);
	assert_int_equal(r.status, 400);
	assert_true(r.whole);
	reply_free(&r);
}

static void test_who_was_refused_may_go_on_sending_for_a_moment_only(void **state)
{
	struct peer p;

	(void)state;
	refuse(&p);
	for (int i = 0; i < 3; i++) {
		assert_true(peer_send(&p, "more"));
		usleep(LINGER_MS * 200);
	}
	usleep((LINGER_MS + TICK_MS) * 1000);
	/* the first may still go out; it is answered with a reset */
	for (int i = 0; i < 3; i++) {
		(void)peer_send(&p, "more");
		usleep(20000);
	}
	assert_false(peer_send(&p, "more"));
	peer_close(&p);
}

static void test_a_replaced_upstream_serves_decisions_on_their_way_for_a_while(void **state)
{
	struct msg_upstream m = {.upstream_id = 30,
	                         .replaces = 4,
	                         .conn_id = rk_str("conn_named"),
	                         .name = rk_str("named"),
	                         .host = rk_str("localhost"),
	                         .port = (uint16_t)world.upstream_port,
	                         .flags = UPSTREAM_ALLOW_PRIVATE,
	                         .ca_pem = rk_str(world.certificate)};
	struct peer p;
	struct reply r;

	(void)state;
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_UPSTREAM, 0, &m, -1), 0);
	peer_connect(&p);
	/* the keeper of this world still says 4 */
	peer_send(&p, GET("/named/big/3"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	reply_free(&r);
	peer_close(&p);
	usleep((RETIRED_MS + TICK_MS) * 1000);
	peer_connect(&p);
	peer_send(&p, GET("/named/big/3"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "connection_changed"));
	reply_free(&r);
	peer_close(&p);
}

static int setup(void **state)
{
	static const uint32_t ms[DEADLINE_KINDS] = {
	    [DEADLINE_HANDSHAKE] = HANDSHAKE_MS,
	    [DEADLINE_HEAD] = HEAD_MS,
	    [DEADLINE_IDLE] = IDLE_MS,
	    [DEADLINE_BODY] = BODY_MS,
	    [DEADLINE_RESPONSE_HEAD] = RESPONSE_HEAD_MS,
	    [DEADLINE_RESPONSE_IDLE] = RESPONSE_IDLE_MS,
	    [DEADLINE_CLIENT_WRITE] = CLIENT_WRITE_MS,
	    [DEADLINE_TUNNEL_END] = TUNNEL_END_MS,
	    [DEADLINE_POOL] = POOL_MS,
	    [DEADLINE_LINGER] = LINGER_MS,
	    [DEADLINE_RETIRED] = RETIRED_MS,
	};

	(void)state;
	alarm(120);
	for (int i = 0; i < DEADLINE_KINDS; i++) {
		if (ms[i])
			world_params.deadline_ms[i] = ms[i];
	}
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
	    cmocka_unit_test(test_a_client_that_never_says_hello_is_closed),
	    cmocka_unit_test(test_a_head_that_trickles_is_refused_when_its_time_is_over),
	    cmocka_unit_test(test_a_connection_without_a_request_is_ended_before_and_between),
	    cmocka_unit_test(test_a_body_that_trickles_is_one_that_does_not_come),
	    cmocka_unit_test(test_a_body_that_never_comes_is_given_up),
	    cmocka_unit_test(test_a_slow_body_that_keeps_the_pace_arrives),
	    cmocka_unit_test(test_a_response_head_that_trickles_is_no_response),
	    cmocka_unit_test(test_a_response_that_stalls_is_broken_off_and_a_slow_one_is_not),
	    cmocka_unit_test(test_clients_that_do_not_read_cost_little_and_are_ended),
	    cmocka_unit_test(test_answers_of_the_relay_itself_wait_no_longer_for_a_reader),
	    cmocka_unit_test(test_a_client_that_reads_slowly_gets_all_of_it),
	    cmocka_unit_test(test_a_client_that_reads_little_at_a_time_is_not_cut),
	    cmocka_unit_test(test_a_tunnel_of_which_one_side_stays_open_is_ended),
	    cmocka_unit_test(test_a_pooled_connection_is_closed_when_nobody_needs_it),
	    cmocka_unit_test(test_who_was_refused_may_go_on_sending_for_a_moment_only),
	    cmocka_unit_test(
	        test_a_replaced_upstream_serves_decisions_on_their_way_for_a_while),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
