/*
 * How many connections a relay takes: of one client address, and in all. 127.0.0.9 is a trusted
 * proxy that says with a PROXY header whose connection it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/relay_upstream.h"

enum { MAX_ALL = 10, MAX_EACH = 3, PROXY = 9, HANDSHAKE_MS = 1500 };

/* TCP from 127.0.0.<host>, and `n` bytes before TLS. */
static void tcp_from(struct peer *p, unsigned host, const void *first, size_t n)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                         .sin_port = htons((uint16_t)world.proxy_port)};

	p->n = 0;
	p->ssl = NULL;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(p->fd >= 0 && bind(p->fd, (struct sockaddr *)&from, sizeof from) == 0);
	MUST(connect(p->fd, (struct sockaddr *)&to, sizeof to) == 0);
	if (n)
		MUST(write(p->fd, first, n) == (ssize_t)n);
}

/* Whether TLS and a request get through within `seconds`. */
static bool served(struct peer *p, int seconds)
{
	struct reply r;
	bool ok;

	peer_patience(p->fd, seconds);
	if (!p->ssl) {
		p->ssl = SSL_new(world.client);
		SSL_set_fd(p->ssl, p->fd);
		if (SSL_connect(p->ssl) != 1)
			return false;
	}
	peer_send(p, "GET /healthz HTTP/1.1\r\nHost: proxy.test\r\n\r\n");
	reply_read(p, &r, false);
	ok = r.status == 200;
	reply_free(&r);
	return ok;
}

static bool let_in(struct peer *p, unsigned host)
{
	tcp_from(p, host, NULL, 0);
	return served(p, 5);
}

/* Through the proxy, from 198.51.100.<client>; 0: the proxy's own. */
static bool let_in_through(struct peer *p, unsigned client)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	unsigned char head[28] = {0};

	memcpy(head, signature, 12);
	head[12] = client ? 0x21 : 0x20;
	head[13] = client ? 0x11 : 0;
	head[15] = client ? 12 : 0;
	memcpy(head + 16, (unsigned char[]){198, 51, 100, (unsigned char)client, 10, 0, 0, 1},
	       8);
	tcp_from(p, PROXY, head, client ? 28 : 16);
	return served(p, 5);
}

static void leave(struct peer *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		peer_close(&p[i]);
	usleep(50000);
}

static void test_a_client_gets_its_connections_and_not_one_more(void **state)
{
	struct peer *p = calloc(MAX_ALL, sizeof *p);

	(void)state;
	for (unsigned i = 0; i < MAX_EACH; i++)
		assert_true(let_in(&p[i], 2));
	assert_false(let_in(&p[3], 2));
	peer_close(&p[3]);
	/* others are not concerned, and those that are there go on */
	assert_true(let_in(&p[3], 3));
	for (unsigned i = 0; i < MAX_EACH; i++)
		assert_true(served(&p[i], 5));
	peer_close(&p[0]);
	usleep(50000);
	assert_true(let_in(&p[0], 2));
	leave(p, 4);
	free(p);
}

static void test_many_refused_ones_leave_nothing_behind(void **state)
{
	struct peer p[MAX_EACH], *q = calloc(1, sizeof *q);

	(void)state;
	for (unsigned i = 0; i < MAX_EACH; i++)
		assert_true(let_in(&p[i], 4));
	for (int i = 0; i < 500; i++) {
		char byte;

		tcp_from(q, 4, NULL, 0);
		peer_patience(q->fd, 5);
		assert_true(read(q->fd, &byte, 1) <= 0); /* at once, before any TLS */
		close(q->fd);
	}
	leave(p, MAX_EACH);
	assert_true(let_in(q, 4));
	leave(q, 1);
	free(q);
}

static void test_who_never_says_hello_counts_and_is_forgotten(void **state)
{
	struct peer *p = calloc(MAX_EACH + 1, sizeof *p);

	(void)state;
	for (unsigned i = 0; i < MAX_EACH; i++)
		tcp_from(&p[i], 5, NULL, 0);
	usleep(100000);
	assert_false(let_in(&p[MAX_EACH], 5));
	usleep((HANDSHAKE_MS + 300) * 1000);
	peer_close(&p[MAX_EACH]);
	assert_true(let_in(&p[MAX_EACH], 5));
	leave(p, MAX_EACH + 1);
	free(p);
}

static void test_behind_a_trusted_proxy_it_is_the_client_who_counts(void **state)
{
	struct peer *p = calloc(MAX_ALL, sizeof *p);

	(void)state;
	for (unsigned i = 0; i < MAX_EACH; i++)
		assert_true(let_in_through(&p[i], 1));
	assert_false(let_in_through(&p[3], 1));
	peer_close(&p[3]);
	for (unsigned i = 3; i < 5; i++)
		assert_true(let_in_through(&p[i], 2));
	/* the proxy's own checks are nobody's */
	for (unsigned i = 5; i < 5 + MAX_EACH + 1; i++)
		assert_true(let_in_through(&p[i], 0));
	leave(p, 5 + MAX_EACH + 1);
	assert_true(let_in_through(&p[0], 1));
	leave(p, 1);
	free(p);
}

