/*
 * The heads that a client sends: one, or one for each relay key of a file, in turn.
 */
#ifndef BENCH_WIRE_REQUEST_H
#define BENCH_WIRE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

struct requests {
	char **head;
	size_t *len;
	size_t count, next;
};

/* `keys`: a file with a relay key a line, sent as Bearer; ends the program when it cannot be
 * used. With body_bytes it is a POST, else a GET. */
struct requests requests_make(const char *path, const char *keys, uint64_t body_bytes);
void requests_free(struct requests *r);

const char *requests_next(struct requests *r, size_t *len);

#endif
