#include "tests/bench/wire/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

enum { BACKLOG = 4096 };

void wire_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	ERR_print_errors_fp(stderr);
	exit(EXIT_FAILURE);
}

int64_t wire_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void wire_raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	signal(SIGPIPE, SIG_IGN); /* a peer that leaves is an error of write */
	if (!ctx)
		wire_die("SSL_CTX_new failed");
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                          SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

SSL_CTX *wire_client_ctx(const char *ca_file)
{
	SSL_CTX *ctx = new_ctx(TLS_client_method());

	if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
		wire_die("cannot read %s", ca_file);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

SSL_CTX *wire_server_ctx(const char *cert_file, const char *key_file)
{
	SSL_CTX *ctx = new_ctx(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
		wire_die("cannot use %s and %s", cert_file, key_file);
	return ctx;
}

static struct sockaddr_in loopback(unsigned short port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons(port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int wire_listen(unsigned short port)
{
	struct sockaddr_in at = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG))
		wire_die("cannot listen on port %u: %m", port);
	return fd;
}

/* Takes fd. */
static bool start_tls(struct wire *w, SSL_CTX *ctx, int fd, bool client)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl || SSL_set_fd(ssl, fd) != 1 ||
	    (client && (SSL_set_tlsext_host_name(ssl, "localhost") != 1 ||
	                !SSL_set1_host(ssl, "localhost")))) {
		SSL_free(ssl);
		close(fd);
		return false;
	}
	if (client)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	*w = (struct wire){.fd = fd, .ssl = ssl, .wants = client ? EPOLLOUT : EPOLLIN};
	return true;
}

bool wire_connect(struct wire *w, SSL_CTX *ctx, unsigned short port)
{
	struct sockaddr_in to = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	w->fd = -1;
	if (fd < 0)
		return false;
	no_delay(fd);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
		close(fd);
		return false;
	}
	return start_tls(w, ctx, fd, true);
}

bool wire_accept(struct wire *w, SSL_CTX *ctx, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	w->fd = -1;
	if (fd < 0)
		return false;
	no_delay(fd);
	return start_tls(w, ctx, fd, false);
}

void wire_close(struct wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static ssize_t outcome(struct wire *w, int n)
{
	int why;

	if (n > 0)
		return n;
	why = SSL_get_error(w->ssl, n);
	ERR_clear_error();
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		return -1;
	w->wants = why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
	return 0;
}

ssize_t wire_read(struct wire *w, void *p, size_t n)
{
	return outcome(w, SSL_read(w->ssl, p, (int)n));
}

ssize_t wire_write(struct wire *w, const void *p, size_t n)
{
	return outcome(w, SSL_write(w->ssl, p, (int)n));
}
