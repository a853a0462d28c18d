#include "keeper/store_credential.h"

#include "ipc/messages_contain.h"
#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

static int conn_exists(struct store *s, struct rk_slice conn_id, struct rk_fault *fault)
{
	int64_t n;
	int err = db_get_int(s->db, "SELECT n FROM conn WHERE id = ?",
	                     DB_VALUES(DB_TEXT(conn_id)), &n, fault);

	if (err == RK_E_NOTFOUND)
		rk_fail(fault, err, "%.*s is not in the policy store", RK_FMT(conn_id));
	return err;
}

/* ---- reading ---- */

int store_credential_each(struct store *s, struct rk_slice conn_id, uint32_t before,
                          unsigned limit,
                          int (*each)(const struct store_credential *c, bool restorable,
                                      void *arg),
                          void *arg, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE;
	int err = conn_exists(s, conn_id, fault);

	if (!err)
		err = db_prepare(s->db,
		                 "SELECT v.version, v.blob, v.hint, v.created_ms, "
		                 "v.target = c.target "
		                 "FROM conn c JOIN credential v ON v.conn = c.n "
		                 "WHERE c.id = ?1 AND (?2 = 0 OR v.version < ?2) "
		                 "ORDER BY v.version DESC LIMIT ?3",
		                 &st, fault);
	if (err)
		return err;
	sqlite3_bind_text(st, 1, conn_id.p, (int)conn_id.n, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, before);
	sqlite3_bind_int64(st, 3, limit);
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct store_credential c = {
		    .version = (uint32_t)sqlite3_column_int64(st, 0),
		    .blob = db_column(st, 1),
		    .hint = db_column(st, 2),
		    .created_ms = sqlite3_column_int64(st, 3),
		};

		err = each(&c, sqlite3_column_int(st, 4) != 0, arg);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the credential versions");
	sqlite3_finalize(st);
	return err;
}

/* ---- changing ---- */

static int add_version(struct store *s, struct rk_slice conn_id,
                       const struct store_credential *c, struct rk_fault *fault)
{
	int added = 0;
	int err =
	    db_run(s->db,
	           "INSERT INTO credential(conn, version, blob, hint, created_ms, target) "
	           "SELECT n, ?1, ?2, ?3, ?4, target FROM conn WHERE id = ?5 AND NOT EXISTS "
	           "(SELECT 1 FROM credential WHERE conn = n AND version >= ?1)",
	           DB_VALUES(DB_INT(c->version), DB_BLOB(c->blob), DB_TEXT(c->hint),
	                     DB_INT(c->created_ms), DB_TEXT(conn_id)),
	           &added, fault, "cannot store the credential");

	if (!err && !added)
		err = rk_fail(fault, RK_E_EXISTS,
		              "the connection is at this credential version already");
	return err;
}

static int restore(struct store *s, struct rk_slice conn_id, uint32_t from,
                   const struct store_credential *c, struct rk_fault *fault)
{
	int64_t same = 0;
	int err = db_get_int(s->db,
	                     "SELECT v.target = c.target FROM conn c "
	                     "JOIN credential v ON v.conn = c.n WHERE c.id = ? AND "
	                     "v.version = ?",
	                     DB_VALUES(DB_TEXT(conn_id), DB_INT(from)), &same, fault);

	if (err == RK_E_NOTFOUND)
		return rk_fail(fault, err, "there is no credential version %u", from);
	if (!err && !same)
		return rk_fail(fault, RK_E_DENIED,
		               "version %u was given for another upstream: paste the secret "
		               "again",
		               from);
	if (!err)
		err = add_version(s, conn_id, c, fault);
	if (!err)
		err = db_run(s->db,
		             "UPDATE conn SET updated_ms = ?, revision = revision + 1 "
		             "WHERE id = ?",
		             DB_VALUES(DB_INT(c->created_ms), DB_TEXT(conn_id)), NULL, fault,
		             "cannot change the connection");
	return err;
}

