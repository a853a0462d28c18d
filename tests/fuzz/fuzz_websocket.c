#include "http/websocket.h"
#include "tests/fuzz/fuzz.h"

/*
 * Where frames end, however the bytes are cut. The first byte is the seed of the pieces, the
 * rest are frames, read here once more with all of them at hand.
 */

/* Whether a frame ends exactly at n. */
static bool ends_at(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n) {
		uint64_t length;
		size_t head = 2;

		if (n - at < head)
			return false;
		length = p[at + 1] & 0x7f;
		head += length == 127 ? 8 : length == 126 ? 2 : 0;
		if (n - at < head)
			return false;
		if (head > 2)
			length = 0;
		for (size_t i = 2; i < head; i++)
			length = length << 8 | p[at + i];
		head += p[at + 1] & 0x80 ? 4 : 0;
		if (n - at < head || n - at - head < length)
			return false;
		at += head + (size_t)length;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct websocket_frames w = {0};
	uint32_t seed;
	size_t at = 0;

	if (size < 2 || size > 4096)
		return 0;
	seed = data[0];
	data++;
	size--;
	while (at < size) {
		size_t n = size - at, most;
		bool end;

		seed = seed ? seed * 1664525 + 1013904223 : 0;
		most = 1 + (seed >> 24) % 32;
		if (seed && n > most)
			n = most;
		end = websocket_frames_pass(&w, rk_slice(data + at, n));
		at += n;
		REQUIRE(end == ends_at(data, at));
	}
	return 0;
}
