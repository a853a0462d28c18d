#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base62.h"
#include "base/config.h"
#include "base/ipaddr.h"
#include "cli/setup.h"

enum { CA_DAYS = 3650, SERVER_DAYS = 825 };

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

/* A new key and an unsigned certificate for `name`. */
static bool begin(struct identity *id, const char *name, int days)
{
	unsigned char serial[16];
	X509_NAME *subject;
	BIGNUM *bn;
	bool ok;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	if (!id->key || !id->cert)
		return false;
	rk_random(serial, sizeof serial);
	serial[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
	bn = BN_bin2bn(serial, sizeof serial, NULL);
	subject = X509_get_subject_name(id->cert);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(id->cert)) &&
	     X509_set_version(id->cert, X509_VERSION_3) &&
	     X509_gmtime_adj(X509_getm_notBefore(id->cert), -300) &&
	     X509_gmtime_adj(X509_getm_notAfter(id->cert), (long)days * 86400) &&
	     X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
	                                (const unsigned char *)name, -1, -1, 0) &&
	     X509_set_pubkey(id->cert, id->key);
	BN_free(bn);
	return ok;
}

static bool make_ca(struct identity *ca)
{
	char name[64], tag[7] = "";

	rk_base62_random(tag, 6);
	snprintf(name, sizeof name, "RelayKey private CA %s", tag);
	return begin(ca, name, CA_DAYS) &&
	       X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert)) &&
	       add_extension(ca->cert, ca->cert, NID_basic_constraints,
	                     "critical,CA:TRUE,pathlen:0") &&
	       add_extension(ca->cert, ca->cert, NID_key_usage,
	                     "critical,keyCertSign,cRLSign") &&
	       add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash") &&
	       X509_sign(ca->cert, ca->key, EVP_sha256()) > 0;
}

/* "DNS:localhost,IP:127.0.0.1,...": everything under which this broker may be called here. */
static void alternative_names(const char *listen, char *out, size_t cap)
{
	char host[128] = "", name[256] = "";
	unsigned short port;
	struct rk_ip ip;
	int n = snprintf(out, cap, "DNS:localhost,IP:127.0.0.1,IP:::1");

	if (gethostname(name, sizeof name - 1) == 0 && *name &&
	    strcmp(name, "localhost") != 0 &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
	        strlen(name))
		n += snprintf(out + n, cap - (size_t)n, ",DNS:%s", name);
	if (config_split_listen(listen, host, sizeof host, &port) == 0 &&
	    rk_ip_parse(rk_str(host), &ip) == 0 && rk_ip_classify(&ip) != IP_SPECIAL &&
	    rk_ip_classify(&ip) != IP_LOOPBACK)
		snprintf(out + n, cap - (size_t)n, ",IP:%s", host);
}

static bool make_server(struct identity *server, const struct identity *ca, const char *listen)
{
	char names[1024];

	alternative_names(listen, names, sizeof names);
	return begin(server, "RelayKey", SERVER_DAYS) &&
	       X509_set_issuer_name(server->cert, X509_get_subject_name(ca->cert)) &&
	       add_extension(server->cert, ca->cert, NID_basic_constraints,
	                     "critical,CA:FALSE") &&
	       add_extension(server->cert, ca->cert, NID_key_usage,
	                     "critical,digitalSignature") &&
	       add_extension(server->cert, ca->cert, NID_ext_key_usage, "serverAuth") &&
	       add_extension(server->cert, ca->cert, NID_subject_alt_name, names) &&
	       add_extension(server->cert, ca->cert, NID_authority_key_identifier, "keyid") &&
	       X509_sign(server->cert, ca->key, EVP_sha256()) > 0;
}

static int write_pem(struct setup_trail *t, const char *dir, const char *name,
                     const struct identity *id, bool key, struct rk_fault *fault)
{
	BIO *bio = BIO_new(key ? BIO_s_secmem() : BIO_s_mem());
	int err = RK_E_CRYPTO;
	char *data;
	long len;

	if (bio && (key ? PEM_write_bio_PKCS8PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL)
	                : PEM_write_bio_X509(bio, id->cert))) {
		len = BIO_get_mem_data(bio, &data);
		err = setup_write(t, dir, name, data, (size_t)len, key ? 0600 : 0644, fault);
	} else {
		rk_fail(fault, err, "cannot write %s", name);
	}
	BIO_free(bio);
	return err;
}

int setup_certificates(struct setup_trail *t, const char *dir, const char *listen,
                       struct rk_fault *fault)
{
	struct identity ca = {0}, server = {0};
	int err;

	if (!make_ca(&ca) || !make_server(&server, &ca, listen)) {
		err = rk_fail(fault, RK_E_CRYPTO, "cannot make the certificates");
		goto out;
	}
	err = write_pem(t, dir, "ca.pem", &ca, false, fault);
	if (!err)
		err = write_pem(t, dir, "ca.key", &ca, true, fault);
	if (!err)
		err = write_pem(t, dir, "server.pem", &server, false, fault);
	if (!err)
		err = write_pem(t, dir, "server.key", &server, true, fault);
out:
	identity_free(&ca);
	identity_free(&server);
	return err;
}
