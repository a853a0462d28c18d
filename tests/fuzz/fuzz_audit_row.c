/*
 * Stored audit rows, which an older program may have written with fewer fields. What decodes
 * encodes to the same bytes, followed by zeros for the fields that were not there, and fits the
 * limit of a row.
 */
#include "tests/fuzz/fuzz.h"

#include "ipc/audit_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char again[AUDIT_MAX_ROW];
	struct rk_slice in = rk_slice(data, size);
	struct audit_row row, strict;
	bool exact;
	ssize_t n;

	exact = record_decode(&audit_row_desc, in, &strict) == 0;
	if (record_decode_stored(&audit_row_desc, in, &row)) {
		REQUIRE(!exact);
		return 0;
	}
	n = record_encode(&audit_row_desc, &row, again, sizeof again);
	REQUIRE(n >= 0 && (size_t)n >= in.n);
	REQUIRE(exact == ((size_t)n == in.n));
	REQUIRE(in.n == 0 || memcmp(again, in.p, in.n) == 0);
	for (size_t i = in.n; i < (size_t)n; i++)
		REQUIRE(again[i] == 0);
	REQUIRE(audit_type_name(row.type) != NULL);
	REQUIRE(audit_outcome_name(row.outcome) != NULL);
	return 0;
}
