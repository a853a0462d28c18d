/*
 * How a relay comes by a connection to an upstream that is down, slow, or has an address that
 * is: the breaker, the order of addresses and the deadlines of a dial. The world is that of
 * test_relay_role.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"
#include "base/clock.h"
#include "ipc/audit_row.h"

#define GET(path)                                                                              \
	"GET " path " HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer " WORLD_KEY        \
	"\r\n\r\n"

enum { DIAL_MS = 1500, ATTEMPT_MS = 300 };

/* Listeners that nobody accepts from: a dial is connected and then hears nothing. */
static int stalled_port, stalled_listener, pair_listener, late_port;

static struct reply ask(const char *request)
{
	struct peer p;
	struct reply r;

	peer_connect(&p);
	peer_send(&p, request);
	reply_read(&p, &r, false);
	peer_close(&p);
	return r;
}

/* One request that does not reach its upstream; how many ms that took. */
static int64_t refused(const char *request, int status, const char *detail)
{
	unsigned notes = world_notes();
	int64_t began_us = rk_mono_us();
	struct reply r = ask(request);
	struct world_note note;

	assert_int_equal(r.status, status);
	assert_non_null(strstr(r.body, detail));
	note = world_wait_note(notes + 1);
	assert_int_equal(note.outcome, OUTCOME_NOT_SENT);
	assert_int_equal(note.reason,
	                 status == 504 ? REASON_UPSTREAM_TIMEOUT : REASON_UPSTREAM_FAILED);
	if (strcmp(detail, "circuit_open") == 0)
		assert_true(reply_has(&r, "\r\nRetry-After: "));
	else
		assert_false(reply_has(&r, "\r\nRetry-After: "));
	reply_free(&r);
	return (rk_mono_us() - began_us) / 1000;
}

static void answered(const char *request)
{
	struct reply r = ask(request);

	assert_int_equal(r.status, 200);
	reply_free(&r);
}

/* How many connections wait there to be accepted; they are closed. */
static unsigned dialled(int listener)
{
	unsigned n = 0;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

static void test_an_upstream_that_is_down_is_left_alone_until_it_is_back(void **state)
{
	pthread_t t;

	(void)state;
	for (int i = 0; i < BREAKER_FAILURES; i++)
		refused(GET("/late/big/1"), 502, "connect_failed");
	for (int i = 0; i < 10; i++)
		refused(GET("/late/big/1"), 502, "circuit_open");
	/* it concerns that one upstream */
	answered(GET("/mock/big/1"));
	/* the probe fails: twice as long */
	usleep(1050000);
	refused(GET("/late/big/1"), 502, "connect_failed");
	refused(GET("/late/big/1"), 502, "circuit_open");
	usleep(1050000);
	refused(GET("/late/big/1"), 502, "circuit_open");

	static int listener;

	listener = world_listen(INADDR_LOOPBACK, &late_port);
	MUST(pthread_create(&t, NULL, up_accept, &listener) == 0);
	pthread_detach(t);
	usleep(1050000);
	for (int i = 0; i < 10; i++)
		answered(GET("/late/big/1"));
}

static void test_a_certificate_that_is_not_valid_keeps_its_own_reason(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * BREAKER_FAILURES; i++) {
		struct reply r = ask(GET("/wrongname/big/1"));

		assert_int_equal(r.status, 502);
		assert_non_null(strstr(r.body, "certificate_not_valid"));
		reply_free(&r);
	}
}

static void test_what_an_upstream_answers_never_opens_the_breaker(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * BREAKER_FAILURES; i++) {
		struct reply r = ask(GET("/named/gone")); /* accepted, heard, hung up */

		assert_int_equal(r.status, 502);
		assert_non_null(strstr(r.body, "upstream_closed"));
		reply_free(&r);
	}
	answered(GET("/named/big/1"));
}

static void test_a_dead_address_of_two_costs_one_dial_its_wait(void **state)
{
	(void)state;
	dialled(pair_listener);
	for (int i = 0; i < 4; i++)
		answered(GET("/pair/once")); /* never pooled for long */
	assert_int_equal(dialled(pair_listener), 1);
}

