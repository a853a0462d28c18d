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

static unsigned get_u16(const char *p)
{
	return (unsigned)(uint8_t)p[0] | (unsigned)(uint8_t)p[1] << 8;
}

static uint32_t get_u32(const char *p)
{
	return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

int row_bucket_load(struct rk_slice bucket, uint32_t name, unsigned bits, struct row_set *s)
{
	size_t elsewhere;

	if (bucket.n < 2)
		return RK_E_CORRUPT;
	elsewhere = get_u16(bucket.p);
	bucket = rk_slice_skip(bucket, 2);
	if (bucket.n < ROW_BUCKET_NAME * elsewhere ||
	    (bucket.n - ROW_BUCKET_NAME * elsewhere) % ROW_BUCKET_ROW)
		return RK_E_CORRUPT;
	for (size_t i = 0; i < elsewhere; i++) {
		if (get_u32(bucket.p + ROW_BUCKET_NAME * i) == name)
			return ROW_BUCKET_ELSEWHERE;
	}
	bucket = rk_slice_skip(bucket, ROW_BUCKET_NAME * elsewhere);
	for (; bucket.n; bucket = rk_slice_skip(bucket, ROW_BUCKET_ROW)) {
		unsigned row = get_u16(bucket.p + ROW_BUCKET_NAME);

		if (get_u32(bucket.p) != name)
			continue;
		if (row >= 1u << bits)
			return RK_E_CORRUPT;
		row_set_add(s, row);
	}
	return 0;
}