int store_credential_restore(struct store *s, struct rk_slice conn_id, uint32_t from,
                             const struct store_credential *c, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = restore(s, conn_id, from, c, fault);
	return store_end(s, err, fault);
}

static int purge(struct store *s, struct rk_slice conn_id, uint32_t version,
                 struct rk_fault *fault)
{
	int64_t newest = 0;
	int removed = 0;
	int err = db_get_int(s->db,
	                     "SELECT coalesce(max(v.version), 0) FROM conn c "
	                     "JOIN credential v ON v.conn = c.n WHERE c.id = ?",
	                     DB_VALUES(DB_TEXT(conn_id)), &newest, fault);

	if (!err && version == newest)
		return rk_fail(fault, RK_E_STATE,
		               "version %u is the one in use: rotate the connection first",
		               version);
	if (!err)
		err = db_run(s->db,
		             "DELETE FROM credential WHERE version = ? AND conn = "
		             "(SELECT n FROM conn WHERE id = ?)",
		             DB_VALUES(DB_INT(version), DB_TEXT(conn_id)), &removed, fault,
		             "cannot remove the credential version");
	if (!err && !removed)
		err =
		    rk_fail(fault, RK_E_NOTFOUND, "there is no credential version %u", version);
	return err;
}

int store_credential_purge(struct store *s, struct rk_slice conn_id, uint32_t version,
                           struct rk_fault *fault)
{
	int err = db_exec(s->db, "PRAGMA secure_delete = ON", fault, "cannot remove for good");

	if (!err)
		err = store_begin(s, fault);
	if (!err)
		err = purge(s, conn_id, version, fault);
	err = store_end(s, err, fault);
	sqlite3_exec(s->db, "PRAGMA secure_delete = OFF", NULL, NULL, NULL);
	return err;
}

static int update(struct store *s, struct rk_slice conn_id, const struct store_conn_change *c,
                  struct rk_fault *fault)
{
	int changed = 0;
	int err =
	    db_run(s->db,
	           "UPDATE conn SET name = CASE WHEN ? THEN ? ELSE name END, "
	           "provider = CASE WHEN ? THEN ? ELSE provider END, "
	           "base_url = CASE WHEN ? THEN ? ELSE base_url END, "
	           "auth = CASE WHEN ? THEN ? ELSE auth END, "
	           "ca_pem = CASE WHEN ? THEN ? ELSE ca_pem END, "
	           "flags = CASE WHEN ? THEN ? ELSE flags END, "
	           "target = target + ?, updated_ms = ?, revision = revision + 1 WHERE id = ?",
	           DB_VALUES(DB_INT(c->set & CONN_SET_NAME), DB_TEXT(c->name),
	                     DB_INT(c->set & CONN_SET_PROVIDER), DB_TEXT(c->provider),
	                     DB_INT(c->set & CONN_SET_BASE_URL), DB_TEXT(c->base_url),
	                     DB_INT(c->set & CONN_SET_AUTH), DB_BLOB(c->auth),
	                     DB_INT(c->set & CONN_SET_CA), DB_BLOB(c->ca_pem),
	                     DB_INT(c->set & CONN_SET_FLAGS), DB_INT(c->flags),
	                     DB_INT(c->retarget), DB_INT(c->now_ms), DB_TEXT(conn_id)),
	           &changed, fault, "cannot change the connection");

	if (err == RK_E_EXISTS)
		return rk_fail(fault, err, "a connection \"%.*s\" exists already",
		               RK_FMT(c->name));
	if (!err && !changed)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(conn_id));
	if (!err && c->credential.version)
		err = add_version(s, conn_id, &c->credential, fault);
	return err;
}

int store_conn_update(struct store *s, struct rk_slice conn_id,
                      const struct store_conn_change *c, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = update(s, conn_id, c, fault);
	return store_end(s, err, fault);
}
