#include "keeper/leak_verify.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/record.h"

struct rk_slice leak_key_find(struct rk_slice keys, struct rk_slice id)
{
	struct rk_slice item;

	while (id.n && record_list_next(&keys, &item)) {
		const char *end = memchr(item.p, '\n', item.n);

		if (end && rk_slice_eq(rk_slice(item.p, (size_t)(end - item.p)), id))
			return rk_slice_skip(item, id.n + 1);
	}
	return rk_slice(NULL, 0);
}

static bool is_p256(const EVP_PKEY *key)
{
	char group[32] = "";
	size_t n = 0;

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group,
	                                      sizeof group, &n) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static EVP_PKEY *read_key(struct rk_slice pem)
{
	BIO *bio = pem.n && pem.n <= LEAK_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key;
}

int leak_verify(struct rk_slice pem, struct rk_slice payload, struct rk_slice signature,
                struct rk_fault *fault)
{
	EVP_PKEY *key = read_key(pem);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int err = RK_E_AUTH;

	if (!md)
		err = RK_E_NOMEM;
	else if (!key || !is_p256(key))
		err = RK_E_INVALID;
	else if (signature.n && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
	         EVP_DigestVerify(md, (const unsigned char *)signature.p, signature.n,
	                          (const unsigned char *)payload.p, payload.n) == 1)
		err = 0;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	ERR_clear_error();
	if (err == RK_E_AUTH)
		rk_fail(fault, err, "the signature is not that of the secret scanner");
	else if (err == RK_E_INVALID)
		rk_fail(fault, err, "the secret scanner's key in the settings is no P-256 key");
	else if (err)
		rk_fail(fault, err, "out of memory");
	return err;
}
