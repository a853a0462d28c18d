#include "keeper/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DB_BUSY_MS = 500, /* only the recovery after a crash and a stray process hold locks */
	DB_HEX_KEY = 2 + 2 * DB_KEY_BYTES + 1, /* x'...' */
	DB_PAGE_MIN = 1024,
};

static const char sqlite_magic[16] = "SQLite format 3";

static bool no_room(int err)
{
	return err == ENOSPC || err == EDQUOT || err == EFBIG;
}

/* Why the last system call failed. Newer SQLites forget to note it when a commit fails; then
 * the thread's errno is still that of the call. */
static int system_error(sqlite3 *db)
{
	int sys = db ? sqlite3_system_errno(db) : 0;

	return sys ? sys : errno;
}

static int result_class(int rc, int sys)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return RK_E_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return RK_E_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return RK_E_AGAIN;
	case SQLITE_NOMEM:
		return RK_E_NOMEM;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return no_room(sys) ? RK_E_FULL : RK_E_STORE;
	default:
		return RK_E_STORE;
	}
}

int db_error(sqlite3 *db, int rc, struct rk_fault *fault, const char *doing)
{
	int sys = system_error(db);
	const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
	int primary = rc & 0xff;
	int err = result_class(rc, sys);

	if (sys && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
		errno = sys;
		return rk_fail_errno(fault, err, "%s: %s (%d)", doing, why, rc);
	}
	return rk_fail(fault, err, "%s: %s (%d)", doing, why, rc);
}

int db_exec(sqlite3 *db, const char *sql, struct rk_fault *fault, const char *doing)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_error(db, rc, fault, doing);
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct rk_fault *fault)
{
	int rc = sqlite3_prepare_v2(db, sql, -1, out, NULL);

	return rc == SQLITE_OK ? 0 : db_error(db, rc, fault, "cannot prepare a statement");
}

int db_query_int(sqlite3 *db, const char *sql, int64_t *out, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err = db_prepare(db, sql, &st, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (rc == SQLITE_DONE)
		err = rk_fail(fault, RK_E_NOTFOUND, "no row");
	else
		err = db_error(db, rc, fault, "cannot read the database");
	sqlite3_finalize(st);
	return err;
}

/* SQLite would create the file with the umask's leave; this comes first. */
static int create_file(const char *path, struct rk_fault *fault)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0) {
		if (errno == EEXIST)
			return 0;
		return rk_fail_errno(fault, no_room(errno) ? RK_E_FULL : RK_E_STORE,
		                     "cannot create %s", path);
	}
	if (fchmod(fd, 0600) != 0)
		err = rk_fail_errno(fault, RK_E_STORE, "cannot set the mode of %s", path);
	close(fd);
	return err;
}

