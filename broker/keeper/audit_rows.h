/*
 * The journal's rows in slices of bounded size, over any connection to journal.db. Each slice
 * is copied out and ends its read transaction before the caller sees it: whatever the caller
 * does with it, however slowly, the WAL can restart meanwhile.
 */
#ifndef KEEPER_AUDIT_ROWS_H
#define KEEPER_AUDIT_ROWS_H

#include "base/buf.h"
#include "ipc/audit_row.h"
#include "keeper/audit_chain.h"
#include "keeper/db.h"

enum { JOURNAL_APPLICATION_ID = 0x524b4a31 }; /* "RKJ1" */

extern const struct db_migration journal_migrations[];
extern const unsigned journal_schema_version;

struct stored_row {
	uint64_t seq;
	uint8_t hash[AUDIT_HASH]; /* zeros when the stored one has another length */
	struct rk_slice body;     /* packed struct audit_row */
};

struct audit_rows;

enum { AUDIT_SLICE_ROWS = 512 }; /* a slice has at most as many */

/* Borrows db until audit_rows_free(). */
RK_MUST_CHECK int audit_rows_new(sqlite3 *db, struct audit_rows **out, struct rk_fault *fault);
void audit_rows_free(struct audit_rows *r);

/* Smaller slices, of at most `rows`: for who may lose the processor in the middle of one. */
void audit_rows_limit(struct audit_rows *r, unsigned rows);

/*
 * The next rows with seq > after, rising, or with seq < before, falling; *n is 0 at the end.
 * They are borrowed until the next of these two calls. RK_E_CORRUPT for a body over
 * AUDIT_MAX_ROW and for pages that do not verify.
 */
RK_MUST_CHECK int audit_rows_after(struct audit_rows *r, uint64_t after,
                                   const struct stored_row **rows, size_t *n,
                                   struct rk_fault *fault);
RK_MUST_CHECK int audit_rows_before(struct audit_rows *r, uint64_t before,
                                    const struct stored_row **rows, size_t *n,
                                    struct rk_fault *fault);

/* One row, its body copied into `mem` (replacing what was there). RK_E_NOTFOUND. */
RK_MUST_CHECK int audit_rows_get(struct audit_rows *r, uint64_t seq, struct rk_buf *mem,
                                 struct stored_row *out, struct rk_fault *fault);

/* The last row: as audit_rows_get(). */
RK_MUST_CHECK int audit_rows_last(struct audit_rows *r, struct rk_buf *mem,
                                  struct stored_row *out, struct rk_fault *fault);

/*
 * Unpacks the row; *out borrows from it. RK_E_CORRUPT for what is no row, RK_E_UNSUPPORTED for
 * one that a newer version wrote.
 */
RK_MUST_CHECK int stored_row_unpack(const struct stored_row *stored, struct audit_row *out,
                                    struct rk_fault *fault);

#endif
