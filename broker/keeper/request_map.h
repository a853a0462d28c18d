/*
 * Request id to a number (a sequence number), for pairing audit rows in one pass. Memory is
 * bounded: at `limit` entries the older half is forgotten. Not thread-safe.
 */
#ifndef KEEPER_REQUEST_MAP_H
#define KEEPER_REQUEST_MAP_H

#include "base/err.h"
#include "base/slice.h"

enum { REQUEST_ID = 16 };

struct request_map;

/* limit >= 2. The tables grow with what is in them. */
RK_MUST_CHECK int request_map_new(size_t limit, struct request_map **out);
void request_map_free(struct request_map *m);

/* A second put of one id replaces the first. RK_E_NOMEM leaves the map as it was. */
RK_MUST_CHECK int request_map_put(struct request_map *m, const uint8_t id[REQUEST_ID],
                                  uint64_t value);

/* Finds and removes; false when it is not there. */
bool request_map_take(struct request_map *m, const uint8_t id[REQUEST_ID], uint64_t *value);

/* Calls `each` for every entry, in no order, until it returns something else than 0; returns
 * that. The map must not change meanwhile. */
RK_MUST_CHECK int request_map_each(const struct request_map *m,
                                   int (*each)(const uint8_t id[REQUEST_ID], uint64_t value,
                                               void *arg),
                                   void *arg);

/* A map of its own with the same entries. */
RK_MUST_CHECK int request_map_copy(const struct request_map *m, struct request_map **out);

size_t request_map_count(const struct request_map *m);

#endif
