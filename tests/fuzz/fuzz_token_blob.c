/*
 * The header of a wrapped secret. What is accepted must be a mechanism we have, a real
 * generation and a size that token_unwrap() may hand to the module.
 */
#include "tests/fuzz/fuzz.h"

#include "pkcs11/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct token_blob_info info = {WRAP_RSA_OAEP, UINT32_MAX};
	int err = token_blob_info(rk_slice(data, size), &info);

	if (err == 0) {
		REQUIRE(info.mechanism == WRAP_AES_GCM_TOKEN);
		REQUIRE(info.kek_generation != 0);
		REQUIRE(size > 8 + 1 + 12 + 16);
		REQUIRE(size <= TOKEN_MAX_PLAIN + TOKEN_WRAP_OVERHEAD);
	} else {
		REQUIRE(err == RK_E_CORRUPT || err == RK_E_UNSUPPORTED);
		REQUIRE(info.mechanism == WRAP_RSA_OAEP && info.kek_generation == UINT32_MAX);
	}
	return 0;
}
