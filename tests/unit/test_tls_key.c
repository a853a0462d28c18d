/*
 * Private keys for one handshake. The keys are made in a child process, so that this one never
 * held them anywhere but where the code under test puts them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "http/tls_key.h"

enum { PEM_MAX = 8192, NEEDLE = 24, MASK = 0xa5 };

/* What a child made: the key goes straight into secret memory. */
struct made {
	struct rk_secret pem;
	char certificate[PEM_MAX];
	size_t certificate_n;
	unsigned char needle[NEEDLE]; /* of the private number, masked */
};

static X509 *certificate_of(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
	                           (const unsigned char *)"Ex\xc3\xa4mple", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"broker",
	                           -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256());
	return cert;
}

static void put(int fd, const void *p, size_t n)
{
	if (write(fd, &n, sizeof n) != sizeof n || write(fd, p, n) != (ssize_t)n)
		_exit(1);
}

static void needle_of(EVP_PKEY *key, unsigned char needle[NEEDLE])
{
	unsigned char raw[1024];
	size_t n = sizeof raw;
	BIGNUM *d = NULL;

	if (EVP_PKEY_is_a(key, "ED25519")) {
		EVP_PKEY_get_raw_private_key(key, raw, &n);
	} else {
		EVP_PKEY_get_bn_param(key,
		                      EVP_PKEY_is_a(key, "RSA") ? OSSL_PKEY_PARAM_RSA_D
		                                                : OSSL_PKEY_PARAM_PRIV_KEY,
		                      &d);
		n = (size_t)BN_bn2bin(d, raw);
	}
	for (size_t i = 0; i < NEEDLE; i++)
		needle[i] = raw[n - NEEDLE + i] ^ MASK;
}

_Noreturn static void make_in_child(int fd, const char *type)
{
	unsigned char needle[NEEDLE];
	EVP_PKEY *key = strcmp(type, "RSA") == 0       ? EVP_RSA_gen(2048)
	                : strcmp(type, "WEAK") == 0    ? EVP_RSA_gen(1024)
	                : strcmp(type, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type)
	                                               : EVP_EC_gen("P-256");
	X509 *cert = certificate_of(key);
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	needle_of(key, needle);
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &p);
	put(fd, p, (size_t)n);
	(void)BIO_reset(bio);
	PEM_write_bio_X509(bio, cert);
	n = BIO_get_mem_data(bio, &p);
	put(fd, p, (size_t)n);
	put(fd, needle, NEEDLE);
	_exit(0);
}

static size_t get(int fd, void *p, size_t cap)
{
	size_t n = 0, got = 0;

	assert_int_equal(read(fd, &n, sizeof n), sizeof n);
	assert_true(n <= cap);
	while (got < n) {
		ssize_t r = read(fd, (char *)p + got, n - got);

		assert_true(r > 0);
		got += (size_t)r;
	}
	return n;
}

/* The arena does not survive a fork, so children are born before it (see main()). */
static struct {
	const char *type;
	int fd;
} children[] = {{"RSA", -1}, {"EC", -1}, {"ED25519", -1}, {"WEAK", -1}};

static void start_children(void)
{
	for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
		int pair[2];

		if (pipe2(pair, O_CLOEXEC))
			abort();
		if (fork() == 0)
			make_in_child(pair[1], children[i].type);
		close(pair[1]);
		children[i].fd = pair[0];
	}
}

static void take(const char *type, struct made *m)
{
	for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
		if (strcmp(children[i].type, type) != 0)
			continue;
		*m = (struct made){.certificate_n = 0};
		assert_int_equal(rk_secret_alloc(&m->pem, PEM_MAX), 0);
		m->pem.len = get(children[i].fd, m->pem.p, PEM_MAX);
		m->certificate_n = get(children[i].fd, m->certificate, PEM_MAX);
		assert_int_equal(get(children[i].fd, m->needle, NEEDLE), NEEDLE);
		return;
	}
	fail();
}

static bool is_needle(const unsigned char *p, const struct made *m, bool reversed)
{
	for (size_t i = 0; i < NEEDLE; i++) {
		if (p[i] != (m->needle[reversed ? NEEDLE - 1 - i : i] ^ MASK))
			return false;
	}
	return true;
}

/* Copies of the private number, in either order of bytes, in all that this process can write.
 */
static unsigned copies(const struct made *m)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned found = 0;
	char line[512], access[8];
	unsigned long from, to;

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps)) {
		const unsigned char *p;

		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 ||
		    strncmp(access, "rw", 2) != 0 || strstr(line, "vvar"))
			continue;
		for (p = (const unsigned char *)from; p + NEEDLE <= (const unsigned char *)to;
		     p++)
			found += is_needle(p, m, false) + is_needle(p, m, true);
	}
	fclose(maps);
	return found;
}

static void check_copies(const struct made *m, unsigned want)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(RK_WITHOUT_WIPE)
	assert_int_equal(copies(m), want);
#else
	/* a sanitizer's own memory cannot be walked, and keeps what was freed */
	(void)m;
	(void)want;
	(void)copies;
#endif
}

