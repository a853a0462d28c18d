/*
 * The thread that fills the search index of the audit journal (keeper/audit_index.h). It reads
 * the journal through a connection of its own, a tenth of a second behind, and runs only when
 * nobody else wants the processor (SCHED_IDLE): under load the index falls behind and searches
 * read the rest from the journal. Nothing waits for it but its own end.
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
