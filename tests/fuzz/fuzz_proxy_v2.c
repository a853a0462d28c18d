/*
 * The PROXY header: any split of the input gives the same result, an error is final, what is
 * asked for is never beyond the header, and the header is never longer than its limit.
 */
#include "tests/fuzz/fuzz.h"

#include "http/proxy_v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_v2 whole = {0}, part = {0};
	int want = proxy_v2_parse(rk_slice(data, size), &whole);
	size_t n = 0;
	int used = 0;

	REQUIRE(want <= PROXY_V2_MAX && (want <= 0 || (size_t)want <= size));
	for (;;) {
		size_t missing;

		used = proxy_v2_parse(rk_slice(data, n), &part);
		if (used != 0)
			break;
		missing = proxy_v2_missing(rk_slice(data, n));
		REQUIRE(missing > 0 && n + missing <= PROXY_V2_MAX);
		REQUIRE(want <= 0 || n + missing <= (size_t)want);
		if (missing > size - n)
			break;
		n += missing;
	}
	if (want > 0) {
		REQUIRE(used == want && n == (size_t)want);
		REQUIRE(part.local == whole.local && part.port == whole.port);
		REQUIRE(memcmp(&part.ip, &whole.ip, sizeof part.ip) == 0);
	} else {
		/* what is wrong may show a few bytes earlier, never later */
		REQUIRE(used <= 0);
	}
	for (size_t i = 0; i < size && i <= PROXY_V2_START; i++) {
		int early = proxy_v2_parse(rk_slice(data, i), &part);

		REQUIRE(early <= 0 || early == want);
		REQUIRE(early >= 0 || want < 0);
	}
	return 0;
}
