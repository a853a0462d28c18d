#include "keeper/store_webhook.h"

#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

int store_webhook_load(struct store *s, store_webhook_fn *fn, void *arg, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err =
	    db_prepare(s->db,
	               "SELECT id, name, url, events, flags, ca_pem, blob, secret_version, "
	               "enabled, created_ms, updated_ms, revision FROM webhook ORDER BY n",
	               &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct store_webhook w = {
		    .id = db_column(st, 0),
		    .name = db_column(st, 1),
		    .url = db_column(st, 2),
		    .events = (uint32_t)sqlite3_column_int64(st, 3),
		    .flags = (uint32_t)sqlite3_column_int64(st, 4),
		    .ca_pem = db_column(st, 5),
		    .blob = db_column(st, 6),
		    .secret_version = (uint32_t)sqlite3_column_int64(st, 7),
		    .enabled = sqlite3_column_int(st, 8) != 0,
		    .created_ms = sqlite3_column_int64(st, 9),
		    .updated_ms = sqlite3_column_int64(st, 10),
		    .revision = (uint32_t)sqlite3_column_int64(st, 11),
		};

		err = fn(&w, arg);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the webhooks");
	sqlite3_finalize(st);
	return err;
}

static int taken(int err, const struct store_webhook *w, struct rk_fault *fault)
{
	if (err == RK_E_EXISTS)
		rk_fail(fault, err, "a webhook with the name %.*s exists", RK_FMT(w->name));
	return err;
}

int store_webhook_add(struct store *s, const struct store_webhook *w, struct rk_fault *fault)
{
	int err = db_run(
	    s->db,
	    "INSERT INTO webhook(id, name, url, events, flags, ca_pem, blob, secret_version, "
	    "enabled, created_ms, updated_ms, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
	    "?, ?)",
	    DB_VALUES(DB_TEXT(w->id), DB_TEXT(w->name), DB_TEXT(w->url), DB_INT(w->events),
	              DB_INT(w->flags), DB_BLOB(w->ca_pem), DB_BLOB(w->blob),
	              DB_INT(w->secret_version), DB_INT(w->enabled), DB_INT(w->created_ms),
	              DB_INT(w->updated_ms), DB_INT(w->revision)),
	    NULL, fault, "cannot store the webhook");

	return taken(err, w, fault);
}

static int one(int err, int changed, struct rk_slice id, struct rk_fault *fault)
{
	if (!err && changed == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(id));
	return err;
}

int store_webhook_update(struct store *s, const struct store_webhook *w, struct rk_fault *fault)
{
	int changed = 0;
	int err =
	    db_run(s->db,
	           "UPDATE webhook SET name = ?, url = ?, events = ?, flags = ?, ca_pem = ?, "
	           "blob = ?, "
	           "secret_version = ?, enabled = ?, updated_ms = ?, revision = ? WHERE id = ?",
	           DB_VALUES(DB_TEXT(w->name), DB_TEXT(w->url), DB_INT(w->events),
	                     DB_INT(w->flags), DB_BLOB(w->ca_pem), DB_BLOB(w->blob),
	                     DB_INT(w->secret_version), DB_INT(w->enabled),
	                     DB_INT(w->updated_ms), DB_INT(w->revision), DB_TEXT(w->id)),
	           &changed, fault, "cannot change the webhook");

	return one(taken(err, w, fault), changed, w->id, fault);
}

int store_webhook_remove(struct store *s, struct rk_slice id, struct rk_fault *fault)
{
	int changed = 0;
	int err = db_run(s->db, "DELETE FROM webhook WHERE id = ?", DB_VALUES(DB_TEXT(id)),
	                 &changed, fault, "cannot remove the webhook");

	return one(err, changed, id, fault);
}
