#include "keeper/store_user.h"

#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

int store_user_load(struct store *s,
                    int (*each)(const struct store_user *u, void *arg, struct rk_fault *fault),
                    void *arg, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db,
	                     "SELECT n, id, name, email, role, enabled, created_ms, "
	                     "updated_ms, revision FROM user ORDER BY n",
	                     &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct store_user u = {
		    .number = (uint32_t)sqlite3_column_int64(st, 0),
		    .id = db_column(st, 1),
		    .name = db_column(st, 2),
		    .email = db_column(st, 3),
		    .role = (uint8_t)sqlite3_column_int(st, 4),
		    .enabled = sqlite3_column_int(st, 5) != 0,
		    .created_ms = sqlite3_column_int64(st, 6),
		    .updated_ms = sqlite3_column_int64(st, 7),
		    .revision = (uint32_t)sqlite3_column_int64(st, 8),
		};

		err = each(&u, arg, fault);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

static int name_taken(int err, const struct store_user *u, struct rk_fault *fault)
{
	if (err == RK_E_EXISTS)
		rk_fail(fault, err, "a user \"%.*s\" exists already", RK_FMT(u->name));
	return err;
}

int store_user_add(struct store *s, const struct store_user *u, uint32_t *number,
                   struct rk_fault *fault)
{
	int64_t n = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db,
		             "INSERT INTO user(id, name, email, role, enabled, created_ms, "
		             "updated_ms, revision) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
		             DB_VALUES(DB_TEXT(u->id), DB_TEXT(u->name), DB_TEXT(u->email),
		                       DB_INT(u->role), DB_INT(u->enabled),
		                       DB_INT(u->created_ms), DB_INT(u->updated_ms)),
		             NULL, fault, "cannot store the user");
	if (!err)
		n = sqlite3_last_insert_rowid(s->db);
	err = store_end(s, name_taken(err, u, fault), fault);
	if (!err)
		*number = (uint32_t)n;
	return err;
}

/* Of a statement that must find its one row. */
static int on_one(struct store *s, int err, int changed, struct rk_slice id,
                  struct rk_fault *fault)
{
	if (!err && changed == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(id));
	return store_end(s, err, fault);
}

int store_user_update(struct store *s, const struct store_user *u, struct rk_fault *fault)
{
	int changed = 0;
	int err = store_begin(s, fault);

	if (!err)
		err =
		    db_run(s->db,
		           "UPDATE user SET name = ?, email = ?, role = ?, enabled = ?, "
		           "updated_ms = ?, revision = revision + 1 WHERE id = ?",
		           DB_VALUES(DB_TEXT(u->name), DB_TEXT(u->email), DB_INT(u->role),
		                     DB_INT(u->enabled), DB_INT(u->updated_ms), DB_TEXT(u->id)),
		           &changed, fault, "cannot change the user");
	return on_one(s, name_taken(err, u, fault), changed, u->id, fault);
}

int store_user_remove(struct store *s, struct rk_slice id, struct rk_fault *fault)
{
	int changed = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db, "DELETE FROM user WHERE id = ?", DB_VALUES(DB_TEXT(id)),
		             &changed, fault, "cannot remove the user");
	return on_one(s, err, changed, id, fault);
}
