/*
 * Path globs against their definition. Input: a pattern, a line feed, a path.
 */
#include "tests/fuzz/fuzz.h"

#include "policy/glob.h"
#include "tests/lib/glob_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = size ? memchr(data, '\n', size) : NULL;
	size_t n = lf ? (size_t)(lf - data) : 0;
	struct rk_slice pattern = rk_slice(data, n), path;
	struct rk_fault fault;

	if (!lf)
		return 0;
	path = rk_slice_skip(rk_slice(data, size), n + 1);
	if (glob_check(pattern, &fault) == 0)
		REQUIRE(n > 0 && data[0] == '/');
	if (n > GLOB_REFERENCE_MAX || path.n > GLOB_REFERENCE_MAX)
		return 0;
	REQUIRE(glob_match(pattern, path) == glob_reference(pattern, path));
	return 0;
}
