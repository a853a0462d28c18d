/*
 * The relay as a process: a client, a keeper and an upstream around it, everything real but the
 * keeper's judgement. The world is in tests/lib/relay_world.h and relay_upstream.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"
#include "base/clock.h"
#include "ipc/audit_row.h"

#define AUTH "Authorization: Bearer " WORLD_KEY "\r\n"
#define HOST "Host: proxy.test\r\n"

/* One request on a connection of its own. */
static struct reply ask_with(const char *request, bool no_body)
{
	struct peer p;
	struct reply r;

	peer_connect(&p);
	peer_send(&p, request);
	reply_read(&p, &r, no_body);
	peer_close(&p);
	return r;
}

static struct reply ask(const char *request)
{
	return ask_with(request, false);
}

#define GET(path) "GET " path " HTTP/1.1\r\n" HOST AUTH "\r\n"

static void test_a_get_reaches_the_upstream_with_the_real_credential_alone(void **state)
{
	unsigned before = world_notes();
	struct reply r =
	    ask("GET /mock/echo?a=1&b=%20 HTTP/1.1\r\n" HOST AUTH "X-Api-Key: " WORLD_KEY
	        "\r\nx_api_key: " WORLD_KEY "\r\n"
	        "X-RelayKey-Anything: 1\r\nCookie: c=1\r\nX-Forwarded-For: 1.2.3.4\r\n"
	        "X-Custom-Auth: mine\r\nConnection: keep-alive, X-Private\r\n"
	        "X-Private: 1\r\nX-Passes: yes\r\n\r\n");
	struct world_note note;

	(void)state;
	assert_int_equal(r.status, 200);
	assert_true(r.whole);
	assert_non_null(strstr(r.body, "GET /v1/echo?a=1&b=%20 HTTP/1.1\r\nHost: 127.0.0.1:"));
	assert_non_null(strstr(r.body, "Authorization: Bearer " WORLD_SECRET "\r\n"));
	assert_non_null(strstr(r.body, "X-Passes: yes\r\n"));
	assert_null(strstr(r.body, WORLD_KEY));
	assert_null(strcasestr(r.body, "relaykey"));
	assert_null(strcasestr(r.body, "cookie"));
	assert_null(strcasestr(r.body, "forwarded"));
	assert_null(strcasestr(r.body, "x-custom-auth"));
	assert_null(strcasestr(r.body, "x-private"));
	assert_null(strcasestr(r.body, "connection"));
	assert_true(reply_has(&r, "x-relaykey-request-id: req_"));
	assert_true(reply_has(&r, "x-relaykey-decision: allowed"));
	reply_free(&r);
	note = world_wait_note(before + 1);
	assert_int_equal(note.outcome, OUTCOME_COMPLETE);
	assert_int_equal(note.status, 200);
	assert_true(note.bytes_out > 0);
}

static void test_a_key_in_the_query_is_taken_out_and_the_real_one_put_in(void **state)
{
	struct reply r =
	    ask("GET /query/echo?a=1&key=" WORLD_KEY "&b=2 HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	assert_int_equal(r.status, 200);
	assert_non_null(
	    strstr(r.body, "GET /v1/echo?a=1&b=2&key=" WORLD_SECRET " HTTP/1.1\r\n"));
	assert_null(strstr(r.body, WORLD_KEY));
	reply_free(&r);
}

static void test_a_wrong_key_is_refused_and_the_connection_lives_on(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, "POST /mock/echo HTTP/1.1\r\n" HOST
	              "Authorization: Bearer rk_app_wrong\r\nContent-Length: 4\r\n\r\nbody");
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 401);
	assert_true(reply_has(&r, "WWW-Authenticate: Basic realm=\"relaykey\""));
	assert_true(reply_has(&r, "x-should-retry: false"));
	assert_true(reply_has(&r, "x-relaykey-block-reason: invalid_api_key"));
	assert_non_null(
	    strstr(r.body, "\"type\":\"error\",\"error\":{\"type\":\"authentication_error\""));
	reply_free(&r);
	peer_send(&p, GET("/mock/big/5"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "xxxxx");
	reply_free(&r);
	peer_close(&p);
}

static void test_requests_of_one_connection_share_an_upstream_connection(void **state)
{
	struct peer p;
	struct reply r;
	unsigned accepted;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/big/3"));
	reply_read(&p, &r, false);
	reply_free(&r);
	accepted = world_upstream_accepted();
	for (int i = 0; i < 20; i++) {
		peer_send(&p, GET("/mock/big/3"));
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.body_n, 3);
		reply_free(&r);
	}
	assert_int_equal(world_upstream_accepted(), accepted);
	peer_close(&p);
}

