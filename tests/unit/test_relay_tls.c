/*
 * What TLS lets either side do in the middle of a connection: new keys, a new handshake. The
 * world is that of test_relay_role.c; its upstream has a path for each of these here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "../lib/relay_upstream.h"
#include "ipc/audit_row.h"

#define AUTH      "Host: proxy.test\r\nAuthorization: Bearer " WORLD_KEY "\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" AUTH "\r\n"

static void served(struct peer *p)
{
	struct reply r;

	peer_send(p, GET("/mock/big/1"));
	reply_read(p, &r, false);
	assert_int_equal(r.status, 200);
	assert_true(r.whole);
	reply_free(&r);
}

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

static void test_new_keys_of_the_upstream_in_a_response_change_nothing(void **state)
{
	struct reply r = ask(GET("/mock/rekey"));

	(void)state;
	assert_int_equal(r.status, 200);
	assert_true(r.whole);
	assert_int_equal(r.body_n, 20000);
	reply_free(&r);
}

static void test_an_upstream_that_only_changes_keys_is_given_up(void **state)
{
	unsigned notes = world_notes();
	struct reply r = ask(GET("/mock/rekey-flood"));

	(void)state;
	assert_int_equal(r.status, 502);
	reply_free(&r);
	assert_int_equal(world_wait_note(notes + 1).outcome, OUTCOME_UPSTREAM_GONE);
	r = ask(GET("/mock/big/1"));
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void test_new_keys_of_the_client_in_an_upload_change_nothing(void **state)
{
	static char piece[5000];
	struct peer p;
	struct reply r;

	(void)state;
	memset(piece, 'x', sizeof piece);
	peer_connect(&p);
	peer_send(&p, "POST /mock/count HTTP/1.1\r\n" AUTH "Content-Length: 100000\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_true(peer_send_n(&p, piece, sizeof piece));
	}
	reply_read(&p, &r, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "100000");
	reply_free(&r);
	served(&p);
	peer_close(&p);
}

static atomic_bool flooding;
static atomic_uint refused;

/* Changes its keys as fast as it can, on a new connection whenever one is closed. */
static void *change_keys(void *arg)
{
	(void)arg;
	while (atomic_load(&flooding)) {
		struct peer p;

		peer_connect(&p);
		while (SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
		       SSL_do_handshake(p.ssl) == 1)
			;
		atomic_fetch_add(&refused, 1);
		SSL_free(p.ssl);
		close(p.fd);
	}
	return NULL;
}

static void test_a_client_that_only_changes_keys_is_closed_at_once(void **state)
{
	struct peer p;
	pthread_t t;

	(void)state;
	atomic_store(&flooding, true);
	MUST(pthread_create(&t, NULL, change_keys, NULL) == 0);
	peer_connect(&p);
	while (atomic_load(&refused) < 5) {
		served(&p);
		usleep(10000);
	}
	atomic_store(&flooding, false);
	pthread_join(t, NULL);
	served(&p);
	peer_close(&p);
}

static void test_new_keys_now_and_then_may_be_any_number(void **state)
{
	struct peer p;

	(void)state;
	peer_connect(&p);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		served(&p);
		usleep(50000);
	}
	peer_close(&p);
}

/* On TLS 1.2, which has it. */
static void test_a_client_gets_no_second_handshake(void **state)
{
	struct peer p;
	int one;

	(void)state;
	SSL_CTX_set_max_proto_version(world.client, TLS1_2_VERSION);
	peer_connect(&p);
	served(&p);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	one = SSL_do_handshake(p.ssl);
	/* refused, or not answered; never done */
	if (one == 1)
		assert_true(SSL_renegotiate_pending(p.ssl) || peer_more(&p) <= 0);
	peer_close(&p);
	peer_connect(&p);
	served(&p);
	peer_close(&p);
	SSL_CTX_set_max_proto_version(world.client, 0);
}

static void test_an_upstream_gets_no_second_handshake_and_its_answer_counts(void **state)
{
	struct reply r;

	(void)state;
	SSL_CTX_set_max_proto_version(world.server, TLS1_2_VERSION);
	r = ask(GET("/named/renegotiate"));
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "same");
	reply_free(&r);
	SSL_CTX_set_max_proto_version(world.server, 0);
}

static int setup(void **state)
{
	(void)state;
	alarm(60);
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
	    cmocka_unit_test(test_new_keys_of_the_upstream_in_a_response_change_nothing),
	    cmocka_unit_test(test_an_upstream_that_only_changes_keys_is_given_up),
	    cmocka_unit_test(test_new_keys_of_the_client_in_an_upload_change_nothing),
	    cmocka_unit_test(test_a_client_that_only_changes_keys_is_closed_at_once),
	    cmocka_unit_test(test_new_keys_now_and_then_may_be_any_number),
	    cmocka_unit_test(test_a_client_gets_no_second_handshake),
	    cmocka_unit_test(test_an_upstream_gets_no_second_handshake_and_its_answer_counts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
