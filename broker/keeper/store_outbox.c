#include "keeper/store_outbox.h"

#include "ipc/messages.h"
#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

#define COLUMNS                                                                                \
	"n, kind, target, notice, state, attempts, status, created_ms, next_ms, done_ms, "     \
	"error"

int store_outbox_add(struct store *s, const struct store_outbox *item, struct rk_fault *fault)
{
	/* all mail goes through one server */
	struct rk_slice lane = item->kind == OUTBOX_WEBHOOK ? item->target : rk_str("");

	return db_run(s->db,
	              "INSERT INTO outbox(kind, target, lane, notice, state, attempts, status, "
	              "created_ms, next_ms, done_ms, error) "
	              "VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, 0, '')",
	              DB_VALUES(DB_INT(item->kind), DB_TEXT(item->target), DB_TEXT(lane),
	                        DB_BLOB(item->notice), DB_INT(OUTBOX_WAITING),
	                        DB_INT(item->created_ms), DB_INT(item->created_ms)),
	              NULL, fault, "cannot store what is to be sent");
}

int store_outbox_begin(struct store *s, struct rk_fault *fault)
{
	return db_exec(s->db, "BEGIN IMMEDIATE", fault, "cannot change the outbox");
}

int store_outbox_end(struct store *s, int err, struct rk_fault *fault)
{
	if (!err)
		err = db_exec(s->db, "COMMIT", fault, "cannot change the outbox");
	/* a COMMIT that failed may have ended the transaction by itself */
	if (err && !sqlite3_get_autocommit(s->db))
		(void)!db_exec(s->db, "ROLLBACK", NULL, "");
	return err;
}

/* ---- reading ---- */

