/*
 * Responses of models. The first byte says which dialect, whether it is an event stream, and
 * how large the pieces are. Pieces of any size give the same account, and parts of it that
 * every reader checks are no larger than what contains them where the provider tells them
 * apart.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "policy/usage.h"

static bool measure(uint8_t how, struct rk_slice body, size_t piece, struct usage *out)
{
	static struct usage_meter m;

	memset(out, 0, sizeof *out);
	usage_meter_init(&m, how % USAGE_DIALECTS, how & 0x80);
	while (body.n) {
		size_t n = body.n < piece ? body.n : piece;

		usage_meter_feed(&m, rk_slice(body.p, n));
		body = rk_slice_skip(body, n);
	}
	return usage_meter_end(&m, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usage whole, pieces;
	struct rk_slice body;
	bool got;

	if (size == 0)
		return 0;
	body = rk_slice(data + 1, size - 1);
	got = measure(data[0], body, SIZE_MAX, &whole);
	REQUIRE(measure(data[0], body, 1 + (data[0] >> 3 & 7), &pieces) == got);
	REQUIRE(memcmp(&whole, &pieces, sizeof whole) == 0);
	REQUIRE(strlen(whole.model) <= USAGE_MODEL_MAX && strlen(whole.tier) <= USAGE_TIER_MAX);
	if (got && data[0] % USAGE_DIALECTS == USAGE_ANTHROPIC)
		REQUIRE(whole.n[USAGE_INPUT] >= whole.n[USAGE_CACHE_READ] +
		                                    whole.n[USAGE_CACHE_WRITE] +
		                                    whole.n[USAGE_CACHE_WRITE_1H]);
	if (got && data[0] % USAGE_DIALECTS == USAGE_GEMINI)
		REQUIRE(whole.n[USAGE_OUTPUT] >= whole.n[USAGE_REASONING]);
	return 0;
}
