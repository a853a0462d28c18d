#include "keeper/audit_index_int.h"

#include <stdlib.h>

#include "keeper/db_stmt.h"

/* The entries of one term: log[0..n), rising by place, each once. */
struct term_run {
	uint64_t term;
	const uint64_t *log;
	size_t n;
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static unsigned bucket_of(uint64_t entry)
{
	return (unsigned)(entry >> (16 + AUDIT_TERM_BITS - 8));
}

/* Copies the log bucket by bucket; end[b] is where bucket b ends. */
static void distribute(const struct index_mem *m, uint64_t *out, size_t end[INDEX_BUCKETS])
{
	size_t at[INDEX_BUCKETS] = {0}, sum = 0;

	for (size_t i = 0; i < m->log_n; i++)
		at[bucket_of(m->log[i])]++;
	for (unsigned b = 0; b < INDEX_BUCKETS; b++) {
		size_t n = at[b];

		at[b] = sum;
		sum += n;
		end[b] = sum;
	}
	for (size_t i = 0; i < m->log_n; i++)
		out[at[bucket_of(m->log[i])]++] = m->log[i];
}

/* Between two pieces of work. */
static int stopped(struct audit_index *ix, struct rk_fault *fault)
{
	if (ix->pace)
		ix->pace(ix->pace_arg);
	return atomic_load(&ix->stop) ? rk_fail(fault, RK_E_STATE, "the keeper ends") : 0;
}

/* A sorted copy of the log in which nothing stands twice. */
static int sort_log(struct audit_index *ix, uint64_t **out, size_t *n, struct rk_fault *fault)
{
	const struct index_mem *m = &ix->mem;
	uint64_t *log = malloc((m->log_n + 1) * sizeof *log);
	size_t end[INDEX_BUCKETS], kept = 0, i = 0;
	int err = log ? 0 : rk_fail(fault, RK_E_NOMEM, "out of memory");

	if (!err)
		distribute(m, log, end);
	for (unsigned b = 0; b < INDEX_BUCKETS && !err; b++) {
		qsort(log + i, end[b] - i, sizeof *log, compare_u64);
		for (; i < end[b]; i++) {
			if (kept == 0 || log[kept - 1] != log[i])
				log[kept++] = log[i];
		}
		err = stopped(ix, fault);
	}
	if (err) {
		free(log);
		return err;
	}
	*out = log;
	*n = kept;
	return 0;
}

/* The run at the front of log[0..n). */
static struct term_run next_run(const uint64_t *log, size_t n)
{
	struct term_run run = {.term = log[0] >> 16, .log = log, .n = 1};

	while (run.n < n && log[run.n] >> 16 == run.term)
		run.n++;
	return run;
}

int index_flush_prepare(struct audit_index *ix, struct rk_fault *fault)
{
	int err = db_prepare(ix->db, "INSERT INTO posting(id, rows) VALUES (?, ?)",
	                     &ix->put_posting, fault);

	if (!err)
		err = db_prepare(ix->db, "INSERT INTO pair(block, deltas) VALUES (?, ?)",
		                 &ix->put_pair, fault);
	return err;
}

static int put(struct audit_index *ix, sqlite3_stmt *st, int64_t id, const void *p, size_t n,
               struct rk_fault *fault)
{
	int rc, err = stopped(ix, fault);

	if (err)
		return err;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_blob(st, 2, p, (int)n, SQLITE_STATIC);
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? 0
	                         : db_error(ix->db, rc, fault, "cannot write the search index");
}

static void put_u16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *at, uint32_t v)
{
	put_u16(at, v & 0xffff);
	put_u16(at + 2, v >> 16);
}

/* The terms of one bucket, whose runs are log[0..n). mem: room for ROW_BUCKET_ROW bytes of
 * each entry and 2 more. */
static int put_bucket(struct audit_index *ix, const uint64_t *log, size_t n, uint8_t *mem,
                      struct rk_fault *fault)
{
	uint64_t id = log[0] >> 16;
	unsigned dense = 0;
	size_t used = 2;

	for (size_t i = 0; i < n;) {
		struct term_run run = next_run(log + i, n - i);

		i += run.n;
		if (run.n <= INDEX_SPARSE_MAX)
			continue;
		put_u32(mem + used, (uint32_t)run.term);
		used += ROW_BUCKET_NAME;
		dense++;
	}
	put_u16(mem, dense);
	for (size_t i = 0; i < n;) {
		struct term_run run = next_run(log + i, n - i);

		i += run.n;
		for (size_t e = 0; run.n <= INDEX_SPARSE_MAX && e < run.n; e++) {
			put_u32(mem + used, (uint32_t)run.term);
			put_u16(mem + used + ROW_BUCKET_NAME, (unsigned)(run.log[e] & 0xffff));
			used += ROW_BUCKET_ROW;
		}
	}
	return put(ix, ix->put_posting, posting_bucket(ix->mem.chunk, id), mem, used, fault);
}

static int put_buckets(struct audit_index *ix, const uint64_t *log, size_t n,
                       struct rk_fault *fault)
{
	uint8_t *mem = malloc(n * ROW_BUCKET_ROW + 2);
	int err = 0;

	if (!mem)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	for (size_t i = 0; i < n && !err;) {
		size_t end = i + 1;

		while (end < n && bucket_of(log[end]) == bucket_of(log[i]))
			end++;
		err = put_bucket(ix, log + i, end - i, mem, fault);
		i = end;
	}
	free(mem);
	return err;
}

static int put_sets(struct audit_index *ix, const uint64_t *log, size_t n,
                    struct rk_fault *fault)
{
	uint16_t *rows = malloc(((size_t)1 << ROW_SET_BITS) * sizeof *rows);
	uint8_t *stored = malloc(ROW_SET_STORED);
	int err = rows && stored ? 0 : rk_fail(fault, RK_E_NOMEM, "out of memory");

