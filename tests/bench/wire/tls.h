/*
 * A TLS connection over a non-blocking socket, as the benchmark's clients and its upstream need
 * it: loopback only, OpenSSL directly, nothing of the broker's in it. The handshake happens by
 * itself in the first read or write.
 */
#ifndef BENCH_WIRE_TLS_H
#define BENCH_WIRE_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

struct wire {
	int fd; /* -1: closed */
	SSL *ssl;
	uint32_t wants; /* EPOLLIN or EPOLLOUT: what the last call would have waited for */
};

/* Both end the program with a text when something is wrong. */
SSL_CTX *wire_client_ctx(const char *ca_file);
SSL_CTX *wire_server_ctx(const char *cert_file, const char *key_file);

/* A listening socket on 127.0.0.1, non-blocking; ends the program when that fails. */
int wire_listen(unsigned short port);

/* false: nothing was opened. */
bool wire_connect(struct wire *w, SSL_CTX *ctx, unsigned short port);
bool wire_accept(struct wire *w, SSL_CTX *ctx, int listener);
void wire_close(struct wire *w);

/* Bytes moved; 0: would block (w->wants says on what); -1: over, in whatever way. */
ssize_t wire_read(struct wire *w, void *p, size_t n);
ssize_t wire_write(struct wire *w, const void *p, size_t n);

int64_t wire_now_us(void); /* CLOCK_MONOTONIC */

/* Raises the soft limit of descriptors to the hard one. */
void wire_raise_nofile(void);

void wire_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
