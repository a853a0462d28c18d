#include "supervisor/material.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "ipc/role_env.h"

static BIO *borrow(const struct rk_secret *s)
{
	return BIO_new_mem_buf(s->p, (int)s->len);
}

/* A pass phrase would be asked for on the terminal: there is none. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static X509 *parse_certificate(const struct rk_secret *pem)
{
	BIO *bio = borrow(pem);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL) : NULL;

	BIO_free(bio);
	return x;
}

static EVP_PKEY *parse_key(const struct rk_secret *pem)
{
	BIO *bio = borrow(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

	BIO_free(bio);
	return key;
}

static int check_pair(const struct identity *id, const char *certificate, const char *key,
                      struct rk_fault *fault)
{
	X509 *x = parse_certificate(&id->certificate);
	EVP_PKEY *pkey = parse_key(&id->key);
	int err = 0;

	if (!x)
		err = rk_fail(fault, RK_E_INVALID,
		              "tls-certificate %s holds no PEM certificate", certificate);
	else if (!pkey)
		err = rk_fail(fault, RK_E_INVALID,
		              "tls-key %s holds no PEM private key without a pass phrase", key);
	else if (X509_check_private_key(x, pkey) != 1)
		err = rk_fail(fault, RK_E_INVALID,
		              "tls-key %s does not belong to the certificate in %s", key,
		              certificate);
	X509_free(x);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return err;
}

int identity_load(const char *certificate, const char *key, struct identity *out,
                  struct rk_fault *fault)
{
	struct identity id = {{0}, {0}};
	int err;

	err = file_read_secret(certificate, MSG_MAX_PEM, false, &id.certificate, fault);
	if (!err)
		err = file_read_secret(key, MSG_MAX_SERVER_KEY, true, &id.key, fault);
	if (!err)
		err = check_pair(&id, certificate, key, fault);
	if (!err)
		identity_move(out, &id);
	identity_free(&id);
	return err;
}

void identity_free(struct identity *id)
{
	rk_secret_free(&id->certificate);
	rk_secret_free(&id->key);
}

void identity_move(struct identity *dst, struct identity *src)
{
	identity_free(dst);
	rk_secret_move(&dst->certificate, &src->certificate);
	rk_secret_move(&dst->key, &src->key);
}

int trust_load(const char *path, struct rk_buf *out, struct rk_fault *fault)
{
	static const char begin[] = "-----BEGIN ";
	struct rk_buf buf;
	int err = file_read(path, ROLE_MAX_TRUST, &buf, fault);

	if (err == RK_E_NOTFOUND)
		return rk_fail(fault, err,
		               "upstream-ca %s does not exist: install ca-certificates, or "
		               "name the PEM bundle that upstreams are verified against",
		               path);
	if (err)
		return err;
	if (!buf.len || !memmem(rk_buf_data(&buf), buf.len, begin, sizeof begin - 1)) {
		rk_buf_free(&buf);
		return rk_fail(fault, RK_E_INVALID, "upstream-ca %s holds no PEM certificate",
		               path);
	}
	rk_buf_free(out);
	*out = buf;
	return 0;
}
