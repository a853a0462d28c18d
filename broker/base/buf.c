#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_MIN_ALLOC = 512 };

void rk_buf_init(struct rk_buf *b, size_t limit)
{
	*b = (struct rk_buf){.limit = limit};
}

void rk_buf_free(struct rk_buf *b)
{
	if (!b)
		return;
	free(b->mem);
	*b = (struct rk_buf){.limit = b->limit};
}

char *rk_buf_reserve(struct rk_buf *b, size_t want, size_t *room)
{
	size_t need;

	/* no allocation is larger than PTRDIFF_MAX, so doubling below cannot overflow */
	if (__builtin_add_overflow(b->len, want, &need) || need > b->limit ||
	    need > PTRDIFF_MAX)
		return NULL;
	if (b->off && b->cap - b->off < need) {
		memmove(b->mem, b->mem + b->off, b->len);
		b->off = 0;
	}
	if (b->cap - b->off < need || !b->mem) {
		size_t cap = b->cap ? b->cap : BUF_MIN_ALLOC;
		char *mem;

		while (cap < need)
			cap *= 2;
		if (cap > b->limit)
			cap = b->limit;
		if (cap < need || cap == 0)
			cap = need ? need : 1;
		mem = realloc(b->mem, cap);
		if (!mem)
			return NULL;
		b->mem = mem;
		b->cap = cap;
	}
	if (room) {
		size_t left = b->limit - b->len;

		*room = b->cap - b->off - b->len;
		if (*room > left)
			*room = left;
	}
	return b->mem + b->off + b->len;
}

void rk_buf_produced(struct rk_buf *b, size_t n)
{
	b->len += n;
}

void rk_buf_consume(struct rk_buf *b, size_t n)
{
	if (n >= b->len) {
		b->off = 0;
		b->len = 0;
		return;
	}
	b->off += n;
	b->len -= n;
}

int rk_buf_add(struct rk_buf *b, const void *p, size_t n)
{
	char *dst;

	if (n == 0)
		return 0;
	if (n > b->limit || b->len > b->limit - n)
		return RK_E_TOOBIG;
	dst = rk_buf_reserve(b, n, NULL);
	if (!dst)
		return RK_E_NOMEM;
	memcpy(dst, p, n);
	rk_buf_produced(b, n);
	return 0;
}

int rk_buf_add_slice(struct rk_buf *b, struct rk_slice s)
{
	return rk_buf_add(b, s.p, s.n);
}

int rk_buf_printf(struct rk_buf *b, const char *fmt, ...)
{
	va_list ap;
	size_t limit;
	char *dst;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return RK_E_INVALID;
	if ((size_t)n > b->limit || b->len > b->limit - (size_t)n)
		return RK_E_TOOBIG;
	/* one byte more for the terminator, which is not counted as data */
	limit = b->limit;
	if (b->limit < SIZE_MAX)
		b->limit++;
	dst = rk_buf_reserve(b, (size_t)n + 1, NULL);
	b->limit = limit;
	if (!dst)
		return RK_E_NOMEM;
	va_start(ap, fmt);
	vsnprintf(dst, (size_t)n + 1, fmt, ap);
	va_end(ap);
	rk_buf_produced(b, (size_t)n);
	return 0;
}

void rk_buf_trim(struct rk_buf *b)
{
	if (b->len == 0)
		rk_buf_free(b);
}
