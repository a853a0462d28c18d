/*
 * SQLCipher databases of the keeper: opening with a raw key, pragmas, forward-only
 * migrations. Debian 12 has SQLCipher 3.4.1 (SQLite 3.15), Debian 13 has 4.6; both read the
 * same files here (cipher_compatibility 3 parameters, page size 4096), so nothing newer than
 * SQLite 3.15 may be used.
 *
 * One connection belongs to one thread at a time. While a database is open, this process must
 * not open its file in any other way: closing that descriptor would drop SQLite's POSIX locks.
 */
#ifndef KEEPER_DB_H
#define KEEPER_DB_H

#include <sqlcipher/sqlite3.h>

#include "base/err.h"
#include "base/secret.h"

enum { DB_KEY_BYTES = 32 };

struct db_migration {
	const char *sql; /* brings schema version i to i + 1; i is its place in the table */
};

enum db_mode { DB_READ_WRITE_CREATE, DB_READ_WRITE, DB_READ_ONLY };

/*
 * Opens, keys and checks. RK_E_CORRUPT with a text that says which: a plain SQLite file, an
 * empty one, or one that this key does not open (another token's, or no database at all: the
 * two look alike). RK_E_NOTFOUND when it is not there and the mode does not create. Does not
 * migrate. `sync_full`: synchronous=FULL, else NORMAL. New files have mode 0600 whatever the
 * umask.
 */
RK_MUST_CHECK int db_open(const char *path, const struct rk_secret *key, enum db_mode mode,
                          bool sync_full, sqlite3 **out, struct rk_fault *fault);

/* Accepts NULL. All statements must be finalised. */
void db_close(sqlite3 *db);

/*
 * Runs the missing migrations, each in a transaction with user_version. A database that is
 * newer than the table is refused (RK_E_UNSUPPORTED), unchanged. application_id tells the two
 * stores apart: a file with another one is RK_E_CORRUPT.
 */
RK_MUST_CHECK int db_migrate(sqlite3 *db, uint32_t application_id,
                             const struct db_migration *table, unsigned count,
                             struct rk_fault *fault);

/* For read-only connections: RK_E_CORRUPT for another store, RK_E_UNSUPPORTED for another
 * schema version. */
RK_MUST_CHECK int db_check_schema(sqlite3 *db, uint32_t application_id, unsigned version,
                                  struct rk_fault *fault);

/* SQLite result to rk_err: FULL (and IOERR for want of room) -> RK_E_FULL, CORRUPT/NOTADB ->
 * RK_E_CORRUPT, BUSY -> RK_E_AGAIN, NOMEM -> RK_E_NOMEM, else RK_E_STORE. `db` may be NULL. */
int db_error(sqlite3 *db, int rc, struct rk_fault *fault, const char *doing);

/* Statements without result, and one integer (the first column of the first row). */
RK_MUST_CHECK int db_exec(sqlite3 *db, const char *sql, struct rk_fault *fault,
                          const char *doing);
RK_MUST_CHECK int db_query_int(sqlite3 *db, const char *sql, int64_t *out,
                               struct rk_fault *fault);

RK_MUST_CHECK int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                             struct rk_fault *fault);

#endif