	for (size_t i = 0; i < n && !err;) {
		struct term_run run = next_run(log + i, n - i);
		size_t len;

		i += run.n;
		if (run.n <= INDEX_SPARSE_MAX)
			continue;
		for (size_t e = 0; e < run.n; e++)
			rows[e] = (uint16_t)(run.log[e] & 0xffff);
		len = row_set_store(rows, run.n, ix->bits, stored);
		err = put(ix, ix->put_posting, posting_dense(ix->mem.chunk, run.term), stored,
		          len, fault);
	}
	free(rows);
	free(stored);
	return err;
}

static int put_postings(struct audit_index *ix, struct rk_fault *fault)
{
	uint64_t *log;
	size_t n;
	int err = sort_log(ix, &log, &n, fault);

	if (err)
		return err;
	/* in the order of their keys: the file is written from its front to its end */
	err = put_buckets(ix, log, n, fault);
	if (!err)
		err = put_sets(ix, log, n, fault);
	free(log);
	return err;
}

static int put_pairs(struct audit_index *ix, struct rk_fault *fault)
{
	size_t rows = (size_t)1 << (ix->bits - 6);
	const uint16_t *delta = ix->mem.delta;
	uint8_t *mem = malloc(rows * 2);
	int err = mem ? 0 : rk_fail(fault, RK_E_NOMEM, "out of memory");

	for (unsigned b = 0; b < INDEX_BLOCKS && !err; b++, delta += rows) {
		unsigned any = 0;

		for (size_t i = 0; i < rows; i++) {
			put_u16(mem + 2 * i, delta[i]);
			any |= delta[i];
		}
		if (any)
			err = put(ix, ix->put_pair, (int64_t)(ix->mem.chunk * INDEX_BLOCKS + b),
			          mem, rows * 2, fault);
	}
	free(mem);
	return err;
}

static int put_late(struct audit_index *ix, struct rk_fault *fault)
{
	const struct index_mem *m = &ix->mem;
	int err = 0;

	for (size_t i = 0; i < m->pair_n && !err; i++)
		err = db_run(ix->db,
		             "INSERT OR REPLACE INTO late(request, response) VALUES (?, ?)",
		             DB_VALUES(DB_INT(m->pair[i].request), DB_INT(m->pair[i].response)),
		             NULL, fault, "cannot write the search index");
	for (size_t i = 0; i < m->term_n && !err; i++)
		err =
		    db_run(ix->db, "INSERT OR REPLACE INTO late_term(term, seq) VALUES (?, ?)",
		           DB_VALUES(DB_INT(m->term[i].term), DB_INT(m->term[i].seq)), NULL,
		           fault, "cannot write the search index");
	return err;
}

static void put_i64(uint8_t *at, int64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)((uint64_t)v >> (8 * i));
}

static int put_chunk(struct audit_index *ix, struct rk_fault *fault)
{
	uint8_t blocks[INDEX_BLOCKS * 16];
	int64_t min = INT64_MAX, max = INT64_MIN;

	for (unsigned b = 0; b < INDEX_BLOCKS; b++) {
		const struct index_span *s = &ix->mem.span[b];

		put_i64(blocks + 16 * b, s->min_ms);
		put_i64(blocks + 16 * b + 8, s->max_ms);
		min = s->min_ms < min ? s->min_ms : min;
		max = s->max_ms > max ? s->max_ms : max;
	}
	return db_run(ix->db,
	              "INSERT INTO chunk(n, min_ms, max_ms, blocks) VALUES (?, ?, ?, ?)",
	              DB_VALUES(DB_INT(ix->mem.chunk), DB_INT(min), DB_INT(max),
	                        DB_BLOB(rk_slice(blocks, sizeof blocks))),
	              NULL, fault, "cannot write the search index");
}

struct open_writer {
	struct audit_index *ix;
	struct rk_fault *fault;
};

static int put_open(const uint8_t id[REQUEST_ID], uint64_t seq, void *arg)
{
	const struct open_writer *w = arg;

	return db_run(w->ix->db, "INSERT INTO open(request_id, seq) VALUES (?, ?)",
	              DB_VALUES(DB_BLOB(rk_slice(id, REQUEST_ID)), DB_INT(seq)), NULL, w->fault,
	              "cannot write the search index");
}

static int put_state(struct audit_index *ix, struct rk_fault *fault)
{
	const struct index_mem *m = &ix->mem;
	struct open_writer w = {ix, fault};
	int err = db_exec(ix->db, "DELETE FROM open", fault, "cannot write the search index");

	if (!err)
		err = request_map_each(m->open, put_open, &w);
	if (!err)
		err = db_run(ix->db, "UPDATE state SET upto = ?, hash = ?",
		             DB_VALUES(DB_INT(m->upto),
		                       DB_BLOB(rk_slice(m->upto_hash, sizeof m->upto_hash))),
		             NULL, fault, "cannot write the search index");
	return err;
}

int index_flush(struct audit_index *ix, struct rk_fault *fault)
{
	int err =
	    db_exec(ix->db, "BEGIN IMMEDIATE", fault, "cannot begin to write the search index");

	if (!err)
		err = put_chunk(ix, fault);
	if (!err)
		err = put_postings(ix, fault);
	if (!err)
		err = put_pairs(ix, fault);
	if (!err)
		err = put_late(ix, fault);
	if (!err)
		err = put_state(ix, fault);
	if (!err)
		err = db_exec(ix->db, "COMMIT", fault, "cannot commit to the search index");
	if (err && !sqlite3_get_autocommit(ix->db))
		(void)!sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}
