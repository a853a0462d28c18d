/*
 * Base62 text (0-9 A-Z a-z), random identifiers and SHA-256 for the places that
 * need nothing more.
 */
#ifndef BASE_BASE62_H
#define BASE_BASE62_H

#include "base/err.h"
#include "base/slice.h"

/* n uniformly random base62 characters (rejection sampling over getrandom); no terminator. */
void rk_base62_random(char *out, size_t n);

/* v as exactly `digits` base62 characters, most significant first; v must fit. */
void rk_base62_u64(uint64_t v, char *out, size_t digits);

/* True when s is one or more base62 characters and nothing else. */
bool rk_base62_is(struct rk_slice s);

/* Fills with random bytes; aborts when the kernel cannot (nothing safe can go on). */
void rk_random(void *out, size_t n);

/* SHA-256 of data into out[32]. */
void rk_sha256(struct rk_slice data, uint8_t out[32]);

/* Lower-case hexadecimal with a NUL; out has 2 * n + 1 bytes. */
void rk_hex(const void *data, size_t n, char *out);

/* CRC-32 (IEEE 802.3, as in zlib). */
uint32_t rk_crc32(struct rk_slice data);

#endif
