#include "http/tls_ctx.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "http/tls_session.h"

struct tls_ctx {
	SSL_CTX *native;
};

static const unsigned char alpn[] = "\x08http/1.1";

enum { ALPN_BYTES = sizeof alpn - 1 };

/* The newest OpenSSL reason as text; the queue is emptied. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "no reason given";
}

/* RFC 7301: a client that does not offer http/1.1 cannot be served. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *selected;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&selected, out_len, alpn, ALPN_BYTES, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int ctx_new(const SSL_METHOD *method, struct tls_ctx **out, struct rk_fault *fault)
{
	/* AES-128 first: it is the cheaper one by a third and has no weakness that 256 lacks */
	static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
	                             "TLS_CHACHA20_POLY1305_SHA256";
	static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
	struct tls_ctx *ctx = calloc(1, sizeof *ctx);
	SSL_CTX *s = SSL_CTX_new(method);

	if (!ctx || !s || SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(s, suites) != 1 ||
	    SSL_CTX_set_cipher_list(s, ciphers) != 1) {
		SSL_CTX_free(s);
		free(ctx);
		return rk_fail(fault, RK_E_NOMEM, "cannot make a TLS context: %s", reason());
	}
	SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                           SSL_OP_CLEANSE_PLAINTEXT);
	/* not SSL_MODE_RELEASE_BUFFERS: it takes, wipes and gives back 17 KiB for each record;
	 * tls_rest() does it for connections that are quiet */
	SSL_CTX_set_mode(s,
	                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* one system call for whatever has arrived, instead of two for each record */
	SSL_CTX_set_read_ahead(s, 1);
	ctx->native = s;
	*out = ctx;
	return 0;
}

static int use_chain(SSL_CTX *s, struct rk_slice pem, struct rk_fault *fault)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	int err = 0;

	if (!cert || SSL_CTX_use_certificate(s, cert) != 1)
		err = rk_fail(fault, RK_E_INVALID, "server certificate: %s", reason());
	X509_free(cert);
	while (!err && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (SSL_CTX_add0_chain_cert(s, cert) != 1) {
			X509_free(cert);
			err = rk_fail(fault, RK_E_INVALID, "server certificate chain: %s",
			              reason());
		}
	}
	ERR_clear_error(); /* the end of the file is an error to PEM_read */
	BIO_free(bio);
	return err;
}

/* A key under a passphrase is refused instead of asking for it on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int use_key(SSL_CTX *s, struct rk_slice pem, struct rk_fault *fault)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	int err = 0;

	if (!key || SSL_CTX_use_PrivateKey(s, key) != 1)
		err = rk_fail(fault, RK_E_INVALID, "server key: %s", reason());
	else if (SSL_CTX_check_private_key(s) != 1)
		err = rk_fail(fault, RK_E_INVALID,
		              "the server key does not belong to the certificate");
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return err;
}

int tls_server_ctx_new(struct rk_slice certificate, struct rk_slice key, struct tls_ctx **out,
                       struct rk_fault *fault)
{
	static const unsigned char id[] = "relaykey";
	struct tls_ctx *ctx;
	int err = ctx_new(TLS_server_method(), &ctx, fault);

	if (err)
		return err;
	SSL_CTX_set_options(ctx->native,
	                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_alpn_select_cb(ctx->native, select_alpn, NULL);
	/* resumption by ticket alone: nothing is kept for clients that do not come back */
	SSL_CTX_set_session_cache_mode(ctx->native, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx->native, id, sizeof id - 1);
	SSL_CTX_set_num_tickets(ctx->native, 1);
	err = use_chain(ctx->native, certificate, fault);
	if (!err)
		err = use_key(ctx->native, key, fault);
	if (err) {
		tls_ctx_free(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

static int trust_bundle(SSL_CTX *s, struct rk_slice pem, struct rk_fault *fault)
{
	X509_STORE *store = SSL_CTX_get_cert_store(s);
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	unsigned count = 0;
	X509 *cert;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		/* a certificate that stands twice in a bundle is not an error */
		if (X509_STORE_add_cert(store, cert) == 1)
			count++;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (count == 0)
		return rk_fail(fault, RK_E_INVALID, "the CA bundle holds no certificate");
	return 0;
}

int tls_client_ctx_new(struct rk_slice bundle, bool private_ca, struct tls_ctx **out,
                       struct rk_fault *fault)
{
	struct tls_ctx *ctx;
	int err = ctx_new(TLS_client_method(), &ctx, fault);

	if (err)
		return err;
	err = trust_bundle(ctx->native, bundle, fault);
	if (!err && SSL_CTX_set_alpn_protos(ctx->native, alpn, ALPN_BYTES) != 0)
		err = rk_fail(fault, RK_E_NOMEM, "cannot set ALPN");
	if (err) {
		tls_ctx_free(ctx);
		return err;
	}
	SSL_CTX_set_verify(ctx->native, SSL_VERIFY_PEER, NULL);
	if (private_ca)
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx->native),
		                            X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx->native,
	                               SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx->native, tls_session_keep);
	*out = ctx;
	return 0;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->native);
	free(ctx);
}

struct ssl_ctx_st *tls_ctx_native(const struct tls_ctx *ctx)
{
	return ctx->native;
}
