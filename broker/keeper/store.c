#include "keeper/store.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "keeper/db_stmt.h"
#include "keeper/store_idem.h"
#include "keeper/store_schema.h"

int store_open(const char *path, const struct rk_secret *key, bool create, struct store **out,
               struct rk_fault *fault)
{
	struct store *s = calloc(1, sizeof *s);
	int err;

	if (!s)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	s->wake_fd = -1;
	err = db_open(path, key, create ? DB_READ_WRITE_CREATE : DB_READ_WRITE, true, &s->db,
	              fault);
	if (!err)
		err = db_migrate(s->db, STORE_APPLICATION_ID, store_migrations,
		                 store_schema_version, fault);
	if (err) {
		store_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(s->db);
	free(s);
}

int store_begin(struct store *s, struct rk_fault *fault)
{
	return db_exec(s->db, "BEGIN IMMEDIATE", fault, "cannot change the policy store");
}

int store_end(struct store *s, int err, struct rk_fault *fault)
{
	if (!err)
		err = db_exec(s->db,
		              "UPDATE setting SET value = value + 1 WHERE name = "
		              "'policy_version'",
		              fault, "cannot raise the policy version");
	if (!err && s->idem)
		err = store_idem_add(s, s->idem, fault);
	if (!err)
		err = db_exec(s->db, "COMMIT", fault, "cannot commit to the policy store");
	if (err && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

/* An UPDATE or DELETE that must find its one row. */
static int run_on_one(struct store *s, const char *sql, const struct db_value *values, size_t n,
                      struct rk_slice id, struct rk_fault *fault)
{
	int changed = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db, sql, values, n, &changed, fault,
		             "cannot change the policy store");
	if (!err && changed == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(id));
	return store_end(s, err, fault);
}

static int add_credential(struct store *s, int64_t conn, const struct store_credential *c,
                          struct rk_fault *fault)
{
	return db_run(s->db,
	              "INSERT INTO credential(conn, version, blob, hint, created_ms, target) "
	              "VALUES (?1, ?2, ?3, ?4, ?5, (SELECT target FROM conn WHERE n = ?1))",
	              DB_VALUES(DB_INT(conn), DB_INT(c->version), DB_BLOB(c->blob),
	                        DB_TEXT(c->hint), DB_INT(c->created_ms)),
	              NULL, fault, "cannot store the credential");
}

static int add_egress(struct store *s, int64_t conn, enum store_egress_kind kind,
                      const struct store_egress *e, struct rk_fault *fault)
{
	if (!e->version)
		return 0;
	return db_run(s->db,
	              "INSERT INTO egress(conn, kind, version, public, blob, created_ms) "
	              "VALUES (?, ?, ?, ?, ?, ?)",
	              DB_VALUES(DB_INT(conn), DB_INT(kind), DB_INT(e->version),
	                        DB_BLOB(e->public), DB_BLOB(e->blob), DB_INT(e->created_ms)),
	              NULL, fault, "cannot store how the upstream is reached");
}

int store_conn_add(struct store *s, const struct store_conn *c, struct rk_fault *fault)
{
	int64_t conn = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(
		    s->db,
		    "INSERT INTO conn(id, name, provider, base_url, auth, flags, enabled, "
		    "ca_pem, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		    DB_VALUES(DB_TEXT(c->id), DB_TEXT(c->name), DB_TEXT(c->provider),
		              DB_TEXT(c->base_url), DB_BLOB(c->auth), DB_INT(c->flags),
		              DB_INT(c->enabled), DB_BLOB(c->ca_pem), DB_INT(c->created_ms),
		              DB_INT(c->updated_ms)),
		    NULL, fault, "cannot store the connection");
	if (!err) {
		conn = sqlite3_last_insert_rowid(s->db);
		err = add_credential(s, conn, &c->credential, fault);
	}
	if (!err)
		err = add_egress(s, conn, STORE_IDENTITY, &c->identity, fault);
	if (!err)
		err = add_egress(s, conn, STORE_PROXY, &c->proxy, fault);
	if (err == RK_E_EXISTS)
		rk_fail(fault, err, "a connection with the id %.*s or the name %.*s exists",
		        RK_FMT(c->id), RK_FMT(c->name));
	return store_end(s, err, fault);
}

/* The newest version counts, so a new one must be newer than all. */
static int check_version(struct store *s, int64_t conn, uint32_t version,
                         struct rk_fault *fault)
{
	int64_t newest = 0;
	int err = db_get_int(s->db, "SELECT max(version) FROM credential WHERE conn = ?",
	                     DB_VALUES(DB_INT(conn)), &newest, fault);

