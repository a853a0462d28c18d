/*
 * A borrowed run of bytes with its length. Network data is never NUL-terminated
 * here; everything that reads it takes a slice. A slice owns nothing.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rk_slice {
	const char *p;
	size_t n;
};

/* For printf("%.*s"): lengths beyond INT_MAX do not occur (every input is bounded). */
#define RK_FMT(s) (int)(s).n, (s).p

static inline struct rk_slice rk_slice(const void *p, size_t n)
{
	return (struct rk_slice){p, n};
}

/* Borrows a C string (until it changes); NULL gives the empty slice. */
static inline struct rk_slice rk_str(const char *s)
{
	return (struct rk_slice){s, s ? strlen(s) : 0};
}

static inline bool rk_slice_eq(struct rk_slice a, struct rk_slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool rk_slice_is(struct rk_slice a, const char *s)
{
	return rk_slice_eq(a, rk_str(s));
}

static inline unsigned char rk_ascii_lower(unsigned char c)
{
	return (unsigned char)(c - 'A') < 26 ? c | 0x20 : c;
}

/* ASCII case-insensitive equality over the whole of both. */
static inline bool rk_slice_ieq(struct rk_slice a, struct rk_slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (rk_ascii_lower((unsigned char)a.p[i]) !=
		    rk_ascii_lower((unsigned char)b.p[i]))
			return false;
	}
	return true;
}

static inline bool rk_slice_starts(struct rk_slice a, struct rk_slice prefix)
{
	return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

/* `a` without its first k bytes; k beyond the end gives the empty slice. */
static inline struct rk_slice rk_slice_skip(struct rk_slice a, size_t k)
{
	if (k > a.n)
		k = a.n;
	/* nothing is added to the NULL of an empty slice */
	return (struct rk_slice){k ? a.p + k : a.p, a.n - k};
}

/*
 * Parses a decimal without sign, spaces or leading "+": 1 to 20 digits, no
 * overflow. Returns false and leaves *out alone otherwise.
 */
bool rk_slice_u64(struct rk_slice s, uint64_t *out);

/*
 * Copies into a C string of `cap` bytes. Returns false, leaving dst an empty
 * string, when it does not fit or holds a NUL byte.
 */
bool rk_slice_cstr(struct rk_slice s, char *dst, size_t cap);

#endif
