/*
 * Secret memory: the only place where an upstream secret, a PIN, a relay key in
 * the clear or a database key may stand.
 *
 * One arena a process, made at start: memfd_secret(2) where the kernel has it
 * (invisible even to root through /proc/PID/mem), else an anonymous mapping with
 * mlock, MADV_DONTDUMP and MADV_WIPEONFORK. Blocks come in fixed size classes, are
 * wiped when freed and again checked to be zero when handed out (a write after
 * free is an abort, not a leak).
 *
 * Ownership: a struct rk_secret has one owner, who calls rk_secret_free() on every
 * path; RK_SECRET_AUTO does it at the end of the scope. Copies are never made by
 * assignment of the struct: use rk_secret_move().
 *
 * Thread-safe. Limits: a block is at most SECRET_MAX_BYTES.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/err.h"
#include "base/slice.h"

enum { SECRET_MAX_BYTES = 65536 };

enum secret_backing {
	SECRET_BACKING_BEST,   /* memfd_secret, else locked pages */
	SECRET_BACKING_LOCKED, /* locked pages only: the canary test reads these from outside */
};

struct rk_secret {
	unsigned char *p;
	size_t len; /* bytes in use */
	size_t cap; /* bytes of the block */
};

/*
 * Makes the arena of `bytes` (rounded up to pages), sets PR_SET_DUMPABLE 0 and
 * RLIMIT_CORE 0. Once a process, before threads. RK_E_NOMEM with a fault text
 * that says which limit (RLIMIT_MEMLOCK) is in the way.
 */
RK_MUST_CHECK int secret_arena_init(size_t bytes, enum secret_backing backing,
                                    struct rk_fault *fault);

/* "memfd_secret" or "locked pages", for status; "none" before init. */
const char *secret_arena_backing(void);

/* Bytes now handed out: 0 at rest is an invariant that tests check. */
size_t secret_arena_in_use(void);

/* Takes a block of at least cap bytes; s->len is 0. RK_E_NOMEM when the arena is full. */
RK_MUST_CHECK int rk_secret_alloc(struct rk_secret *s, size_t cap);

/* Wipes and gives back; accepts a zeroed struct. s is zeroed. */
void rk_secret_free(struct rk_secret *s);

/*
 * Wipes the len bytes in use and keeps the block; len becomes 0. Not the whole block: a
 * datagram of 100 bytes in a block of 64 KiB must not cost 64 KiB. So len covers what was
 * written, or the writer wipes the rest itself.
 */
void rk_secret_wipe(struct rk_secret *s);

/* dst takes what src held; src is zeroed. */
void rk_secret_move(struct rk_secret *dst, struct rk_secret *src);

/* Appends; RK_E_TOOBIG when it does not fit, the block unchanged. */
RK_MUST_CHECK int rk_secret_add(struct rk_secret *s, const void *p, size_t n);

static inline struct rk_slice rk_secret_slice(const struct rk_secret *s)
{
	return rk_slice(s->p, s->len);
}

/* Whether p lies in the arena (assertions in the places that handle secrets). */
bool secret_arena_holds(const void *p);

/*
 * For a library that takes an allocator and would keep secrets in what it allocates: blocks of
 * the arena without a struct. NULL when the arena is full or n is over SECRET_MAX_BYTES.
 * secret_arena_give() wipes; accepts NULL.
 */
void *secret_arena_take(size_t n);
void secret_arena_give(void *p);
/* Bytes of the block that p is. */
size_t secret_arena_size(const void *p);

/*
 * Wipes n bytes anywhere; the compiler may not drop it. The one wipe of the whole
 * program: the canary's self-test builds with it taken out and must then fail.
 */
void rk_wipe(void *p, size_t n);

/* Equality in time that depends only on the lengths. */
bool rk_equal_ct(struct rk_slice a, struct rk_slice b);

#define RK_SECRET_AUTO __attribute__((cleanup(rk_secret_free))) struct rk_secret

#endif