	if (!err && version <= newest)
		err = rk_fail(fault, RK_E_EXISTS,
		              "the connection is at credential version %lld already",
		              (long long)newest);
	return err;
}

static int conn_number(struct store *s, struct rk_slice conn_id, int64_t *conn,
                       struct rk_fault *fault)
{
	int err = db_get_int(s->db, "SELECT n FROM conn WHERE id = ?",
	                     DB_VALUES(DB_TEXT(conn_id)), conn, fault);

	if (err == RK_E_NOTFOUND)
		rk_fail(fault, err, "%.*s is not in the policy store", RK_FMT(conn_id));
	return err;
}

static int touch(struct store *s, int64_t conn, int64_t now_ms, struct rk_fault *fault)
{
	return db_run(s->db,
	              "UPDATE conn SET updated_ms = ?, revision = revision + 1 WHERE n = ?",
	              DB_VALUES(DB_INT(now_ms), DB_INT(conn)), NULL, fault,
	              "cannot change the connection");
}

static int rotate(struct store *s, struct rk_slice conn_id, const struct store_credential *c,
                  struct rk_fault *fault)
{
	int64_t conn = 0;
	int err = conn_number(s, conn_id, &conn, fault);

	if (!err)
		err = check_version(s, conn, c->version, fault);
	if (!err)
		err = add_credential(s, conn, c, fault);
	return err ? err : touch(s, conn, c->created_ms, fault);
}

int store_conn_rotate(struct store *s, struct rk_slice conn_id,
                      const struct store_credential *c, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = rotate(s, conn_id, c, fault);
	return store_end(s, err, fault);
}

/* The newest counts, and the key of the table refuses one that is there. */
static int set_egress(struct store *s, struct rk_slice conn_id, enum store_egress_kind kind,
                      const struct store_egress *e, struct rk_fault *fault)
{
	int64_t conn = 0, newest = 0;
	int err = conn_number(s, conn_id, &conn, fault);

	if (!err)
		err = db_get_int(
		    s->db,
		    "SELECT coalesce(max(version), 0) FROM egress WHERE conn = ? AND kind = ?",
		    DB_VALUES(DB_INT(conn), DB_INT(kind)), &newest, fault);
	if (!err && e->version <= newest)
		err = rk_fail(fault, RK_E_EXISTS, "the connection is at version %lld already",
		              (long long)newest);
	if (!err)
		err = add_egress(s, conn, kind, e, fault);
	return err ? err : touch(s, conn, e->created_ms, fault);
}

int store_conn_set_egress(struct store *s, struct rk_slice conn_id, enum store_egress_kind kind,
                          const struct store_egress *e, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = set_egress(s, conn_id, kind, e, fault);
	return store_end(s, err, fault);
}

int store_conn_set_enabled(struct store *s, struct rk_slice conn_id, bool enabled,
                           int64_t now_ms, struct rk_fault *fault)
{
	return run_on_one(
	    s,
	    "UPDATE conn SET enabled = ?, updated_ms = ?, revision = revision + 1 "
	    "WHERE id = ?",
	    DB_VALUES(DB_INT(enabled), DB_INT(now_ms), DB_TEXT(conn_id)), conn_id, fault);
}

int store_conn_remove(struct store *s, struct rk_slice conn_id, struct rk_fault *fault)
{
	return run_on_one(s, "DELETE FROM conn WHERE id = ?", DB_VALUES(DB_TEXT(conn_id)),
	                  conn_id, fault);
}

/* The row number of an equal holder, made when there is none. */
static int intern_holder(struct store *s, const struct store_key *k, int64_t *out,
                         struct rk_fault *fault)
{
	int err = db_run(s->db, "INSERT OR IGNORE INTO holder(kind, name) VALUES (?, ?)",
	                 DB_VALUES(DB_INT(k->kind), DB_TEXT(k->holder)), NULL, fault,
	                 "cannot store the holder");