static void test_connections_that_rested_go_on(void **state)
{
	struct timespec longer_than_quiet = {0, 600 * 1000000};
	struct peer p;
	struct reply r;
	unsigned accepted = 0;

	(void)state;
	peer_connect(&p);
	for (int i = 0; i < 3; i++) {
		peer_send(&p, GET("/mock/big/70000"));
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.body_n, 70000);
		reply_free(&r);
		if (i == 0)
			accepted = world_upstream_accepted();
		nanosleep(&longer_than_quiet, NULL);
	}
	/* and the upstream's connection was resting in its pool, not closed */
	assert_int_equal(world_upstream_accepted(), accepted);
	peer_close(&p);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/big/1") GET("/mock/chunked/2") "GET /healthz HTTP/1.1\r\n" HOST
	                                                        "\r\n" GET("/mock/big/4"));
	for (size_t want = 1; want <= 4; want++) {
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 200);
		if (want == 3)
			assert_string_equal(r.body, "{\"status\":\"ok\"}\n");
		else
			assert_int_equal(r.body_n, want);
		reply_free(&r);
	}
	peer_close(&p);
}

static void test_a_large_body_passes_whole_in_both_directions(void **state)
{
	static const size_t sizes[] = {16384, 16385, 1000003};
	static char data[1000003];
	char head[256], count[32];
	struct reply r;
	struct peer p;

	(void)state;
	memset(data, 'u', sizeof data);
	peer_connect(&p);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		snprintf(head, sizeof head,
		         "POST /mock/count HTTP/1.1\r\n" HOST AUTH
		         "Content-Length: %zu\r\n\r\n",
		         sizes[i]);
		peer_send(&p, head);
		assert_true(peer_send_n(&p, data, sizes[i]));
		reply_read(&p, &r, false);
		snprintf(count, sizeof count, "%zu", sizes[i]);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, count);
		reply_free(&r);
		snprintf(head, sizeof head, "GET /mock/%s/%zu HTTP/1.1\r\n" HOST AUTH "\r\n",
		         i & 1 ? "big" : "chunked", sizes[i]);
		peer_send(&p, head);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 200);
		assert_true(r.whole);
		assert_int_equal(r.body_n, sizes[i]);
		reply_free(&r);
	}
	peer_close(&p);
}

static void test_a_chunked_upload_is_rechunked_and_the_next_request_follows(void **state)
{
	unsigned before = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, "POST /mock/echo HTTP/1.1\r\n" HOST AUTH
	              "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n");
	usleep(50000);
	peer_send(&p, "6\r\n world\r\n0\r\nTrailer: x\r\n\r\n" GET("/mock/big/2"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "\r\nTransfer-Encoding: chunked\r\n"));
	assert_non_null(strstr(r.body, "\r\n\r\nhello world"));
	assert_null(strstr(r.body, "Trailer"));
	reply_free(&r);
	reply_read(&p, &r, false);
	assert_int_equal(r.body_n, 2);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).bytes_in, 11);
}

static void test_expect_is_answered_only_when_the_request_is_allowed(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, "POST /mock/echo HTTP/1.1\r\n" HOST AUTH
	              "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 100);
	reply_free(&r);
	peer_send(&p, "abc");
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_null(strcasestr(r.body, "expect"));
	assert_non_null(strstr(r.body, "\r\n\r\nabc"));
	reply_free(&r);
	peer_send(&p, "POST /mock/echo HTTP/1.1\r\n" HOST
	              "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 401);
	assert_true(reply_has(&r, "Connection: close"));
	reply_free(&r);
	peer_close(&p);
}

static void test_events_of_a_stream_pass_one_by_one(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 200);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_memory_equal(r.body, "data: 1\n\n", 9);
	assert_int_equal(write(world.go[1], "x", 1), 1);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(write(world.go[1], "x", 1), 1);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_memory_equal(r.body + 18, "data: 3\n\n", 9);
	assert_int_equal(reply_chunk(&p, &r), 0);
	reply_free(&r);
	peer_close(&p);
}

static void test_a_cut_ends_a_live_stream_at_once_and_visibly(void **state)
{
	const struct msg_cut cut = {.reason = REASON_INVALID_KEY};
	unsigned before = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, world.last_id, &cut, -1), 0);
	assert_int_equal(reply_chunk(&p, &r), -1);
	assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CUT);
}

static void test_a_cut_before_the_response_is_a_refusal(void **state)
{
	const struct msg_cut cut = {.reason = REASON_INVALID_KEY};
	unsigned before = world_notes(), asked = world.asked;
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/silent"));
	while (world.asked == asked)
		usleep(1000);
	usleep(100000);
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, world.last_id, &cut, -1), 0);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 401);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CUT);
}

static void test_a_stream_ends_when_its_key_expires(void **state)
{
	unsigned before = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p,
	          "GET /mock/sse HTTP/1.1\r\n" HOST "x-api-key: " WORLD_EXPIRING "\r\n\r\n");
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 200);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(reply_chunk(&p, &r), -1);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CUT);
}

