/*
 * The record codec: there is one encoding for each value, so what decodes encodes to the same
 * bytes. The first byte picks the strict decoder or the one for stored rows.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/lib/sample_record.h"

static void walk_list(struct rk_slice list)
{
	size_t count = record_list_count(list), seen = 0, used = 0;
	unsigned char copy[SAMPLE_ITEMS_MAX];
	struct rk_slice left = list, item;

	while (record_list_next(&left, &item)) {
		REQUIRE(record_list_add(copy, sizeof copy, &used, item) == 0);
		seen++;
	}
	REQUIRE(seen == count);
	REQUIRE(rk_slice_eq(rk_slice(copy, used), list));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char out[SAMPLE_WIRE_MAX];
	struct rk_slice in;
	struct sample s;
	bool stored;
	ssize_t n;

	if (size == 0)
		return 0;
	stored = data[0] & 1;
	in = rk_slice(data + 1, size - 1);
	if (stored ? record_decode_stored(&sample_desc, in, &s)
	           : record_decode(&sample_desc, in, &s))
		return 0;
	walk_list(s.items);
	n = record_encode(&sample_desc, &s, out, sizeof out);
	REQUIRE(n >= 0 && (size_t)n == record_size(&sample_desc, &s));
	REQUIRE(stored ? (size_t)n >= in.n : (size_t)n == in.n);
	REQUIRE(rk_slice_eq(rk_slice(out, in.n), in));
	/* fields that an older program did not write come out as zeros */
	for (size_t i = in.n; i < (size_t)n; i++)
		REQUIRE(out[i] == 0);
	return 0;
}