	if (!err)
		err = db_get_int(s->db, "SELECT n FROM holder WHERE kind = ? AND name = ?",
		                 DB_VALUES(DB_INT(k->kind), DB_TEXT(k->holder)), out, fault);
	return err;
}

int store_intern_grants(struct store *s, struct rk_slice grants, int64_t *out,
                        struct rk_fault *fault)
{
	unsigned char digest[32];
	struct rk_slice d = rk_slice(digest, sizeof digest);
	int err;

	if (EVP_Digest(grants.p, grants.n, digest, NULL, EVP_sha256(), NULL) != 1)
		return rk_fail(fault, RK_E_CRYPTO, "SHA-256 failed");
	err = db_run(s->db, "INSERT OR IGNORE INTO grant_set(digest, grants) VALUES (?, ?)",
	             DB_VALUES(DB_BLOB(d), DB_BLOB(grants)), NULL, fault,
	             "cannot store the grants");
	if (!err)
		err = db_get_int(s->db, "SELECT n FROM grant_set WHERE digest = ?",
		                 DB_VALUES(DB_BLOB(d)), out, fault);
	return err;
}

static int add_key(struct store *s, const struct store_key *k, struct rk_fault *fault)
{
	struct rk_slice digest = rk_slice(k->digest, sizeof k->digest);
	struct rk_slice hint = rk_slice(k->hint, sizeof k->hint);
	int64_t holder = 0, grants = 0;
	int err = intern_holder(s, k, &holder, fault);

	if (!err)
		err = store_intern_grants(s, k->grants, &grants, fault);
	if (!err)
		err = db_run(
		    s->db,
		    "INSERT INTO relay_key(id, digest, hint, holder, name, env, cidrs, "
		    "grant_set, created_ms, expires_ms, revoked_ms, rate_per_minute, "
		    "rate_per_day, max_concurrent, flags, minted_by) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		    DB_VALUES(DB_TEXT(k->id), DB_BLOB(digest), DB_TEXT(hint), DB_INT(holder),
		              DB_TEXT(k->name), DB_TEXT(k->env), DB_BLOB(k->cidrs),
		              DB_INT(grants), DB_INT(k->created_ms), DB_INT(k->expires_ms),
		              DB_INT(k->revoked_ms), DB_INT(k->limits.per_minute),
		              DB_INT(k->limits.per_day), DB_INT(k->limits.max_concurrent),
		              DB_INT(k->flags), DB_INT(k->minted_by)),
		    NULL, fault, "cannot store the relay key");
	return err;
}

int store_key_add(struct store *s, const struct store_key *k, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = add_key(s, k, fault);
	return store_end(s, err, fault);
}

int store_key_set_revoked(struct store *s, struct rk_slice key_id, int64_t revoked_ms,
                          struct rk_fault *fault)
{
	return run_on_one(
	    s, "UPDATE relay_key SET revoked_ms = ?, revision = revision + 1 WHERE id = ?",
	    DB_VALUES(DB_INT(revoked_ms), DB_TEXT(key_id)), key_id, fault);
}

int store_key_set_expires(struct store *s, struct rk_slice key_id, int64_t expires_ms,
                          struct rk_fault *fault)
{
	return run_on_one(
	    s, "UPDATE relay_key SET expires_ms = ?, revision = revision + 1 WHERE id = ?",
	    DB_VALUES(DB_INT(expires_ms), DB_TEXT(key_id)), key_id, fault);
}
