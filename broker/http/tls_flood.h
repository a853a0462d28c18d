/*
 * What a peer may do on an open connection without saying anything: change its keys, send
 * session tickets, ask for another handshake. Each such message costs as much as a record of
 * data, OpenSSL takes any number of them within one call, and they need no relay key; so there
 * is a limit a second, above which the connection reads nothing more and fails.
 */
#ifndef HTTP_TLS_FLOOD_H
#define HTTP_TLS_FLOOD_H

#include <stdint.h>

#include "ipc/loop.h"

struct ssl_st;

enum { TLS_FLOOD_A_SECOND = 32 };

struct tls_flood {
	struct loop *loop;
	uint32_t second; /* of the counter */
	uint16_t messages;
};

/* Watches an open connection. Borrows f until that is freed. */
void tls_flood_watch(struct tls_flood *f, struct loop *l, struct ssl_st *ssl);

#endif
