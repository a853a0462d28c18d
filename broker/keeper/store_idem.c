#include "keeper/store_idem.h"

#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

enum { TRIM_EVERY = 64 };

/* The row that `st` stands on: is it of the same command? */
static int judge(sqlite3_stmt *st, const struct store_idem *q, char *target, size_t cap,
                 struct rk_fault *fault)
{
	struct rk_slice digest = db_column(st, 0);

	if (!rk_slice_eq(digest, rk_slice(q->digest, sizeof q->digest)))
		return rk_fail(fault, RK_E_EXISTS,
		               "the idempotency key was used for another command");
	if (!rk_slice_cstr(db_column(st, 1), target, cap))
		return rk_fail(fault, RK_E_CORRUPT, "an idempotency row is damaged");
	return 1;
}

int store_idem_find(struct store *s, const struct store_idem *q, char *target, size_t cap,
                    struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db,
	                     "SELECT digest, target FROM idempotency "
	                     "WHERE caller = ? AND key = ? AND created_ms > ?",
	                     &st, fault);
	int rc = SQLITE_OK;

	if (err)
		return err;
	rc = sqlite3_bind_text(st, 1, q->caller.p, (int)q->caller.n, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 2, q->key.p, (int)q->key.n, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(st, 3, q->created_ms - STORE_IDEM_TTL_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		err = judge(st, q, target, cap, fault);
	else if (rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

void store_idem_note(struct store *s, const struct store_idem *row)
{
	s->idem = row;
}

/* Now and then: counting costs as much as there are rows. */
static int trim(struct store *s, struct rk_slice caller, struct rk_fault *fault)
{
	if (s->idem_adds++ % TRIM_EVERY)
		return 0;
	return db_run(s->db,
	              "DELETE FROM idempotency WHERE caller = ?1 AND created_ms <= "
	              "(SELECT created_ms FROM idempotency WHERE caller = ?1 "
	              "ORDER BY created_ms DESC LIMIT 1 OFFSET ?2)",
	              DB_VALUES(DB_TEXT(caller), DB_INT(STORE_IDEM_PER_CALLER)), NULL, fault,
	              "cannot trim the idempotency keys");
}

int store_idem_add(struct store *s, const struct store_idem *row, struct rk_fault *fault)
{
	struct rk_slice digest = rk_slice(row->digest, sizeof row->digest);
	int err = db_run(s->db, "DELETE FROM idempotency WHERE created_ms <= ?",
	                 DB_VALUES(DB_INT(row->created_ms - STORE_IDEM_TTL_MS)), NULL, fault,
	                 "cannot trim the idempotency keys");

	if (!err)
		err = trim(s, row->caller, fault);
	if (!err)
		err = db_run(s->db,
		             "INSERT INTO idempotency(caller, key, digest, target, created_ms) "
		             "VALUES (?, ?, ?, ?, ?)",
		             DB_VALUES(DB_TEXT(row->caller), DB_TEXT(row->key), DB_BLOB(digest),
		                       DB_TEXT(row->target), DB_INT(row->created_ms)),
		             NULL, fault, "cannot store the idempotency key");
	return err;
}
