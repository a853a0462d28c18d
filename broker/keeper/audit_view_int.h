/*
 * Inside a view of the search index: its opening (audit_view.c) and its search
 * (audit_view_search.c).
 */
#ifndef KEEPER_AUDIT_VIEW_INT_H
#define KEEPER_AUDIT_VIEW_INT_H

#include "keeper/audit_index_int.h"
#include "keeper/audit_view.h"

struct audit_view {
	struct audit_index *ix;
	const struct audit_filter *filter;
	sqlite3 *db;
	sqlite3_stmt *posting, *chunk, *pair, *late, *late_term;
	bool counted; /* in ix->views */

	struct audit_filter_terms terms;
	/* what was in memory, of what this search needs */
	uint64_t upto, mem_chunk;
	struct row_set *mem; /* of each term */
	struct index_span span[INDEX_BLOCKS];
	uint16_t *delta;
	struct late_pair *late_pair; /* and those of audit_view_pair() */
	size_t late_pairs, late_pair_cap;
	struct late_term *late_of; /* of terms of the filter */
	size_t late_ofs;
	struct request_map *open;
	size_t bridged; /* how many of late_pair, from the end, audit_view_pair() brought */

	/* where the search is */
	uint64_t loaded; /* number of the chunk in `found`; UINT64_MAX: none */
	struct row_set found, one;
};

#endif
