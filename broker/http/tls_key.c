#include "http/tls_key.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

struct tls_identity {
	X509 *leaf;
	STACK_OF(X509) * chain; /* behind the leaf */
};

/* ---- OpenSSL's memory ---- */

static _Thread_local bool wiping;

static void *take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n ? malloc(n) : NULL;
}

static void give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (wiping && p)
		rk_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *retake(void *p, size_t n, const char *file, int line)
{
	size_t old = wiping && p ? malloc_usable_size(p) : 0;
	void *moved;

	if (!old && n)
		return realloc(p, n);
	moved = take(n, file, line);
	if (n && !moved)
		return NULL;
	if (moved)
		memcpy(moved, p, old < n ? old : n);
	give(p, file, line);
	return moved;
}

/*
 * Not OpenSSL's secure heap: it also holds an ephemeral key for each open connection, and a
 * handshake fails when it is full.
 */
int tls_key_init(struct rk_fault *fault)
{
	if (CRYPTO_set_mem_functions(take, retake, give) != 1)
		return rk_fail(fault, RK_E_STATE,
		               "OpenSSL was in use before its memory was set up");
	return 0;
}

void tls_key_begin(void)
{
	wiping = true;
}

void tls_key_end(void)
{
	wiping = false;
}

/* ---- keys ---- */

static bool holds(struct rk_slice s, const char *text)
{
	return s.n && memmem(s.p, s.n, text, strlen(text));
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

static int key_to_der(EVP_PKEY *key, struct rk_secret *der, struct rk_fault *fault)
{
	enum { LEAST_BITS = 112 };
	struct rk_secret made = {0};
	unsigned char *at;
	int n;

	if (EVP_PKEY_get_security_bits(key) < LEAST_BITS)
		return rk_fail(fault, RK_E_INVALID,
		               "the private key is too weak: RSA needs 2048 bits, a curve 224");
	n = i2d_PrivateKey(key, NULL);
	if (n <= 0 || rk_secret_alloc(&made, (size_t)n))
		return rk_fail(fault, RK_E_NOMEM, "there is no secret memory left for the key");
	at = made.p;
	n = i2d_PrivateKey(key, &at);
	if (n <= 0) {
		made.len = made.cap;
		rk_secret_free(&made);
		return rk_fail(fault, RK_E_CRYPTO, "the private key cannot be encoded");
	}
	made.len = (size_t)n;
	rk_secret_move(der, &made);
	return 0;
}

int tls_key_from_pem(struct rk_slice pem, struct rk_secret *der, struct rk_fault *fault)
{
	EVP_PKEY *key = NULL;
	BIO *bio;
	int err;

	if (!holds(pem, "PRIVATE KEY-----"))
		return rk_fail(fault, RK_E_INVALID,
		               "the key file holds no private key in PEM form");
	if (holds(pem, "ENCRYPTED"))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "the private key is under a passphrase: store it without one, the "
		    "token protects it");
	tls_key_begin();
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	err = key ? key_to_der(key, der, fault)
	          : rk_fail(fault, RK_E_INVALID, "the private key does not parse");
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	tls_key_end();
	return err;
}

static EVP_PKEY *key_load(struct rk_slice der)
{
	const unsigned char *at = (const unsigned char *)der.p;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.n);

	ERR_clear_error();
	return key;
}

/* ---- certificates ---- */

static int read_chain(struct tls_identity *id, BIO *bio, struct rk_fault *fault)
{
	unsigned long why;
	unsigned count = 0;
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (count++ == 0) {
			id->leaf = cert;
		} else if (count > TLS_IDENTITY_MAX_CERTS || !sk_X509_push(id->chain, cert)) {
			X509_free(cert);
			return rk_fail(fault, RK_E_TOOBIG,
			               "a client certificate comes with at most %d others",
			               TLS_IDENTITY_MAX_CERTS - 1);
		}
	}
	why = ERR_peek_last_error();
	ERR_clear_error();
	if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return rk_fail(
		    fault, RK_E_INVALID,
		    "the client certificate is damaged: certificate %u does not parse",
		    count + 1);
	if (!count)
		return rk_fail(
		    fault, RK_E_INVALID,
		    "the client certificate's file holds no certificate in PEM form");
	return 0;
}

int tls_identity_new(struct rk_slice pem, struct tls_identity **out, struct rk_fault *fault)
{
	struct tls_identity *id;
	BIO *bio;
	int err;

	if (holds(pem, "PRIVATE KEY-----"))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "the client certificate's file holds a private key too: give it by "
		    "itself, with --client-key-file");
	id = calloc(1, sizeof *id);
	bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	if (id)
		id->chain = sk_X509_new_null();
	if (bio && id && id->chain)
		err = read_chain(id, bio, fault);
	else
		err = rk_fail(fault, RK_E_NOMEM, "out of memory");
	BIO_free(bio);
	if (err) {
		tls_identity_free(id);
		return err;
	}
	*out = id;
	return 0;
}

void tls_identity_free(struct tls_identity *id)
{
	if (!id)
		return;
	X509_free(id->leaf);
	sk_X509_pop_free(id->chain, X509_free);
	free(id);
}

int tls_identity_check_key(const struct tls_identity *id, struct rk_slice der,
                           struct rk_fault *fault)
{
	EVP_PKEY *key;
	int fits;

	tls_key_begin();
	key = key_load(der);
	fits = key && X509_check_private_key(id->leaf, key) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	tls_key_end();
	if (fits)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "the private key does not belong to the client certificate");
}

static int64_t expiry_ms(const X509 *cert)
{
	struct tm tm;
	time_t s;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	s = timegm(&tm);
	return (int64_t)s * 1000;
}

void tls_key_describe(const X509 *leaf, char *subject, size_t cap, int64_t *expires_ms)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	/* what is not ASCII comes out escaped */
	if (bio &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(leaf), 0, XN_FLAG_ONELINE) >= 0)
		n = BIO_read(bio, subject, (int)cap - 1);
	subject[n > 0 ? n : 0] = '\0';
	for (char *c = subject; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	}
	BIO_free(bio);
	ERR_clear_error();
	*expires_ms = expiry_ms(leaf);
}

void tls_identity_describe(const struct tls_identity *id, char *subject, size_t cap,
                           int64_t *expires_ms)
{
	tls_key_describe(id->leaf, subject, cap, expires_ms);
}

/* The caller handles keys: tls_key_begin(). */
int tls_identity_present(const struct tls_identity *id, struct rk_slice der, struct ssl_st *ssl)
{
	EVP_PKEY *key = key_load(der);
	int ok = key && SSL_use_cert_and_key(ssl, id->leaf, key, id->chain, 1) == 1;

	EVP_PKEY_free(key); /* the connection has its own reference now */
	if (ok)
		return 0;
	ERR_clear_error();
	return key ? RK_E_CRYPTO : RK_E_NOMEM;
}
