/*
 * One statement with its values, run once. For the rare writes of the policy store; what runs
 * often keeps a prepared statement of its own.
 */
#ifndef KEEPER_DB_STMT_H
#define KEEPER_DB_STMT_H

#include "base/slice.h"
#include "keeper/db.h"

enum db_value_kind { DB_VALUE_INT, DB_VALUE_TEXT, DB_VALUE_BLOB };

struct db_value {
	enum db_value_kind kind;
	int64_t number;
	struct rk_slice bytes; /* borrowed during the call */
};

#define DB_INT(n)                                                                              \
	{                                                                                      \
		.kind = DB_VALUE_INT, .number = (int64_t)(n)                                   \
	}
#define DB_TEXT(s)                                                                             \
	{                                                                                      \
		.kind = DB_VALUE_TEXT, .bytes = (s)                                            \
	}
#define DB_BLOB(s)                                                                             \
	{                                                                                      \
		.kind = DB_VALUE_BLOB, .bytes = (s)                                            \
	}

/* Array and count of a brace list of the above. */
#define DB_VALUES(...)                                                                         \
	(const struct db_value[]){__VA_ARGS__},                                                \
	    sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)

/*
 * Runs `sql`; *changed (may be NULL) is how many rows it touched. A violated UNIQUE or PRIMARY
 * KEY is RK_E_EXISTS, a violated FOREIGN KEY RK_E_NOTFOUND.
 */
RK_MUST_CHECK int db_run(sqlite3 *db, const char *sql, const struct db_value *values, size_t n,
                         int *changed, struct rk_fault *fault, const char *doing);

/* A statement with its values, to be stepped through; they are borrowed until it is finalised.
 */
RK_MUST_CHECK int db_query(sqlite3 *db, const char *sql, const struct db_value *values,
                           size_t n, sqlite3_stmt **out, struct rk_fault *fault);

/* The first column of the first row as a number; RK_E_NOTFOUND without a row. */
RK_MUST_CHECK int db_get_int(sqlite3 *db, const char *sql, const struct db_value *values,
                             size_t n, int64_t *out, struct rk_fault *fault);

/* A column of the row that `st` stands on; borrowed until the next step. */
struct rk_slice db_column(sqlite3_stmt *st, int column);

#endif