static int check_file(const char *path, enum db_mode mode, struct rk_fault *fault)
{
	struct stat st;
	int err = mode == DB_READ_WRITE_CREATE ? create_file(path, fault) : 0;

	if (err)
		return err;
	if (stat(path, &st) != 0)
		return rk_fail_errno(fault, errno == ENOENT ? RK_E_NOTFOUND : RK_E_STORE,
		                     "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return rk_fail(fault, RK_E_INVALID, "%s is not a regular file", path);
	if (st.st_size == 0 && mode == DB_READ_WRITE_CREATE)
		return 0;
	/* SQLite would take an empty file for an empty database */
	if (st.st_size < DB_PAGE_MIN)
		return rk_fail(fault, RK_E_CORRUPT, "%s is %s: not a database", path,
		               st.st_size ? "truncated" : "empty");
	return 0;
}

/* "3.4.1", "4.6.1 community": the number in front of the first dot */
static int keep_major(void *arg, int columns, char **value, char **name)
{
	(void)name;
	if (columns > 0 && value[0])
		rk_slice_u64(rk_slice(value[0], strcspn(value[0], ".")), arg);
	return 0;
}

/* SQLCipher's major version. A plain SQLite in its place would write everything in the clear.
 */
static int cipher_major(sqlite3 *db, uint64_t *major, struct rk_fault *fault)
{
	int rc = sqlite3_exec(db, "PRAGMA cipher_version", keep_major, major, NULL);

	if (rc != SQLITE_OK)
		return db_error(db, rc, fault, "cannot ask for the cipher's version");
	if (*major < 3)
		return rk_fail(fault, RK_E_UNSUPPORTED,
		               "the SQLite library is not SQLCipher 3 or later");
	return 0;
}

/* The raw key goes in as x'hex' from the arena; a PRAGMA's text would stay in SQLite's heap. */
static int apply_key(sqlite3 *db, const struct rk_secret *key, struct rk_fault *fault)
{
	static const char digits[] = "0123456789abcdef";
	RK_SECRET_AUTO text = {0};
	char *at;
	int rc;

	if (key->len != DB_KEY_BYTES)
		return rk_fail(fault, RK_E_INVALID, "a store key has %d bytes, this one %zu",
		               DB_KEY_BYTES, key->len);
	if (rk_secret_alloc(&text, DB_HEX_KEY) != 0)
		return rk_fail(fault, RK_E_NOMEM, "no secret memory for a store key");
	text.len = DB_HEX_KEY;
	at = (char *)text.p;
	*at++ = 'x';
	*at++ = '\'';
	for (size_t i = 0; i < DB_KEY_BYTES; i++) {
		*at++ = digits[key->p[i] >> 4];
		*at++ = digits[key->p[i] & 15];
	}
	*at = '\'';
	rc = sqlite3_key_v2(db, "main", text.p, DB_HEX_KEY);
	return rc == SQLITE_OK ? 0 : db_error(db, rc, fault, "cannot key the database");
}

static bool is_plain_sqlite(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	char head[sizeof sqlite_magic];

	/* through SQLite's own descriptor: see the header about locks */
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
	    !file || !file->pMethods)
		return false;
	return file->pMethods->xRead(file, head, sizeof head, 0) == SQLITE_OK &&
	       memcmp(head, sqlite_magic, sizeof head) == 0;
}

/* The first read of a page is where a key shows that it fits. */
static int check_key(sqlite3 *db, const char *path, struct rk_fault *fault)
{
	int rc = sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		return 0;
	if (rc == SQLITE_NOTADB) {
		if (is_plain_sqlite(db))
			return rk_fail(fault, RK_E_CORRUPT,
			               "%s is an unencrypted SQLite file, not a store of "
			               "RelayKey",
			               path);
		return rk_fail(fault, RK_E_CORRUPT,
		               "%s does not open with its key: it belongs to another token or "
		               "set-up, or is damaged, or is no database",
		               path);
	}
	return db_error(db, rc, fault, path);
}

static int apply_pragmas(sqlite3 *db, enum db_mode mode, bool sync_full, struct rk_fault *fault)
{
	static const char common[] =
	    "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
	    "PRAGMA secure_delete = ON;";
	char *mode_now = NULL;
	sqlite3_stmt *st = NULL;
	int err = db_exec(db, common, fault, "cannot configure the database");

	if (err || mode == DB_READ_ONLY)
		return err;
	err =
	    db_exec(db, sync_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
	            fault, "cannot configure the database");
	if (!err)
		err = db_prepare(db, "PRAGMA journal_mode = WAL", &st, fault);
	if (err)
		return err;
	if (sqlite3_step(st) == SQLITE_ROW)
		mode_now = sqlite3_mprintf("%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (!mode_now || strcmp(mode_now, "wal") != 0)
		err = db_error(db, sqlite3_errcode(db), fault,
		               "cannot turn write-ahead logging on");
	sqlite3_free(mode_now);
	return err;
}

static int set_up(sqlite3 *db, const char *path, const struct rk_secret *key, enum db_mode mode,
                  bool sync_full, struct rk_fault *fault)
{
	uint64_t major = 0;
	int err;

	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, DB_BUSY_MS);
	err = cipher_major(db, &major, fault);
	if (!err)
		err = apply_key(db, key, fault);
	if (!err && major >= 4)
		err = db_exec(db, "PRAGMA cipher_compatibility = 3", fault,
		              "cannot choose the cipher's parameters");
	if (!err)
		err = db_exec(db, "PRAGMA cipher_page_size = 4096", fault,
		              "cannot choose the page size");
	if (!err)
		err = check_key(db, path, fault);
	if (!err)
		err = apply_pragmas(db, mode, sync_full, fault);
	return err;
}

