#include "keeper/audit_view_int.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
	PATIENCE_MS = 5, /* for the writer, which may have lost the processor just now */
	ATTEMPTS = 3,
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

int audit_view_bridge(struct audit_view *v, struct audit_rows *rows, size_t limit,
                      struct rk_fault *fault)
{
	uint64_t after = v->upto, end = after + limit, request;
	const struct stored_row *slice;
	size_t n = 1;
	int err = 0;

	while (!err && n > 0 && after < end && request_map_count(v->open) > 0) {
		err = audit_rows_after(rows, after, &slice, &n, fault);
		for (size_t i = 0; i < n && !err; i++) {
			struct audit_row row;

			after = slice[i].seq;
			err = stored_row_unpack(&slice[i], &row, fault);
			if (!err && row.type == AUDIT_RESPONSE &&
			    request_map_take(v->open, row.request_id, &request) &&
			    audit_view_pair(v, request, slice[i].seq) != 0)
				err = rk_fail(fault, RK_E_NOMEM, "out of memory");
		}
	}
	return err;
}
