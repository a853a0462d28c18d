/*
 * Requests by relay and message id. Intrusive: the table owns its buckets, never the entries.
 */
#ifndef KEEPER_FLIGHTS_H
#define KEEPER_FLIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct flight {
	struct flight *next;
	const void *link; /* NULL: not in the table */
	uint64_t id;
};

struct flights {
	struct flight **bucket;
	size_t mask, count;
	uint64_t seed;
};

RK_MUST_CHECK int flights_init(struct flights *f);
void flights_free(struct flights *f);
struct flight *flights_find(const struct flights *f, const void *link, uint64_t id);
/* The pair must not be in it. Never fails: a table that cannot grow is only slower. */
void flights_add(struct flights *f, struct flight *at, const void *link, uint64_t id);
/* Does nothing when it is not in the table. */
void flights_remove(struct flights *f, struct flight *at);

#endif
