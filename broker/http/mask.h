/*
 * Finds a secret in a stream without having it, and masks it.
 *
 * Who has the secret (the keeper) makes a fingerprint of each form in which an upstream could
 * send it back, a *needle*; who passes the response on (the relay) gets fingerprints only.
 * Pure.
 *
 * What a fingerprint tells: the needle's length; which classes of bytes it has (small letters,
 * digits ...); one byte of it and where that stands; of a needle of MASK_LONG bytes and more
 * also the first MASK_FRONT; 16 bits of a keyed hash (SipHash-2-4) of its first MASK_FILTERED
 * bytes, and half of a keyed SHA-256 of it. The key stands beside it and is a new one each
 * time. So the needle cannot be read back, but a guess of it can be checked: a secret that can
 * be guessed is not protected by this. It is on purpose no polynomial or other linear hash, of
 * which some fingerprints of the same secret could be solved for it.
 *
 * Limits: a needle shorter than MASK_MIN or longer than MASK_MAX bytes is not masked. Only
 * bytes that stand one after the other are found: not what is compressed, escaped or encoded in
 * a form that no needle was made for.
 */
#ifndef HTTP_MASK_H
#define HTTP_MASK_H

#include "base/err.h"
#include "base/slice.h"

enum {
	MASK_MIN = 8,
	MASK_MAX = 8192,
	MASK_LONG = 20,
	MASK_FRONT = 3,
	MASK_FILTERED = 32,
	MASK_NEEDLES = 4, /* of one response */
	MASK_KEY = 16,
	MASK_DIGEST = 16,
	MASK_LIST_BYTES = 200, /* an encoded list of MASK_NEEDLES fingerprints fits */
};

struct mask_print {
	uint16_t length;
	uint16_t classes;   /* of its bytes: enum of mask_print.c */
	uint16_t anchor_at; /* the needle has `anchor` there: its rarest byte */
	uint8_t anchor;
	uint8_t front_n; /* 0 or MASK_FRONT */
	uint8_t front[MASK_FRONT];
	uint16_t filter;
	uint8_t key[MASK_KEY];
	uint8_t digest[MASK_DIGEST];
};

/* ---- making fingerprints ---- */

static inline bool mask_covers(size_t needle_bytes)
{
	return needle_bytes >= MASK_MIN && needle_bytes <= MASK_MAX;
}

/*
 * Appends the fingerprint of a needle that mask_covers() to a LIST (base/record.h) in dst[cap],
 * *used bytes long. `key`: random, not used for another secret. RK_E_TOOBIG.
 */
RK_MUST_CHECK int mask_list_add(void *dst, size_t cap, size_t *used, struct rk_slice needle,
                                const uint8_t key[MASK_KEY]);

/* ---- scanning ---- */

/* Zeroed: masks nothing. */
struct mask {
	unsigned count;
	size_t covered; /* of the bytes kept back, so many belong to a hit */
	bool found;     /* something was masked */
	struct mask_print print[MASK_NEEDLES];
};

/* From a LIST as above. RK_E_PROTOCOL when it is malformed or holds more than MASK_NEEDLES. */
RK_MUST_CHECK int mask_init(struct mask *m, struct rk_slice list);

/*
 * Overwrites every byte of every needle in buf with '*', in place. Returns how many bytes may
 * be passed on. The rest, always less than the longest needle, may be the beginning of one: the
 * next call must bring those bytes, as they are now, in front of what has come since. `last`:
 * nothing follows, so nothing is kept back.
 *
 * A byte that cannot belong to a needle (another class, e.g. a line end) is never kept back,
 * nor is anything before it.
 */
RK_MUST_CHECK size_t mask_scan(struct mask *m, char *buf, size_t n, bool last);

/* ---- mask_print.c, for mask.c ---- */

/* Whether the length bytes at p are the needle. */
bool mask_print_is(const struct mask_print *f, const char *p);

/* Whether a needle that begins n < length bytes from the end of the text may begin at p. */
bool mask_print_may_begin(const struct mask_print *f, const char *p, size_t n);

/* Whether the needle may have this byte. */
bool mask_print_has(const struct mask_print *f, char byte);

/* From the encoding. RK_E_PROTOCOL. */
RK_MUST_CHECK int mask_print_decode(struct rk_slice in, struct mask_print *out);

#endif
