#include "keeper/store_contain.h"

#include "base/base62.h"
#include "base/record.h"
#include "keeper/db_stmt.h"
#include "keeper/notice.h"
#include "keeper/store_schema.h"

/* ---- the panic switch, an option of its own ---- */

struct kept_panic {
	uint8_t on;
	int64_t since_ms;
	struct rk_slice by;
	struct rk_slice reason;
};

static const struct record_field kept_panic_fields[] = {
    RF_U8(struct kept_panic, on),
    RF_I64(struct kept_panic, since_ms),
    RF_BYTES(struct kept_panic, by, 63),
    RF_BYTES(struct kept_panic, reason, PANIC_REASON_MAX),
};

static const struct record_desc kept_panic_desc =
    RECORD_DESC(struct kept_panic, kept_panic_fields);

int store_panic_set(struct store *s, const struct panic *p, const struct msg_notice *n,
                    struct rk_fault *fault)
{
	const struct kept_panic kept = {
	    .on = p->on,
	    .since_ms = p->since_ms,
	    .by = rk_str(p->by),
	    .reason = rk_str(p->reason),
	};
	char value[sizeof *p + 32];
	ssize_t len = record_encode(&kept_panic_desc, &kept, value, sizeof value);
	int err = len < 0 ? (int)len : store_begin(s, fault);

	if (!err)
		err = db_run(
		    s->db, "INSERT OR REPLACE INTO option(name, value) VALUES (?, ?)",
		    DB_VALUES(DB_TEXT(rk_str("panic")), DB_BLOB(rk_slice(value, (size_t)len))),
		    NULL, fault, "cannot store the panic switch");
	if (!err)
		err = notice_store(s, n, rk_str(NULL), fault);
	return store_end(s, err, fault);
}

static int read_panic(struct rk_slice value, struct panic *out, struct rk_fault *fault)
{
	struct kept_panic kept;

	if (record_decode_stored(&kept_panic_desc, value, &kept) ||
	    !rk_slice_cstr(kept.by, out->by, sizeof out->by) ||
	    !rk_slice_cstr(kept.reason, out->reason, sizeof out->reason))
		return rk_fail(fault, RK_E_CORRUPT, "the panic switch is stored damaged");
	out->on = kept.on != 0;
	out->since_ms = kept.since_ms;
	return 0;
}

int store_panic_get(struct store *s, struct panic *out, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err, rc;

	*out = (struct panic){.on = false};
	err = db_prepare(s->db, "SELECT value FROM option WHERE name = 'panic'", &st, fault);
	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		err = read_panic(db_column(st, 0), out, fault);
	else if (rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the panic switch");
	sqlite3_finalize(st);
	return err;
}

/* ---- leaked keys ---- */

/* Of the holder; empty when it has none. */
static int holder_mail(struct store *s, const struct store_leak *l, char *out, size_t cap,
                       struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(s->db, "SELECT email FROM holder WHERE kind = ? AND name = ?", &st,
	                     fault);
	int rc;

	out[0] = '\0';
	if (err)
		return err;
	sqlite3_bind_int(st, 1, l->holder_kind);
	sqlite3_bind_text(st, 2, l->holder.p, (int)l->holder.n, SQLITE_STATIC);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && !rk_slice_cstr(db_column(st, 0), out, cap))
		out[0] = '\0';
	else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the holder's address");
	sqlite3_finalize(st);
	return err;
}

static int leaked(struct store *s, const struct store_leak *l, struct rk_slice actor,
                  int64_t now_ms, struct rk_fault *fault)
{
	struct msg_notice n = {
	    .kind = NOTICE_KEY_LEAKED,
	    .time_ms = now_ms,
	    .key_id = l->key_id,
	    .key_masked = l->key_masked,
	    .holder_kind = l->holder_kind,
	    .holder = l->holder,
	    .actor = actor,
	    .detail = l->source,
	};
	char mail[320];
	int changed = 0;
	int err = db_run(
	    s->db, "UPDATE relay_key SET revoked_ms = ?, revision = revision + 1 WHERE id = ?",
	    DB_VALUES(DB_INT(l->revoked_ms), DB_TEXT(l->key_id)), &changed, fault,
	    "cannot revoke the key");

	if (!err && !changed)
		err = rk_fail(fault, RK_E_NOTFOUND, "%.*s is not in the policy store",
		              RK_FMT(l->key_id));
	if (!err)
		err = holder_mail(s, l, mail, sizeof mail, fault);
	rk_random(n.id, sizeof n.id);
	return err ? err : notice_store(s, &n, rk_str(mail), fault);
}

int store_keys_leaked(struct store *s, const struct store_leak *leaks, unsigned count,
                      struct rk_slice actor, int64_t now_ms, struct rk_fault *fault)
{
	int err = store_begin(s, fault);

	for (unsigned i = 0; !err && i < count; i++)
		err = leaked(s, &leaks[i], actor, now_ms, fault);
	return store_end(s, err, fault);
}
