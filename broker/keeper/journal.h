/*
 * journal.db: the audit chain, append-only. Used by one thread at a time (the journal worker,
 * or the loop while that has nothing to do); readers use keeper/audit_read.h on connections of
 * their own.
 *
 *   row(seq INTEGER PRIMARY KEY, body BLOB, hash BLOB)
 *
 * The WAL keeps its size: the journal checkpoints and restarts it, never truncates it, because
 * a preallocated file commits two to four times faster than a growing one (DESIGN.md,
 * measured).
 */
#ifndef KEEPER_JOURNAL_H
#define KEEPER_JOURNAL_H

#include "base/secret.h"
#include "ipc/audit_row.h"

struct journal;

struct journal_head {
	uint64_t seq; /* of the last durable row; 0: none */
	uint8_t hash[32];
	uint64_t rows;
};

/*
 * Opens (creates when `create`), migrates, reads the head and checks that its hash belongs to
 * its row. RK_E_CORRUPT when it does not.
 */
RK_MUST_CHECK int journal_open(const char *path, const struct rk_secret *key, bool sync_full,
                               bool create, struct journal **out, struct rk_fault *fault);
void journal_close(struct journal *j);

/* One row of a batch. */
struct journal_entry {
	struct rk_slice body; /* packed struct audit_row, borrowed */
	uint64_t seq;         /* out: its number, once the batch is durable */
	uint8_t hash[32];     /* out */
};

/*
 * Appends all entries in one transaction; when it returns 0 they are durable. RK_E_FULL when
 * the disk is, RK_E_TOOBIG for a body that is empty or over AUDIT_MAX_ROW. On any error nothing
 * was appended, the chain stands where it was, and the next call starts afresh (a full disk
 * that was freed needs no restart).
 */
RK_MUST_CHECK int journal_append(struct journal *j, struct journal_entry *entries, size_t count,
                                 struct rk_fault *fault);

/* Thread-safe copy of the durable head. */
void journal_head(struct journal *j, struct journal_head *out);

/*
 * Moves the WAL into the database when it has passed its size; called between batches when
 * there is time. Errors are not fatal: the next call tries again.
 */
void journal_maintain(struct journal *j);

/*
 * Rows of allowed requests that have no RESPONSE row, in the tail written since the last START
 * row; calls `open` for each, oldest first, with its decoded REQUEST row (borrowed until the
 * return; an error ends it and is returned). Used once after journal_open to close what a crash
 * left open; the RESPONSE rows made for them must be durable before, or in one batch with, the
 * new START row. RK_E_CORRUPT for rows that do not decode, RK_E_UNSUPPORTED for those of a
 * newer version.
 */
RK_MUST_CHECK int journal_each_open(struct journal *j,
                                    int (*open)(const struct audit_row *row, void *arg),
                                    void *arg, struct rk_fault *fault);

#endif
