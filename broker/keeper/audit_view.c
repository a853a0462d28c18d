#include "keeper/audit_view.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "keeper/audit_index_int.h"

enum {
	PATIENCE_MS = 5, /* for the writer, which may have lost the processor just now */
	ATTEMPTS = 3,
};

struct audit_view {
	struct audit_index *ix;
	const struct audit_filter *filter;
	sqlite3 *db;
	sqlite3_stmt *posting, *chunk, *pair, *late, *late_term;
	bool counted; /* in ix->views */

	struct audit_filter_terms terms;
	/* what was in memory, of what this search needs */
	uint64_t upto, mem_chunk;
	struct row_set *mem; /* of each term */
	struct index_span span[INDEX_BLOCKS];
	uint16_t *delta;
	struct late_pair *late_pair; /* and those of audit_view_pair() */
	size_t late_pairs, late_pair_cap;
	struct late_term *late_of; /* of terms of the filter */
	size_t late_ofs;
	struct request_map *open;
	size_t bridged; /* how many of late_pair, from the end, audit_view_pair() brought */

	/* where the search is */
	uint64_t loaded; /* number of the chunk in `found`; UINT64_MAX: none */
	struct row_set found, one;
};

/* ---- opening ---- */

static bool lock_soon(pthread_mutex_t *lock)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PATIENCE_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until) == 0;
}

static int register_view(struct audit_view *v, struct rk_fault *fault)
{
	struct audit_index *ix = v->ix;

	if (!lock_soon(&ix->lock))
		return rk_fail(fault, RK_E_STATE, "the search index is busy");
	v->counted = ix->ready;
	if (v->counted)
		ix->views++;
	pthread_mutex_unlock(&ix->lock);
	return v->counted ? 0 : rk_fail(fault, RK_E_STATE, "the search index is being made");
}

static int prepare(struct audit_view *v, struct rk_fault *fault)
{
	int err =
	    db_prepare(v->db, "SELECT rows FROM posting WHERE id = ?", &v->posting, fault);

	if (!err)
		err = db_prepare(v->db, "SELECT min_ms, max_ms, blocks FROM chunk WHERE n = ?",
		                 &v->chunk, fault);
	if (!err)
		err = db_prepare(v->db, "SELECT deltas FROM pair WHERE block = ?", &v->pair,
		                 fault);
	if (!err)
		err = db_prepare(v->db, "SELECT response FROM late WHERE request = ?", &v->late,
		                 fault);
	if (!err)
		err = db_prepare(
		    v->db,
		    "SELECT seq FROM late_term WHERE term = ?1 AND seq BETWEEN ?2 AND ?3",
		    &v->late_term, fault);
	return err;
}

/* Copies `n` elements; NULL for none and when out of memory. */
static void *copy_of(const void *from, size_t n, size_t size)
{
	void *copy = n ? malloc(n * size) : NULL;

	if (copy)
		memcpy(copy, from, n * size);
	return copy;
}

static int find_term(const struct audit_view *v, uint64_t term)
{
	for (unsigned i = 0; i < v->terms.n; i++) {
		if (v->terms.at[i] == term)
			return (int)i;
	}
	return -1;
}

/* Locked: what is in memory. */
static int copy_mem(struct audit_view *v)
{
	const struct index_mem *m = &v->ix->mem;

	v->upto = m->upto;
	v->mem_chunk = m->chunk;
	memcpy(v->span, m->span, sizeof v->span);
	memcpy(v->delta, m->delta, sizeof *m->delta << v->ix->bits);
	for (size_t i = 0; i < m->log_n; i++) {
		uint64_t term = m->log[i] >> 16;

		for (unsigned t = 0; t < v->terms.n; t++) {
			if (v->terms.at[t] == term)
				row_set_add(&v->mem[t], (unsigned)(m->log[i] & 0xffff));
		}
	}
	v->late_pair = copy_of(m->pair, m->pair_n, sizeof *m->pair);
	v->late_of = copy_of(m->term, m->term_n, sizeof *m->term);
	if ((m->pair_n && !v->late_pair) || (m->term_n && !v->late_of))
		return RK_E_NOMEM;
	v->late_pairs = v->late_pair_cap = m->pair_n;
	v->late_ofs = m->term_n;
	return request_map_copy(m->open, &v->open);
}

static void keep_late_of_filter(struct audit_view *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->late_ofs; i++) {
		if (find_term(v, v->late_of[i].term) >= 0)
			v->late_of[kept++] = v->late_of[i];
	}
	v->late_ofs = kept;
}

/*
 * The file as it is from now on and the memory as it is now must meet: a chunk that went from
 * one to the other in between is in neither. > 0: they do not, try again.
 */
