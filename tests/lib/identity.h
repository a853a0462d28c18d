/*
 * A client certificate and its key for tests, made at run time: PEM texts.
 */
#ifndef TESTS_LIB_IDENTITY_H
#define TESTS_LIB_IDENTITY_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct identity {
	char certificate[4096], key[2048];
};

/* `days` from now it expires; negative: it has. */
static inline void identity_make(struct identity *id, const char *name, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -30 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
	                           -1, 0);
	X509_set_issuer_name(cert, subject);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_bio_X509(bio, cert);
	n = BIO_read(bio, id->certificate, sizeof id->certificate - 1);
	id->certificate[n > 0 ? n : 0] = '\0';
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_read(bio, id->key, sizeof id->key - 1);
	id->key[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	X509_free(cert);
	EVP_PKEY_free(key);
}

#endif
