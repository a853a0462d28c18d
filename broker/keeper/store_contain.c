#include "keeper/store_contain.h"

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