static int take_snapshot(struct audit_view *v, struct rk_fault *fault)
{
	int64_t stored = 0;
	int err = db_exec(v->db, "BEGIN", fault, "cannot read the search index");
	int missed = 0;

	if (!err)
		err = db_query_int(v->db, "SELECT upto FROM state", &stored, fault);
	if (err)
		return err;
	if (!lock_soon(&v->ix->lock))
		return rk_fail(fault, RK_E_STATE, "the search index is busy");
	if (v->ix->mem.base_upto > (uint64_t)stored)
		missed = 1;
	else
		err = copy_mem(v);
	pthread_mutex_unlock(&v->ix->lock);
	if (missed)
		(void)!sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
	return err ? rk_fail(fault, err, "out of memory") : missed;
}

static int open_view(struct audit_view *v, struct rk_fault *fault)
{
	struct audit_index *ix = v->ix;
	int err = register_view(v, fault);

	if (err)
		return err;
	audit_filter_terms(v->filter, ix->salt, &v->terms);
	v->mem = calloc(v->terms.n, sizeof *v->mem);
	v->delta = calloc((size_t)1 << ix->bits, sizeof *v->delta);
	if (!v->mem || !v->delta)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = db_open(ix->path, ix->key, DB_READ_ONLY, false, &v->db, fault);
	if (!err)
		err = prepare(v, fault);
	if (err)
		return err;
	for (int i = 0; i < ATTEMPTS; i++) {
		err = take_snapshot(v, fault);
		if (err <= 0)
			return err;
	}
	return rk_fail(fault, RK_E_STATE, "the search index is busy");
}

int audit_view_open(struct audit_index *ix, const struct audit_filter *f,
                    struct audit_view **out, struct rk_fault *fault)
{
	struct audit_view *v = calloc(1, sizeof *v);
	int err;

	if (!v)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	v->ix = ix;
	v->filter = f;
	v->loaded = UINT64_MAX;
	err = open_view(v, fault);
	if (err) {
		audit_view_close(v);
		return err;
	}
	keep_late_of_filter(v);
	*out = v;
	return 0;
}

void audit_view_close(struct audit_view *v)
{
	if (!v)
		return;
	sqlite3_finalize(v->posting);
	sqlite3_finalize(v->chunk);
	sqlite3_finalize(v->pair);
	sqlite3_finalize(v->late);
	sqlite3_finalize(v->late_term);
	db_close(v->db);
	if (v->counted) {
		pthread_mutex_lock(&v->ix->lock);
		if (--v->ix->views == 0)
			pthread_cond_signal(&v->ix->unviewed);
		pthread_mutex_unlock(&v->ix->lock);
	}
	request_map_free(v->open);
	free(v->mem);
	free(v->delta);
	free(v->late_pair);
	free(v->late_of);
	free(v);
}

uint64_t audit_view_upto(const struct audit_view *v)
{
	return v->upto;
}

/* ---- what lies behind the covered rows ---- */

bool audit_view_take_open(struct audit_view *v, const uint8_t request_id[16], uint64_t *seq)
{
	return request_map_take(v->open, request_id, seq);
}

size_t audit_view_open_count(const struct audit_view *v)
{
	return request_map_count(v->open);
}

bool audit_view_by_response(const struct audit_view *v)
{
	return v->terms.by_response != 0;
}

int audit_view_pair(struct audit_view *v, uint64_t request, uint64_t response)
{
	if (v->late_pairs == v->late_pair_cap) {
		size_t cap = v->late_pair_cap ? 2 * v->late_pair_cap : 64;
		struct late_pair *bigger = realloc(v->late_pair, cap * sizeof *bigger);

		if (!bigger)
			return RK_E_NOMEM;
		v->late_pair = bigger;
		v->late_pair_cap = cap;
	}
	v->late_pair[v->late_pairs++] = (struct late_pair){request, response};
	v->bridged++;
	return 0;
}

/* ---- one chunk ---- */

