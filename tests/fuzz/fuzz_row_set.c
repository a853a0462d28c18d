/*
 * Stored sets of rows: what loads is stored again in one form, and loads to the same rows.
 * Buckets: only rows of the chunk come out. Input: a byte that says how large the chunk is, a
 * stored set or a bucket.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/row_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct row_set set, again;
	static uint16_t rows[1 << ROW_SET_BITS];
	static uint8_t stored[ROW_SET_STORED];
	size_t count = 0, len;
	unsigned bits;

	if (size == 0)
		return 0;
	bits = ROW_SET_BITS_MIN + data[0] % (ROW_SET_BITS - ROW_SET_BITS_MIN + 1);
	memset(&set, 0, sizeof set);
	memset(&again, 0, sizeof again);
	for (uint32_t name = 0; name < 4; name++) {
		if (row_bucket_load(rk_slice(data + 1, size - 1), name, bits, &set) < 0)
			break;
		REQUIRE(row_set_below(&set, 1u << ROW_SET_BITS) < 1 << bits);
	}
	memset(&set, 0, sizeof set);
	if (row_set_load(rk_slice(data + 1, size - 1), bits, &set) != 0)
		return 0;
	for (int row = row_set_from(&set, 0, bits); row >= 0;
	     row = row_set_from(&set, (unsigned)row + 1, bits))
		rows[count++] = (uint16_t)row;
	REQUIRE(count == 0 || row_set_below(&set, 1u << bits) == rows[count - 1]);
	len = row_set_store(rows, count, bits, stored);
	REQUIRE(len <= 1 + (1u << bits) / 8);
	REQUIRE(row_set_load(rk_slice(stored, len), bits, &again) == 0);
	REQUIRE(memcmp(&set, &again, sizeof set) == 0);
	return 0;
}
