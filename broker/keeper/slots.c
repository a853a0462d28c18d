#include "keeper/slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ENTRIES = 64 };

void slots_free(struct slots *s)
{
	free(s->v);
	s->v = NULL;
	s->mask = 0;
	s->used = 0;
}

uint32_t slots_find(const struct slots *s, uint64_t hash, const void *key)
{
	if (!s->v)
		return SLOTS_NONE;
	for (size_t i = hash & s->mask;; i = (i + 1) & s->mask) {
		if (s->v[i] == SLOTS_NONE || s->equal(s->owner, s->v[i], key))
			return s->v[i];
	}
}

static void place(uint32_t *v, size_t mask, uint64_t hash, uint32_t number)
{
	size_t i = hash & mask;

	while (v[i] != SLOTS_NONE)
		i = (i + 1) & mask;
	v[i] = number;
}

static int grow(struct slots *s)
{
	size_t n = s->v ? 2 * (s->mask + 1) : FIRST_ENTRIES;
	uint32_t *v = malloc(n * sizeof *v);

	if (!v)
		return RK_E_NOMEM;
	memset(v, 0xff, n * sizeof *v);
	for (size_t i = 0; s->v && i <= s->mask; i++) {
		if (s->v[i] != SLOTS_NONE)
			place(v, n - 1, s->hash(s->owner, s->v[i]), s->v[i]);
	}
	free(s->v);
	s->v = v;
	s->mask = n - 1;
	return 0;
}

int slots_add(struct slots *s, uint64_t hash, uint32_t number)
{
	if (!s->v || 3 * (s->used + 1) > 2 * (s->mask + 1)) {
		int err = grow(s);

		if (err)
			return err;
	}
	place(s->v, s->mask, hash, number);
	s->used++;
	return 0;
}

/* Closes the hole: later entries of the same run move up unless that puts them before home. */
void slots_remove(struct slots *s, uint64_t hash, uint32_t number)
{
	size_t hole, i;

	if (!s->v)
		return;
	for (hole = hash & s->mask; s->v[hole] != number; hole = (hole + 1) & s->mask) {
		if (s->v[hole] == SLOTS_NONE)
			return;
	}
	for (i = (hole + 1) & s->mask; s->v[i] != SLOTS_NONE; i = (i + 1) & s->mask) {
		size_t home = s->hash(s->owner, s->v[i]) & s->mask;

		if (((i - home) & s->mask) >= ((i - hole) & s->mask)) {
			s->v[hole] = s->v[i];
			hole = i;
		}
	}
	s->v[hole] = SLOTS_NONE;
	s->used--;
}

size_t slots_bytes(const struct slots *s)
{
	return s->v ? (s->mask + 1) * sizeof *s->v : 0;
}

uint64_t slots_hash_bytes(uint64_t seed, const void *p, size_t n)
{
	const unsigned char *at = p;
	uint64_t h = seed ^ slots_mix(n), word;

	for (; n >= sizeof word; at += sizeof word, n -= sizeof word) {
		memcpy(&word, at, sizeof word);
		h = slots_mix(h ^ word);
	}
	if (n) {
		word = 0;
		memcpy(&word, at, n);
		h = slots_mix(h ^ word);
	}
	return h;
}
