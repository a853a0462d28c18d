#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openssl/crypto.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/*
 * A buddy allocator that splits in four: orders 0..5 are blocks of 64, 256, 1024, 4096, 16384
 * and 65536 bytes. All bookkeeping stands in ordinary memory, one entry for each 64 bytes of
 * the arena, so that a block that nobody owns is zero from end to end.
 */
enum {
	UNIT_BYTES = 64,
	ORDERS = 6,
	TOP_ORDER = ORDERS - 1,
	SPLIT = 4,
};

static const uint32_t NONE = UINT32_MAX;

enum unit_state {
	UNIT_INSIDE, /* not the first unit of a block */
	UNIT_FREE,
	UNIT_USED,
};

struct unit {
	uint32_t next; /* in the free list of its order, while UNIT_FREE */
	uint32_t prev;
	uint8_t order;
	uint8_t state; /* enum unit_state */
};

struct arena {
	pthread_mutex_t lock;
	unsigned char *base;
	size_t bytes;
	size_t in_use;
	struct unit *units;
	uint32_t free_head[ORDERS];
	const char *backing;
};

static struct arena arena = {.lock = PTHREAD_MUTEX_INITIALIZER, .backing = "none"};

static size_t order_bytes(unsigned order)
{
	return (size_t)UNIT_BYTES << (2 * order);
}

static uint32_t order_units(unsigned order)
{
	return UINT32_C(1) << (2 * order);
}

/* Memory that is not what it must be means a bug that may leak a secret: nothing safe can go
 * on. */
static _Noreturn void die(const char *what)
{
	fprintf(stderr, "secret memory: %s\n", what);
	abort();
}

void rk_wipe(void *p, size_t n)
{
#ifdef RK_WITHOUT_WIPE
	(void)p;
	(void)n;
#else
	if (n)
		explicit_bzero(p, n);
#endif
}

static void check_zero(const unsigned char *p, size_t n)
{
#ifdef RK_WITHOUT_WIPE
	(void)p;
	(void)n;
#else
	/* equal to itself shifted by one and starting with zero: memcmp does it at full speed
	 */
	if (p[0] != 0 || memcmp(p, p + 1, n - 1) != 0)
		die("a free block was written to");
#endif
}

static void list_push(uint32_t u, unsigned order)
{
	struct unit *unit = &arena.units[u];

	*unit = (struct unit){.next = arena.free_head[order],
	                      .prev = NONE,
	                      .order = (uint8_t)order,
	                      .state = UNIT_FREE};
	if (unit->next != NONE)
		arena.units[unit->next].prev = u;
	arena.free_head[order] = u;
}

static void list_remove(uint32_t u)
{
	struct unit *unit = &arena.units[u];

	if (unit->prev != NONE)
		arena.units[unit->prev].next = unit->next;
	else
		arena.free_head[unit->order] = unit->next;
	if (unit->next != NONE)
		arena.units[unit->next].prev = unit->prev;
	unit->state = UNIT_INSIDE;
}

/* The first unit of a free block of exactly this order, split from a larger one if need be. */
static uint32_t take_block(unsigned order)
{
	unsigned from = order;
	uint32_t u;

	while (from < ORDERS && arena.free_head[from] == NONE)
		from++;
	if (from == ORDERS)
		return NONE;
	u = arena.free_head[from];
	list_remove(u);
	while (from > order) {
		from--;
		for (uint32_t i = SPLIT - 1; i > 0; i--)
			list_push(u + i * order_units(from), from);
	}
	arena.units[u] = (struct unit){
	    .next = NONE, .prev = NONE, .order = (uint8_t)order, .state = UNIT_USED};
	return u;
}

