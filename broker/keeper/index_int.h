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

enum { INDEX_MAX_PRESETS = 64 };

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

	struct index_holder **holder; /* by number */
	size_t holders, holder_cap;
	struct slots holder_names;
	struct index_trust **trust; /* ascending by number */
	size_t trusts, trust_cap;
	uint32_t last_trust; /* number */
	size_t trust_bytes;  /* what holders and addresses own */
	bool trust_first;
	struct rk_cidr preset[INDEX_MAX_PRESETS];
	unsigned presets;
};

void index_conn_tables(struct index *ix);
void index_conn_free_all(struct index *ix);
void index_key_tables(struct index *ix);
void index_key_free_all(struct index *ix);
void index_holder_tables(struct index *ix);
void index_holder_free_all(struct index *ix);
size_t index_holder_bytes(const struct index *ix);
/* Made when there is none; `name` is interned. */
RK_MUST_CHECK int index_holder_get(struct index *ix, enum holder_kind kind, const char *name,
                                   struct index_holder **out);
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
