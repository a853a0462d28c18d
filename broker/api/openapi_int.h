/* Inside the document: schemas (openapi_schema.c) and what refers to them (openapi.c). */
#ifndef API_OPENAPI_INT_H
#define API_OPENAPI_INT_H

#include "api/openapi.h"
#include "api/schema.h"

/* A member, as it is in an answer or in a request. */
json_t *openapi_field(const struct api_field *f, bool answer);

/* The schema and all in it, as components; one that is there already stays. */
void openapi_add_schema(json_t *components, const struct api_schema *s, bool answer);

#endif
