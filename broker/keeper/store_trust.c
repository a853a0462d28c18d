#include "keeper/store_trust.h"

#include "ipc/messages_trust.h"
#include "keeper/db_stmt.h"
#include "keeper/notice.h"
#include "keeper/store_schema.h"

/* A statement that must find its one row, within a transaction. */
static int change_one(struct store *s, const char *sql, const struct db_value *values, size_t n,
                      struct rk_fault *fault)
{
	int changed = 0;
	int err = db_run(s->db, sql, values, n, &changed, fault, "cannot change the address");

	if (!err && changed == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "the address is not in the policy store");
	return err;
}

/* ---- holders ---- */

static int holder_number(struct store *s, uint8_t kind, struct rk_slice name, int64_t *out,
                         struct rk_fault *fault)
{
	int err = db_get_int(s->db, "SELECT n FROM holder WHERE kind = ? AND name = ?",
	                     DB_VALUES(DB_INT(kind), DB_TEXT(name)), out, fault);

	if (err == RK_E_NOTFOUND)
		rk_fail(fault, err, "the holder is not in the policy store");
	return err;
}

int store_holder_set_email(struct store *s, uint8_t kind, struct rk_slice name,
                           struct rk_slice email, struct rk_fault *fault)
{
	int64_t holder = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = holder_number(s, kind, name, &holder, fault);
	if (!err)
		err = db_run(s->db,
		             "UPDATE holder SET email = ?, revision = revision + 1 WHERE n = ?",
		             DB_VALUES(DB_TEXT(email), DB_INT(holder)), NULL, fault,
		             "cannot change the holder");
	if (!err)
		err = db_run(s->db,
		             "UPDATE trusted_ip SET code_digest = '', code_expires_ms = 0 "
		             "WHERE holder = ? AND code_expires_ms > 0",
		             DB_VALUES(DB_INT(holder)), NULL, fault,
		             "cannot close the holder's links");
	return store_end(s, err, fault);
}

int store_holder_revoke(struct store *s, uint8_t kind, struct rk_slice name, int64_t revoked_ms,
                        struct rk_fault *fault)
{
	int64_t holder = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = holder_number(s, kind, name, &holder, fault);
	if (!err)
		err = db_run(s->db,
		             "UPDATE relay_key SET revoked_ms = ?, revision = revision + 1 "
		             "WHERE holder = ? AND revoked_ms = 0",
		             DB_VALUES(DB_INT(revoked_ms), DB_INT(holder)), NULL, fault,
		             "cannot revoke the holder's keys");
	return store_end(s, err, fault);
}

/* ---- addresses ---- */

static int settle(struct store *s, int64_t holder, struct rk_fault *fault)
{
	return db_run(s->db, "UPDATE holder SET settled = 1 WHERE n = ?",
	              DB_VALUES(DB_INT(holder)), NULL, fault, "cannot change the holder");
}

static int tell(struct store *s, const struct store_mail *mail, struct rk_fault *fault)
{
	return mail->notice ? notice_store(s, mail->notice, mail->to, fault) : 0;
}

static int add(struct store *s, const struct store_trust *t, struct rk_fault *fault)
{
	struct rk_slice digest = rk_slice(t->code_digest, t->code_expires_ms ? 32 : 0);
	int64_t holder = 0;
	int err = holder_number(s, t->kind, t->holder, &holder, fault);

	if (!err)
		err = db_run(
		    s->db,
		    "INSERT INTO trusted_ip(n, holder, address, bits, state, how, relay_key, "
		    "conn, user_agent, first_ms, decided_ms, mailed_ms, code_digest, "
		    "code_expires_ms, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		    "?, ?)",
		    DB_VALUES(DB_INT(t->number), DB_INT(holder),
		              DB_BLOB(rk_slice(t->net.net.b, sizeof t->net.net.b)),
		              DB_INT(t->net.bits), DB_INT(t->state), DB_INT(t->how),
		              DB_TEXT(t->key_id), DB_TEXT(t->conn_id), DB_TEXT(t->user_agent),
		              DB_INT(t->first_ms), DB_INT(t->decided_ms), DB_INT(t->mailed_ms),
		              DB_BLOB(digest), DB_INT(t->code_expires_ms), DB_INT(t->revision)),
		    NULL, fault, "cannot store the address");
	if (!err && t->state == TRUST_TRUSTED)
		err = settle(s, holder, fault);
	return err;
}

static int take_out(struct store *s, uint32_t number, struct rk_fault *fault)
{
	return change_one(s, "DELETE FROM trusted_ip WHERE n = ?", DB_VALUES(DB_INT(number)),
	                  fault);
}

int store_trust_add(struct store *s, const struct store_trust *t, uint32_t replaces,
                    const struct store_mail *mail, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err && replaces)
		err = take_out(s, replaces, fault);
	if (!err)
		err = add(s, t, fault);
	if (!err)
		err = tell(s, mail, fault);
	return store_end(s, err, fault);
}