int db_open(const char *path, const struct rk_secret *key, enum db_mode mode, bool sync_full,
            sqlite3 **out, struct rk_fault *fault)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
	            (mode == DB_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	sqlite3 *db = NULL;
	int err = check_file(path, mode, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_open_v2(path, &db, flags, NULL);
	if (rc != SQLITE_OK)
		err = db_error(db, rc, fault, path);
	else
		err = set_up(db, path, key, mode, sync_full, fault);
	if (err) {
		sqlite3_close(db);
		return err;
	}
	*out = db;
	return 0;
}

void db_close(sqlite3 *db)
{
	sqlite3_close(db);
}

/* Whose file is it? A new one (no id, no version, no table) is anybody's. */
static int check_owner(sqlite3 *db, uint32_t application_id, int64_t *version,
                       struct rk_fault *fault)
{
	int64_t id = 0, tables = 0;
	int err = db_query_int(db, "PRAGMA application_id", &id, fault);

	if (!err)
		err = db_query_int(db, "PRAGMA user_version", version, fault);
	if (!err)
		err = db_query_int(db, "SELECT count(*) FROM sqlite_master", &tables, fault);
	if (err)
		return err;
	if (id == 0 && *version == 0 && tables == 0)
		return 0;
	if ((uint32_t)id != application_id)
		return rk_fail(fault, RK_E_CORRUPT,
		               "this file is another store (application id %08x, not %08x)",
		               (unsigned)(uint32_t)id, (unsigned)application_id);
	return 0;
}

static int migrate_step(sqlite3 *db, uint32_t application_id, const struct db_migration *m,
                        unsigned to, struct rk_fault *fault)
{
	char doing[64], marks[96];
	int err;

	snprintf(doing, sizeof doing, "migration to schema version %u failed", to);
	snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %u",
	         (int)application_id, to);
	err = db_exec(db, "BEGIN IMMEDIATE", fault, doing);
	if (!err)
		err = db_exec(db, m->sql, fault, doing);
	if (!err)
		err = db_exec(db, marks, fault, doing);
	if (!err)
		err = db_exec(db, "COMMIT", fault, doing);
	/* what SQLite has rolled back by itself needs no second time */
	if (err && !sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

int db_migrate(sqlite3 *db, uint32_t application_id, const struct db_migration *table,
               unsigned count, struct rk_fault *fault)
{
	int64_t version = 0;
	int err = check_owner(db, application_id, &version, fault);

	if (err)
		return err;
	if (version < 0 || version > (int64_t)count)
		return rk_fail(
		    fault, RK_E_UNSUPPORTED,
		    "the store has schema version %lld, this program knows up to %u: "
		    "it was written by a newer RelayKey",
		    (long long)version, count);
	for (unsigned i = (unsigned)version; i < count && !err; i++)
		err = migrate_step(db, application_id, &table[i], i + 1, fault);
	return err;
}

int db_check_schema(sqlite3 *db, uint32_t application_id, unsigned version,
                    struct rk_fault *fault)
{
	int64_t found = 0;
	int err = check_owner(db, application_id, &found, fault);

	if (!err && found != (int64_t)version)
		err = rk_fail(fault, RK_E_UNSUPPORTED,
		              "the store has schema version %lld, this program reads %u",
		              (long long)found, version);
	return err;
}
