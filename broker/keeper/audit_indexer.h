/*
 * The thread that fills the search index of the audit journal (keeper/audit_index.h). It reads
 * the journal through a connection of its own, a tenth of a second behind, a third of a
 * millisecond at a time, and rests in between: as long as it worked when the journal is quiet,
 * and 31 times as long when it grows. Under load the index falls behind and searches read the
 * rest from the journal. Its priority is that of the others: a thread of a low one keeps a
 * killed process from ending on a busy machine.
 *
 * What goes wrong is logged once and tried again: a full disk, a damaged index (made anew), a
 * journal row that cannot be read.
 */
#ifndef KEEPER_AUDIT_INDEXER_H
#define KEEPER_AUDIT_INDEXER_H

#include "keeper/audit_index.h"

struct audit_indexer;

/* The journal's path is copied, key and index borrowed until audit_indexer_free(). */
RK_MUST_CHECK int audit_indexer_new(const char *journal_path, const struct rk_secret *key,
                                    struct audit_index *ix, struct audit_indexer **out);

/* Ends the thread, within a slice of rows or the writing of one chunk. Accepts NULL. */
void audit_indexer_free(struct audit_indexer *x);

#endif
