#include "keeper/flights.h"

#include <stdlib.h>

#include "base/base62.h"
#include "keeper/slots.h"

enum { FIRST_BUCKETS = 1024 };

static size_t home(const struct flights *f, const void *link, uint64_t id)
{
	return slots_mix(slots_mix(f->seed ^ (uintptr_t)link) ^ id) & f->mask;
}

int flights_init(struct flights *f)
{
	*f = (struct flights){.bucket = calloc(FIRST_BUCKETS, sizeof(struct flight *)),
	                      .mask = FIRST_BUCKETS - 1};
	rk_random(&f->seed, sizeof f->seed);
	return f->bucket ? 0 : RK_E_NOMEM;
}

void flights_free(struct flights *f)
{
	free(f->bucket);
	f->bucket = NULL;
}

struct flight *flights_find(const struct flights *f, const void *link, uint64_t id)
{
	struct flight *at = f->bucket[home(f, link, id)];

	while (at && (at->link != link || at->id != id))
		at = at->next;
	return at;
}

static void put(struct flights *f, struct flight *at)
{
	struct flight **bucket = &f->bucket[home(f, at->link, at->id)];

	at->next = *bucket;
	*bucket = at;
}

static void grow(struct flights *f)
{
	size_t n = f->mask + 1;
	struct flight **old = f->bucket;
	struct flight **bucket = calloc(2 * n, sizeof(struct flight *));

	if (!bucket)
		return;
	f->bucket = bucket;
	f->mask = 2 * n - 1;
	for (size_t i = 0; i < n; i++) {
		while (old[i]) {
			struct flight *at = old[i];

			old[i] = at->next;
			put(f, at);
		}
	}
	free(old);
}

void flights_add(struct flights *f, struct flight *at, const void *link, uint64_t id)
{
	if (f->count > f->mask)
		grow(f);
	at->link = link;
	at->id = id;
	put(f, at);
	f->count++;
}

void flights_remove(struct flights *f, struct flight *at)
{
	struct flight **prev;

	if (!at->link)
		return;
	prev = &f->bucket[home(f, at->link, at->id)];
	while (*prev != at)
		prev = &(*prev)->next;
	*prev = at->next;
	at->link = NULL;
	f->count--;
}