/* A stream that has begun, of a key that expires in 400 ms or never. */
static void stream_begin(struct peer *p, struct reply *r, bool expiring)
{
	peer_connect(p);
	peer_send(p, expiring ? "GET /mock/sse HTTP/1.1\r\n" HOST "x-api-key: " WORLD_EXPIRING
	                        "\r\n\r\n"
	                      : GET("/mock/sse"));
	reply_read_head(p, r);
	assert_int_equal(r->status, 200);
	assert_int_equal(reply_chunk(p, r), 9);
}

static void send_expiry(uint64_t id, int64_t cut_at_ms)
{
	const struct msg_expiry m = {.cut_at_ms = cut_at_ms};

	assert_int_equal(ipc_send_blocking(world.keeper, MSG_EXPIRY, id, &m, -1), 0);
}

static void stream_ends_whole(struct peer *p, struct reply *r)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(world.go[1], "x", 1), 1);
		assert_int_equal(reply_chunk(p, r), 9);
	}
	assert_int_equal(reply_chunk(p, r), 0);
	reply_free(r);
	peer_close(p);
}

static void stream_is_cut(struct peer *p, struct reply *r, unsigned notes)
{
	assert_int_equal(reply_chunk(p, r), -1);
	reply_free(r);
	peer_close(p);
	assert_int_equal(world_wait_note(notes).outcome, OUTCOME_CUT);
}

static void test_a_later_expiry_lets_a_stream_outlive_the_first(void **state)
{
	static const int64_t later_ms[] = {60000, 0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned notes = world_notes();
		struct peer p;
		struct reply r;

		stream_begin(&p, &r, true);
		send_expiry(world.last_id, later_ms[i] ? rk_wall_ms() + later_ms[i] : 0);
		usleep(700000);
		stream_ends_whole(&p, &r);
		assert_int_equal(world_wait_note(notes + 1).outcome, OUTCOME_COMPLETE);
	}
}

static void test_an_earlier_expiry_cuts_a_stream_then(void **state)
{
	unsigned notes = world_notes();
	int64_t at_ms = rk_wall_ms() + 400;
	struct peer p;
	struct reply r;

	(void)state;
	stream_begin(&p, &r, false);
	send_expiry(world.last_id, rk_wall_ms() + 60000);
	send_expiry(world.last_id, at_ms);
	stream_is_cut(&p, &r, notes + 1);
	assert_in_range(rk_wall_ms(), at_ms, at_ms + 1000);
}

static void test_an_expiry_in_the_past_cuts_at_once(void **state)
{
	enum { ROUNDS = 6, AT_ONCE_US = 30000 };
	unsigned at_once = 0;

	(void)state;
	/* a coarse timer would come as early now and then, but not most times */
	for (int i = 0; i < ROUNDS; i++) {
		unsigned notes = world_notes();
		int64_t sent_us;
		struct peer p;
		struct reply r;

		stream_begin(&p, &r, false);
		sent_us = rk_mono_us();
		send_expiry(world.last_id, rk_wall_ms() - 1000);
		assert_int_equal(reply_chunk(&p, &r), -1);
		at_once += rk_mono_us() - sent_us < AT_ONCE_US;
		stream_is_cut(&p, &r, notes + 1);
	}
	assert_true(at_once >= ROUNDS - 2);
}

static void test_an_expiry_of_nothing_changes_nothing(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	stream_begin(&p, &r, false);
	send_expiry(world.last_id + ((uint64_t)1 << 32), 1);
	usleep(200000);
	stream_ends_whole(&p, &r);
}

static void test_a_response_without_length_becomes_chunked(void **state)
{
	struct reply r = ask(GET("/mock/close"));

	(void)state;
	assert_int_equal(r.status, 200);
	assert_true(reply_has(&r, "Transfer-Encoding: chunked"));
	assert_true(r.whole);
	assert_string_equal(r.body, "until the end");
	reply_free(&r);
}

static void test_http_1_0_gets_no_chunks(void **state)
{
	struct reply r = ask("GET /mock/chunked/10 HTTP/1.0\r\n" AUTH "\r\n");

	(void)state;
	assert_int_equal(r.status, 200);
	assert_false(reply_has(&r, "Transfer-Encoding"));
	assert_true(reply_has(&r, "Connection: close"));
	assert_true(r.whole);
	assert_int_equal(r.body_n, 10);
	reply_free(&r);
}

static void test_a_truncated_response_is_seen_to_be_truncated(void **state)
{
	unsigned before = world_notes();
	struct reply r = ask(GET("/mock/cut"));

	(void)state;
	assert_int_equal(r.status, 200);
	assert_false(r.whole);
	reply_free(&r);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_UPSTREAM_GONE);
}

