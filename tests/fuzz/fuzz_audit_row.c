/*
 * Stored audit rows. What unpacks packs to the same bytes and fits the limit of a row.
 */
#include "tests/fuzz/fuzz.h"

#include "ipc/audit_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char again[AUDIT_MAX_ROW];
	struct rk_slice in = rk_slice(data, size);
	struct audit_row row;
	ssize_t n;

	if (record_unpack(&audit_row_desc, in, &row))
		return 0;
	n = record_pack(&audit_row_desc, &row, again, sizeof again);
	REQUIRE(n >= 0 && rk_slice_eq(rk_slice(again, (size_t)n), in));
	REQUIRE(audit_type_name(row.type) != NULL);
	REQUIRE(audit_outcome_name(row.outcome) != NULL);
	return 0;
}
