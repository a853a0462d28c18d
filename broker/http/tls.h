/*
 * Non-blocking TLS connections on a loop: SSL_read and SSL_write straight on the socket, no
 * buffers in between. Knows nothing of HTTP; relay and console build on it.
 *
 * A connection reports to one callback. TLS_EV_OPEN comes once, after the handshake;
 * TLS_EV_FAIL once, instead of or after it (handshake failed, connect failed). After that,
 * errors are the results of tls_read() and tls_write().
 *
 * Reading is on from the start. Who cannot take more turns it off; data that OpenSSL holds
 * already is not forgotten: TLS_EV_READ comes again in a later turn. Writing needs no switch:
 * TLS_EV_WRITE follows by itself when tls_write() gave RK_E_AGAIN and there is room again.
 *
 * Ownership: tls_close() and tls_abort() end a connection and take it; its memory goes at the
 * end of the turn, so both may be called from its own callback. No callback comes after them.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <sys/types.h>

#include "base/err.h"
#include "http/tls_ctx.h"
#include "http/tls_key.h"
#include "http/tls_session.h"
#include "ipc/loop.h"

struct tls_base;
struct tls;

enum tls_event { TLS_EV_OPEN = 1, TLS_EV_READ = 2, TLS_EV_WRITE = 4, TLS_EV_FAIL = 8 };

typedef void tls_event_fn(struct tls *t, unsigned events, void *arg);

/* What all connections on a loop share. Free it after the last connection. */
RK_MUST_CHECK int tls_base_new(struct loop *l, struct tls_base **out);
void tls_base_free(struct tls_base *b);

/* Takes fd (non-blocking, accepted), also on failure. */
RK_MUST_CHECK int tls_accept(struct tls_base *b, const struct tls_ctx *ctx, int fd,
                             tls_event_fn *event, void *arg, struct tls **out);

/*
 * Takes fd (non-blocking, connect(2) under way or done), also on failure. The peer must prove
 * to be `host`: a DNS name (also sent as SNI) or an IP address text. `slot` may be NULL;
 * borrows it until the connection ends.
 */
RK_MUST_CHECK int tls_connect(struct tls_base *b, const struct tls_ctx *ctx, int fd,
                              const char *host, struct tls_session_slot *slot,
                              tls_event_fn *event, void *arg, struct tls **out);

/*
 * What to answer a server that asks for a certificate. Right after tls_connect(). Borrows `id`
 * until the connection ends, `key` (DER, in secret memory) until TLS_EV_OPEN or TLS_EV_FAIL: it
 * is given to OpenSSL when the server asks, and taken away again when the answer is written.
 */
void tls_identify(struct tls *t, const struct tls_identity *id, struct rk_slice key);

/*
 * Up to n bytes, of one record. RK_E_AGAIN; RK_E_CLOSED when the peer ended the stream
 * properly; RK_E_IO when it was cut off (reset, or end of file without close_notify);
 * RK_E_CRYPTO.
 */
RK_MUST_CHECK ssize_t tls_read(struct tls *t, void *dst, size_t n);

/* Bytes taken, at most one record; RK_E_AGAIN: call again with the same bytes first. RK_E_IO,
 * RK_E_CRYPTO. */
RK_MUST_CHECK ssize_t tls_write(struct tls *t, const void *src, size_t n);

/*
 * Gives back the record buffers (33 KiB) of an open connection on which nothing is under way.
 * They come back by themselves with the next record; so only for one that has been quiet for a
 * while.
 */
void tls_rest(struct tls *t);

/* Whether OpenSSL holds bytes that tls_read() has not returned yet (perhaps not a whole
 * record). */
bool tls_pending(const struct tls *t);

/*
 * Bytes on the wire that the peer has acknowledged so far. The kernel's buffer is large, and
 * says that there is room again only when much of it is: whether a slow peer takes anything is
 * seen here. 0 where the kernel does not say.
 */
uint64_t tls_acked(const struct tls *t);

void tls_read_on(struct tls *t);
void tls_read_off(struct tls *t);

/* Says close_notify and ends our direction; the peer's may still be read. */
void tls_shut_write(struct tls *t);

/* Ends it properly. Accepts NULL. */
void tls_close(struct tls *t);

/* Ends it with a reset and without close_notify: the peer sees that something is missing. */
void tls_abort(struct tls *t);

/* OpenSSL's own, for http/tls_peer.c. */
struct ssl_st *tls_native(const struct tls *t);

/*
 * Why it failed: RK_E_IO (network), RK_E_CLOSED (peer left during the handshake), RK_E_DENIED
 * (peer's certificate not valid), RK_E_CRYPTO. 0 when it did not.
 */
int tls_error(const struct tls *t);

/* A short text for that, static storage. Nothing of the traffic is in it. */
const char *tls_error_text(const struct tls *t);

#endif