static void test_interim_responses_pass_and_empty_ones_stay_empty(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/hints"));
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 103);
	assert_true(reply_has(&r, "Link: </a>"));
	reply_free(&r);
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 103);
	reply_free(&r);
	reply_read(&p, &r, false);
	assert_string_equal(r.body, "hinted");
	reply_free(&r);
	peer_send(&p, GET("/mock/empty") GET("/mock/unchanged"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 204);
	assert_false(reply_has(&r, "Content-Length"));
	reply_free(&r);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 304);
	reply_free(&r);
	peer_send(&p, "HEAD /mock/head HTTP/1.1\r\n" HOST AUTH "\r\n" GET("/mock/big/1"));
	reply_read(&p, &r, true);
	assert_int_equal(r.status, 200);
	assert_true(reply_has(&r, "Content-Length: 77"));
	reply_free(&r);
	reply_read(&p, &r, false);
	assert_int_equal(r.body_n, 1);
	reply_free(&r);
	peer_close(&p);
}

static void test_an_early_answer_arrives_although_the_upload_goes_on(void **state)
{
	static char data[4 << 20];
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p,
	          "POST /mock/early HTTP/1.1\r\n" HOST AUTH "Content-Length: 4194304\r\n\r\n");
	/* how much of it goes out depends on when the connection closes */
	(void)!peer_send_n(&p, data, 65536);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 413);
	assert_true(reply_has(&r, "Connection: close"));
	assert_string_equal(r.body, "no");
	reply_free(&r);
	peer_close(&p);
}

static void test_bytes_behind_a_response_are_nobodys_response(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/surplus"));
	reply_read(&p, &r, false);
	assert_string_equal(r.body, "ok");
	reply_free(&r);
	peer_send(&p, GET("/mock/big/6"));
	reply_read(&p, &r, false);
	assert_string_equal(r.body, "xxxxxx");
	reply_free(&r);
	peer_close(&p);
}

static void test_a_pooled_connection_that_died_is_tried_again(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	for (int i = 0; i < 20; i++) {
		peer_send(&p, GET("/mock/once"));
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, "once");
		reply_free(&r);
	}
	peer_close(&p);
}

/* A client whose last request left an upstream connection in the pool. */
static void peer_connect_pooled(struct peer *p)
{
	struct reply r;

	peer_connect(p);
	peer_send(p, GET("/mock/big/1"));
	reply_read(p, &r, false);
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void test_a_second_try_is_asked_for_and_uses_a_connection_of_its_own(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0), accepted;
	struct peer p, other;
	struct reply r;

	(void)state;
	/* two in the pool: the second one is no better */
	stream_begin(&other, &r, false);
	peer_connect_pooled(&p);
	stream_ends_whole(&other, &r);
	world_wait_note(notes + 2);
	accepted = world_upstream_accepted();
	peer_send(&p, GET("/mock/stale"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "GET /v1/stale HTTP/1.1\r\n"));
	assert_non_null(strstr(r.body, "Authorization: Bearer " WORLD_SECRET "\r\n"));
	reply_free(&r);
	assert_int_equal(world_wait_again(0), again + 1);
	assert_int_equal(world_upstream_accepted(), accepted + 1);
	assert_int_equal(world_wait_note(notes + 3).outcome, OUTCOME_COMPLETE);
	assert_int_equal(world_wait_note(notes + 3).status, 200);
	peer_close(&p);
}

/* ---- dials that take a secret ---- */

static void dialling(struct peer *p, const char *request, int status, const char *body)
{
	struct reply r;

	peer_send(p, request);
	reply_read(p, &r, false);
	assert_int_equal(r.status, status);
	if (body)
		assert_non_null(strstr(r.body, body));
	reply_free(&r);
}

static void test_a_dial_is_announced_and_a_pooled_connection_needs_none(void **state)
{
	unsigned again = world_wait_again(0), accepted = world_upstream_accepted();
	struct peer p;

	(void)state;
	peer_connect(&p);
	dialling(&p, GET("/dialling/echo"), 200, "Authorization: Bearer " WORLD_SECRET "\r\n");
	assert_true(world_last_dial());
	dialling(&p, GET("/dialling/echo"), 200, "GET /v1/echo HTTP/1.1\r\n");
	assert_false(world_last_dial());
	/* one that takes no secret announces nothing */
	dialling(&p, GET("/mock/once"), 200, NULL);
	dialling(&p, GET("/mock/echo"), 200, NULL);
	assert_false(world_last_dial());
	peer_close(&p);
	assert_int_equal(world_wait_again(0), again);
	assert_true(world_upstream_accepted() > accepted);
}

