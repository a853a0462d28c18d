/*
 * JSON documents as records, after their schema: strict. A member that the schema does not
 * know, a wrong type, a value over its limit, a required member that is missing: each is an
 * error with its JSON pointer (RFC 6901), and nothing is decoded.
 *
 * The record borrows strings from the document and everything else from `room`, which is secret
 * memory: a request may hold secrets anywhere.
 */
#ifndef API_DECODE_H
#define API_DECODE_H

#include <jansson.h>

#include "api/schema.h"
#include "base/secret.h"

enum { API_ERRORS_MAX = 16, API_POINTER_MAX = 96, API_ROOM_BLOCKS = 16 };

struct api_errors {
	unsigned count;
	bool more; /* than could be noted */
	struct {
		char pointer[API_POINTER_MAX];
		char detail[128]; /* nothing of the document is in it */
	} at[API_ERRORS_MAX];
};

/* Where decoded lists stand. Zeroed at first; api_room_free() wipes and frees. */
struct api_room {
	struct rk_secret block[API_ROOM_BLOCKS];
	unsigned used;
};

void api_room_free(struct api_room *r);

/* A block of the room of at least n bytes: RK_E_NOMEM when the arena or the room is full,
 * RK_E_TOOBIG. */
RK_MUST_CHECK int api_room_block(struct api_room *r, size_t n, struct rk_secret **out);

enum api_decode_mode {
	API_REQUEST, /* required members must be there */
	API_ANSWER,  /* what a newer broker says more is passed over */
};

/*
 * Into *rec, s->desc->struct_size bytes, zeroed first (by the caller for a schema without a
 * table). RK_E_INVALID with errors->count > 0; RK_E_NOMEM.
 */
RK_MUST_CHECK int api_decode(const struct api_schema *s, enum api_decode_mode mode, json_t *doc,
                             void *rec, struct api_room *room, struct api_errors *errors);

/*
 * One member from the text of a path or query parameter (decoded): STRING, STRINGS (one
 * element), INTEGER, BOOL, ENUM, TIME, SECONDS. `text` is borrowed. RK_E_INVALID with an error
 * whose pointer is the parameter's name.
 */
RK_MUST_CHECK int api_decode_text(const struct api_field *f, struct rk_slice text, void *rec,
                                  struct api_room *room, struct api_errors *errors);

void api_error(struct api_errors *e, const char *pointer, const char *fmt, ...) RK_PRINTF(3, 4);

#endif
