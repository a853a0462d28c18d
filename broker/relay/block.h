/*
 * The memory that bodies and heads pass through: blocks of one size, kept in a short list that
 * hands out the last one returned, which is still in the cache. A connection holds a block only
 * while there is something in it.
 *
 * Not for secrets, but for two: a client's head holds its relay key until the head has been
 * read, and is wiped there (relay/client.c); and an upstream may send back the secret that it
 * was sent, which is masked or wiped (relay/echo.h).
 */
#ifndef RELAY_BLOCK_H
#define RELAY_BLOCK_H

#include <sys/types.h>

#include "base/slice.h"

enum {
	BLOCK_BYTES = 36864, /* a whole head (32 KiB) and what the relay adds to it */
	BLOCK_KEEP = 64,     /* free blocks kept, for the whole process */
};

struct blocks {
	void *free;
	unsigned count;
};

/* Bytes in a block: `len` of them, from `off`. Zeroed: no block. */
struct span {
	char *mem;
	size_t off, len;
};

/* Makes sure that the span has a block. False when there is no memory. */
bool span_hold(struct blocks *b, struct span *s);

/* Gives the block back, whatever was in it. */
void span_release(struct blocks *b, struct span *s);

/* Room behind the data; moves the data to the front first when that gives more of it, and
 * leaves none where they were. */
size_t span_room(struct span *s);

/* Wipes the block but for the data. */
void span_wipe_rest(struct span *s);

/* Wipes the block and gives it back. */
void span_discard(struct blocks *b, struct span *s);

static inline char *span_end(const struct span *s)
{
	return s->mem + s->off + s->len;
}

static inline struct rk_slice span_slice(const struct span *s)
{
	return rk_slice(s->mem ? s->mem + s->off : NULL, s->len);
}

static inline void span_consume(struct span *s, size_t n)
{
	s->off += n;
	s->len -= n;
	if (s->len == 0)
		s->off = 0;
}

void blocks_free(struct blocks *b);

#endif
