/*
 * The console's HTTPS server, met by a TLS client over loopback. The server runs in a child
 * process; what it answers is told by the path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "console/server.h"

enum { ANSWER_MAX = 8192 };

struct world {
	struct sockaddr_in address;
	pid_t pid;
};

/* ---- the server's process ---- */

static struct rk_slice pem_of(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return rk_slice(p, (size_t)n);
}

static struct tls_ctx *make_identity(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *cert = BIO_new(BIO_s_mem()), *pkey = BIO_new(BIO_s_mem());
	struct tls_ctx *ctx = NULL;

	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	if (X509_sign(x, key, EVP_sha256()) <= 0 || !PEM_write_bio_X509(cert, x) ||
	    !PEM_write_bio_PrivateKey(pkey, key, NULL, NULL, 0, NULL, NULL) ||
	    tls_server_ctx_new(pem_of(cert), pem_of(pkey), &ctx, NULL))
		_exit(60);
	BIO_free(cert);
	BIO_free(pkey);
	X509_free(x);
	EVP_PKEY_free(key);
	return ctx;
}

struct service {
	struct loop *loop;
	struct server *server;
	struct event *later;
	struct event *stop;
	uint64_t asked;
};

static void reply_now(struct service *s, uint64_t id)
{
	char body[REPLY_BODY_MAX];
	struct reply r = reply_health(200, "ok", body, sizeof body);

	server_answer(s->server, id, &r);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd;
	(void)what;
	reply_now(s, s->asked);
}

static void on_request(uint64_t id, const struct h1_head *head, void *arg)
{
	static const struct timeval soon = {.tv_usec = 20000};
	struct service *s = arg;

	if (rk_slice_is(head->target, "/later")) {
		s->asked = id;
		event_add(s->later, &soon);
	} else if (!rk_slice_is(head->target, "/never")) {
		reply_now(s, id);
	}
}

static void on_empty(void *arg)
{
	struct service *s = arg;

	loop_stop(s->loop);
}

static void on_term(evutil_socket_t signo, short what, void *arg)
{
	struct service *s = arg;

	(void)signo;
	(void)what;
	server_stop(s->server, on_empty, s);
}

static _Noreturn void serve(int listener)
{
	struct service s = {0};

	if (loop_new(&s.loop) ||
	    server_new(s.loop, listener, make_identity(), on_request, &s, &s.server))
		_exit(61);
	s.later = evtimer_new(loop_base(s.loop), on_later, &s);
	s.stop = evsignal_new(loop_base(s.loop), SIGTERM, on_term, &s);
	event_add(s.stop, NULL);
	loop_run(s.loop);
	server_free(s.server);
	event_free(s.later);
	event_free(s.stop);
	loop_free(s.loop);
	exit(0);
}

static int start(void **state)
{
	static struct world w_of_test; /* not the heap: the server's process would leak it */
	struct world *w = &w_of_test;
	socklen_t len = sizeof w->address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(w, 0, sizeof *w);
	w->address.sin_family = AF_INET;
	w->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&w->address, len), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&w->address, &len), 0);
	fflush(NULL);
	w->pid = fork();
	if (w->pid == 0)
		serve(fd);
	close(fd);
	*state = w;
	return 0;
}

static int finish(void **state)
{
	struct world *w = *state;

	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	return 0;
}

/* ---- the client ---- */

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static int dial(const struct world *w, int patience_s)
{
	const struct timeval limit = {.tv_sec = patience_s};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof w->address),
	                 0);
	return fd;
}

static bool handshake(struct client *c, int fd)
{
	c->fd = fd;
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, fd);
	return SSL_connect(c->ssl) == 1;
}

