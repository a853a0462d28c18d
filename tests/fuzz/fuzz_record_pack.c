/*
 * Packed records: one encoding for each value, so what unpacks packs to the same bytes, and the
 * same value goes through the fixed form too.
 */
#include "tests/fuzz/fuzz.h"

#include "base/record_pack.h"
#include "tests/lib/sample_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char packed[SAMPLE_WIRE_MAX], wire[SAMPLE_WIRE_MAX];
	struct rk_slice in = rk_slice(data, size);
	struct sample s, back;
	ssize_t n;

	if (record_unpack(&sample_desc, in, &s))
		return 0;
	n = record_pack(&sample_desc, &s, packed, sizeof packed);
	REQUIRE(n >= 0 && rk_slice_eq(rk_slice(packed, (size_t)n), in));
	n = record_encode(&sample_desc, &s, wire, sizeof wire);
	REQUIRE(n > 0);
	REQUIRE(record_decode(&sample_desc, rk_slice(wire, (size_t)n), &back) == 0);
	n = record_pack(&sample_desc, &back, packed, sizeof packed);
	REQUIRE(n >= 0 && rk_slice_eq(rk_slice(packed, (size_t)n), in));
	return 0;
}
