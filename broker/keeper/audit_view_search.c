#include "keeper/audit_view_int.h"

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

static int load_stored(struct audit_view *v, uint64_t chunk, uint64_t term, struct row_set *out,
                       struct rk_fault *fault)
{
	int err = look_up(v, v->posting, posting_bucket(chunk, term), fault);

	if (err <= 0)
		return err;
	err = row_bucket_load(blob_of(v->posting, 0), (uint32_t)term, v->ix->bits, out);
	if (err <= 0)
		return err ? damaged(fault) : 0;
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
