/*
 * Private keys and client certificates of TLS: out of secret memory into OpenSSL for one
 * operation, and out of OpenSSL without a trace.
 *
 * OpenSSL wipes the numbers of a key when it is freed, but not what its decoders copied on the
 * way. tls_key_init() sees to that: whatever is freed on a thread while it handles a key is
 * wiped first.
 *
 * Keys travel as DER (PKCS#1, SEC 1 or PKCS#8, as OpenSSL writes them): in secret memory, never
 * in the clear elsewhere.
 */
#ifndef HTTP_TLS_KEY_H
#define HTTP_TLS_KEY_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

/* Once a process, before anything else calls OpenSSL. RK_E_STATE: something has. */
RK_MUST_CHECK int tls_key_init(struct rk_fault *fault);

/*
 * The key in `pem` (in secret memory) as DER into der, allocated here. RK_E_INVALID for what is
 * no private key, is under a passphrase, or is weaker than 112 bits.
 */
RK_MUST_CHECK int tls_key_from_pem(struct rk_slice pem, struct rk_secret *der,
                                   struct rk_fault *fault);

/* A certificate chain that a client can present. Public. */
struct tls_identity;

/* Leaf first, PEM; at most TLS_IDENTITY_MAX_CERTS. RK_E_INVALID also for a private key in it.
 */
enum { TLS_IDENTITY_MAX_CERTS = 10 };
RK_MUST_CHECK int tls_identity_new(struct rk_slice pem, struct tls_identity **out,
                                   struct rk_fault *fault);
void tls_identity_free(struct tls_identity *id); /* accepts NULL */

/* RK_E_INVALID when the key does not belong to the leaf. */
RK_MUST_CHECK int tls_identity_check_key(const struct tls_identity *id, struct rk_slice der,
                                         struct rk_fault *fault);

/* Subject of the leaf ("CN=broker, O=Example"), printable ASCII, cut to cap; when it expires.
 */
void tls_identity_describe(const struct tls_identity *id, char *subject, size_t cap,
                           int64_t *expires_ms);

/* The same of any certificate. */
struct x509_st;
void tls_key_describe(const struct x509_st *leaf, char *subject, size_t cap,
                      int64_t *expires_ms);

/* ---- for http/tls.c ---- */

/* Between the two, what OpenSSL frees on this thread is wiped. They do not nest. */
void tls_key_begin(void);
void tls_key_end(void);

struct ssl_st;
/* Gives chain and key to one connection. 0, RK_E_NOMEM or RK_E_CRYPTO. */
RK_MUST_CHECK int tls_identity_present(const struct tls_identity *id, struct rk_slice der,
                                       struct ssl_st *ssl);

#endif
