#include "keeper/audit_chain.h"

#include <stdlib.h>

#include <openssl/evp.h>

struct audit_chain {
	EVP_MD *sha256; /* fetched once: a fetch costs as much as a short digest */
	EVP_MD_CTX *ctx;
};

int audit_chain_new(struct audit_chain **out)
{
	struct audit_chain *c = calloc(1, sizeof *c);

	if (!c)
		return RK_E_NOMEM;
	c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	c->ctx = EVP_MD_CTX_new();
	if (!c->sha256 || !c->ctx) {
		audit_chain_free(c);
		return RK_E_CRYPTO;
	}
	*out = c;
	return 0;
}

void audit_chain_free(struct audit_chain *c)
{
	if (!c)
		return;
	EVP_MD_CTX_free(c->ctx);
	EVP_MD_free(c->sha256);
	free(c);
}

int audit_chain_hash(struct audit_chain *c, const uint8_t prev[AUDIT_HASH], uint64_t seq,
                     struct rk_slice body, uint8_t out[AUDIT_HASH])
{
	uint8_t number[8], hash[AUDIT_HASH];

	for (size_t i = 0; i < sizeof number; i++)
		number[i] = (uint8_t)(seq >> (8 * i));
	if (EVP_DigestInit_ex2(c->ctx, c->sha256, NULL) != 1 ||
	    EVP_DigestUpdate(c->ctx, prev, AUDIT_HASH) != 1 ||
	    EVP_DigestUpdate(c->ctx, number, sizeof number) != 1 ||
	    EVP_DigestUpdate(c->ctx, body.p, body.n) != 1 ||
	    EVP_DigestFinal_ex(c->ctx, hash, NULL) != 1)
		return RK_E_CRYPTO;
	memcpy(out, hash, sizeof hash);
	return 0;
}