static void test_what_a_dial_lacks_is_asked_for_before_anything_is_sent(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0);
	unsigned unsent = world_again_unsent();
	struct peer p;

	(void)state;
	peer_connect(&p);
	/* the only one in the pool, if any, is gone afterwards */
	dialling(&p, GET("/dialling/once"), 200, NULL);
	world_wait_note(notes + 1);
	usleep(50000);
	world_withhold_dials(1);
	world_set_again_upstream(20);
	dialling(&p, GET("/dialling/echo"), 200, "GET /v1/echo HTTP/1.1\r\n");
	assert_int_equal(world_wait_again(0), again + 1);
	assert_int_equal(world_again_unsent(), unsent + 1);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_COMPLETE);
	/* a body that is here already goes along whole, also with what is never sent twice */
	dialling(&p, GET("/dialling/once"), 200, NULL);
	usleep(50000);
	world_withhold_dials(1);
	dialling(&p,
	         "POST /dialling/echo HTTP/1.1\r\n" HOST AUTH "Content-Length: 5\r\n\r\nhello",
	         200, "\r\n\r\nhello");
	world_set_again_upstream(0);
	assert_int_equal(world_again_unsent(), unsent + 2);
	peer_close(&p);
}

static void test_a_dial_whose_secret_never_comes_is_not_made(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0), accepted;
	struct peer p;

	(void)state;
	peer_connect(&p);
	dialling(&p, GET("/dialling/once"), 200, NULL);
	world_wait_note(notes + 1);
	usleep(50000);
	accepted = world_upstream_accepted();
	world_withhold_dials(2);
	world_set_again_upstream(20);
	dialling(&p, GET("/dialling/echo"), 503, "connection_changed");
	world_set_again_upstream(0);
	assert_int_equal(world_wait_again(0), again + 1);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_NOT_SENT);
	assert_int_equal(world_upstream_accepted(), accepted);
	dialling(&p, GET("/dialling/echo"), 200, NULL);
	peer_close(&p);
}

static void test_a_second_try_dials_with_the_secret(void **state)
{
	unsigned again = world_wait_again(0), unsent = world_again_unsent();
	struct peer p;

	(void)state;
	peer_connect(&p);
	dialling(&p, GET("/dialling/echo"), 200, NULL);
	world_set_again_upstream(20);
	dialling(&p, GET("/dialling/stale"), 200, "GET /v1/stale HTTP/1.1\r\n");
	world_set_again_upstream(0);
	assert_int_equal(world_wait_again(0), again + 1);
	assert_int_equal(world_again_unsent(), unsent);
	peer_close(&p);
}

static void test_a_proxy_is_asked_only_for_what_the_connection_may_reach(void **state)
{
	static const struct {
		const char *request, *detail;
	} cases[] = {
	    {GET("/behind21/echo"), "address_not_allowed"},
	    {GET("/behind22/echo"), "address_not_allowed"},
	    {GET("/behind23/echo"), "address_not_allowed"},
	    {GET("/behind24/echo"), "address_not_allowed"},
	    /* their allowed neighbours */
	    {GET("/behind25/echo"), "proxy_unreachable"},
	    {GET("/behind26/echo"), "proxy_unreachable"},
	    {GET("/behind27/echo"), "proxy_unreachable"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned notes = world_notes();
		struct reply r = ask(cases[i].request);

		assert_int_equal(r.status, 502);
		assert_non_null(strstr(r.body, cases[i].detail));
		reply_free(&r);
		assert_int_equal(world_wait_note(notes + 1).outcome, OUTCOME_NOT_SENT);
	}
}

static void test_a_second_death_is_502(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0);
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	peer_send(&p, GET("/mock/gone"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 502);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_UPSTREAM_GONE);
	assert_int_equal(world_wait_again(0), again + 1);
}

static void test_a_second_try_that_finds_no_upstream_was_sent_all_the_same(void **state)
{
	unsigned notes = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	world_set_again_upstream(6); /* "dead" */
	peer_send(&p, GET("/mock/stale"));
	reply_read(&p, &r, false);
	world_set_again_upstream(0);
	assert_int_equal(r.status, 502);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_UPSTREAM_GONE);
}

static void test_what_died_on_a_fresh_connection_is_not_sent_again(void **state)
{
	unsigned again = world_wait_again(0);
	struct reply r = ask(GET("/named/gone"));

	(void)state;
	assert_int_equal(r.status, 502);
	reply_free(&r);
	assert_int_equal(world_wait_again(0), again);
}

static void test_what_is_not_idempotent_or_has_begun_its_body_is_not_sent_again(void **state)
{
	static const char *const requests[] = {
	    "POST /mock/gone HTTP/1.1\r\n" HOST AUTH "Content-Length: 0\r\n\r\n",
	    "POST /mock/gone HTTP/1.1\r\n" HOST AUTH "Content-Length: 3\r\n\r\nabc",
	    "PATCH /mock/gone HTTP/1.1\r\n" HOST AUTH "\r\n",
	    "PUT /mock/gone HTTP/1.1\r\n" HOST AUTH "Content-Length: 3\r\n\r\nabc",
	};
	unsigned again = world_wait_again(0);

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		unsigned notes = world_notes();
		struct peer p;
		struct reply r;

		peer_connect_pooled(&p);
		peer_send(&p, requests[i]);
		reply_read(&p, &r, false);
		assert_int_equal(r.status, 502);
		reply_free(&r);
		peer_close(&p);
		assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_UPSTREAM_GONE);
	}
	assert_int_equal(world_wait_again(0), again);
}

