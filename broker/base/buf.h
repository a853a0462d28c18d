/*
 * A growable byte buffer with a hard limit, for data that is not secret (secrets
 * live in base/secret.h only). Consuming from the front is O(1); the gap is
 * closed when room is needed.
 *
 * Ownership: the struct owns its memory; rk_buf_free() accepts a zeroed or
 * half-built one. A zeroed struct with `limit` set is a valid empty buffer.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct rk_buf {
	char *mem;    /* start of the allocation, or NULL */
	size_t off;   /* first unread byte */
	size_t len;   /* unread bytes from off */
	size_t cap;   /* bytes allocated */
	size_t limit; /* most unread bytes it may ever hold */
};

void rk_buf_init(struct rk_buf *b, size_t limit);
void rk_buf_free(struct rk_buf *b);

/* The first unread byte; NULL when nothing was ever put in. */
static inline char *rk_buf_data(const struct rk_buf *b)
{
	return b->mem ? b->mem + b->off : NULL;
}

static inline struct rk_slice rk_buf_slice(const struct rk_buf *b)
{
	return rk_slice(b->mem ? b->mem + b->off : NULL, b->len);
}

/*
 * Makes room for at least `want` more bytes behind the data and returns a pointer to it; *room
 * gets how many bytes may be written there. NULL when the limit or memory is exhausted. Call
 * rk_buf_produced() with what was written.
 */
char *rk_buf_reserve(struct rk_buf *b, size_t want, size_t *room);
void rk_buf_produced(struct rk_buf *b, size_t n);

/* Drops the first n (at most len) bytes. */
void rk_buf_consume(struct rk_buf *b, size_t n);

/* RK_E_TOOBIG at the limit, RK_E_NOMEM; the buffer is unchanged then. */
RK_MUST_CHECK int rk_buf_add(struct rk_buf *b, const void *p, size_t n);
RK_MUST_CHECK int rk_buf_add_slice(struct rk_buf *b, struct rk_slice s);
RK_MUST_CHECK int rk_buf_printf(struct rk_buf *b, const char *fmt, ...) RK_PRINTF(2, 3);

/* Gives the memory of an empty buffer back (idle connections hold none). */
void rk_buf_trim(struct rk_buf *b);

#endif
