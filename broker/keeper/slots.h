/*
 * An open-addressing table of 32-bit numbers: the table knows only which object has which
 * number, the owner knows the objects. Linear probing, at most two thirds full, removal without
 * tombstones. Four to eight bytes of table an entry.
 */
#ifndef KEEPER_SLOTS_H
#define KEEPER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SLOTS_NONE UINT32_MAX /* also the limit of the numbers; no enum holds it */

struct slots {
	uint32_t *v;
	size_t mask; /* entries - 1; 0: nothing allocated */
	size_t used;
	uint64_t (*hash)(const void *owner, uint32_t number);
	bool (*equal)(const void *owner, uint32_t number, const void *key);
	const void *owner;
};

void slots_free(struct slots *s);

/* The number whose object equals key, or SLOTS_NONE. */
uint32_t slots_find(const struct slots *s, uint64_t hash, const void *key);

/* Adds a number that is not in it. RK_E_NOMEM: unchanged. */
RK_MUST_CHECK int slots_add(struct slots *s, uint64_t hash, uint32_t number);
void slots_remove(struct slots *s, uint64_t hash, uint32_t number);
size_t slots_bytes(const struct slots *s);

/* Spreads a number over 64 bits (a bijection). */
static inline uint64_t slots_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ (x >> 32);
}

/* Hash of any bytes under a seed of the process. */
uint64_t slots_hash_bytes(uint64_t seed, const void *p, size_t n);

#endif
