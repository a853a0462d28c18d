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

enum { ANSWER_MAX = 16384 };

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
	unsigned pieces, gone;
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

/* Sends the body back, from secret memory. */
static void echo(struct service *s, const struct server_request *q)
{
	struct reply r = {.status = 200, .type = "text/plain"};

	if (!secret_arena_holds(q->body.p) || rk_secret_alloc(&r.vault[0], q->body.n) ||
	    rk_secret_add(&r.vault[0], q->body.p, q->body.n))
		_exit(62);
	server_answer(s->server, q->id, &r);
}

enum { PIECE = 1000, PIECES = 20000, AHEAD = 64 };

static void stream_on(struct service *s, uint64_t id)
{
	static char piece[PIECE];

	memset(piece, '#', sizeof piece);
	for (unsigned i = 0; i < AHEAD && s->pieces < PIECES; i++, s->pieces++) {
		if (server_write(s->server, id, rk_slice(piece, sizeof piece)))
			_exit(63);
	}
	if (s->pieces == PIECES)
		server_end(s->server, id);
}

static void on_drained(uint64_t id, void *arg)
{
	struct service *s = arg;

	/* never more than what was written at once */
	if (server_queued(s->server, id) != 0)
		_exit(64);
	stream_on(s, id);
}

static void begin_stream(struct service *s, uint64_t id)
{
	const struct reply head = {.status = 200, .type = "text/plain"};

	s->pieces = 0;
	if (server_stream(s->server, id, &head))
		stream_on(s, id);
}

/* How many left before their answer. */
static void on_gone(uint64_t id, void *arg)
{
	struct service *s = arg;

	(void)id;
	s->gone++;
}

static bool on_head(const struct server_request *q, void *arg)
{
	struct service *s = arg;

	if (!rk_slice_is(q->head->target, "/unwanted"))
		return true;
	reply_now(s, q->id);
	return false;
}

static void on_request(const struct server_request *q, void *arg)
{
	static const struct timeval soon = {.tv_usec = 20000};
	struct service *s = arg;
	char body[REPLY_BODY_MAX], what[32];
	struct reply r;

	if (rk_slice_is(q->head->target, "/later")) {
		s->asked = q->id;
		event_add(s->later, &soon);
	} else if (rk_slice_is(q->head->target, "/echo")) {
		echo(s, q);
	} else if (rk_slice_is(q->head->target, "/stream")) {
		begin_stream(s, q->id);
	} else if (rk_slice_is(q->head->target, "/gone")) {
		snprintf(what, sizeof what, "gone %u", s->gone);
		r = reply_health(200, what, body, sizeof body);
		server_answer(s->server, q->id, &r);
	} else if (!rk_slice_is(q->head->target, "/never")) {
		reply_now(s, q->id);
	}
}

static const struct server_ops service_ops = {
    .head = on_head,
    .request = on_request,
    .drained = on_drained,
    .gone = on_gone,
};

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

	if (secret_arena_init(4 << 20, SECRET_BACKING_BEST, NULL) || loop_new(&s.loop) ||
	    server_new(s.loop, listener, make_identity(), &service_ops, &s, &s.server))
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

static void a_body_is_read_and_the_connection_kept(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state,
	         "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
	         "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	         0, out);
	assert_int_equal(count_of(out, "HTTP/1.1 200 "), 2);
	assert_non_null(strstr(out, "\r\n\r\n{\"a\":1}HTTP/1.1"));
	exchange(*state,
	         "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	         "3;x\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nT: t\r\n\r\n"
	         "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	         0, out);
	assert_int_equal(count_of(out, "HTTP/1.1 200 "), 2);
	assert_non_null(strstr(out, "\r\n\r\n{\"a\":1}HTTP/1.1"));
}

static void a_body_may_come_byte_by_byte(void **state)
{
	static const char *const requests[] = {
	    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na}\n",
	    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "1\r\na\r\n2\r\n}\n\r\n0\r\n\r\n",
	};
	char out[ANSWER_MAX];

	for (unsigned r = 0; r < 2; r++) {
		struct client c;

		assert_true(handshake(&c, dial(*state, 5)));
		for (size_t i = 0; requests[r][i]; i++)
			assert_int_equal(SSL_write(c.ssl, requests[r] + i, 1), 1);
		hear(&c, 1, out);
		assert_non_null(strstr(out, "Content-Length: 3\r\n"));
		assert_non_null(strstr(out, "\r\n\r\na}\n"));
		leave(&c);
	}
}

