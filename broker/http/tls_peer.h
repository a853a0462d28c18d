/*
 * Who is at the other end of a connection, and when its handshake began: for the test of a
 * connection, that a person reads.
 */
#ifndef HTTP_TLS_PEER_H
#define HTTP_TLS_PEER_H

#include "http/tls.h"

/*
 * Right after tls_connect(): *began_us is set (rk_mono_us()) when the network connection stands
 * and TLS begins. Borrowed until the connection ends.
 */
void tls_peer_watch(struct tls *t, int64_t *began_us);

/* Subject of the peer's certificate, printable ASCII, cut to cap, and its expiry; "" and 0
 * before there is one. */
void tls_peer_describe(const struct tls *t, char *subject, size_t cap, int64_t *expires_ms);

#endif
