#include "keeper/request_map.h"

#include <stdlib.h>

enum { TABLE_MIN = 64 };

struct entry {
	uint8_t id[REQUEST_ID];
	uint64_t value;
	bool used;
};

/* Open addressing with linear probing, at most half full. */
struct table {
	struct entry *entries;
	size_t cap; /* a power of two, or 0 */
	size_t count;
};

/* Two generations: when the young one is full it becomes the old one, and the old one goes. */
struct request_map {
	struct table young, old;
	size_t half;
};

/* Ids are random, but a relay chose them: mixed, so that chosen ones form no long runs easily.
 */
static size_t hash_id(const uint8_t id[REQUEST_ID])
{
	uint64_t a, b;

	memcpy(&a, id, sizeof a);
	memcpy(&b, id + sizeof a, sizeof b);
	a ^= b * 0x9e3779b97f4a7c15u;
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93u;
	return (size_t)(a ^ (a >> 32));
}

/* The entry of `id`, or the free one where it would go. cap > 0. */
static struct entry *find(const struct table *t, const uint8_t id[REQUEST_ID])
{
	size_t at = hash_id(id) & (t->cap - 1);

	while (t->entries[at].used && memcmp(t->entries[at].id, id, REQUEST_ID) != 0)
		at = (at + 1) & (t->cap - 1);
	return &t->entries[at];
}

static int grow(struct table *t)
{
	struct table bigger = {.cap = t->cap ? t->cap * 2 : TABLE_MIN, .count = t->count};

	bigger.entries = calloc(bigger.cap, sizeof *bigger.entries);
	if (!bigger.entries)
		return RK_E_NOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		if (t->entries[i].used)
			*find(&bigger, t->entries[i].id) = t->entries[i];
	}
	free(t->entries);
	*t = bigger;
	return 0;
}

/* Closes the gap at `hole`, so that no run of probes is cut in two. */
static void remove_entry(struct table *t, size_t hole)
{
	size_t mask = t->cap - 1;

	for (size_t at = (hole + 1) & mask; t->entries[at].used; at = (at + 1) & mask) {
		size_t home = hash_id(t->entries[at].id) & mask;

		if (((at - home) & mask) >= ((at - hole) & mask)) {
			t->entries[hole] = t->entries[at];
			hole = at;
		}
	}
	t->entries[hole].used = false;
	t->count--;
}

static bool table_take(struct table *t, const uint8_t id[REQUEST_ID], uint64_t *value)
{
	struct entry *e;

	if (!t->count)
		return false;
	e = find(t, id);
	if (!e->used)
		return false;
	*value = e->value;
	remove_entry(t, (size_t)(e - t->entries));
	return true;
}

int request_map_new(size_t limit, struct request_map **out)
{
	struct request_map *m;

	if (limit < 2)
		return RK_E_INVALID;
	m = calloc(1, sizeof *m);
	if (!m)
		return RK_E_NOMEM;
	m->half = limit / 2;
	*out = m;
	return 0;
}

void request_map_free(struct request_map *m)
{
	if (!m)
		return;
	free(m->young.entries);
	free(m->old.entries);
	free(m);
}

int request_map_put(struct request_map *m, const uint8_t id[REQUEST_ID], uint64_t value)
{
	struct entry *e;
	uint64_t before;

	if (m->young.count >= m->half) {
		free(m->old.entries);
		m->old = m->young;
		m->young = (struct table){0};
	}
	if (m->young.count * 2 >= m->young.cap && grow(&m->young) != 0)
		return RK_E_NOMEM;
	table_take(&m->old, id, &before);
	e = find(&m->young, id);
	if (!e->used)
		m->young.count++;
	memcpy(e->id, id, REQUEST_ID);
	e->value = value;
	e->used = true;
	return 0;
}

bool request_map_take(struct request_map *m, const uint8_t id[REQUEST_ID], uint64_t *value)
{
	return table_take(&m->young, id, value) || table_take(&m->old, id, value);
}

static int table_each(const struct table *t,
                      int (*each)(const uint8_t id[REQUEST_ID], uint64_t value, void *arg),
                      void *arg)
{
	int err = 0;

	for (size_t i = 0; i < t->cap && !err; i++) {
		if (t->entries[i].used)
			err = each(t->entries[i].id, t->entries[i].value, arg);
	}
	return err;
}

int request_map_each(const struct request_map *m,
                     int (*each)(const uint8_t id[REQUEST_ID], uint64_t value, void *arg),
                     void *arg)
{
	int err = table_each(&m->old, each, arg);

	return err ? err : table_each(&m->young, each, arg);
}

static int table_copy(const struct table *from, struct table *to)
{
	*to = *from;
	to->entries = NULL;
	if (!from->cap)
		return 0;
	to->entries = malloc(from->cap * sizeof *to->entries);
	if (!to->entries)
		return RK_E_NOMEM;
	memcpy(to->entries, from->entries, from->cap * sizeof *to->entries);
	return 0;
}

int request_map_copy(const struct request_map *m, struct request_map **out)
{
	struct request_map *copy;
	int err = request_map_new(2 * m->half, &copy);

	if (!err && (table_copy(&m->young, &copy->young) || table_copy(&m->old, &copy->old))) {
		request_map_free(copy);
		err = RK_E_NOMEM;
	}
	if (!err)
		*out = copy;
	return err;
}

size_t request_map_count(const struct request_map *m)
{
	return m->young.count + m->old.count;
}
