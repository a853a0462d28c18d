#include "keeper/audit_read.h"

#include <stdlib.h>

#include "keeper/audit_rows.h"
#include "keeper/request_map.h"

enum {
	HOUR_MS = 3600 * 1000,
	/* a clock that was wrong for a while makes fewer rows than this */
	OLD_ROWS_MIN = 20000,
};

struct audit_reader {
	sqlite3 *db;
	struct audit_rows *rows;
};

int audit_reader_open(const char *journal_path, const struct rk_secret *key,
                      struct audit_reader **out, struct rk_fault *fault)
{
	struct audit_reader *r = calloc(1, sizeof *r);
	int err;

	if (!r)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = db_open(journal_path, key, DB_READ_ONLY, true, &r->db, fault);
	if (!err)
		err = db_check_schema(r->db, JOURNAL_APPLICATION_ID, journal_schema_version,
		                      fault);
	if (!err)
		err = audit_rows_new(r->db, &r->rows, fault);
	if (err) {
		audit_reader_close(r);
		return err;
	}
	*out = r;
	return 0;
}

void audit_reader_close(struct audit_reader *r)
{
	if (!r)
		return;
	audit_rows_free(r->rows);
	db_close(r->db);
	free(r);
}

struct audit_rows *audit_reader_rows(struct audit_reader *r)
{
	return r->rows;
}

struct pair {
	uint64_t seq;
	uint64_t response; /* 0: none */
};

/* One list: walks backwards, keeps numbers only, and reads the rows again to hand them out. */
struct list {
	struct audit_rows *rows;
	const struct audit_filter *filter;
	struct request_map *responses; /* seen, whose request lies further back */
	struct pair *found;            /* newest first */
	size_t count, cap, limit;
	size_t old_in_a_row; /* rows from well before the time that is asked for */
	struct rk_buf row_mem, response_mem, prev_mem;
};

static int keep(struct list *l, struct pair p, struct rk_fault *fault)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct pair *found = realloc(l->found, cap * sizeof *found);

		if (!found)
			return rk_fail(fault, RK_E_NOMEM, "out of memory");
		l->found = found;
		l->cap = cap;
	}
	l->found[l->count++] = p;
	return 0;
}

/* Whether the response makes a row pass that does not pass without it. */
static int passes_with(struct list *l, const struct audit_row *row, uint64_t response_seq,
                       bool *passes, struct rk_fault *fault)
{
	struct stored_row stored;
	struct audit_row response;
	int err;

	*passes = audit_filter_matches(l->filter, row, NULL);
	if (*passes || !response_seq || !audit_filter_may_match(l->filter, row))
		return 0;
	err = audit_rows_get(l->rows, response_seq, &l->response_mem, &stored, fault);
	if (!err)
		err = stored_row_unpack(&stored, &response, fault);
	if (!err)
		*passes = audit_filter_matches(l->filter, row, &response);
	return err;
}

static int look_at(struct list *l, const struct stored_row *stored, struct rk_fault *fault)
{
	struct pair p = {.seq = stored->seq};
	struct audit_row row;
	bool passes;
	int err = stored_row_unpack(stored, &row, fault);

	if (err)
		return err;
	if (row.time_ms < audit_filter_since_ms(l->filter) - HOUR_MS)
		l->old_in_a_row++;
	else
		l->old_in_a_row = 0;
	if (row.type == AUDIT_RESPONSE) {
		if (request_map_put(l->responses, row.request_id, stored->seq) != 0)
			return rk_fail(fault, RK_E_NOMEM, "out of memory");
		return 0;
	}
	if (row.type == AUDIT_REQUEST)
		(void)request_map_take(l->responses, row.request_id, &p.response);
	err = passes_with(l, &row, p.response, &passes, fault);
	if (!err && passes)
		err = keep(l, p, fault);
	return err;
}

static int walk_back(struct list *l, struct rk_fault *fault)
{
	const struct stored_row *rows;
	uint64_t before = UINT64_MAX;
	size_t n = 1;
	int err = 0;

	while (!err && n > 0 && l->count < l->limit && l->old_in_a_row < OLD_ROWS_MIN) {
		err = audit_rows_before(l->rows, before, &rows, &n, fault);
		for (size_t i = 0; i < n && !err && l->count < l->limit; i++) {
			err = look_at(l, &rows[i], fault);
			before = rows[i].seq;
		}
	}
	return err;
}

static int hand_out(struct list *l, struct pair p, const struct audit_sink *sink,
                    struct rk_fault *fault)
{
	struct msg_audit_entry e = {.seq = p.seq, .response_seq = p.response};
	struct stored_row row, other;
	int err = audit_rows_get(l->rows, p.seq, &l->row_mem, &row, fault);

	if (err)
		return err;
	e.row = row.body;
	memcpy(e.hash, row.hash, sizeof e.hash);
	if (p.seq > 1) {
		err = audit_rows_get(l->rows, p.seq - 1, &l->prev_mem, &other, fault);
		if (err)
			return err;
		memcpy(e.prev_hash, other.hash, sizeof e.prev_hash);
	}
	if (p.response) {
		err = audit_rows_get(l->rows, p.response, &l->response_mem, &other, fault);
		if (err)
			return err;
		e.response = other.body;
	}
	return sink->entry(&e, sink->arg);
}

int audit_list(struct audit_reader *r, const struct audit_filter *f, uint32_t limit,
               const struct audit_sink *sink, struct rk_fault *fault)
{
	struct list l = {.rows = r->rows, .filter = f, .limit = limit};
	int err;

	if (limit > AUDIT_LIST_MAX)
		return rk_fail(fault, RK_E_TOOBIG,
		               "a list has at most %d entries; an export has no limit",
		               AUDIT_LIST_MAX);
	rk_buf_init(&l.row_mem, AUDIT_MAX_ROW);
	rk_buf_init(&l.response_mem, AUDIT_MAX_ROW);
	rk_buf_init(&l.prev_mem, AUDIT_MAX_ROW);
	err = request_map_new(AUDIT_PAIRS_MAX, &l.responses);
	if (err)
		return rk_fail(fault, err, "out of memory");
	err = walk_back(&l, fault);
	for (size_t i = l.count; i > 0 && !err; i--)
		err = hand_out(&l, l.found[i - 1], sink, fault);
	request_map_free(l.responses);
	rk_buf_free(&l.row_mem);
	rk_buf_free(&l.response_mem);
	rk_buf_free(&l.prev_mem);
	free(l.found);
	return err < 0 ? err : 0;
}
