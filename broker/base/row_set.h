/*
 * Sets of rows of one chunk of the audit journal (keeper/audit_index.h), by their place in it:
 * in memory a bitmap, stored as whichever is shorter of gaps and bitmap. Pure.
 *
 * Stored: one byte that says which; then for each row, rising, how many are left out before it
 * (LEB128), or the bitmap, its lowest bit first.
 *
 * Buckets hold the rows of many names, u32 each, that have few: the number of names that have a
 * set elsewhere, u16, and those; then name and row, u16, for each other row. All little-endian.
 */
#ifndef BASE_ROW_SET_H
#define BASE_ROW_SET_H

#include "base/err.h"
#include "base/slice.h"

enum {
	ROW_SET_BITS = 16, /* a chunk has at most 1 << 16 rows, and at least 1 << 7 */
	ROW_SET_BITS_MIN = 7,
	ROW_SET_WORDS = (1 << ROW_SET_BITS) / 64,
	ROW_SET_STORED = 1 + (1 << ROW_SET_BITS) / 8, /* bytes of the longest stored form */
};

struct row_set {
	uint64_t word[ROW_SET_WORDS];
};

static inline void row_set_add(struct row_set *s, unsigned row)
{
	s->word[row / 64] |= UINT64_C(1) << row % 64;
}

static inline bool row_set_has(const struct row_set *s, unsigned row)
{
	return s->word[row / 64] >> row % 64 & 1;
}

/* The greatest row below `end`, the least one from `start` on; -1: there is none. `bits` is the
 * chunk's size, here and below. */
int row_set_below(const struct row_set *s, unsigned end);
int row_set_from(const struct row_set *s, unsigned start, unsigned bits);

/* Removes what is not in `other`; false when nothing is left. */
bool row_set_and(struct row_set *s, const struct row_set *other, unsigned bits);

/* Removes rows from..end - 1. */
void row_set_clear(struct row_set *s, unsigned from, unsigned end);

/* Stores n rising rows; returns the bytes written into out. */
size_t row_set_store(const uint16_t *rows, size_t n, unsigned bits,
                     uint8_t out[ROW_SET_STORED]);

enum { ROW_BUCKET_NAME = 4, ROW_BUCKET_ROW = 6, ROW_BUCKET_ELSEWHERE = 1 };

/* Adds a name's rows to the set. ROW_BUCKET_ELSEWHERE: it has a set of its own. RK_E_CORRUPT:
 * it is no bucket of that size. */
RK_MUST_CHECK int row_bucket_load(struct rk_slice bucket, uint32_t name, unsigned bits,
                                  struct row_set *s);

/* Adds what is stored to the set. RK_E_CORRUPT: it is no set of that size. */
RK_MUST_CHECK int row_set_load(struct rk_slice stored, unsigned bits, struct row_set *s);

#endif
