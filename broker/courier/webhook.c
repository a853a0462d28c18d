#include "courier/webhook.h"

#include <inttypes.h>
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/base62.h"

static int sign(struct rk_slice secret, struct rk_slice when, struct rk_slice body,
                unsigned char mac[32])
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	size_t n = 0;
	bool good = ctx &&
	            EVP_MAC_init(ctx, (const unsigned char *)secret.p, secret.n, params) == 1 &&
	            EVP_MAC_update(ctx, (const unsigned char *)when.p, when.n) == 1 &&
	            EVP_MAC_update(ctx, (const unsigned char *)body.p, body.n) == 1 &&
	            EVP_MAC_final(ctx, mac, &n, 32) == 1 && n == 32;

	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(hmac);
	return good ? 0 : RK_E_CRYPTO;
}

int webhook_signature(struct rk_slice secret, int64_t now_s, struct rk_slice body,
                      char out[WEBHOOK_SIGNATURE_TEXT])
{
	unsigned char mac[32];
	char hex[65], when[24];
	int n = snprintf(when, sizeof when, "%" PRId64 ".", now_s);
	int err = sign(secret, rk_slice(when, (size_t)n), body, mac);

	if (err)
		return err;
	rk_hex(mac, sizeof mac, hex);
	snprintf(out, WEBHOOK_SIGNATURE_TEXT, "RelayKey-Signature: t=%" PRId64 ",v1=%s", now_s,
	         hex);
	return 0;
}
