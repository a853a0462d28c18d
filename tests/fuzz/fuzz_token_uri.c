/*
 * Token labels and RFC 7512 URIs: whatever is accepted names something, within the sizes of
 * CK_TOKEN_INFO.
 */
#include "tests/fuzz/fuzz.h"

#include "pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice text = rk_slice(data, size);
	struct token_uri uri;
	struct rk_fault fault;

	if (token_uri_parse(text, &uri, &fault) != 0)
		return 0;
	REQUIRE(memchr(uri.token, 0, sizeof uri.token));
	REQUIRE(memchr(uri.manufacturer, 0, sizeof uri.manufacturer));
	REQUIRE(memchr(uri.model, 0, sizeof uri.model));
	REQUIRE(memchr(uri.serial, 0, sizeof uri.serial));
	REQUIRE(uri.token[0] || uri.manufacturer[0] || uri.model[0] || uri.serial[0] ||
	        uri.has_slot_id);
	if (!rk_slice_starts(text, rk_str("pkcs11:")))
		REQUIRE(rk_slice_is(text, uri.token));
	return 0;
}