/* Steps a statement with the key; 1: a row is there, its first column in *blob. */
static int look_up(struct audit_view *v, sqlite3_stmt *st, int64_t id, struct rk_fault *fault)
{
	int rc;

	sqlite3_reset(st);
	sqlite3_bind_int64(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0
	                         : db_error(v->db, rc, fault, "cannot read the search index");
}

static struct rk_slice blob_of(sqlite3_stmt *st, int column)
{
	int n = sqlite3_column_bytes(st, column);

	return rk_slice(sqlite3_column_blob(st, column), (size_t)n);
}

static int damaged(struct rk_fault *fault)
{
	return rk_fail(fault, RK_E_CORRUPT, "the search index is damaged");
}

static unsigned get_u16(const char *p)
{
	return (unsigned)(uint8_t)p[0] | (unsigned)(uint8_t)p[1] << 8;
}

static uint32_t get_u32(const char *p)
{
	return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

/* Adds a bucket's entries of the term; > 0: it has a set of its own. */
static int load_bucket(struct audit_view *v, struct rk_slice bucket, uint64_t term,
                       struct row_set *out, struct rk_fault *fault)
{
	uint32_t low = (uint32_t)term;
	size_t dense;

	if (bucket.n < 2)
		return damaged(fault);
	dense = get_u16(bucket.p);
	bucket = rk_slice_skip(bucket, 2);
	if (bucket.n < 4 * dense || (bucket.n - 4 * dense) % INDEX_TUPLE)
		return damaged(fault);
	for (size_t i = 0; i < dense; i++) {
		if (get_u32(bucket.p + 4 * i) == low)
			return 1;
	}
	bucket = rk_slice_skip(bucket, 4 * dense);
	for (; bucket.n; bucket = rk_slice_skip(bucket, INDEX_TUPLE)) {
		unsigned place = get_u16(bucket.p + 4);

		if (get_u32(bucket.p) != low)
			continue;
		if (place >= 1u << v->ix->bits)
			return damaged(fault);
		row_set_add(out, place);
	}
	return 0;
}

static int load_stored(struct audit_view *v, uint64_t chunk, uint64_t term, struct row_set *out,
                       struct rk_fault *fault)
{
	int err = look_up(v, v->posting, posting_bucket(chunk, term), fault);

	if (err <= 0)
		return err;
	err = load_bucket(v, blob_of(v->posting, 0), term, out, fault);
	if (err <= 0)
		return err;
	err = look_up(v, v->posting, posting_dense(chunk, term), fault);
	if (err < 0)
		return err;
	if (err == 0 || row_set_load(blob_of(v->posting, 0), v->ix->bits, out) != 0)
		return damaged(fault);
	return 0;
}

/* What responses in later chunks, and behind the covered rows, added to this one. */
static int load_late(struct audit_view *v, uint64_t chunk, uint64_t term, struct row_set *out,
                     struct rk_fault *fault)
{
	unsigned bits = v->ix->bits;
	int rc;

	for (size_t i = 0; i < v->late_ofs; i++) {
		if (v->late_of[i].term == term && v->late_of[i].seq >> bits == chunk)
			row_set_add(out, index_place(v->ix, v->late_of[i].seq));
	}
	for (size_t i = v->late_pairs - v->bridged; i < v->late_pairs; i++) {
		if (v->late_pair[i].request >> bits == chunk)
			row_set_add(out, index_place(v->ix, v->late_pair[i].request));
	}
	sqlite3_reset(v->late_term);
	sqlite3_bind_int64(v->late_term, 1, (int64_t)term);
	sqlite3_bind_int64(v->late_term, 2, (int64_t)(chunk << bits));
	sqlite3_bind_int64(v->late_term, 3, (int64_t)(((chunk + 1) << bits) - 1));
	while ((rc = sqlite3_step(v->late_term)) == SQLITE_ROW)
		row_set_add(
		    out, index_place(v->ix, (uint64_t)sqlite3_column_int64(v->late_term, 0)));
	sqlite3_reset(v->late_term);
	return rc == SQLITE_DONE ? 0
	                         : db_error(v->db, rc, fault, "cannot read the search index");
}

static int load_term(struct audit_view *v, uint64_t chunk, unsigned i, struct row_set *out,
                     struct rk_fault *fault)
{
	uint64_t term = v->terms.at[i];
	size_t words = ((size_t)1 << v->ix->bits) / 64;
	int err = 0;

	if (chunk == v->mem_chunk)
		memcpy(out->word, v->mem[i].word, words * sizeof out->word[0]);
	else
		memset(out->word, 0, words * sizeof out->word[0]);
	err = load_stored(v, chunk, term, out, fault);
	if (!err && v->terms.by_response >> i & 1)
		err = load_late(v, chunk, term, out, fault);
	return err;
}

static int64_t get_i64(const char *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)(uint8_t)p[i] << (8 * i);
	return (int64_t)v;
}

static bool out_of_time(const struct audit_view *v, const struct index_span *s)
{
	int64_t since = audit_filter_since_ms(v->filter),
	        until = audit_filter_until_ms(v->filter);

	return s->max_ms < s->min_ms || (since && s->max_ms < since) ||
	       (until && s->min_ms >= until);
}

/* Drops the blocks of `found` that lie outside the time that is asked for. 1: something may be
 * inside. Without `apply` it only looks. */
static int cut_time(struct audit_view *v, uint64_t chunk, bool apply, struct rk_fault *fault)
{
	unsigned rows = 1u << (v->ix->bits - 6);
	const struct index_span *span = v->span;
	struct index_span stored[INDEX_BLOCKS];
	int any = 0;

	if (chunk != v->mem_chunk) {
		struct rk_slice blocks;
		int err = look_up(v, v->chunk, (int64_t)chunk, fault);

		if (err <= 0)
			return err;
		blocks = blob_of(v->chunk, 2);
		if (blocks.n != sizeof stored)
			return damaged(fault);
		for (unsigned b = 0; b < INDEX_BLOCKS; b++) {
			stored[b].min_ms = get_i64(blocks.p + 16 * b);
			stored[b].max_ms = get_i64(blocks.p + 16 * b + 8);
		}
		span = stored;
	}
	for (unsigned b = 0; b < INDEX_BLOCKS; b++) {
		if (!out_of_time(v, &span[b]))
			any = 1;
		else if (apply)
			row_set_clear(&v->found, b * rows, (b + 1) * rows);
	}
	return any;
}

/* The candidates of a chunk into `found`; 0: there are none, 1: some. */
static int load_chunk(struct audit_view *v, uint64_t chunk, struct rk_fault *fault)
{
	bool timed = audit_filter_since_ms(v->filter) || audit_filter_until_ms(v->filter);
	int err = timed ? cut_time(v, chunk, false, fault) : 1;

	v->loaded = chunk;
	for (unsigned i = 0; i < v->terms.n && err > 0; i++) {
		struct row_set *to = i ? &v->one : &v->found;

		err = load_term(v, chunk, i, to, fault);
		if (err)
			break;
		err = i ? row_set_and(&v->found, &v->one, v->ix->bits)
		        : row_set_from(&v->found, 0, v->ix->bits) >= 0;
	}
	if (err > 0 && timed)
		err = cut_time(v, chunk, true, fault);
	if (err == RK_E_CORRUPT)
		audit_index_distrust(v->ix);
	if (err == 0)
		memset(&v->found, 0, sizeof v->found);
	return err;
}

/* ---- the search ---- */

int audit_view_below(struct audit_view *v, uint64_t *seq, struct rk_fault *fault)
{
	unsigned bits = v->ix->bits;
	uint64_t end = *seq > v->upto ? v->upto + 1 : *seq;

	while (end > 0) {
		uint64_t chunk = (end - 1) >> bits;
		int err = chunk == v->loaded ? 1 : load_chunk(v, chunk, fault);
		int at = -1;

		if (err < 0)
			return err;
		if (err > 0)
			at = row_set_below(&v->found, (unsigned)(end - (chunk << bits)));
		if (at >= 0) {
			*seq = (chunk << bits) + (unsigned)at;
			return 1;
		}
		end = chunk << bits;
	}
	return 0;
}

int audit_view_above(struct audit_view *v, uint64_t *seq, struct rk_fault *fault)
{
	unsigned bits = v->ix->bits;
	uint64_t start = *seq + 1;

	while (start <= v->upto) {
		uint64_t chunk = start >> bits;
		int err = chunk == v->loaded ? 1 : load_chunk(v, chunk, fault);
		int at = -1;

		if (err < 0)
			return err;
		if (err > 0)
			at = row_set_from(&v->found, (unsigned)(start - (chunk << bits)), bits);
		if (at >= 0) {
			*seq = (chunk << bits) + (unsigned)at;
			return 1;
		}
		start = (chunk + 1) << bits;
	}
	return 0;
}

static int stored_delta(struct audit_view *v, uint64_t request, unsigned *delta,
                        struct rk_fault *fault)
{
	unsigned place = index_place(v->ix, request);
	unsigned in_block = place & ((1u << (v->ix->bits - 6)) - 1);
	uint64_t block = (request >> v->ix->bits) * INDEX_BLOCKS + index_block(v->ix, place);
	int err = look_up(v, v->pair, (int64_t)block, fault);
	struct rk_slice deltas;

	*delta = 0;
	if (err <= 0)
		return err;
	deltas = blob_of(v->pair, 0);
	if (deltas.n != 2u << (v->ix->bits - 6))
		return damaged(fault);
	*delta = get_u16(deltas.p + 2 * in_block);
	return 0;
}

int audit_view_response(struct audit_view *v, uint64_t request, uint64_t *response,
                        struct rk_fault *fault)
{
	unsigned delta = 0;
	int err = 0;

	*response = 0;
	for (size_t i = v->late_pairs; i > 0; i--) {
		if (v->late_pair[i - 1].request == request) {
			*response = v->late_pair[i - 1].response;
			return 0;
		}
	}
	if (request >> v->ix->bits == v->mem_chunk)
		delta = v->delta[index_place(v->ix, request)];
	else
		err = stored_delta(v, request, &delta, fault);
	if (!err && !delta) {
		err = look_up(v, v->late, (int64_t)request, fault);
		if (err > 0)
			*response = (uint64_t)sqlite3_column_int64(v->late, 0);
	}
	if (err == RK_E_CORRUPT)
		audit_index_distrust(v->ix);
	if (delta)
		*response = request + delta;
	return err < 0 ? err : 0;
}