static void test_an_upload_that_has_not_begun_is_sent_again_whole(void **state)
{
	unsigned again = world_wait_again(0);
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	peer_send(&p, "PUT /mock/stale HTTP/1.1\r\n" HOST AUTH
	              "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	reply_read_head(&p, &r);
	assert_int_equal(r.status, 100);
	reply_free(&r);
	assert_int_equal(world_wait_again(again + 1), again + 1);
	peer_send(&p, "hello" GET("/mock/big/2"));
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200); /* and no second 100 */
	assert_non_null(strstr(r.body, "\r\n\r\nhello"));
	reply_free(&r);
	reply_read(&p, &r, false);
	assert_int_equal(r.body_n, 2);
	reply_free(&r);
	peer_close(&p);
}

static void test_a_second_try_that_is_refused_is_a_refusal_and_all_goes_on(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	world_set_again(REASON_INVALID_KEY);
	peer_send(&p, GET("/mock/stale"));
	reply_read(&p, &r, false);
	world_set_again(REASON_OK);
	assert_int_equal(r.status, 401);
	reply_free(&r);
	world_notes(); /* nothing is owed */
	peer_send(&p, GET("/mock/big/7"));
	reply_read(&p, &r, false);
	assert_int_equal(r.body_n, 7);
	reply_free(&r);
	peer_close(&p);
}

static void test_a_client_that_leaves_before_the_second_decision_is_on_record(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0);
	struct peer p;

	(void)state;
	peer_connect_pooled(&p);
	world_set_again(WORLD_SILENT);
	peer_send(&p, GET("/mock/stale"));
	assert_int_equal(world_wait_again(again + 1), again + 1);
	peer_close(&p);
	usleep(100000);
	world_answer_again(REASON_OK);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_CLIENT_GONE);
}

static void test_a_second_decision_that_does_not_come_is_503(void **state)
{
	unsigned notes = world_notes(), again = world_wait_again(0);
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	world_set_again(WORLD_SILENT);
	peer_send(&p, GET("/mock/stale"));
	assert_int_equal(world_wait_again(again + 1), again + 1);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 503);
	reply_free(&r);
	world_answer_again(REASON_OK);
	assert_int_equal(world_wait_note(notes + 2).outcome, OUTCOME_CLIENT_GONE);
	peer_close(&p);
}

static void test_a_cut_before_the_second_decision_is_left_to_that(void **state)
{
	const struct msg_cut cut = {.reason = REASON_CONN_DISABLED};
	unsigned notes = world_notes(), again = world_wait_again(0);
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect_pooled(&p);
	world_set_again(WORLD_SILENT);
	peer_send(&p, GET("/mock/stale"));
	assert_int_equal(world_wait_again(again + 1), again + 1);
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, world.last_id, &cut, -1), 0);
	world_answer_again(REASON_CONN_DISABLED);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 403);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_notes(), notes + 1); /* the first request's alone */
}

static void test_what_only_the_broker_may_say_is_taken_out_of_a_response(void **state)
{
	struct reply r = ask(GET("/mock/cookie"));

	(void)state;
	assert_int_equal(r.status, 200);
	assert_false(reply_has(&r, "Set-Cookie"));
	assert_false(reply_has(&r, "forged"));
	assert_false(reply_has(&r, "X-Hop"));
	assert_false(reply_has(&r, "Alt-Svc"));
	assert_true(reply_has(&r, "x-ratelimit-limit-requests: 60"));
	reply_free(&r);
}

static void refused_by_upstream(const char *request, int status, const char *reason,
                                enum audit_outcome outcome)
{
	unsigned before = world_notes();
	struct reply r = ask(request);

	assert_int_equal(r.status, status);
	assert_true(reply_has(&r, reason));
	reply_free(&r);
	assert_int_equal(world_wait_note(before + 1).outcome, outcome);
}