/* One TLS 1.3 handshake in memory, in which the server asks for a certificate. */
static void handshake(const struct tls_identity *id, struct rk_slice der, bool expect)
{
	SSL_CTX *sctx = SSL_CTX_new(TLS_server_method()),
	        *cctx = SSL_CTX_new(TLS_client_method());
	EVP_PKEY *own = EVP_EC_gen("P-256");
	X509 *cert = certificate_of(own);
	SSL *s, *c;
	BIO *a, *b;

	SSL_CTX_use_certificate(sctx, cert);
	SSL_CTX_use_PrivateKey(sctx, own);
	s = SSL_new(sctx);
	c = SSL_new(cctx);
	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(s, a, a);
	SSL_set_bio(c, b, b);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	/* whatever it is signed by: whether it comes is the question */
	SSL_set_verify(s, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_get0_param(s), X509_V_FLAG_PARTIAL_CHAIN);
	tls_key_begin();
	if (expect)
		assert_int_equal(tls_identity_present(id, der, c), 0);
	else
		assert_int_not_equal(tls_identity_present(id, der, c), 0);
	for (int i = 0; expect && i < 4; i++) {
		SSL_do_handshake(c);
		SSL_do_handshake(s);
	}
	if (expect)
		assert_true(SSL_is_init_finished(c));
	SSL_certs_clear(c);
	SSL_free(c);
	tls_key_end();
	SSL_free(s);
	SSL_CTX_free(sctx);
	SSL_CTX_free(cctx);
	X509_free(cert);
	EVP_PKEY_free(own);
}

static void leaves_no_trace(const char *type)
{
	struct tls_identity *id = NULL;
	struct rk_secret der = {0};
	struct rk_fault fault = {""};
	char subject[64];
	int64_t expires_ms;
	struct made m;

	take(type, &m);
	assert_int_equal(tls_key_from_pem(rk_secret_slice(&m.pem), &der, &fault), 0);
	assert_true(secret_arena_holds(der.p));
	rk_secret_free(&m.pem);
	assert_int_equal(
	    tls_identity_new(rk_slice(m.certificate, m.certificate_n), &id, &fault), 0);
	tls_identity_describe(id, subject, sizeof subject, &expires_ms);
	assert_string_equal(subject, "O = Ex\\C3\\A4mple, CN = broker");
	assert_true(expires_ms > 1700000000000);
	assert_int_equal(tls_identity_check_key(id, rk_secret_slice(&der), &fault), 0);
	/* the one in `der`: the search can find something */
	check_copies(&m, 1);
	handshake(id, rk_secret_slice(&der), true);
	check_copies(&m, 1);
	rk_secret_free(&der);
	tls_identity_free(id);
	check_copies(&m, 0);
	assert_int_equal(secret_arena_in_use(), 0);
}

static void test_an_rsa_key_leaves_no_trace(void **state)
{
	(void)state;
	leaves_no_trace("RSA");
}

static void test_a_curve_s_key_leaves_no_trace(void **state)
{
	(void)state;
	leaves_no_trace("EC");
}

static void test_an_ed25519_key_of_another_certificate_is_refused(void **state)
{
	struct tls_identity *own = NULL, *other = NULL;
	struct rk_secret der = {0};
	struct rk_fault fault = {""};
	struct made ed, weak;

	(void)state;
	take("ED25519", &ed);
	take("WEAK", &weak);
	assert_int_equal(tls_key_from_pem(rk_secret_slice(&ed.pem), &der, &fault), 0);
	rk_secret_free(&ed.pem);
	assert_int_equal(
	    tls_identity_new(rk_slice(ed.certificate, ed.certificate_n), &own, &fault), 0);
	assert_int_equal(
	    tls_identity_new(rk_slice(weak.certificate, weak.certificate_n), &other, &fault),
	    0);
	assert_int_equal(tls_identity_check_key(own, rk_secret_slice(&der), &fault), 0);
	assert_int_equal(tls_identity_check_key(other, rk_secret_slice(&der), &fault),
	                 RK_E_INVALID);
	assert_non_null(strstr(fault.text, "does not belong"));
	handshake(own, rk_secret_slice(&der), true);
	handshake(other, rk_secret_slice(&der), false);
	handshake(own, rk_str("no key"), false);
	rk_secret_free(&der);
	/* RSA with 1024 bits */
	assert_int_equal(tls_key_from_pem(rk_secret_slice(&weak.pem), &der, &fault),
	                 RK_E_INVALID);
	assert_non_null(strstr(fault.text, "too weak"));
	rk_secret_free(&weak.pem);
	tls_identity_free(own);
	tls_identity_free(other);
	check_copies(&ed, 0);
	assert_int_equal(secret_arena_in_use(), 0);
}

static void test_what_is_no_key_or_certificate_is_refused(void **state)
{
	static const struct {
		const char *pem, *why;
	} keys[] = {
	    {"", "no private key"},
	    {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
	     "no private key"},
	    {"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
	     "does not parse"},
	    {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE "
	     "KEY-----\n",
	     "passphrase"},
	    {"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n"
	     "-----END EC PRIVATE KEY-----\n",
	     "passphrase"},
	};
	static const struct {
		const char *pem, *why;
	} certificates[] = {
	    {"", "no certificate"},
	    {"-----BEGIN PRIVATE KEY-----\n", "private key too"},
	    {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "damaged"},
	};
	struct tls_identity *id = NULL;
	struct rk_secret der = {0};
	struct rk_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		assert_int_equal(tls_key_from_pem(rk_str(keys[i].pem), &der, &fault),
		                 RK_E_INVALID);
		assert_non_null(strstr(fault.text, keys[i].why));
		assert_null(der.p);
	}
	for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++) {
		assert_int_equal(tls_identity_new(rk_str(certificates[i].pem), &id, &fault),
		                 RK_E_INVALID);
		assert_non_null(strstr(fault.text, certificates[i].why));
	}
	tls_identity_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_rsa_key_leaves_no_trace),
	    cmocka_unit_test(test_a_curve_s_key_leaves_no_trace),
	    cmocka_unit_test(test_an_ed25519_key_of_another_certificate_is_refused),
	    cmocka_unit_test(test_what_is_no_key_or_certificate_is_refused),
	};
	struct rk_fault fault = {""};

	start_children();
	if (tls_key_init(&fault) ||
	    secret_arena_init(8 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
