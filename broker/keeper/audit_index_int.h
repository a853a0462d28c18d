/*
 * Inside the search index: what its writer (audit_index.c, audit_index_flush.c) and its
 * readers (audit_view.c) share.
 *
 * Tables:
 *   state    one row: version, salt of the terms, size of a chunk, the last row of the last
 *            chunk and its hash
 *   chunk    number; least and greatest time in it; the same for its 64 blocks
 *   posting  by posting_bucket() and posting_dense(), below
 *   pair     block; u16 for each of its rows: how far behind the response is, 0: see late
 *   late     request, response: they lie in different chunks
 *   late_term  term, seq: what a response in a later chunk added to its request
 *   open     requests without response at the end of the last chunk
 */
#ifndef KEEPER_AUDIT_INDEX_INT_H
#define KEEPER_AUDIT_INDEX_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/row_set.h"
#include "keeper/audit_index.h"
#include "keeper/audit_terms.h"
#include "keeper/request_map.h"

enum {
	INDEX_VERSION = 1,
	INDEX_BLOCKS = 64,    /* of a chunk */
	INDEX_SPARSE_MAX = 8, /* a term of more entries of a chunk has a posting of its own */
	INDEX_BUCKETS = 256,
	INDEX_PATH_MAX = 4096,
};

struct index_span {
	int64_t min_ms, max_ms; /* min > max: no row */
};

/* What a response in a later chunk adds. */
struct late_pair {
	uint64_t request, response;
};
struct late_term {
	uint64_t term, seq;
};

/* The chunk in memory, and what it adds to those in the file. */
struct index_mem {
	uint64_t chunk;     /* its number */
	uint64_t base_upto; /* what the file covers below it */
	uint64_t upto;      /* the last row that is covered */
	uint8_t upto_hash[AUDIT_HASH];
	uint64_t *log; /* term << 16 | place, as they came */
	size_t log_n, log_cap;
	uint16_t *delta; /* by place: where the response is; 0: none in this chunk */
	struct index_span span[INDEX_BLOCKS];
	struct late_pair *pair;
	size_t pair_n, pair_cap;
	struct late_term *term;
	size_t term_n, term_cap;
	struct request_map *open; /* allowed requests without response: id to seq */
};

struct audit_index {
	char path[INDEX_PATH_MAX];
	const struct rk_secret *key;
	unsigned bits;

	pthread_mutex_t lock;    /* for all of these; held for short */
	pthread_cond_t unviewed; /* views fell to 0 */
	bool ready;
	unsigned views;
	uint8_t salt[RK_SIPHASH_KEY];
	struct index_mem mem; /* written by the writer only, which reads it without the lock */

	atomic_bool stop;
	void (*pace)(void *arg); /* may be NULL */
	void *pace_arg;

	/* the writer's */
	sqlite3 *db;
	sqlite3_stmt *put_posting, *put_pair;
	struct fed_row *fed; /* scratch: a slice of rows, digested */
};

/*
 * Keys of `posting`. Few entries: the term's lowest 32 bits are a name in the bucket of its
 * highest 8 (base/row_set.h). Many: the set is in a row of its own.
 */
static inline int64_t posting_bucket(uint64_t chunk, uint64_t term)
{
	return (int64_t)(chunk << (AUDIT_TERM_BITS + 1) | term >> (AUDIT_TERM_BITS - 8));
}

static inline int64_t posting_dense(uint64_t chunk, uint64_t term)
{
	return (int64_t)(chunk << (AUDIT_TERM_BITS + 1) | UINT64_C(1) << AUDIT_TERM_BITS |
	                 term);
}

static inline unsigned index_place(const struct audit_index *ix, uint64_t seq)
{
	return (unsigned)(seq & ((UINT64_C(1) << ix->bits) - 1));
}

static inline unsigned index_block(const struct audit_index *ix, unsigned place)
{
	return place >> (ix->bits - 6);
}

/* ---- audit_index_flush.c: the writer ---- */

/* Prepares the statements that index_flush() runs often. */
RK_MUST_CHECK int index_flush_prepare(struct audit_index *ix, struct rk_fault *fault);

/* Writes the chunk in memory, in one transaction. On an error nothing was written. */
RK_MUST_CHECK int index_flush(struct audit_index *ix, struct rk_fault *fault);

#endif
