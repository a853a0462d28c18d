/*
 * The document of the interface (OpenAPI 3.1), made from the tables that the router and the
 * codec work with.
 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include <jansson.h>

/* Returned owned; NULL when out of memory. */
json_t *api_openapi(void);

#endif