/* Joins four free brothers into their parent, as far up as it goes. */
static void give_block(uint32_t u, unsigned order)
{
	while (order < TOP_ORDER) {
		uint32_t n = order_units(order);
		uint32_t first = u & ~(SPLIT * n - 1);
		unsigned free_brothers = 0;

		for (uint32_t b = first; b < first + SPLIT * n; b += n) {
			if (b != u && arena.units[b].state == UNIT_FREE &&
			    arena.units[b].order == order)
				free_brothers++;
		}
		if (free_brothers != SPLIT - 1)
			break;
		for (uint32_t b = first; b < first + SPLIT * n; b += n) {
			if (b != u)
				list_remove(b);
		}
		arena.units[u].state = UNIT_INSIDE;
		u = first;
		order++;
	}
	list_push(u, order);
}

/* A mapping of `bytes` with an inaccessible page on each side. */
static unsigned char *map_guarded(size_t bytes, int flags, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *outer = mmap(NULL, bytes + 2 * page, PROT_NONE,
	                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *inner;

	if (outer == MAP_FAILED)
		return NULL;
	inner = mmap(outer + page, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (inner == MAP_FAILED) {
		int why = errno;

		munmap(outer, bytes + 2 * page);
		errno = why;
		return NULL;
	}
	return inner;
}

static void unmap_guarded(unsigned char *inner, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int why = errno;

	munmap(inner - page, bytes + 2 * page);
	errno = why;
}

static unsigned char *map_memfd_secret(size_t bytes)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *p = NULL;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)bytes) == 0)
		p = map_guarded(bytes, MAP_SHARED, fd);
	close(fd);
	if (!p)
		return NULL;
	if (madvise(p, bytes, MADV_DONTFORK) != 0) {
		unmap_guarded(p, bytes);
		return NULL;
	}
	/* pages come on first touch; a lack of memory shall show at start, not in a request */
	for (size_t off = 0; off < bytes; off += page)
		(void)*(volatile unsigned char *)(p + off);
	return p;
}

