#include "http/h1.h"
#include "tests/fuzz/fuzz.h"

/*
 * The first byte starts a small generator that chooses the pieces; the rest is the body.
 * However it is cut, the same bytes come out, and the same end or error.
 */

struct result {
	uint8_t *bytes;
	size_t n;
	size_t consumed;
	int err;
	bool done, dropped;
};

static size_t next_piece(uint32_t *seed, size_t left)
{
	size_t n;

	*seed = *seed * 1664525 + 1013904223;
	n = 1 + (*seed >> 24) % 16;
	return n < left ? n : left;
}

static void decode(const uint8_t *data, size_t size, uint32_t seed, struct result *out)
{
	struct h1_chunked c;
	size_t at = 0;

	h1_chunked_init(&c);
	while (at < size && !c.done) {
		size_t piece = seed ? next_piece(&seed, size - at) : size - at;
		size_t end = at + piece;

		while (at < end && !c.done) {
			struct rk_slice run;
			int n = h1_chunked_next(&c, rk_slice(data + at, end - at), &run);

			if (n < 0) {
				out->err = n;
				return;
			}
			REQUIRE(n > 0 && (size_t)n <= end - at);
			at += (size_t)n;
			if (run.n) {
				REQUIRE((const uint8_t *)run.p + run.n == data + at);
				memcpy(out->bytes + out->n, run.p, run.n);
				out->n += run.n;
			}
		}
	}
	out->consumed = at;
	out->done = c.done;
	out->dropped = c.dropped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole = {0}, split = {0};

	if (size < 2)
		return 0;
	whole.bytes = malloc(size);
	split.bytes = malloc(size);
	REQUIRE(whole.bytes && split.bytes);
	decode(data + 1, size - 1, 0, &whole);
	decode(data + 1, size - 1, data[0] + 1U, &split);
	REQUIRE(whole.err == split.err && whole.done == split.done);
	REQUIRE(whole.n == split.n && memcmp(whole.bytes, split.bytes, whole.n) == 0);
	REQUIRE(whole.consumed == split.consumed && whole.dropped == split.dropped);
	if (whole.done)
		REQUIRE(memcmp(data + 1 + whole.consumed - 2, "\r\n", 2) == 0);
	free(whole.bytes);
	free(split.bytes);
	return 0;
}
