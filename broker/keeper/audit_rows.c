#include "keeper/audit_rows.h"

#include <stdlib.h>

enum {
	SLICE_BYTES = 512 * 1024, /* a slice ends with the row that passes this */
};

/* Read first to last and appended at the end: one b-tree, the hash beside what it covers, so
 * that a commit dirties the last leaf and little else. */
const struct db_migration journal_migrations[] = {
    {"CREATE TABLE row("
     "seq INTEGER PRIMARY KEY, "
     "body BLOB NOT NULL, "
     "hash BLOB NOT NULL)"},
};
const unsigned journal_schema_version =
    sizeof journal_migrations / sizeof journal_migrations[0];

struct audit_rows {
	sqlite3 *db;
	sqlite3_stmt *after, *before, *get, *last;
	unsigned limit; /* rows of a slice */
	struct stored_row rows[AUDIT_SLICE_ROWS];
	size_t at[AUDIT_SLICE_ROWS]; /* where each body starts in mem: mem moves as it grows */
	struct rk_buf mem;
};

int audit_rows_new(sqlite3 *db, struct audit_rows **out, struct rk_fault *fault)
{
	struct audit_rows *r = calloc(1, sizeof *r);
	int err;

	if (!r)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	r->db = db;
	r->limit = AUDIT_SLICE_ROWS;
	rk_buf_init(&r->mem, SLICE_BYTES + AUDIT_MAX_ROW);
	err =
	    db_prepare(db, "SELECT seq, body, hash FROM row WHERE seq > ? ORDER BY seq LIMIT ?",
	               &r->after, fault);
	if (!err)
		err = db_prepare(
		    db,
		    "SELECT seq, body, hash FROM row WHERE seq < ? ORDER BY seq DESC LIMIT ?",
		    &r->before, fault);
	if (!err)
		err = db_prepare(db, "SELECT seq, body, hash FROM row WHERE seq = ?", &r->get,
		                 fault);
	if (!err)
		err =
		    db_prepare(db, "SELECT seq, body, hash FROM row ORDER BY seq DESC LIMIT 1",
		               &r->last, fault);
	if (err) {
		audit_rows_free(r);
		return err;
	}
	*out = r;
	return 0;
}

void audit_rows_free(struct audit_rows *r)
{
	if (!r)
		return;
	sqlite3_finalize(r->after);
	sqlite3_finalize(r->before);
	sqlite3_finalize(r->get);
	sqlite3_finalize(r->last);
	rk_buf_free(&r->mem);
	free(r);
}

void audit_rows_limit(struct audit_rows *r, unsigned rows)
{
	if (rows > 0 && rows < AUDIT_SLICE_ROWS)
		r->limit = rows;
}

/* The statement's row: number and hash into *row, the body behind what `mem` holds. */
static int copy_row(sqlite3_stmt *st, struct rk_buf *mem, struct stored_row *row,
                    struct rk_fault *fault)
{
	int body_len = sqlite3_column_bytes(st, 1);
	int hash_len = sqlite3_column_bytes(st, 2);
	int64_t seq = sqlite3_column_int64(st, 0);
	struct rk_slice body = rk_slice(sqlite3_column_blob(st, 1), (size_t)body_len);

	*row = (struct stored_row){.seq = (uint64_t)seq};
	if (seq < 1 || body.n > AUDIT_MAX_ROW)
		return rk_fail(fault, RK_E_CORRUPT, "audit row %lld is not one of ours",
		               (long long)seq);
	if (hash_len == AUDIT_HASH)
		memcpy(row->hash, sqlite3_column_blob(st, 2), AUDIT_HASH);
	if (rk_buf_add_slice(mem, body) != 0)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	row->body.n = body.n;
	return 0;
}

static int read_slice(struct audit_rows *r, sqlite3_stmt *st, uint64_t bound,
                      const struct stored_row **rows, size_t *n, struct rk_fault *fault)
{
	size_t count = 0;
	int rc = SQLITE_DONE;
	int err = 0;

	*n = 0;
	rk_buf_consume(&r->mem, r->mem.len);
	sqlite3_bind_int64(st, 1, bound > INT64_MAX ? INT64_MAX : (int64_t)bound);
	sqlite3_bind_int(st, 2, (int)r->limit);
	while (!err && count < r->limit && r->mem.len < SLICE_BYTES) {
		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW)
			break;
		r->at[count] = r->mem.len;
		err = copy_row(st, &r->mem, &r->rows[count], fault);
		if (!err)
			count++;
	}
	if (!err && rc != SQLITE_ROW && rc != SQLITE_DONE)
		err = db_error(r->db, rc, fault, "cannot read the audit journal");
	sqlite3_reset(st);
	if (err && !count)
		return err;
	/* rows before an unreadable one are good; the error comes with the next call */
	for (size_t i = 0; i < count; i++)
		r->rows[i].body.p = rk_buf_data(&r->mem) + r->at[i];
	*rows = r->rows;
	*n = count;
	return 0;
}

int audit_rows_after(struct audit_rows *r, uint64_t after, const struct stored_row **rows,
                     size_t *n, struct rk_fault *fault)
{
	return read_slice(r, r->after, after, rows, n, fault);
}

int audit_rows_before(struct audit_rows *r, uint64_t before, const struct stored_row **rows,
                      size_t *n, struct rk_fault *fault)
{
	return read_slice(r, r->before, before, rows, n, fault);
}

static int read_one(struct audit_rows *r, sqlite3_stmt *st, struct rk_buf *mem,
                    struct stored_row *out, struct rk_fault *fault)
{
	struct stored_row row;
	int rc = sqlite3_step(st);
	int err;

	rk_buf_consume(mem, mem->len);
	if (rc == SQLITE_ROW)
		err = copy_row(st, mem, &row, fault);
	else if (rc == SQLITE_DONE)
		err = rk_fail(fault, RK_E_NOTFOUND, "no such audit row");
	else
		err = db_error(r->db, rc, fault, "cannot read the audit journal");
	sqlite3_reset(st);
	if (err)
		return err;
	row.body = rk_buf_slice(mem);
	*out = row;
	return 0;
}

int audit_rows_get(struct audit_rows *r, uint64_t seq, struct rk_buf *mem,
                   struct stored_row *out, struct rk_fault *fault)
{
	if (seq > INT64_MAX)
		return rk_fail(fault, RK_E_NOTFOUND, "no such audit row");
	sqlite3_bind_int64(r->get, 1, (int64_t)seq);
	return read_one(r, r->get, mem, out, fault);
}

int audit_rows_last(struct audit_rows *r, struct rk_buf *mem, struct stored_row *out,
                    struct rk_fault *fault)
{
	return read_one(r, r->last, mem, out, fault);
}

int stored_row_unpack(const struct stored_row *stored, struct audit_row *out,
                      struct rk_fault *fault)
{
	int err = record_unpack(&audit_row_desc, stored->body, out);

	if (err == RK_E_UNSUPPORTED)
		return rk_fail(fault, err, "audit row %llu was written by a newer version",
		               (unsigned long long)stored->seq);
	if (err)
		return rk_fail(fault, RK_E_CORRUPT, "audit row %llu does not decode",
		               (unsigned long long)stored->seq);
	return 0;
}
