#include "base/record.h"
#include "http/mask.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/mask_reference.h"

/*
 * Byte 0: how many needles, and whether all the input is read as a list of fingerprints
 * instead; byte 1: seed of the pieces, 0: all at once. Then the needles, each a length byte and
 * its bytes (made longer when too short), then the text. However it is cut, what passes is what
 * the reference makes of the whole.
 */

enum { TEXT_MAX = 4096, NEEDLE_MAX = 64 };

static const uint8_t key[MASK_KEY] = "fuzz_mask's key";

static void scan_foreign_list(struct rk_slice list, char *text, size_t n)
{
	struct rk_slice item, rest = list;
	struct mask m;
	size_t at = 0;

	/* what a message's LIST is checked for before */
	while (at < list.n) {
		uint32_t length;

		if (list.n - at < 4)
			return;
		memcpy(&length, list.p + at, 4);
		if (length > list.n - at - 4)
			return;
		at += 4 + length;
	}
	if (mask_init(&m, list) != 0)
		return;
	for (unsigned i = 0; record_list_next(&rest, &item); i++)
		REQUIRE(i < m.count);
	at = mask_scan(&m, text, n, false);
	REQUIRE(at <= n);
	REQUIRE(mask_scan(&m, text + at, n - at, true) == n - at);
}

static unsigned take_needles(struct rk_slice *in, unsigned wanted,
                             char store[MASK_NEEDLES][NEEDLE_MAX], struct rk_slice *needles)
{
	unsigned count = 0;

	for (; count < wanted && in->n; count++) {
		size_t n = (unsigned char)in->p[0] % NEEDLE_MAX, got;

		*in = rk_slice_skip(*in, 1);
		got = n < in->n ? n : in->n;
		memset(store[count], 'a', NEEDLE_MAX);
		if (got)
			memcpy(store[count], in->p, got);
		*in = rk_slice_skip(*in, got);
		needles[count] = rk_slice(store[count], got < MASK_MIN ? MASK_MIN : got);
	}
	return count;
}

/* The bytes that are kept back may all be of one needle, and are fewer than it has. */
static void check_kept(struct rk_slice kept, const struct rk_slice *needles, unsigned count)
{
	bool good = kept.n == 0;

	for (unsigned i = 0; i < count && !good; i++)
		good = kept.n < needles[i].n;
	REQUIRE(good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char store[MASK_NEEDLES][NEEDLE_MAX], work[TEXT_MAX], out[TEXT_MAX],
	    wanted[TEXT_MAX];
	struct rk_slice in, needles[MASK_NEEDLES];
	char list[MASK_LIST_BYTES];
	size_t used = 0, kept = 0, passed = 0, at = 0;
	unsigned count;
	uint32_t seed;
	struct mask m;
	bool found;

	if (size < 3 || size > TEXT_MAX)
		return 0;
	in = rk_slice(data + 2, size - 2);
	seed = data[1];
	if (data[0] & 0x80) {
		memcpy(work, in.p, in.n);
		scan_foreign_list(in, work, in.n);
		return 0;
	}
	count = take_needles(&in, 1 + data[0] % MASK_NEEDLES, store, needles);
	for (unsigned i = 0; i < count; i++)
		REQUIRE(mask_list_add(list, sizeof list, &used, needles[i], key) == 0);
	REQUIRE(mask_init(&m, rk_slice(list, used)) == 0);
	found = mask_reference(in, needles, count, wanted);
	do {
		size_t n = in.n - at, pass;

		seed = seed ? seed * 1664525 + 1013904223 : 0;
		if (seed && n > (seed >> 24) % 24)
			n = (seed >> 24) % 24;
		if (n)
			memcpy(work + kept, in.p + at, n);
		at += n;
		n += kept;
		pass = mask_scan(&m, work, n, at == in.n);
		REQUIRE(pass <= n);
		memcpy(out + passed, work, pass);
		passed += pass;
		kept = n - pass;
		memmove(work, work + pass, kept);
		check_kept(rk_slice(work, kept), needles, count);
	} while (at < in.n);
	REQUIRE(kept == 0 && passed == in.n && m.found == found);
	REQUIRE(in.n == 0 || memcmp(out, wanted, in.n) == 0);
	return 0;
}
