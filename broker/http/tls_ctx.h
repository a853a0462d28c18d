/*
 * TLS contexts: what a TLS connection (http/tls.h) needs to know before it starts. A server
 * context holds a certificate chain and its key, a client context the certificates that are
 * trusted. Both come from PEM in memory, so that a process without a file system can make new
 * ones (certificate reload: new connections take the new context, old ones keep theirs).
 *
 * TLS 1.2 and 1.3, ALPN http/1.1, no renegotiation, no compression, session tickets. Clients
 * always verify; there is no switch for it.
 *
 * Ownership: a context lives as long as its owner or any connection made from it.
 */
#ifndef HTTP_TLS_CTX_H
#define HTTP_TLS_CTX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct tls_ctx;

/* Certificate chain (leaf first) and private key, PEM. RK_E_INVALID with what is wrong with
 * which. */
RK_MUST_CHECK int tls_server_ctx_new(struct rk_slice certificate, struct rk_slice key,
                                     struct tls_ctx **out, struct rk_fault *fault);

/*
 * Trusts exactly the certificates in `bundle` (PEM). `private_ca`: any of them is an anchor,
 * also an intermediate or a server's own certificate. RK_E_INVALID for a bundle without any
 * certificate.
 */
RK_MUST_CHECK int tls_client_ctx_new(struct rk_slice bundle, bool private_ca,
                                     struct tls_ctx **out, struct rk_fault *fault);

/* Accepts NULL. */
void tls_ctx_free(struct tls_ctx *ctx);

/* The SSL_CTX inside, for http/tls.c. */
struct ssl_ctx_st;
struct ssl_ctx_st *tls_ctx_native(const struct tls_ctx *ctx);

#endif
