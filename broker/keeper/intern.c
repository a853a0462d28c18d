#include "keeper/intern.h"

#include <stdlib.h>

#include "base/base62.h"
#include "keeper/slots.h"

enum {
	CHUNK_BYTES = 65536,
	UNIT = 8,
	CHUNK_UNITS = CHUNK_BYTES / UNIT,
};

/* An entry's number is its place: chunk * CHUNK_UNITS + offset / UNIT. */
struct entry {
	uint32_t hash;
	uint32_t len;
	unsigned char bytes[];
};

struct intern {
	struct slots table;
	uint64_t seed;
	unsigned char **chunk;
	size_t chunks, chunk_cap;
	size_t used; /* bytes of the last chunk */
};

struct lookup {
	uint32_t hash;
	const void *p;
	size_t n;
};

static struct entry *entry_at(const struct intern *in, uint32_t number)
{
	return (struct entry *)(void *)(in->chunk[number / CHUNK_UNITS] +
	                                (size_t)(number % CHUNK_UNITS) * UNIT);
}

static uint64_t entry_hash(const void *owner, uint32_t number)
{
	return slots_mix(entry_at(owner, number)->hash);
}

static bool entry_equal(const void *owner, uint32_t number, const void *key)
{
	const struct entry *e = entry_at(owner, number);
	const struct lookup *k = key;

	return e->hash == k->hash && e->len == k->n && memcmp(e->bytes, k->p, k->n) == 0;
}

int intern_new(struct intern **out)
{
	struct intern *in = calloc(1, sizeof *in);

	if (!in)
		return RK_E_NOMEM;
	rk_random(&in->seed, sizeof in->seed);
	in->table = (struct slots){.hash = entry_hash, .equal = entry_equal, .owner = in};
	in->used = CHUNK_BYTES;
	*out = in;
	return 0;
}

void intern_free(struct intern *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->chunks; i++)
		free(in->chunk[i]);
	free(in->chunk);
	slots_free(&in->table);
	free(in);
}

static bool chunk_add(struct intern *in)
{
	if (in->chunks == in->chunk_cap) {
		size_t cap = in->chunk_cap ? 2 * in->chunk_cap : 8;
		unsigned char **chunk = realloc(in->chunk, cap * sizeof(unsigned char *));

		if (!chunk)
			return false;
		in->chunk = chunk;
		in->chunk_cap = cap;
	}
	if (in->chunks >= SLOTS_NONE / CHUNK_UNITS)
		return false;
	in->chunk[in->chunks] = calloc(1, CHUNK_BYTES);
	if (!in->chunk[in->chunks])
		return false;
	in->chunks++;
	in->used = 0;
	return true;
}

void *intern_put(struct intern *in, const void *p, size_t n, size_t extra, bool *fresh)
{
	size_t room = (sizeof(struct entry) + n + UNIT - 1) / UNIT * UNIT;
	struct lookup key = {.p = p, .n = n};
	struct entry *e;
	uint32_t number;

	if (n > INTERN_MAX_BYTES)
		return NULL;
	key.hash = (uint32_t)slots_hash_bytes(in->seed, p, n);
	number = slots_find(&in->table, slots_mix(key.hash), &key);
	if (fresh)
		*fresh = number == SLOTS_NONE;
	if (number != SLOTS_NONE)
		return entry_at(in, number)->bytes;
	room += (extra + UNIT - 1) / UNIT * UNIT;
	if (room > CHUNK_BYTES)
		return NULL;
	if (CHUNK_BYTES - in->used < room && !chunk_add(in))
		return NULL;
	number = (uint32_t)((in->chunks - 1) * CHUNK_UNITS + in->used / UNIT);
	e = entry_at(in, number);
	e->hash = key.hash;
	e->len = (uint32_t)n;
	if (n)
		memcpy(e->bytes, p, n);
	if (slots_add(&in->table, slots_mix(key.hash), number)) {
		memset(e, 0, room);
		return NULL;
	}
	in->used += room;
	return e->bytes;
}

const char *intern_text(struct intern *in, struct rk_slice s)
{
	char text[256];

	if (!rk_slice_cstr(s, text, sizeof text))
		return NULL;
	return intern_put(in, text, s.n + 1, 0, NULL);
}

size_t intern_bytes(const struct intern *in)
{
	return in->chunks * CHUNK_BYTES + in->chunk_cap * sizeof in->chunk[0] +
	       slots_bytes(&in->table);
}
