/*
 * Records as JSON documents, after their schema. Bytes that are not UTF-8 become '?': such
 * texts come from callers (paths, user agents), and a log has to be readable.
 */
#ifndef API_ENCODE_H
#define API_ENCODE_H

#include <jansson.h>

#include "api/schema.h"

/* The record as an object, returned owned; NULL when out of memory (or for a stored form of
 * nested records that does not decode). Members of a change that are not set are left out. */
json_t *api_encode(const struct api_schema *s, const void *rec);

/* One member, whatever its traits say of nothing. */
json_t *api_encode_value(const struct api_field *f, const void *rec);

/* A string value. */
json_t *api_encode_text(struct rk_slice s);

#endif
