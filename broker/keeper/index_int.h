/*
 * Inside the index: shared by index.c, index_conn.c, index_key.c and index_grant.c only.
 */
#ifndef KEEPER_INDEX_INT_H
#define KEEPER_INDEX_INT_H

#include "keeper/index.h"
#include "keeper/intern.h"
#include "keeper/slots.h"

enum { INDEX_CHUNK_KEYS = 512 };

/* What a connection's list of grants is made of; the grant itself is interned with it. */
struct index_grant_node {
	struct index_grant grant;
	struct index_grant_node *next;
};

struct index {
	uint64_t seed;
	struct intern *texts;  /* strings, lists, prefixes */
	struct intern *grants; /* struct index_grant_node, by the grant's bytes */
	struct intern *sets;   /* arrays of grant pointers */
	uint32_t next_upstream_id;

	struct index_conn **conn; /* by number; NULL: removed */
	size_t conns, conn_cap, conn_count;
	struct slots conn_refs; /* number * 2 for the id, + 1 for the name */
	size_t conn_bytes;      /* what connections own */

	struct index_key **chunk; /* keys never move */
	size_t keys, chunk_cap;
	size_t limited; /* keys with limits */
	struct slots key_digests;
	struct slots key_ids;
};

void index_conn_tables(struct index *ix);
void index_conn_free_all(struct index *ix);
void index_key_tables(struct index *ix);
void index_key_free_all(struct index *ix);
uint32_t index_new_upstream_id(struct index *ix);

static inline struct index_key *index_key_at(const struct index *ix, size_t number)
{
	return &ix->chunk[number / INDEX_CHUNK_KEYS][number % INDEX_CHUNK_KEYS];
}

/* Compiles a LIST of encoded msg_grant into an interned set. */
RK_MUST_CHECK int index_compile_grants(struct index *ix, struct rk_slice list,
                                       const struct index_grant *const **out, uint8_t *count,
                                       struct rk_fault *fault);
/* Makes the grants of a connection dead. */
void index_kill_grants(struct index_conn *c);

#endif
