#include "keeper/db_stmt.h"

static int bind_one(sqlite3_stmt *st, int at, const struct db_value *v)
{
	/* a NULL pointer would bind SQL's NULL; nothing here is nullable */
	const char *p = v->bytes.p ? v->bytes.p : "";
	sqlite3_uint64 n = v->bytes.n;

	switch (v->kind) {
	case DB_VALUE_INT:
		return sqlite3_bind_int64(st, at, v->number);
	case DB_VALUE_TEXT:
		return sqlite3_bind_text64(st, at, p, n, SQLITE_STATIC, SQLITE_UTF8);
	case DB_VALUE_BLOB:
		return sqlite3_bind_blob64(st, at, p, n, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

static int prepare_bound(sqlite3 *db, const char *sql, const struct db_value *values, size_t n,
                         sqlite3_stmt **out, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(db, sql, &st, fault);
	int rc = SQLITE_OK;

	for (size_t i = 0; i < n && !err && rc == SQLITE_OK; i++)
		rc = bind_one(st, (int)i + 1, &values[i]);
	if (!err && rc != SQLITE_OK)
		err = db_error(db, rc, fault, "cannot bind a value");
	if (err) {
		sqlite3_finalize(st);
		return err;
	}
	*out = st;
	return 0;
}

int db_query(sqlite3 *db, const char *sql, const struct db_value *values, size_t n,
             sqlite3_stmt **out, struct rk_fault *fault)
{
	return prepare_bound(db, sql, values, n, out, fault);
}

static int step_error(sqlite3 *db, int rc, struct rk_fault *fault, const char *doing)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return rk_fail(fault, RK_E_EXISTS, "%s: it exists already", doing);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return rk_fail(fault, RK_E_NOTFOUND, "%s: what it belongs to is not there",
		               doing);
	default:
		return db_error(db, rc, fault, doing);
	}
}

int db_run(sqlite3 *db, const char *sql, const struct db_value *values, size_t n, int *changed,
           struct rk_fault *fault, const char *doing)
{
	sqlite3_stmt *st = NULL;
	int err = prepare_bound(db, sql, values, n, &st, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc != SQLITE_DONE)
		err = step_error(db, rc, fault, doing);
	else if (changed)
		*changed = sqlite3_changes(db);
	sqlite3_finalize(st);
	return err;
}

int db_get_int(sqlite3 *db, const char *sql, const struct db_value *values, size_t n,
               int64_t *out, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = prepare_bound(db, sql, values, n, &st, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (rc == SQLITE_DONE)
		err = rk_fail(fault, RK_E_NOTFOUND, "no row");
	else
		err = db_error(db, rc, fault, "cannot read the database");
	sqlite3_finalize(st);
	return err;
}

struct rk_slice db_column(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_blob(st, column);

	return rk_slice(p, (size_t)sqlite3_column_bytes(st, column));
}