static unsigned char *map_locked(size_t bytes)
{
	unsigned char *p = map_guarded(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (!p)
		return NULL;
	if (mlock(p, bytes) != 0 || madvise(p, bytes, MADV_DONTDUMP) != 0 ||
	    madvise(p, bytes, MADV_WIPEONFORK) != 0) {
		unmap_guarded(p, bytes);
		return NULL;
	}
	return p;
}

static int fail_limit(struct rk_fault *fault, size_t bytes)
{
	struct rlimit lim = {0};
	int why = errno;

	getrlimit(RLIMIT_MEMLOCK, &lim);
	errno = why;
	return rk_fail_errno(fault, RK_E_NOMEM,
	                     "cannot lock %zu bytes of secret memory (RLIMIT_MEMLOCK is %llu "
	                     "bytes; raise it with "
	                     "LimitMEMLOCK= or ulimit -l)",
	                     bytes, (unsigned long long)lim.rlim_cur);
}

static int forbid_dumps(struct rk_fault *fault)
{
	struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot forbid core dumps");
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot set RLIMIT_CORE to 0");
	return 0;
}

int secret_arena_init(size_t bytes, enum secret_backing backing, struct rk_fault *fault)
{
	const char *name = "memfd_secret";
	struct unit *units;
	unsigned char *base = NULL;
	uint32_t count;
	int err;

	if (arena.base)
		return rk_fail(fault, RK_E_STATE, "the secret arena exists already");
	if (bytes == 0 || bytes > (size_t)1 << 32)
		return rk_fail(fault, RK_E_INVALID, "a secret arena of %zu bytes", bytes);
	err = forbid_dumps(fault);
	if (err)
		return err;
	bytes = (bytes + SECRET_MAX_BYTES - 1) & ~(size_t)(SECRET_MAX_BYTES - 1);
	count = (uint32_t)(bytes / UNIT_BYTES);
	units = calloc(count, sizeof *units);
	if (!units)
		return rk_fail(fault, RK_E_NOMEM, "no memory for the secret arena's table");
	if (backing == SECRET_BACKING_BEST)
		base = map_memfd_secret(bytes);
	if (!base) {
		name = "locked pages";
		base = map_locked(bytes);
	}
	if (!base) {
		free(units);
		return fail_limit(fault, bytes);
	}

	arena.base = base;
	arena.bytes = bytes;
	arena.units = units;
	arena.backing = name;
	for (unsigned order = 0; order < ORDERS; order++)
		arena.free_head[order] = NONE;
	for (uint32_t u = count; u > 0; u -= order_units(TOP_ORDER))
		list_push(u - order_units(TOP_ORDER), TOP_ORDER);
	return 0;
}

const char *secret_arena_backing(void)
{
	return arena.backing;
}

size_t secret_arena_in_use(void)
{
	size_t n;

	pthread_mutex_lock(&arena.lock);
	n = arena.in_use;
	pthread_mutex_unlock(&arena.lock);
	return n;
}

bool secret_arena_holds(const void *p)
{
	uintptr_t at = (uintptr_t)p;
	uintptr_t base = (uintptr_t)arena.base;

	return arena.base && at >= base && at - base < arena.bytes;
}

int rk_secret_alloc(struct rk_secret *s, size_t cap)
{
	unsigned order = 0;
	uint32_t u = NONE;

	if (cap > SECRET_MAX_BYTES)
		return RK_E_TOOBIG;
	while (order_bytes(order) < cap)
		order++;
	pthread_mutex_lock(&arena.lock);
	if (arena.base)
		u = take_block(order);
	if (u != NONE)
		arena.in_use += order_bytes(order);
	pthread_mutex_unlock(&arena.lock);
	if (u == NONE)
		return RK_E_NOMEM;

	*s = (struct rk_secret){.p = arena.base + (size_t)u * UNIT_BYTES,
	                        .cap = order_bytes(order)};
	check_zero(s->p, s->cap);
	return 0;
}

void rk_secret_free(struct rk_secret *s)
{
	uint32_t u;

	if (!s || !s->p)
		return;
	if (!secret_arena_holds(s->p))
		die("a block that is not of the arena was freed");
	u = (uint32_t)((size_t)(s->p - arena.base) / UNIT_BYTES);
	rk_wipe(s->p, s->cap);
	pthread_mutex_lock(&arena.lock);
	if (arena.units[u].state != UNIT_USED || order_bytes(arena.units[u].order) != s->cap ||
	    arena.base + (size_t)u * UNIT_BYTES != s->p)
		die("a block was freed twice, or its struct was damaged");
	arena.in_use -= s->cap;
	give_block(u, arena.units[u].order);
	pthread_mutex_unlock(&arena.lock);
	*s = (struct rk_secret){0};
}

void *secret_arena_take(size_t n)
{
	struct rk_secret s;

	return rk_secret_alloc(&s, n ? n : 1) ? NULL : s.p;
}

size_t secret_arena_size(const void *p)
{
	if (!secret_arena_holds(p))
		die("a block that is not of the arena was asked for");
	/* the unit is its owner's until it is given back */
	return order_bytes(
	    arena.units[(size_t)((const unsigned char *)p - arena.base) / UNIT_BYTES].order);
}

void secret_arena_give(void *p)
{
	struct rk_secret s = {.p = p};

	if (!p)
		return;
	s.cap = secret_arena_size(p);
	rk_secret_free(&s);
}

void rk_secret_wipe(struct rk_secret *s)
{
	rk_wipe(s->p, s->len);
	s->len = 0;
}

void rk_secret_move(struct rk_secret *dst, struct rk_secret *src)
{
	struct rk_secret taken = *src;

	*src = (struct rk_secret){0};
	*dst = taken;
}

int rk_secret_add(struct rk_secret *s, const void *p, size_t n)
{
	if (n > s->cap - s->len)
		return RK_E_TOOBIG;
	if (n)
		memcpy(s->p + s->len, p, n);
	s->len += n;
	return 0;
}

bool rk_equal_ct(struct rk_slice a, struct rk_slice b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
