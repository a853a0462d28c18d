/*
 * The search index of the audit journal: search.db beside it, derived from it alone. Losing it
 * costs its making anew, never an answer: what it does not cover is read from the journal.
 *
 * Rows are grouped into chunks of 65536 sequence numbers. For each chunk and each term
 * (keeper/audit_terms.h) that occurs in it there is the set of its entries, so a search is an
 * intersection of bitmaps, chunk by chunk, and costs about the same whatever it is for. The
 * chunk that is being written is in memory; when it is full it goes into the file in one
 * transaction and is not touched again.
 *
 * What it holds beside that: for each request its response, for each 1/64 of a chunk the first
 * and last time in it. All of it about 15 bytes a row (6 for each value that occurs once).
 *
 * It belongs to the journal whose row `upto` has the hash that it remembers: the chain makes
 * that a statement about every row before. Any other file is made anew.
 *
 * One thread writes (keeper/audit_indexer.h); any thread may look (keeper/audit_view.h).
 */
#ifndef KEEPER_AUDIT_INDEX_H
#define KEEPER_AUDIT_INDEX_H

#include "base/secret.h"
#include "keeper/audit_rows.h"

enum { SEARCH_APPLICATION_ID = 0x524b5331 }; /* "RKS1" */

struct audit_index;

/*
 * `path` is copied, `key` (that of the journal, or one of its size) borrowed until
 * audit_index_free(). bits: 1 << bits rows are a chunk; ROW_SET_BITS but for tests. Opens
 * nothing yet.
 */
RK_MUST_CHECK int audit_index_new(const char *path, const struct rk_secret *key, unsigned bits,
                                  struct audit_index **out);
/* After the last view is closed. Accepts NULL. */
void audit_index_free(struct audit_index *ix);

/* ---- the writer's thread ---- */

/*
 * Opens the file, or makes it anew when it is missing, damaged, of another version or of
 * another journal; *fresh says so. Then views can be opened. RK_E_FULL and the like: views
 * stay refused, call again later. Waits for open views when a file has to go.
 */
RK_MUST_CHECK int audit_index_open(struct audit_index *ix, struct audit_rows *journal,
                                   bool *fresh, struct rk_fault *fault);

/*
 * Takes the next rows of the journal in, a slice of them; *n is how many. RK_E_CORRUPT for
 * journal rows that cannot be read and for a file that turned out to be damaged: then
 * audit_index_is_open() is false. After any other error (a full disk) the rows that were
 * covered still are, and the next call tries again.
 */
RK_MUST_CHECK int audit_index_advance(struct audit_index *ix, struct audit_rows *journal,
                                      size_t *n, struct rk_fault *fault);

/* False before the first open, and after somebody found the file damaged. */
bool audit_index_is_open(struct audit_index *ix);

/* ---- any thread ---- */

/* Up to which row it is complete; 0 as long as it is not open. */
uint64_t audit_index_upto(struct audit_index *ix);

/* The writer leaves what it is writing (RK_E_STATE) and will not write any more. */
void audit_index_stop(struct audit_index *ix);

/* Before the writer starts: what it calls between pieces of work of about a millisecond, to
 * rest. */
void audit_index_pace(struct audit_index *ix, void (*pace)(void *arg), void *arg);

/* The file is damaged: no more views; the writer makes it anew. */
void audit_index_distrust(struct audit_index *ix);

#endif