int store_trust_code(struct store *s, const struct store_trust *t,
                     const struct store_mail *mail, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = change_one(
		    s,
		    "UPDATE trusted_ip SET code_digest = ?, code_expires_ms = ?, mailed_ms = "
		    "?, "
		    "revision = revision + 1 WHERE n = ?",
		    DB_VALUES(DB_BLOB(rk_slice(t->code_digest, sizeof t->code_digest)),
		              DB_INT(t->code_expires_ms), DB_INT(t->mailed_ms),
		              DB_INT(t->number)),
		    fault);
	if (!err)
		err = tell(s, mail, fault);
	return store_end(s, err, fault);
}

int store_trust_decide(struct store *s, uint32_t number, uint8_t how, int64_t decided_ms,
                       struct rk_fault *fault)
{
	int64_t holder = 0;
	int err = store_begin(s, fault);

	if (!err)
		err = change_one(s,
		                 "UPDATE trusted_ip SET state = ?, how = ?, decided_ms = ?, "
		                 "code_digest = '', "
		                 "code_expires_ms = 0, revision = revision + 1 WHERE n = ?",
		                 DB_VALUES(DB_INT(TRUST_TRUSTED), DB_INT(how),
		                           DB_INT(decided_ms), DB_INT(number)),
		                 fault);
	if (!err)
		err = db_get_int(s->db, "SELECT holder FROM trusted_ip WHERE n = ?",
		                 DB_VALUES(DB_INT(number)), &holder, fault);
	if (!err)
		err = settle(s, holder, fault);
	return store_end(s, err, fault);
}

int store_trust_remove(struct store *s, uint32_t number, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	if (!err)
		err = take_out(s, number, fault);
	return store_end(s, err, fault);
}

/* ---- loading ---- */

static int holder_row(sqlite3_stmt *st, const struct store_loader *l)
{
	struct store_holder h = {
	    .kind = (uint8_t)sqlite3_column_int(st, 0),
	    .name = db_column(st, 1),
	    .email = db_column(st, 2),
	    .revision = (uint32_t)sqlite3_column_int64(st, 3),
	    .settled = sqlite3_column_int(st, 4) != 0,
	};

	return l->holder(&h, l->arg);
}

static int trust_row(sqlite3_stmt *st, const struct store_loader *l)
{
	struct rk_slice address = db_column(st, 3), digest = db_column(st, 13);
	struct store_trust t = {
	    .number = (uint32_t)sqlite3_column_int64(st, 0),
	    .kind = (uint8_t)sqlite3_column_int(st, 1),
	    .holder = db_column(st, 2),
	    .net = {.bits = (uint8_t)sqlite3_column_int(st, 4)},
	    .state = (uint8_t)sqlite3_column_int(st, 5),
	    .how = (uint8_t)sqlite3_column_int(st, 6),
	    .key_id = db_column(st, 7),
	    .conn_id = db_column(st, 8),
	    .user_agent = db_column(st, 9),
	    .first_ms = sqlite3_column_int64(st, 10),
	    .decided_ms = sqlite3_column_int64(st, 11),
	    .mailed_ms = sqlite3_column_int64(st, 12),
	    .code_expires_ms = sqlite3_column_int64(st, 14),
	    .revision = (uint32_t)sqlite3_column_int64(st, 15),
	};

	if (address.n != sizeof t.net.net.b || (digest.n && digest.n != sizeof t.code_digest))
		return RK_E_CORRUPT;
	memcpy(t.net.net.b, address.p, address.n);
	if (digest.n)
		memcpy(t.code_digest, digest.p, digest.n);
	return l->trust(&t, l->arg);
}

static int each(struct store *s, const char *sql,
                int (*row)(sqlite3_stmt *st, const struct store_loader *l),
                const struct store_loader *l, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db, sql, &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW)
		err = row(st, l);
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

int store_load_holders(struct store *s, const struct store_loader *l, struct rk_fault *fault)
{
	if (!l->holder)
		return 0;
	return each(s, "SELECT kind, name, email, revision, settled FROM holder ORDER BY n",
	            holder_row, l, fault);
}

int store_load_trust(struct store *s, const struct store_loader *l, struct rk_fault *fault)
{
	int64_t last = 0;
	int err;

	if (!l->trust)
		return 0;
	err =
	    each(s,
	         "SELECT t.n, h.kind, h.name, t.address, t.bits, t.state, t.how, t.relay_key, "
	         "t.conn, t.user_agent, t.first_ms, t.decided_ms, t.mailed_ms, "
	         "t.code_digest, t.code_expires_ms, t.revision "
	         "FROM trusted_ip t CROSS JOIN holder h ON h.n = t.holder ORDER BY t.n",
	         trust_row, l, fault);
	if (!err)
		err = db_query_int(s->db,
		                   "SELECT coalesce(max(seq), 0) FROM sqlite_sequence "
		                   "WHERE name = 'trusted_ip'",
		                   &last, fault);
	if (!err && l->trust_last)
		l->trust_last((uint32_t)last, l->arg);
	return err;
}
