#include "base/row_set.h"

#include <string.h>

enum { STORED_GAPS = 1, STORED_BITMAP = 2 };

int row_set_below(const struct row_set *s, unsigned end)
{
	unsigned at = end / 64;
	uint64_t word = 0;

	if (end % 64)
		word = s->word[at] & ((UINT64_C(1) << end % 64) - 1);
	while (!word) {
		if (at == 0)
			return -1;
		word = s->word[--at];
	}
	return (int)(at * 64 + 63 - (unsigned)__builtin_clzll(word));
}

int row_set_from(const struct row_set *s, unsigned start, unsigned bits)
{
	unsigned words = (1u << bits) / 64, at = start / 64;
	uint64_t word;

	if (at >= words)
		return -1;
	word = s->word[at] & (~UINT64_C(0) << start % 64);
	while (!word) {
		if (++at == words)
			return -1;
		word = s->word[at];
	}
	return (int)(at * 64 + (unsigned)__builtin_ctzll(word));
}

bool row_set_and(struct row_set *s, const struct row_set *other, unsigned bits)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < (1u << bits) / 64; i++) {
		s->word[i] &= other->word[i];
		left |= s->word[i];
	}
	return left != 0;
}

void row_set_clear(struct row_set *s, unsigned from, unsigned end)
{
	while (from < end) {
		unsigned stop = (from / 64 + 1) * 64;
		uint64_t mask = ~UINT64_C(0) << from % 64;

		if (stop > end)
			mask &= ~(~UINT64_C(0) << end % 64);
		s->word[from / 64] &= ~mask;
		from = stop < end ? stop : end;
	}
}

static size_t put_gap(uint8_t *out, unsigned gap)
{
	size_t n = 0;

	while (gap >= 0x80) {
		out[n++] = (uint8_t)(gap | 0x80);
		gap >>= 7;
	}
	out[n++] = (uint8_t)gap;
	return n;
}

static size_t store_bitmap(const uint16_t *rows, size_t n, unsigned bits, uint8_t *out)
{
	out[0] = STORED_BITMAP;
	memset(out + 1, 0, (1u << bits) / 8);
	for (size_t i = 0; i < n; i++)
		out[1 + rows[i] / 8] |= (uint8_t)(1 << rows[i] % 8);
	return 1 + (1u << bits) / 8;
}

size_t row_set_store(const uint16_t *rows, size_t n, unsigned bits, uint8_t out[ROW_SET_STORED])
{
	size_t limit = 1 + (1u << bits) / 8, used = 1;
	unsigned due = 0;

	out[0] = STORED_GAPS;
	for (size_t i = 0; i < n; i++) {
		uint8_t gap[3];
		size_t len = put_gap(gap, rows[i] - due);

		if (used + len >= limit)
			return store_bitmap(rows, n, bits, out);
		memcpy(out + used, gap, len);
		used += len;
		due = rows[i] + 1u;
	}
	return used;
}

static int load_gaps(struct rk_slice s, unsigned bits, struct row_set *out)
{
	unsigned row = 0;

	while (s.n) {
		unsigned gap = 0, shift = 0;
		uint8_t byte;

		do {
			if (!s.n || shift > 14)
				return RK_E_CORRUPT;
			byte = (uint8_t)s.p[0];
			s = rk_slice_skip(s, 1);
			gap |= (byte & 0x7fu) << shift;
			shift += 7;
		} while (byte & 0x80);
		row += gap;
		if (row >= 1u << bits)
			return RK_E_CORRUPT;
		row_set_add(out, row++);
	}
	return 0;
}

static int load_bitmap(struct rk_slice s, unsigned bits, struct row_set *out)
{
	if (s.n != (1u << bits) / 8)
		return RK_E_CORRUPT;
	for (size_t i = 0; i < s.n; i++)
		out->word[i / 8] |= (uint64_t)(uint8_t)s.p[i] << i % 8 * 8;
	return 0;
}

int row_set_load(struct rk_slice stored, unsigned bits, struct row_set *s)
{
	if (stored.n == 0)
		return RK_E_CORRUPT;
	switch (stored.p[0]) {
	case STORED_GAPS:
		return load_gaps(rk_slice_skip(stored, 1), bits, s);
	case STORED_BITMAP:
		return load_bitmap(rk_slice_skip(stored, 1), bits, s);
	default:
		return RK_E_CORRUPT;
	}
}
