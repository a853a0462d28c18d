#include "keeper/store.h"

#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"
#include "keeper/store_trust.h"

static struct store_egress egress_columns(sqlite3_stmt *st, int at)
{
	return (struct store_egress){
	    .version = (uint32_t)sqlite3_column_int64(st, at),
	    .public = db_column(st, at + 1),
	    .blob = db_column(st, at + 2),
	    .created_ms = sqlite3_column_int64(st, at + 3),
	};
}

static int conn_row(sqlite3_stmt *st, const struct store_loader *l, struct rk_fault *fault)
{
	struct store_conn c = {
	    .id = db_column(st, 0),
	    .name = db_column(st, 1),
	    .provider = db_column(st, 2),
	    .base_url = db_column(st, 3),
	    .auth = db_column(st, 4),
	    .flags = (uint32_t)sqlite3_column_int64(st, 5),
	    .enabled = sqlite3_column_int(st, 6) != 0,
	    .ca_pem = db_column(st, 7),
	    .created_ms = sqlite3_column_int64(st, 8),
	    .updated_ms = sqlite3_column_int64(st, 9),
	    .credential = {.version = (uint32_t)sqlite3_column_int64(st, 10),
	                   .blob = db_column(st, 11),
	                   .hint = db_column(st, 12),
	                   .created_ms = sqlite3_column_int64(st, 13)},
	    .identity = egress_columns(st, 14),
	    .proxy = egress_columns(st, 18),
	    .revision = (uint32_t)sqlite3_column_int64(st, 22),
	};

	(void)fault;
	return l->conn(&c, l->arg);
}

static int key_row(sqlite3_stmt *st, const struct store_loader *l, struct rk_fault *fault)
{
	struct rk_slice digest = db_column(st, 1);
	struct rk_slice hint = db_column(st, 2);
	struct store_key k = {
	    .id = db_column(st, 0),
	    .kind = (uint8_t)sqlite3_column_int(st, 3),
	    .holder = db_column(st, 4),
	    .name = db_column(st, 5),
	    .env = db_column(st, 6),
	    .cidrs = db_column(st, 7),
	    .grants = db_column(st, 8),
	    .created_ms = sqlite3_column_int64(st, 9),
	    .expires_ms = sqlite3_column_int64(st, 10),
	    .revoked_ms = sqlite3_column_int64(st, 11),
	    .limits = {.per_minute = (uint32_t)sqlite3_column_int64(st, 12),
	               .per_day = (uint32_t)sqlite3_column_int64(st, 13),
	               .max_concurrent = (uint32_t)sqlite3_column_int64(st, 14)},
	    .flags = (uint32_t)sqlite3_column_int64(st, 15),
	    .revision = (uint32_t)sqlite3_column_int64(st, 16),
	    .minted_by = (uint32_t)sqlite3_column_int64(st, 17),
	};

	if (digest.n != sizeof k.digest || hint.n != sizeof k.hint)
		return rk_fail(fault, RK_E_CORRUPT, "relay key %.*s is stored damaged",
		               RK_FMT(k.id));
	memcpy(k.digest, digest.p, sizeof k.digest);
	memcpy(k.hint, hint.p, sizeof k.hint);
	return l->key(&k, l->arg);
}

static int each(struct store *s, const char *sql,
                int (*row)(sqlite3_stmt *st, const struct store_loader *l,
                           struct rk_fault *fault),
                const struct store_loader *l, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db, sql, &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW)
		err = row(st, l, fault);
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the policy store");
	sqlite3_finalize(st);
	return err;
}

/* CROSS JOIN keeps the planner to one pass over relay_key in order of creation. */
static int load_all(struct store *s, const struct store_loader *l, uint64_t *policy_version,
                    struct rk_fault *fault)
{
	int64_t version = 0;
	int err = db_query_int(s->db, "SELECT value FROM setting WHERE name = 'policy_version'",
	                       &version, fault);

	if (!err)
		err = each(s,
		           "SELECT c.id, c.name, c.provider, c.base_url, c.auth, c.flags, "
		           "c.enabled, c.ca_pem, c.created_ms, c.updated_ms, r.version, "
		           "r.blob, r.hint, r.created_ms, "
		           "i.version, i.public, i.blob, i.created_ms, "
		           "p.version, p.public, p.blob, p.created_ms, c.revision "
		           "FROM conn c CROSS JOIN credential r ON r.conn = c.n AND r.version "
		           "= (SELECT max(version) FROM credential WHERE conn = c.n) "
		           "LEFT JOIN egress i ON i.conn = c.n AND i.kind = 1 AND i.version "
		           "= (SELECT max(version) FROM egress WHERE conn = c.n AND kind = 1) "
		           "LEFT JOIN egress p ON p.conn = c.n AND p.kind = 2 AND p.version "
		           "= (SELECT max(version) FROM egress WHERE conn = c.n AND kind = 2) "
		           "ORDER BY c.n",
		           conn_row, l, fault);
	if (!err)
		err = store_load_holders(s, l, fault);
	if (!err)
		err = each(s,
		           "SELECT k.id, k.digest, k.hint, h.kind, h.name, k.name, k.env, "
		           "k.cidrs, g.grants, k.created_ms, k.expires_ms, k.revoked_ms, "
		           "k.rate_per_minute, k.rate_per_day, k.max_concurrent, "
		           "k.flags, k.revision, k.minted_by "
		           "FROM relay_key k CROSS JOIN holder h ON h.n = k.holder "
		           "CROSS JOIN grant_set g ON g.n = k.grant_set ORDER BY k.n",
		           key_row, l, fault);
	if (!err)
		err = store_load_trust(s, l, fault);
	if (!err)
		*policy_version = (uint64_t)version;
	return err;
}

int store_load(struct store *s, const struct store_loader *l, uint64_t *policy_version,
               struct rk_fault *fault)
{
	int err = db_exec(s->db, "BEGIN", fault, "cannot read the policy store");

	if (err)
		return err;
	err = load_all(s, l, policy_version, fault);
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}