static void test_upstreams_that_may_not_or_cannot_be_used_are_told_apart(void **state)
{
	struct reply r;

	(void)state;
	refused_by_upstream(GET("/refused/echo"), 502, "upstream_refused", OUTCOME_NOT_SENT);
	refused_by_upstream(GET("/wrongname/echo"), 502, "upstream_refused", OUTCOME_NOT_SENT);
	refused_by_upstream(GET("/dead/echo"), 502, "upstream_unreachable", OUTCOME_NOT_SENT);
	refused_by_upstream(GET("/mock/garbage"), 502, "upstream_unreachable",
	                    OUTCOME_UPSTREAM_GONE);
	refused_by_upstream(GET("/mock/silent"), 504, "upstream_timeout", OUTCOME_TIMEOUT);
	r = ask(GET("/named/big/2")); /* by way of the resolver */
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void test_what_is_malformed_is_refused_and_reported(void **state)
{
	static const struct {
		const char *request;
		int status;
	} bad[] = {
	    {"GET /mock/echo HTTP/1.1\r\n\r\n", 400},
	    {"GET /mock/a//b HTTP/1.1\r\n" HOST AUTH "\r\n", 400},
	    {"GET /mock/%2e%2e/b HTTP/1.1\r\n" HOST AUTH "\r\n", 400},
	    {"POST /mock/echo HTTP/1.1\r\n" HOST AUTH
	     "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	     400},
	    {"GET /mock/echo HTTP/1.1\r\n" HOST AUTH "Expect: the-worst\r\n\r\n", 417},
	    {"GET /mock/echo HTTP/1.1\r\n" HOST AUTH
	     "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	     501},
	    {"GET /mock/echo HTTP/1.1\r\n" HOST AUTH "X-Late: ", 408},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned before = world_notes();
		struct reply r = ask(bad[i].request);

		assert_int_equal(r.status, bad[i].status);
		reply_free(&r);
		assert_true(world_wait_note(before + 1).refused);
	}
}

static void test_a_head_without_end_is_refused(void **state)
{
	struct peer p;
	struct reply r;
	char *head = malloc(70000);

	(void)state;
	strcpy(head, "GET /mock/echo HTTP/1.1\r\n" HOST AUTH "X-Long: ");
	memset(head + strlen(head), 'a', 60000);
	head[60000] = '\0';
	peer_connect(&p);
	peer_send(&p, head);
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 431);
	reply_free(&r);
	peer_close(&p);
	free(head);
}

static void test_a_broken_chunk_is_a_bad_request(void **state)
{
	struct reply r = ask("POST /mock/count HTTP/1.1\r\n" HOST AUTH
	                     "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n");

	(void)state;
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.body, "bad_chunk"));
	reply_free(&r);
}

static void test_a_client_that_leaves_takes_the_upstreams_request_with_it(void **state)
{
	unsigned before = world_notes();
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(world_wait_note(before + 1).outcome, OUTCOME_CLIENT_GONE);
}

static void test_a_decision_that_does_not_come_is_503(void **state)
{
	struct reply r =
	    ask("GET /mock/echo HTTP/1.1\r\n" HOST "x-api-key: " WORLD_HOLD "\r\n\r\n");

	(void)state;
	assert_int_equal(r.status, 503);
	assert_true(reply_has(&r, "Retry-After: "));
	reply_free(&r);
}

