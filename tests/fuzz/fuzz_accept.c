/*
 * Accept fields: HTML is never preferred where it is not named.
 */
#include "tests/fuzz/fuzz.h"

#include "http/accept.h"

static bool names_html(struct rk_slice s)
{
	struct rk_slice word = rk_str("text/html");

	for (size_t i = 0; i + word.n <= s.n; i++) {
		if (rk_slice_ieq(rk_slice(s.p + i, word.n), word))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice accept = rk_slice(data, size);

	if (accept_prefers_html(accept))
		REQUIRE(names_html(accept));
	return 0;
}