static int each(struct store *s, const char *sql, const struct db_value *values, size_t n,
                outbox_row_fn *fn, void *arg, unsigned *count, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_query(s->db, sql, values, n, &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct outbox_row r = {
		    .n = sqlite3_column_int64(st, 0),
		    .kind = (uint8_t)sqlite3_column_int(st, 1),
		    .target = db_column(st, 2),
		    .notice = db_column(st, 3),
		    .state = (uint8_t)sqlite3_column_int(st, 4),
		    .attempts = (uint32_t)sqlite3_column_int64(st, 5),
		    .status = (uint16_t)sqlite3_column_int(st, 6),
		    .created_ms = sqlite3_column_int64(st, 7),
		    .next_ms = sqlite3_column_int64(st, 8),
		    .done_ms = sqlite3_column_int64(st, 9),
		    .error = db_column(st, 10),
		};

		++*count;
		err = fn(&r, arg);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the outbox");
	sqlite3_finalize(st);
	return err;
}

int store_outbox_due(struct store *s, struct rk_slice lane, int64_t now_ms, unsigned limit,
                     outbox_row_fn *fn, void *arg, struct rk_fault *fault)
{
	unsigned count = 0;

	return each(
	    s,
	    "SELECT " COLUMNS " FROM outbox WHERE state = ? AND lane = ? AND "
	    "next_ms <= ? ORDER BY next_ms LIMIT ?",
	    DB_VALUES(DB_INT(OUTBOX_WAITING), DB_TEXT(lane), DB_INT(now_ms), DB_INT(limit)), fn,
	    arg, &count, fault);
}

int store_outbox_next(struct store *s, struct rk_slice lane, int64_t now_ms, int64_t *next_ms,
                      struct rk_fault *fault)
{
	int err = db_get_int(s->db,
	                     "SELECT next_ms FROM outbox WHERE state = ? AND lane = ? AND "
	                     "next_ms > ? ORDER BY next_ms LIMIT 1",
	                     DB_VALUES(DB_INT(OUTBOX_WAITING), DB_TEXT(lane), DB_INT(now_ms)),
	                     next_ms, fault);

	if (err == RK_E_NOTFOUND) {
		*next_ms = INT64_MAX;
		return 0;
	}
	return err;
}

int store_outbox_list(struct store *s, const struct outbox_filter *f, outbox_row_fn *fn,
                      void *arg, struct rk_fault *fault)
{
	unsigned count = 0;

	return each(s,
	            "SELECT " COLUMNS " FROM outbox WHERE (?1 = 0 OR kind = ?1) AND "
	            "(?2 = 0 OR state = ?2) AND (?3 = '' OR target = ?3) AND "
	            "(?4 = 0 OR n < ?4) ORDER BY n DESC LIMIT ?5",
	            DB_VALUES(DB_INT(f->kind), DB_INT(f->state), DB_TEXT(f->target),
	                      DB_INT(f->before), DB_INT(f->limit)),
	            fn, arg, &count, fault);
}

int store_outbox_get(struct store *s, int64_t n, outbox_row_fn *fn, void *arg,
                     struct rk_fault *fault)
{
	unsigned count = 0;
	int err = each(s, "SELECT " COLUMNS " FROM outbox WHERE n = ?", DB_VALUES(DB_INT(n)),
	               fn, arg, &count, fault);

	if (!err && !count)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no such delivery");
	return err;
}

/* ---- what becomes of a row ---- */

int store_outbox_result(struct store *s, int64_t n, const struct outbox_result *r,
                        struct rk_fault *fault)
{
	/* a row that was removed meanwhile is none to tell of */
	int err = db_run(s->db,
	                 "UPDATE outbox SET state = ?, attempts = ?, status = ?, next_ms = ?, "
	                 "done_ms = ?, error = ? WHERE n = ?",
	                 DB_VALUES(DB_INT(r->state), DB_INT(r->attempts), DB_INT(r->status),
	                           DB_INT(r->next_ms), DB_INT(r->done_ms), DB_TEXT(r->error),
	                           DB_INT(n)),
	                 NULL, fault, "cannot note how a delivery ended");

	if (err || !r->notice.n)
		return err;
	return db_run(s->db, "UPDATE outbox SET notice = ? WHERE n = ?",
	              DB_VALUES(DB_BLOB(r->notice), DB_INT(n)), NULL, fault,
	              "cannot note how a delivery ended");
}

int store_outbox_replay(struct store *s, int64_t n, int64_t now_ms, struct rk_fault *fault)
{
	int64_t state = 0, there = 0;
	int err = db_get_int(s->db, "SELECT state FROM outbox WHERE n = ?",
	                     DB_VALUES(DB_INT(n)), &state, fault);

	if (err == RK_E_NOTFOUND)
		return rk_fail(fault, err, "there is no such delivery");
	if (!err && state == OUTBOX_WAITING)
		return rk_fail(fault, RK_E_STATE,
		               "it is not over: it is tried again by itself");
	if (!err)
		err = db_get_int(
		    s->db,
		    "SELECT kind = ? OR target IN (SELECT id FROM webhook) FROM outbox "
		    "WHERE n = ?",
		    DB_VALUES(DB_INT(OUTBOX_MAIL), DB_INT(n)), &there, fault);
	if (!err && !there)
		return rk_fail(fault, RK_E_STATE, "its webhook was removed");
	if (err)
		return err;
	return db_run(s->db,
	              "UPDATE outbox SET state = ?, attempts = 0, next_ms = ?, done_ms = 0 "
	              "WHERE n = ?",
	              DB_VALUES(DB_INT(OUTBOX_WAITING), DB_INT(now_ms), DB_INT(n)), NULL, fault,
	              "cannot send it again");
}

int store_outbox_orphan(struct store *s, struct rk_slice target, int64_t now_ms,
                        struct rk_fault *fault)
{
	return db_run(s->db,
	              "UPDATE outbox SET state = ?, next_ms = 0, done_ms = ?, "
	              "error = 'the webhook was removed' WHERE state = ? AND lane = ?",
	              DB_VALUES(DB_INT(OUTBOX_FAILED), DB_INT(now_ms), DB_INT(OUTBOX_WAITING),
	                        DB_TEXT(target)),
	              NULL, fault, "cannot give up what the webhook was to be told");
}

/* The oldest of a lane that holds too many; RK_E_NOTFOUND when none does. */
static int fail_surplus(struct store *s, int64_t now_ms, struct rk_fault *fault)
{
	const struct db_value values[] = {DB_INT(OUTBOX_WAITING), DB_INT(OUTBOX_LANE_MAX)};
	char lane[MSG_MAX_NAME + 1] = "";
	sqlite3_stmt *st = NULL;
	int err = db_query(s->db,
	                   "SELECT lane FROM outbox WHERE state = ? GROUP BY lane "
	                   "HAVING count(*) > ? LIMIT 1",
	                   values, 2, &st, fault);

	if (!err && sqlite3_step(st) != SQLITE_ROW)
		err = RK_E_NOTFOUND;
	else if (!err)
		(void)rk_slice_cstr(db_column(st, 0), lane, sizeof lane);
	sqlite3_finalize(st);
	if (err)
		return err;
	return db_run(s->db,
	              "UPDATE outbox SET state = ?1, next_ms = 0, done_ms = ?2, "
	              "error = 'too many were waiting for this target' WHERE state = ?3 AND "
	              "lane = ?4 AND n <= (SELECT n FROM outbox WHERE state = ?3 AND lane = ?4 "
	              "ORDER BY n DESC LIMIT 1 OFFSET ?5)",
	              DB_VALUES(DB_INT(OUTBOX_FAILED), DB_INT(now_ms), DB_INT(OUTBOX_WAITING),
	                        DB_TEXT(rk_str(lane)), DB_INT(OUTBOX_LANE_MAX)),
	              NULL, fault, "cannot give up what waited too long");
}

int store_outbox_prune(struct store *s, int64_t now_ms, struct rk_fault *fault)
{
	const int64_t sent_before = now_ms - OUTBOX_SENT_KEPT_MS;
	const int64_t failed_before = now_ms - INT64_C(86400000) * OUTBOX_FAILED_KEPT_DAYS;
	int err = store_outbox_begin(s, fault);

	if (!err)
		err = db_run(s->db,
		             "DELETE FROM outbox WHERE (state = ?1 AND done_ms < ?2) OR "
		             "(state = ?3 AND done_ms < ?4)",
		             DB_VALUES(DB_INT(OUTBOX_SENT), DB_INT(sent_before),
		                       DB_INT(OUTBOX_FAILED), DB_INT(failed_before)),
		             NULL, fault, "cannot remove what was sent");
	if (!err)
		err = db_run(
		    s->db,
		    "DELETE FROM outbox WHERE state <> ?1 AND n <= (SELECT n FROM outbox "
		    "WHERE state <> ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
		    DB_VALUES(DB_INT(OUTBOX_WAITING), DB_INT(OUTBOX_DONE_MAX)), NULL, fault,
		    "cannot remove what was sent");
	while (!err)
		err = fail_surplus(s, now_ms, fault);
	return store_outbox_end(s, err == RK_E_NOTFOUND ? 0 : err, fault);
}
