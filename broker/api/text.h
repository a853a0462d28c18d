/*
 * A text that may be longer than a block of the arena and hold secrets: a document on its way.
 */
#ifndef API_TEXT_H
#define API_TEXT_H

#include <jansson.h>

#include "base/secret.h"

/* A text of several blocks of the arena. Zeroed at first; api_text_free() wipes. */
enum { API_TEXT_BLOCKS = 4 };
struct api_text {
	struct rk_secret block[API_TEXT_BLOCKS];
};

/* RK_E_NOMEM, RK_E_TOOBIG: over API_TEXT_BLOCKS * SECRET_MAX_BYTES. */
RK_MUST_CHECK int api_text_add(struct api_text *t, const char *p, size_t n);
size_t api_text_size(const struct api_text *t);
/* Copies at most n bytes from `from` on; returns how many there were. */
size_t api_text_read(const struct api_text *t, size_t from, char *to, size_t n);
void api_text_free(struct api_text *t);

/* Reads it as JSON; what jansson says of it is wiped. NULL: it is none, or out of memory. */
json_t *api_text_parse(const struct api_text *t);

#endif
