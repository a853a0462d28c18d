/*
 * A relay that is told to test a connection: what it asks the upstream for, and what it says
 * when that answers, is silent, is not let in or is not there. The world is that of
 * test_relay_role.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"
#include "base/clock.h"
#include "relay/probing.h"

enum { MOCK = 1, QUERY = 2, REFUSED = 3, WRONGNAME = 5, DEAD = 6, HEAD_MS = 700 };

#define PROBE_ID(n) ((UINT64_C(1) << 63) | (n))

static uint64_t last_id;

static void tell(uint32_t upstream, const char *rest, bool head)
{
	const struct msg_probe m = {
	    .upstream_id = upstream,
	    .head = head,
	    .rest = rk_str(rest),
	    .inject_headers = rk_str("Authorization: Bearer " WORLD_SECRET "\r\n"),
	};

	assert_int_equal(
	    ipc_send_blocking(world.keeper, MSG_PROBE, PROBE_ID(++last_id), &m, -1), 0);
}

static unsigned heard(void)
{
	unsigned n;

	pthread_mutex_lock(&world.lock);
	n = world.probes;
	pthread_mutex_unlock(&world.lock);
	return n;
}

/* Waits for the nth answer; texts stay in the world. */
static struct msg_probed wait_heard(unsigned n)
{
	struct msg_probed m = {.status = 999};
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&world.lock);
	while (world.probes < n &&
	       pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0)
		;
	if (world.probes >= n)
		m = world.probed;
	pthread_mutex_unlock(&world.lock);
	return m;
}

static struct msg_probed probe(uint32_t upstream, const char *rest)
{
	unsigned before = heard();
	struct msg_probed m;

	tell(upstream, rest, false);
	m = wait_heard(before + 1);
	assert_int_equal(world.probed_id, PROBE_ID(last_id));
	return m;
}

static void not_answered(uint32_t upstream, const char *rest, enum reason reason,
                         const char *detail)
{
	struct msg_probed m = probe(upstream, rest);

	assert_int_equal(m.status, 0);
	assert_int_equal(m.reason, reason);
	if (strncmp(world.probed_detail, detail, strlen(detail)) != 0)
		fail_msg("%s, not %s", world.probed_detail, detail);
}

static void test_an_answer_is_told_with_its_times_and_certificate(void **state)
{
	struct msg_probed m = probe(MOCK, "/echo");

	(void)state;
	assert_int_equal(m.status, 200);
	assert_int_equal(m.reason, REASON_OK);
	assert_true(m.dial_us > 0);
	assert_true(m.tls_us > 0);
	assert_true(m.first_byte_us > 0);
	assert_non_null(strstr(world.probed_subject, "CN = "));
	assert_true(m.expires_ms > rk_wall_ms());
}

static void test_each_is_made_over_a_connection_of_its_own(void **state)
{
	unsigned before = world_upstream_accepted();

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(probe(MOCK, "/echo").status, 200);
	assert_int_equal(world_upstream_accepted(), before + 3);
}

static void test_interim_answers_are_passed_over_and_bodies_not_read(void **state)
{
	unsigned before = heard();

	(void)state;
	assert_int_equal(probe(MOCK, "/hints").status, 200);
	assert_int_equal(probe(MOCK, "/big/100000000").status, 200);
	assert_int_equal(probe(MOCK, "/nothing-here").status, 404);
	before = heard();
	tell(MOCK, "/head", true);
	assert_int_equal(wait_heard(before + 1).status, 200);
}

static void test_an_upstream_that_does_not_answer_as_it_should_is_told_of(void **state)
{
	(void)state;
	not_answered(MOCK, "/garbage", REASON_UPSTREAM_FAILED, "bad_http_version");
	not_answered(MOCK, "/gone", REASON_UPSTREAM_FAILED, "upstream_closed");
	not_answered(MOCK, "/drip", REASON_UPSTREAM_TIMEOUT, "response_timeout");
	not_answered(MOCK, "/silent", REASON_UPSTREAM_TIMEOUT, "response_timeout");
}

static void test_the_address_and_the_certificate_are_checked_as_ever(void **state)
{
	unsigned before = world_upstream_accepted();

	(void)state;
	not_answered(REFUSED, "/echo", REASON_UPSTREAM_REFUSED, "address");
	assert_int_equal(world_upstream_accepted(), before);
	not_answered(WRONGNAME, "/echo", REASON_UPSTREAM_REFUSED, "certificate_not_valid: ");
	not_answered(DEAD, "/echo", REASON_UPSTREAM_FAILED, "connect_failed: ");
	not_answered(4711, "/echo", REASON_OVERLOADED, "connection_changed");
}

/* Else a broken connection could not be tested until it is left alone for long enough. */
static void test_a_test_is_made_whatever_the_breaker_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * BREAKER_FAILURES; i++)
		not_answered(DEAD, "/echo", REASON_UPSTREAM_FAILED, "connect_failed: ");
}

static void test_the_keeper_can_take_it_back(void **state)
{
	const struct msg_cut cut = {.reason = REASON_CONN_DISABLED};
	unsigned before = heard();

	(void)state;
	tell(MOCK, "/silent", false);
	usleep(100000);
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, PROBE_ID(last_id), &cut, -1),
	                 0);
	assert_int_equal(wait_heard(before + 1).reason, REASON_CONN_DISABLED);
	assert_string_equal(world.probed_detail, "cut");
	/* once: nothing is said of one that has ended */
	assert_int_equal(ipc_send_blocking(world.keeper, MSG_CUT, PROBE_ID(last_id), &cut, -1),
	                 0);
	assert_int_equal(probe(MOCK, "/echo").status, 200);
	assert_int_equal(heard(), before + 2);
}

static void test_there_is_a_limit_and_every_one_is_answered(void **state)
{
	unsigned before = heard();
	int64_t began_us = rk_mono_us();

	(void)state;
	for (unsigned i = 0; i < PROBING_MAX; i++)
		tell(MOCK, "/silent", false);
	tell(MOCK, "/echo", false);
	assert_int_equal(wait_heard(before + 1).reason, REASON_OVERLOADED);
	assert_string_equal(world.probed_detail, "busy");
	wait_heard(before + PROBING_MAX + 1);
	assert_true(rk_mono_us() - began_us < 5000000);
	assert_int_equal(probe(MOCK, "/echo").status, 200);
}

static void test_a_keeper_that_goes_takes_its_tests_with_it(void **state)
{
	(void)state;
	tell(MOCK, "/silent", false);
	usleep(100000);
	shutdown(world.keeper, SHUT_RDWR);
	world_new_keeper();
	usleep(100000);
	assert_int_equal(probe(MOCK, "/echo").status, 200);
}

static int setup(void **state)
{
	(void)state;
	alarm(120);
	world_params.deadline_ms[DEADLINE_HEAD] = HEAD_MS;
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
	    cmocka_unit_test(test_an_answer_is_told_with_its_times_and_certificate),
	    cmocka_unit_test(test_each_is_made_over_a_connection_of_its_own),
	    cmocka_unit_test(test_interim_answers_are_passed_over_and_bodies_not_read),
	    cmocka_unit_test(test_an_upstream_that_does_not_answer_as_it_should_is_told_of),
	    cmocka_unit_test(test_the_address_and_the_certificate_are_checked_as_ever),
	    cmocka_unit_test(test_a_test_is_made_whatever_the_breaker_says),
	    cmocka_unit_test(test_the_keeper_can_take_it_back),
	    cmocka_unit_test(test_there_is_a_limit_and_every_one_is_answered),
	    cmocka_unit_test(test_a_keeper_that_goes_takes_its_tests_with_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
