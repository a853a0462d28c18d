#include "keeper/store_mgmt.h"

#include <stdlib.h>

#include "ipc/messages_manage.h"
#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"
#include "policy/relay_key.h"

/* ---- reading ---- */

static int mgmt_row(sqlite3_stmt *st, struct store_mgmt_key *k, struct rk_fault *fault)
{
	struct rk_slice digest = db_column(st, 2), hint = db_column(st, 3);

	*k = (struct store_mgmt_key){
	    .number = (uint32_t)sqlite3_column_int64(st, 0),
	    .id = db_column(st, 1),
	    .role = (uint8_t)sqlite3_column_int(st, 4),
	    .name = db_column(st, 5),
	    .bounds = db_column(st, 6),
	    .created_ms = sqlite3_column_int64(st, 7),
	    .expires_ms = sqlite3_column_int64(st, 8),
	    .revoked_ms = sqlite3_column_int64(st, 9),
	    .revision = (uint32_t)sqlite3_column_int64(st, 10),
	};
	if (digest.n != sizeof k->digest || hint.n != sizeof k->hint)
		return rk_fail(fault, RK_E_CORRUPT, "management key %.*s is stored damaged",
		               RK_FMT(k->id));
	memcpy(k->digest, digest.p, sizeof k->digest);
	memcpy(k->hint, hint.p, sizeof k->hint);
	return 0;
}

int store_mgmt_load(struct store *s,
                    int (*each)(const struct store_mgmt_key *k, void *arg,
                                struct rk_fault *fault),
                    void *arg, struct rk_fault *fault)
{
	struct store_mgmt_key k;
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db,
	                     "SELECT n, id, digest, hint, role, name, bounds, created_ms, "
	                     "expires_ms, revoked_ms, revision FROM management_key ORDER BY n",
	                     &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		err = mgmt_row(st, &k, fault);
		if (!err)
			err = each(&k, arg, fault);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

/* ---- management keys ---- */

int store_mgmt_add(struct store *s, const struct store_mgmt_key *k, uint32_t *number,
                   struct rk_fault *fault)
{
	struct rk_slice digest = rk_slice(k->digest, sizeof k->digest);
	struct rk_slice hint = rk_slice(k->hint, sizeof k->hint);
	int64_t n = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db,
		             "INSERT INTO management_key(id, digest, hint, role, name, bounds, "
		             "created_ms, expires_ms, revoked_ms, revision) "
		             "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
		             DB_VALUES(DB_TEXT(k->id), DB_BLOB(digest), DB_TEXT(hint),
		                       DB_INT(k->role), DB_TEXT(k->name), DB_BLOB(k->bounds),
		                       DB_INT(k->created_ms), DB_INT(k->expires_ms),
		                       DB_INT(k->revoked_ms)),
		             NULL, fault, "cannot store the management key");
	if (!err) {
		n = sqlite3_last_insert_rowid(s->db);
		if (n > UINT32_MAX)
			err = rk_fail(fault, RK_E_FULL, "there are no numbers left");
	}
	err = store_end(s, err, fault);
	if (!err)
		*number = (uint32_t)n;
	return err;
}

/* Of an UPDATE in an open transaction that must find its one row. */
static int one_row(int err, int changed, struct rk_slice id, struct rk_fault *fault)
{
	if (!err && changed == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(id));
	return err;
}

int store_mgmt_update(struct store *s, struct rk_slice id, struct rk_slice name,
                      int64_t expires_ms, struct rk_fault *fault)
{
	int changed = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db,
		             "UPDATE management_key SET name = ?, expires_ms = ?, "
		             "revision = revision + 1 WHERE id = ?",
		             DB_VALUES(DB_TEXT(name), DB_INT(expires_ms), DB_TEXT(id)),
		             &changed, fault, "cannot change the management key");
	return store_end(s, one_row(err, changed, id, fault), fault);
}

/* ---- revoking ---- */

void store_cascade_free(struct store_cascade *c)
{
	free(c->ids);
	*c = (struct store_cascade){0};
}