/* As many as there may be, each with a stream that goes on. */
static void fill_with_streams(struct peer *p)
{
	for (unsigned i = 0; i < MAX_ALL; i++) {
		struct reply r;

		assert_true(let_in(&p[i], 20 + i));
		peer_send(&p[i], "GET /mock/sse HTTP/1.1\r\nHost: proxy.test\r\n"
		                 "Authorization: Bearer " WORLD_KEY "\r\n\r\n");
		reply_read_head(&p[i], &r);
		assert_int_equal(r.status, 200);
		reply_free(&r);
	}
}

static void test_a_proxy_that_does_not_say_whose_connection_it_is_is_closed(void **state)
{
	static const char half[] = "\r\n\r\n\0\r\nQUI";
	struct peer *p = calloc(2, sizeof *p);
	char byte;

	(void)state;
	/* nothing, and half a header: no more time than a handshake has */
	tcp_from(&p[0], PROXY, NULL, 0);
	tcp_from(&p[1], PROXY, half, sizeof half - 1);
	usleep((HANDSHAKE_MS - 500) * 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(recv(p[i].fd, &byte, 1, MSG_DONTWAIT), -1);
	usleep(900000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(recv(p[i].fd, &byte, 1, MSG_DONTWAIT), 0);
	leave(p, 2);
	assert_true(let_in_through(&p[0], 7));
	leave(p, 1);
	free(p);
}

static void test_when_all_are_busy_the_next_one_waits(void **state)
{
	struct peer *p = calloc(MAX_ALL + 1, sizeof *p);

	(void)state;
	fill_with_streams(p);
	tcp_from(&p[MAX_ALL], 40, NULL, 0);
	usleep(2500000);
	assert_false(served(&p[MAX_ALL], 1));
	peer_close(&p[MAX_ALL]);
	tcp_from(&p[MAX_ALL], 40, NULL, 0);
	peer_close(&p[0]);
	assert_true(served(&p[MAX_ALL], 5));
	leave(p, MAX_ALL + 1);
	free(p);
}

static void test_the_one_without_a_request_for_the_longest_makes_room(void **state)
{
	struct peer *p = calloc(MAX_ALL + 2, sizeof *p);

	(void)state;
	for (unsigned i = 0; i < MAX_ALL; i++) {
		assert_true(let_in(&p[i], 20 + i));
		usleep(20000);
	}
	assert_true(served(&p[0], 5)); /* so now it is the second */
	usleep(2500000);
	assert_true(let_in(&p[MAX_ALL], 40));
	assert_true(peer_more(&p[1]) <= 0);
	assert_true(SSL_get_shutdown(p[1].ssl) & SSL_RECEIVED_SHUTDOWN);
	for (unsigned i = 0; i <= MAX_ALL; i++)
		assert_int_equal(served(&p[i], 5), i != 1);
	/* nobody has waited for a second: nobody has to go */
	tcp_from(&p[MAX_ALL + 1], 41, NULL, 0);
	usleep(100000);
	for (unsigned i = 2; i <= MAX_ALL; i++)
		assert_true(served(&p[i], 5));
	leave(p, MAX_ALL + 2);
	free(p);
}

static void test_who_has_too_many_makes_nobody_go(void **state)
{
	struct peer *p = calloc(MAX_ALL + 1, sizeof *p);

	(void)state;
	for (unsigned i = 0; i < MAX_ALL; i++)
		assert_true(let_in(&p[i], i < MAX_EACH ? 50 : 60 + i));
	usleep(2500000);
	for (int i = 0; i < 5; i++) {
		assert_false(let_in(&p[MAX_ALL], 50));
		peer_close(&p[MAX_ALL]);
	}
	for (unsigned i = 0; i < MAX_ALL; i++)
		assert_true(served(&p[i], 5));
	leave(p, MAX_ALL);
	free(p);
}

static int setup(void **state)
{
	(void)state;
	alarm(60);
	world_params.deadline_ms[DEADLINE_HANDSHAKE] = HANDSHAKE_MS;
	world_params.max_clients = MAX_ALL;
	world_params.max_per_client = MAX_EACH;
	world_params.proxy_protocol = true;
	MUST(rk_cidr_parse(rk_str("127.0.0.9"), &world_params.trusted_proxies.at[0]) == 0);
	world_params.trusted_proxies.count = 1;
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
	    cmocka_unit_test(test_a_client_gets_its_connections_and_not_one_more),
	    cmocka_unit_test(test_many_refused_ones_leave_nothing_behind),
	    cmocka_unit_test(test_who_never_says_hello_counts_and_is_forgotten),
	    cmocka_unit_test(test_behind_a_trusted_proxy_it_is_the_client_who_counts),
	    cmocka_unit_test(test_a_proxy_that_does_not_say_whose_connection_it_is_is_closed),
	    cmocka_unit_test(test_when_all_are_busy_the_next_one_waits),
	    cmocka_unit_test(test_the_one_without_a_request_for_the_longest_makes_room),
	    cmocka_unit_test(test_who_has_too_many_makes_nobody_go),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