static void a_body_that_waits_is_asked_for(void **state)
{
	char out[ANSWER_MAX];
	struct client c;

	assert_true(handshake(&c, dial(*state, 5)));
	say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
	        "Expect: 100-continue\r\n\r\n");
	assert_int_equal(SSL_read(c.ssl, out, 25), 25);
	assert_memory_equal(out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	say(&c, "}\n");
	hear(&c, 1, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	leave(&c);
}

static void a_body_that_nobody_wants_is_not_read(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state,
	         "POST /unwanted HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n"
	         "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	         0, out);
	assert_int_equal(count_of(out, "HTTP/1.1 "), 1);
	assert_non_null(strstr(out, "Connection: close\r\n"));
}

static void a_body_over_the_limit_is_413(void **state)
{
	static char request[2 * SERVER_MAX_BODY];
	char out[ANSWER_MAX];
	int n;

	exchange(*state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 0,
	         out);
	assert_int_equal(strncmp(out, "HTTP/1.1 413 ", 13), 0);
	/* in chunks, nobody knows before */
	for (unsigned more = 0; more < 2; more++) {
		n = snprintf(request, sizeof request,
		             "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
		             "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
		             SERVER_MAX_BODY + more);
		memset(request + n, 'b', SERVER_MAX_BODY + more);
		strcpy(request + n + SERVER_MAX_BODY + more, "\r\n0\r\n\r\n");
		exchange(*state, request, 0, out);
		assert_int_equal(strncmp(out, more ? "HTTP/1.1 413 " : "HTTP/1.1 200 ", 13), 0);
	}
}

/* Bodies that never end must leave room for those who ask for little. */
static void bodies_together_have_a_limit(void **state)
{
	enum { HELD = SERVER_ALL_BODIES / SERVER_MAX_BODY };
	static char body[SERVER_MAX_BODY];
	struct client held[HELD], c;
	char out[ANSWER_MAX];

	memset(body, 'b', sizeof body);
	for (unsigned i = 0; i < HELD; i++) {
		assert_true(handshake(&held[i], dial(*state, 5)));
		say(&held[i],
		    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
		assert_int_equal(SSL_write(held[i].ssl, body, 60000), 60000);
	}
	usleep(100000);
	exchange(*state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 0,
	         out);
	assert_int_equal(strncmp(out, "HTTP/1.1 503 ", 13), 0);
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	for (unsigned i = 0; i < HELD; i++)
		leave(&held[i]);
	usleep(100000);
	assert_true(handshake(&c, dial(*state, 5)));
	say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n}\n");
	hear(&c, 1, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	leave(&c);
}

static void a_chunk_that_is_none_is_refused(void **state)
{
	char out[ANSWER_MAX];

	exchange(*state,
	         "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	         "0x3\r\nabc\r\n0\r\n\r\n",
	         0, out);
	assert_int_equal(strncmp(out, "HTTP/1.1 400 ", 13), 0);
	assert_non_null(strstr(out, "\"code\":\"bad_chunk\""));
}

/* Bytes of body in a chunked answer that is read to its end. */
static size_t hear_stream(struct client *c)
{
	static char mem[65536];
	size_t n = 0, body = 0;
	bool last = false;
	int got;

	while (!last && (got = SSL_read(c->ssl, mem + n, (int)(sizeof mem - n))) > 0) {
		n += (size_t)got;
		for (size_t i = 0; i < n; i++)
			body += mem[i] == '#';
		last = n >= 5 && memcmp(mem + n - 5, "0\r\n\r\n", 5) == 0;
		n = n < 5 ? n : 5;
		memmove(mem, mem + n, n);
		n = 0;
	}
	return last ? body : 0;
}

static void a_stream_waits_for_a_client_that_reads_slowly(void **state)
{
	char out[ANSWER_MAX];
	struct client c;

	assert_true(handshake(&c, dial(*state, 5)));
	say(&c, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	usleep(300000);
	/* others are served meanwhile */
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
	assert_int_equal(hear_stream(&c), PIECE * PIECES);
	/* and the connection is good for more */
	say(&c, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	hear(&c, 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
	leave(&c);
}

static void the_owner_hears_that_a_client_has_left(void **state)
{
	static const char *const paths[] = {"/stream", "/never"};
	char out[ANSWER_MAX], request[64];
	struct client c;

	for (unsigned i = 0; i < 2; i++) {
		assert_true(handshake(&c, dial(*state, 5)));
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n",
		         paths[i]);
		say(&c, request);
		usleep(100000);
		SSL_shutdown(c.ssl);
		leave(&c);
		usleep(100000);
		exchange(*state, "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
		assert_non_null(strstr(out, i ? "gone 2" : "gone 1"));
	}
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

/* From another loopback address. */
static int dial_from(const struct world *w, unsigned host, int patience_s)
{
	const struct timeval limit = {.tv_sec = patience_s};
	struct sockaddr_in from = {.sin_family = AF_INET,
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK + host)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof w->address),
	                 0);
	return fd;
}

static void connections_over_the_limit_wait_for_a_place(void **state)
{
	int idle[SERVER_MAX_CONNECTIONS];
	char out[ANSWER_MAX];
	struct client c;

	for (unsigned i = 0; i < SERVER_MAX_CONNECTIONS; i++)
		idle[i] = dial_from(*state, 1 + i / SERVER_MAX_PER_CLIENT, 5);
	assert_false(handshake(&c, dial(*state, 1)));
	leave(&c);
	for (int i = 0; i < SERVER_MAX_CONNECTIONS; i++)
		close(idle[i]);
	exchange(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
}

static void one_client_cannot_take_all_connections(void **state)
{
	int idle[SERVER_MAX_PER_CLIENT];
	char out[ANSWER_MAX];
	struct client c;

	for (int i = 0; i < SERVER_MAX_PER_CLIENT; i++)
		idle[i] = dial(*state, 5);
	assert_false(handshake(&c, dial(*state, 5)));
	leave(&c);
	assert_true(handshake(&c, dial_from(*state, 1, 5)));
	say(&c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	hear(&c, 1, out);
	assert_non_null(strstr(out, "HTTP/1.1 200 OK"));
	leave(&c);
	for (int i = 0; i < SERVER_MAX_PER_CLIENT; i++)
		close(idle[i]);
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
	/* the example of RFC 9110, section 5.6.7 */
	const struct reply_terms terms = {.wall_ms = 784111777000, .request_id = "req_1"};
	struct rk_buf out;

	(void)state;
	rk_buf_init(&out, 4096);
	assert_int_equal(reply_render(&r, &terms, &out), 0);
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
	    SERVED(a_body_is_read_and_the_connection_kept),
	    SERVED(a_body_may_come_byte_by_byte),
	    SERVED(a_body_that_waits_is_asked_for),
	    SERVED(a_body_that_nobody_wants_is_not_read),
	    SERVED(a_body_over_the_limit_is_413),
	    SERVED(bodies_together_have_a_limit),
	    SERVED(a_chunk_that_is_none_is_refused),
	    SERVED(a_stream_waits_for_a_client_that_reads_slowly),
	    SERVED(the_owner_hears_that_a_client_has_left),
	    SERVED(what_is_not_http_is_refused_with_a_problem_document),
	    SERVED(a_head_over_the_limit_is_431),
	    SERVED(connections_over_the_limit_wait_for_a_place),
	    SERVED(one_client_cannot_take_all_connections),
	    SERVED(a_stop_ends_idle_connections_and_lets_a_request_finish),
	    cmocka_unit_test(the_date_is_in_the_format_of_http),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
