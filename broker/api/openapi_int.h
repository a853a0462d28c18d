/* Inside the document: schemas (openapi_schema.c) and what refers to them (openapi.c). */
#ifndef API_OPENAPI_INT_H
#define API_OPENAPI_INT_H

#include "api/openapi.h"
#include "api/schema.h"

/* A member, as it is in an answer or in a request. */
json_t *openapi_field(const struct api_field *f, bool answer);

/* The schema and all in it, as components; one that is there already stays. */
void openapi_add_schema(json_t *components, const struct api_schema *s, bool answer);

/* An answer with that status. Takes content (by media type; NULL: none); from 300 on it is a
 * problem. */
json_t *openapi_answer(uint16_t status, json_t *content);

/* The names of the roles in a mask. */
json_t *openapi_roles(unsigned may);

/* openapi_leak.c: what is no operation of the table. */
void openapi_add_leaks(json_t *paths, json_t *components);

#endif