static void test_the_closed_gate_refuses_and_health_says_why(void **state)
{
	struct reply r;

	(void)state;
	world_gate(false, true);
	usleep(50000);
	r = ask(GET("/mock/echo"));
	assert_int_equal(r.status, 503);
	assert_true(reply_has(&r, "x-relaykey-block-reason: sealed"));
	reply_free(&r);
	r = ask("GET /healthz HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(r.status, 503);
	assert_string_equal(r.body, "{\"status\":\"sealed\"}\n");
	reply_free(&r);
	world_gate(true, true);
	usleep(50000);
	r = ask(GET("/mock/big/1"));
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void test_without_its_keeper_nothing_goes_on_until_there_is_a_new_one(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	assert_int_equal(reply_chunk(&p, &r), 9);
	shutdown(world.keeper, SHUT_RDWR);
	assert_int_equal(reply_chunk(&p, &r), -1);
	reply_free(&r);
	peer_close(&p);
	r = ask(GET("/mock/echo"));
	assert_int_equal(r.status, 503);
	reply_free(&r);
	r = ask("GET /healthz HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(r.body, "{\"status\":\"starting\"}\n");
	reply_free(&r);
	world_new_keeper();
	usleep(100000);
	r = ask(GET("/mock/big/9"));
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

/* Its client has left; the relay waits for the keeper's answer all the same. */
static uint64_t leave_undecided(void)
{
	unsigned before = world.asked;
	struct peer p;
	uint64_t id;

	peer_connect(&p);
	peer_send(&p, "GET /mock/echo HTTP/1.1\r\n" HOST "x-api-key: " WORLD_HOLD "\r\n\r\n");
	id = world_wait_asked(before);
	peer_close(&p);
	return id;
}

static void test_stopping_lets_what_runs_end_and_is_done_then(void **state)
{
	const struct msg_decision denied = {.decision = DECISION_DENIED,
	                                    .reason = REASON_INVALID_KEY};
	int64_t began_us = rk_mono_us();
	uint64_t undecided = leave_undecided();
	struct peer p;
	struct reply r;
	char byte = 'S';

	(void)state;
	peer_connect(&p);
	peer_send(&p, GET("/mock/sse"));
	reply_read_head(&p, &r);
	assert_int_equal(reply_chunk(&p, &r), 9);
	assert_int_equal(write(world.control, &byte, 1), 1);
	usleep(100000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(world.go[1], "x", 1), 1);
		assert_int_equal(reply_chunk(&p, &r), 9);
	}
	assert_int_equal(reply_chunk(&p, &r), 0);
	reply_free(&r);
	peer_close(&p);
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_DECISION, undecided, &denied, -1),
	                 0);
	assert_int_equal(world_stop(), 0);
	assert_true(rk_mono_us() - began_us < 4000000); /* well within the grace */
}

static int setup(void **state)
{
	(void)state;
	alarm(120);
	return world_start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_get_reaches_the_upstream_with_the_real_credential_alone),
	    cmocka_unit_test(test_a_key_in_the_query_is_taken_out_and_the_real_one_put_in),
	    cmocka_unit_test(test_a_wrong_key_is_refused_and_the_connection_lives_on),
	    cmocka_unit_test(test_requests_of_one_connection_share_an_upstream_connection),
	    cmocka_unit_test(test_connections_that_rested_go_on),
	    cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
	    cmocka_unit_test(test_a_large_body_passes_whole_in_both_directions),
	    cmocka_unit_test(test_a_chunked_upload_is_rechunked_and_the_next_request_follows),
	    cmocka_unit_test(test_expect_is_answered_only_when_the_request_is_allowed),
	    cmocka_unit_test(test_events_of_a_stream_pass_one_by_one),
	    cmocka_unit_test(test_a_cut_ends_a_live_stream_at_once_and_visibly),
	    cmocka_unit_test(test_a_cut_before_the_response_is_a_refusal),
	    cmocka_unit_test(test_a_stream_ends_when_its_key_expires),
	    cmocka_unit_test(test_a_later_expiry_lets_a_stream_outlive_the_first),
	    cmocka_unit_test(test_an_earlier_expiry_cuts_a_stream_then),
	    cmocka_unit_test(test_an_expiry_in_the_past_cuts_at_once),
	    cmocka_unit_test(test_an_expiry_of_nothing_changes_nothing),
	    cmocka_unit_test(test_a_response_without_length_becomes_chunked),
	    cmocka_unit_test(test_http_1_0_gets_no_chunks),
	    cmocka_unit_test(test_a_truncated_response_is_seen_to_be_truncated),
	    cmocka_unit_test(test_interim_responses_pass_and_empty_ones_stay_empty),
	    cmocka_unit_test(test_an_early_answer_arrives_although_the_upload_goes_on),
	    cmocka_unit_test(test_bytes_behind_a_response_are_nobodys_response),
	    cmocka_unit_test(test_a_pooled_connection_that_died_is_tried_again),
	    cmocka_unit_test(test_a_second_try_is_asked_for_and_uses_a_connection_of_its_own),
	    cmocka_unit_test(test_a_dial_is_announced_and_a_pooled_connection_needs_none),
	    cmocka_unit_test(test_what_a_dial_lacks_is_asked_for_before_anything_is_sent),
	    cmocka_unit_test(test_a_dial_whose_secret_never_comes_is_not_made),
	    cmocka_unit_test(test_a_second_try_dials_with_the_secret),
	    cmocka_unit_test(test_a_proxy_is_asked_only_for_what_the_connection_may_reach),
	    cmocka_unit_test(test_a_second_death_is_502),
	    cmocka_unit_test(test_a_second_try_that_finds_no_upstream_was_sent_all_the_same),
	    cmocka_unit_test(test_what_died_on_a_fresh_connection_is_not_sent_again),
	    cmocka_unit_test(
	        test_what_is_not_idempotent_or_has_begun_its_body_is_not_sent_again),
	    cmocka_unit_test(test_an_upload_that_has_not_begun_is_sent_again_whole),
	    cmocka_unit_test(test_a_second_try_that_is_refused_is_a_refusal_and_all_goes_on),
	    cmocka_unit_test(test_a_client_that_leaves_before_the_second_decision_is_on_record),
	    cmocka_unit_test(test_a_second_decision_that_does_not_come_is_503),
	    cmocka_unit_test(test_a_cut_before_the_second_decision_is_left_to_that),
	    cmocka_unit_test(test_what_only_the_broker_may_say_is_taken_out_of_a_response),
	    cmocka_unit_test(test_upstreams_that_may_not_or_cannot_be_used_are_told_apart),
	    cmocka_unit_test(test_what_is_malformed_is_refused_and_reported),
	    cmocka_unit_test(test_a_head_without_end_is_refused),
	    cmocka_unit_test(test_a_broken_chunk_is_a_bad_request),
	    cmocka_unit_test(test_a_client_that_leaves_takes_the_upstreams_request_with_it),
	    cmocka_unit_test(test_a_decision_that_does_not_come_is_503),
	    cmocka_unit_test(test_the_closed_gate_refuses_and_health_says_why),
	    cmocka_unit_test(test_without_its_keeper_nothing_goes_on_until_there_is_a_new_one),
	    cmocka_unit_test(test_stopping_lets_what_runs_end_and_is_done_then),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