static int cascade_note(struct store_cascade *c, struct rk_slice id, struct rk_fault *fault)
{
	if (id.n != 4 + RELAY_KEY_ID)
		return rk_fail(fault, RK_E_CORRUPT, "a relay key is stored damaged");
	if (c->count == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		char *ids = realloc(c->ids, cap * RELAY_KEY_ID);

		if (!ids)
			return rk_fail(fault, RK_E_NOMEM, "out of memory");
		c->ids = ids;
		c->cap = cap;
	}
	memcpy(c->ids + c->count++ * RELAY_KEY_ID, id.p + 4, RELAY_KEY_ID);
	return 0;
}

static int cascade_find(struct store *s, uint32_t number, struct store_cascade *c,
                        struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db,
	                     "SELECT id FROM relay_key WHERE minted_by = ? AND minted_by > 0 "
	                     "AND revoked_ms = 0",
	                     &st, fault);
	int rc = SQLITE_DONE;

	if (!err)
		rc = sqlite3_bind_int64(st, 1, number);
	while (!err && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			err = cascade_note(c, db_column(st, 0), fault);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

static int cascade_revoke(struct store *s, uint32_t number, int64_t revoked_ms,
                          struct store_cascade *c, struct rk_fault *fault)
{
	int err = cascade_find(s, number, c, fault);

	if (!err)
		err = db_run(s->db,
		             "UPDATE relay_key SET revoked_ms = ?, revision = revision + 1 "
		             "WHERE minted_by = ? AND minted_by > 0 AND revoked_ms = 0",
		             DB_VALUES(DB_INT(revoked_ms), DB_INT(number)), NULL, fault,
		             "cannot revoke the minted keys");
	return err;
}

int store_mgmt_revoke(struct store *s, uint32_t number, int64_t revoked_ms,
                      struct store_cascade *cascade, struct rk_fault *fault)
{
	int changed = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = db_run(s->db,
		             "UPDATE management_key SET revoked_ms = CASE WHEN revoked_ms = 0 "
		             "THEN ? ELSE revoked_ms END, revision = revision + 1 WHERE n = ?",
		             DB_VALUES(DB_INT(revoked_ms), DB_INT(number)), &changed, fault,
		             "cannot revoke the management key");
	err = one_row(err, changed, rk_str("the management key"), fault);
	if (!err && cascade)
		err = cascade_revoke(s, number, revoked_ms, cascade, fault);
	return store_end(s, err, fault);
}

/* ---- relay keys ---- */

static int key_update(struct store *s, const struct store_key *k, uint32_t set,
                      struct rk_fault *fault)
{
	int64_t grants = 0;
	int changed = 0;
	int err = 0;

	if (set & KEY_SET_GRANTS)
		err = store_intern_grants(s, k->grants, &grants, fault);
	if (!err)
		err = db_run(
		    s->db,
		    "UPDATE relay_key SET revision = revision + 1, "
		    "name = CASE WHEN ?1 & 1 THEN ?2 ELSE name END, "
		    "env = CASE WHEN ?1 & 2 THEN ?3 ELSE env END, "
		    "expires_ms = CASE WHEN ?1 & 4 THEN ?4 ELSE expires_ms END, "
		    "cidrs = CASE WHEN ?1 & 8 THEN ?5 ELSE cidrs END, "
		    "grant_set = CASE WHEN ?1 & 16 THEN ?6 ELSE grant_set END, "
		    "rate_per_minute = CASE WHEN ?1 & 32 THEN ?7 ELSE rate_per_minute END, "
		    "rate_per_day = CASE WHEN ?1 & 64 THEN ?8 ELSE rate_per_day END, "
		    "max_concurrent = CASE WHEN ?1 & 128 THEN ?9 ELSE max_concurrent END, "
		    "flags = CASE WHEN ?1 & 256 THEN ?10 ELSE flags END WHERE id = ?11",
		    DB_VALUES(DB_INT(set), DB_TEXT(k->name), DB_TEXT(k->env),
		              DB_INT(k->expires_ms), DB_BLOB(k->cidrs), DB_INT(grants),
		              DB_INT(k->limits.per_minute), DB_INT(k->limits.per_day),
		              DB_INT(k->limits.max_concurrent), DB_INT(k->flags),
		              DB_TEXT(k->id)),
		    &changed, fault, "cannot change the relay key");
	return one_row(err, changed, k->id, fault);
}

int store_key_update(struct store *s, const struct store_key *k, uint32_t set,
                     struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = key_update(s, k, set, fault);
	return store_end(s, err, fault);
}