static void test_what_a_name_resolves_to_is_checked_address_by_address(void **state)
{
	static const char *const refused_names[] = {GET("/metadata/big/1"),
	                                            GET("/inside/big/1")};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned accepted = world_upstream_accepted();

		/* often: it is no failure of the upstream's, and stays what it is */
		for (int n = 0; n < 2 * BREAKER_FAILURES; n++) {
			struct reply r = ask(refused_names[i]);

			assert_int_equal(r.status, 502);
			assert_true(reply_has(&r, "upstream_refused"));
			assert_non_null(strstr(r.body, "address_not_allowed"));
			reply_free(&r);
		}
		assert_int_equal(world_upstream_accepted(), accepted);
	}
	/* of two, the one that may be dialled is */
	answered(GET("/mixed/big/1"));
}

static void test_a_dial_without_an_answer_ends_in_time_and_counts(void **state)
{
	(void)state;
	for (int i = 0; i < BREAKER_FAILURES; i++) {
		int64_t ms = refused(GET("/stalled/big/1"), 504, "connect_timeout");

		assert_in_range(ms, DIAL_MS - 100, DIAL_MS + 1000);
	}
	assert_int_equal(dialled(stalled_listener), BREAKER_FAILURES);
	assert_in_range(refused(GET("/stalled/big/1"), 502, "circuit_open"), 0, 500);
	assert_int_equal(dialled(stalled_listener), 0);
}

static void test_a_probe_whose_client_left_is_followed_by_another(void **state)
{
	struct peer p;
	struct reply r;

	(void)state;
	usleep(1050000); /* the breaker of the test before */
	peer_connect(&p);
	peer_send(&p, GET("/stalled/big/1"));
	usleep(300000);
	r = ask(GET("/stalled/big/1")); /* the probe is under way */
	assert_non_null(strstr(r.body, "circuit_open"));
	reply_free(&r);
	peer_close(&p);
	usleep(300000);
	assert_int_equal(dialled(stalled_listener), 1);
	refused(GET("/stalled/big/1"), 504, "connect_timeout");
}

static char hosts[] = "/tmp/relaykey-hosts-XXXXXX";

static int setup(void **state)
{
	static const char text[] = "127.0.0.3 pair.test\n127.0.0.1 pair.test\n"
	                           "169.254.169.254 metadata.test\n127.0.0.1 inside.test\n"
	                           "169.254.169.254 mixed.test\n127.0.0.1 mixed.test\n";
	int fd = mkstemp(hosts);

	(void)state;
	alarm(120);
	MUST(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
	close(fd);
	world_hosts = hosts;
	world_params.deadline_ms[DEADLINE_DIAL] = DIAL_MS;
	world_params.deadline_ms[DEADLINE_ATTEMPT] = ATTEMPT_MS;
	stalled_listener = world_listen(INADDR_LOOPBACK, &stalled_port);
	world_start();
	fcntl(stalled_listener, F_SETFL, O_NONBLOCK);
	pair_listener = world_listen(INADDR_LOOPBACK + 2, &world.upstream_port);
	fcntl(pair_listener, F_SETFL, O_NONBLOCK);
	/* a port that is free, and stays so until the test wants it */
	close(world_listen(INADDR_LOOPBACK, &late_port));
	world_push_upstream(WORLD_LATE, "late", "127.0.0.1", late_port, UPSTREAM_ALLOW_PRIVATE,
	                    true);
	world_push_upstream(WORLD_STALLED, "stalled", "127.0.0.1", stalled_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(WORLD_PAIR, "pair", "pair.test", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(WORLD_METADATA, "metadata", "metadata.test", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(WORLD_INSIDE, "inside", "inside.test", world.upstream_port, 0,
	                    true);
	world_push_upstream(WORLD_MIXED, "mixed", "mixed.test", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(hosts);
	return world_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_upstream_that_is_down_is_left_alone_until_it_is_back),
	    cmocka_unit_test(test_a_certificate_that_is_not_valid_keeps_its_own_reason),
	    cmocka_unit_test(test_what_an_upstream_answers_never_opens_the_breaker),
	    cmocka_unit_test(test_a_dead_address_of_two_costs_one_dial_its_wait),
	    cmocka_unit_test(test_what_a_name_resolves_to_is_checked_address_by_address),
	    cmocka_unit_test(test_a_dial_without_an_answer_ends_in_time_and_counts),
	    cmocka_unit_test(test_a_probe_whose_client_left_is_followed_by_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
