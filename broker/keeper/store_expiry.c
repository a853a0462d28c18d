#include "keeper/store_expiry.h"

#include <stdio.h>

#include "keeper/db_stmt.h"
#include "keeper/notice.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"
#include "policy/mgmt_role.h"
#include "policy/relay_key.h"

#define DAY_MS INT64_C(86400000)

const int64_t expiry_before_ms[EXPIRY_NOTICES] = {7 * DAY_MS, DAY_MS};

/* Relay keys and management keys: the same search in two tables. */
struct kind {
	const char *name;
	const char *sql;
};

/* Of an equal end, numbers tell where the search has got to. A key that lasts shorter than
 * twice the time before its end was issued with that end in mind. "> 0" is what the index of
 * ends is made for. */
#define ENDING(table)                                                                          \
	" FROM " table " WHERE k.expires_ms > 0 AND k.expires_ms >= ?1 AND (k.expires_ms > "   \
	"?1 OR k.n > ?2) AND "                                                                 \
	"k.expires_ms <= ?3 AND k.revoked_ms = 0 AND k.expires_ms - k.created_ms >= ?4 "       \
	"ORDER BY k.expires_ms, k.n LIMIT ?5"

static const struct kind kinds[] = {
    {"key", "SELECT k.n, k.expires_ms, k.id, k.hint, h.kind, h.name, h.email" ENDING(
                "relay_key k JOIN holder h ON h.n = k.holder")},
    {"mgmt",
     "SELECT k.n, k.expires_ms, k.id, k.hint, k.role, k.name, ''" ENDING("management_key k")},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- how far it has got ---- */

struct place {
	int64_t expires_ms, n;
};

static void place_name(unsigned kind, unsigned notice, const char *part, char out[48])
{
	snprintf(out, 48, "expiry_%s_%u_%s", kinds[kind].name, notice, part);
}

static int get(struct store *s, const char *name, int64_t *value, struct rk_fault *fault)
{
	int err = db_get_int(s->db, "SELECT value FROM setting WHERE name = ?",
	                     DB_VALUES(DB_TEXT(rk_str(name))), value, fault);

	return err == RK_E_NOTFOUND ? 0 : err;
}

static int set(struct store *s, const char *name, int64_t value, struct rk_fault *fault)
{
	return db_run(s->db, "INSERT OR REPLACE INTO setting(name, value) VALUES (?, ?)",
	              DB_VALUES(DB_TEXT(rk_str(name)), DB_INT(value)), NULL, fault,
	              "cannot store which keys were told of");
}

static int place_get(struct store *s, unsigned kind, unsigned notice, struct place *p,
                     struct rk_fault *fault)
{
	char name[48];
	int err;

	place_name(kind, notice, "ms", name);
	err = get(s, name, &p->expires_ms, fault);
	if (err)
		return err;
	place_name(kind, notice, "n", name);
	return get(s, name, &p->n, fault);
}

static int place_set(struct store *s, unsigned kind, unsigned notice, const struct place *p,
                     struct rk_fault *fault)
{
	char name[48];
	int err;

	place_name(kind, notice, "ms", name);
	err = set(s, name, p->expires_ms, fault);
	if (err)
		return err;
	place_name(kind, notice, "n", name);
	return set(s, name, p->n, fault);
}

/* ---- the search ---- */

static void mask(unsigned kind, int owner, struct rk_slice hint, char out[64])
{
	char end[RELAY_KEY_HINT] = "";

	memcpy(end, hint.p, hint.n < sizeof end ? hint.n : sizeof end);
	if (kind == 0)
		relay_key_mask((enum holder_kind)owner, end, out);
	else
		snprintf(out, 64, "rk_mgmt_%s...%.*s", mgmt_role_name((unsigned)owner),
		         RELAY_KEY_HINT, end);
}

static int tell(struct store *s, unsigned kind, sqlite3_stmt *st, struct rk_fault *fault)
{
	char masked[64];
	struct msg_notice n = {
	    .kind = NOTICE_KEY_EXPIRING,
	    .key_id = db_column(st, 2),
	    .holder = db_column(st, 5),
	    .until_ms = sqlite3_column_int64(st, 1),
	    .detail = rk_str(kind ? "management key" : NULL),
	};

	mask(kind, sqlite3_column_int(st, 4), db_column(st, 3), masked);
	n.key_masked = rk_str(masked);
	if (kind == 0)
		n.holder_kind = (uint8_t)sqlite3_column_int(st, 4);
	return notice_store(s, &n, db_column(st, 6), fault);
}

/* From where it has got to up to now. What is past, or told of by the shorter notice anyway, is
 * not looked for: a broker that was off for long does not tell twice of the same. */
static int scan(struct store *s, unsigned kind, unsigned notice, int64_t now_ms, unsigned *left,
                struct rk_fault *fault)
{
	const int64_t before = expiry_before_ms[notice];
	const int64_t least =
	    now_ms + (notice + 1 < EXPIRY_NOTICES ? expiry_before_ms[notice + 1] : 0);
	struct place p = {0}, from;
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE;
	int err = place_get(s, kind, notice, &p, fault);

	if (err || p.expires_ms > now_ms + before)
		return err;
	if (p.expires_ms < least)
		p = (struct place){least, INT64_MAX};
	from = p;
	{
		const struct db_value values[] = {DB_INT(from.expires_ms), DB_INT(from.n),
		                                  DB_INT(now_ms + before), DB_INT(2 * before),
		                                  DB_INT(*left)};

		err = db_query(s->db, kinds[kind].sql, values, 5, &st, fault);
	}
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		err = tell(s, kind, st, fault);
		p = (struct place){sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 0)};
		--*left;
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot look for keys that end");
	sqlite3_finalize(st);
	if (!err && *left)
		p = (struct place){now_ms + before, INT64_MAX};
	return err ? err : place_set(s, kind, notice, &p, fault);
}

int store_expiry_scan(struct store *s, int64_t now_ms, bool *more, struct rk_fault *fault)
{
	unsigned left = EXPIRY_PIECE;
	int err = store_outbox_begin(s, fault);

	for (unsigned kind = 0; kind < KINDS && left; kind++) {
		for (unsigned notice = 0; notice < EXPIRY_NOTICES && left && !err; notice++)
			err = scan(s, kind, notice, now_ms, &left, fault);
	}
	err = store_outbox_end(s, err, fault);
	*more = !left;
	return err;
}