static void leave(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

static void say(struct client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Reads until `times` bodies have come, or, with 0, until the server ends the connection. */
static void hear(struct client *c, unsigned times, char out[ANSWER_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	while (times == 0 || count_of(out, "}\n") < times) {
		int got = SSL_read(c->ssl, out + n, (int)(ANSWER_MAX - 1 - n));

		if (got <= 0)
			break;
		n += (size_t)got;
		out[n] = '\0';
	}
	if (times == 0) /* ended properly, with close_notify */
		assert_int_equal(SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN,
		                 SSL_RECEIVED_SHUTDOWN);
}

static void exchange(const struct world *w, const char *request, unsigned times,
                     char out[ANSWER_MAX])
{
	struct client c;

	assert_true(handshake(&c, dial(w, 5)));
	say(&c, request);
	hear(&c, times, out);
	leave(&c);
}

/* ---- requests ---- */

static void a_request_is_answered_and_the_connection_kept(void **state)
{
	char out[ANSWER_MAX];
	struct client c;

	assert_true(handshake(&c, dial(*state, 5)));
	for (int i = 0; i < 3; i++) {
		say(&c, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
		hear(&c, 1, out);
		assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(out, "\r\n\r\n{\"status\":\"ok\"}\n"));
		assert_null(strstr(out, "Connection: close"));
	}
	leave(&c);
}

static void an_answer_may_come_later(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state,
	         "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", 2,
	         out);
	assert_int_equal(count_of(out, "HTTP/1.1 200 OK"), 2);
}

static void an_owner_that_never_answers_is_503(void **state)
{
	char out[ANSWER_MAX];
	struct client c;

	assert_true(handshake(&c, dial(*state, 10)));
	say(&c, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
	hear(&c, 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 503"));
	assert_non_null(strstr(out, "Retry-After: "));
	leave(&c);
}

static void requests_in_one_write_are_answered_one_after_another(void **state)
{
	char out[ANSWER_MAX], request[20 * 32] = "";

	for (int i = 0; i < 20; i++)
		strcat(request, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	exchange(*state, request, 20, out);
	assert_int_equal(count_of(out, "HTTP/1.1 200 OK"), 20);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	char out[ANSWER_MAX];
	struct client c;

	assert_true(handshake(&c, dial(*state, 5)));
	for (size_t i = 0; request[i]; i++)
		assert_int_equal(SSL_write(c.ssl, request + i, 1), 1);
	hear(&c, 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
	leave(&c);
}

static void head_has_the_length_and_no_body(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0, out);
	assert_non_null(strstr(out, "Content-Length: 16\r\n"));
	assert_null(strstr(out, "status"));
}

static void the_last_answer_says_so(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0, out);
	assert_non_null(strstr(out, "Connection: close\r\n"));
	assert_non_null(strstr(out, "{\"status\":\"ok\"}\n"));
	exchange(*state, "GET / HTTP/1.0\r\n\r\n", 0, out);
	assert_non_null(strstr(out, "{\"status\":\"ok\"}\n"));
}

static void a_body_is_not_taken_for_the_next_request(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state,
	         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n"
	         "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	         0, out);
	assert_int_equal(count_of(out, "HTTP/1.1 "), 1);
}

static void what_is_not_http_is_refused_with_a_problem_document(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state, "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 400 ", 13), 0);
	assert_non_null(strstr(out, "Content-Type: application/problem+json\r\n"));
	assert_non_null(strstr(out, "\"code\":\"bad_header_name\""));
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 0, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 417 ", 13), 0);
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
}

static void a_head_over_the_limit_is_431(void **state)
{
	static char request[SERVER_MAX_HEAD + 64];
	char out[ANSWER_MAX];
	int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\nX: ");

	memset(request + n, 'x', SERVER_MAX_HEAD - (size_t)n - 4);
	strcpy(request + SERVER_MAX_HEAD - 4, "\r\n\r\n");
	exchange(*state, request, 1, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	strcpy(request + SERVER_MAX_HEAD - 4, "x\r\n\r\n");
	exchange(*state, request, 0, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 431 ", 13), 0);
}

/* ---- limits and stop ---- */

static void connections_over_the_limit_wait_for_a_place(void **state)
{
	int idle[SERVER_MAX_CONNECTIONS];
	char out[ANSWER_MAX];
	struct client c;

	for (int i = 0; i < SERVER_MAX_CONNECTIONS; i++)
		idle[i] = dial(*state, 5);
	assert_false(handshake(&c, dial(*state, 1)));
	leave(&c);
	for (int i = 0; i < SERVER_MAX_CONNECTIONS; i++)
		close(idle[i]);
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
}

static void a_stop_ends_idle_connections_and_lets_a_request_finish(void **state)
{
	struct world *w = *state;
	char out[ANSWER_MAX];
	struct client busy, idle;
	int status;

	assert_true(handshake(&idle, dial(w, 5)));
	say(&idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	hear(&idle, 1, out);
	assert_true(handshake(&busy, dial(w, 5)));
	say(&busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	usleep(10000);
	kill(w->pid, SIGTERM);
	hear(&idle, 0, out);
	assert_string_equal(out, "");
	hear(&busy, 0, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
	assert_non_null(strstr(out, "Connection: close\r\n"));
	leave(&idle);
	leave(&busy);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- rendering ---- */

static void the_date_is_in_the_format_of_http(void **state)
{
	char body[REPLY_BODY_MAX];
	struct reply r = reply_health(200, "ok", body, sizeof body);
	struct rk_buf out;

	(void)state;
	rk_buf_init(&out, 4096);
	/* the example of RFC 9110, section 5.6.7 */
	assert_int_equal(reply_render(&r, false, false, 784111777000, &out), 0);
	assert_non_null(memmem(rk_buf_data(&out), out.len,
	                       "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 39));
	rk_buf_free(&out);
}

int main(void)
{
#define SERVED(f) cmocka_unit_test_setup_teardown(f, start, finish)
	const struct CMUnitTest tests[] = {
	    SERVED(a_request_is_answered_and_the_connection_kept),
	    SERVED(an_answer_may_come_later),
	    SERVED(an_owner_that_never_answers_is_503),
	    SERVED(requests_in_one_write_are_answered_one_after_another),
	    SERVED(a_request_may_come_byte_by_byte),
	    SERVED(head_has_the_length_and_no_body),
	    SERVED(the_last_answer_says_so),
	    SERVED(a_body_is_not_taken_for_the_next_request),
	    SERVED(what_is_not_http_is_refused_with_a_problem_document),
	    SERVED(a_head_over_the_limit_is_431),
	    SERVED(connections_over_the_limit_wait_for_a_place),
	    SERVED(a_stop_ends_idle_connections_and_lets_a_request_finish),
	    cmocka_unit_test(the_date_is_in_the_format_of_http),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
