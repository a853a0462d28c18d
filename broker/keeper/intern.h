/*
 * Equal byte strings, once: holders, names, grants and prefixes are the same for very many
 * relay keys. Append only; everything goes when the whole is freed.
 *
 * Limits: an entry is at most INTERN_MAX_BYTES long.
 */
#ifndef KEEPER_INTERN_H
#define KEEPER_INTERN_H

#include "base/err.h"
#include "base/slice.h"

enum { INTERN_MAX_BYTES = 16384 };

struct intern;

RK_MUST_CHECK int intern_new(struct intern **out);
void intern_free(struct intern *in);

/*
 * The stored copy of p[n], aligned to 8 bytes, followed by `extra` bytes (the same for all
 * entries of that kind) that are zero in a new one and the caller's to write. *fresh (may be
 * NULL) tells whether it is new. NULL: out of memory or too long.
 */
void *intern_put(struct intern *in, const void *p, size_t n, size_t extra, bool *fresh);

/* A C string of s (which holds no NUL). */
const char *intern_text(struct intern *in, struct rk_slice s);

size_t intern_bytes(const struct intern *in);

#endif
