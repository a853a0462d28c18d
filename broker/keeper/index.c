#include "keeper/index_int.h"

#include <stdlib.h>

#include "base/base62.h"

int index_new(struct index **out)
{
	struct index *ix = calloc(1, sizeof *ix);

	if (!ix)
		return RK_E_NOMEM;
	rk_random(&ix->seed, sizeof ix->seed);
	index_conn_tables(ix);
	index_key_tables(ix);
	index_holder_tables(ix);
	if (intern_new(&ix->texts) || intern_new(&ix->grants) || intern_new(&ix->sets)) {
		index_free(ix);
		return RK_E_NOMEM;
	}
	*out = ix;
	return 0;
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	index_conn_free_all(ix);
	index_key_free_all(ix);
	index_holder_free_all(ix);
	intern_free(ix->texts);
	intern_free(ix->grants);
	intern_free(ix->sets);
	free(ix);
}

size_t index_bytes(const struct index *ix)
{
	size_t chunks = (ix->keys + INDEX_CHUNK_KEYS - 1) / INDEX_CHUNK_KEYS;

	return sizeof *ix + intern_bytes(ix->texts) + intern_bytes(ix->grants) +
	       intern_bytes(ix->sets) + ix->conn_bytes + ix->conn_cap * sizeof ix->conn[0] +
	       slots_bytes(&ix->conn_refs) +
	       chunks * INDEX_CHUNK_KEYS * sizeof(struct index_key) +
	       ix->limited * sizeof(struct rate) + ix->chunk_cap * sizeof ix->chunk[0] +
	       slots_bytes(&ix->key_digests) + slots_bytes(&ix->key_ids) +
	       index_holder_bytes(ix);
}

void index_request_open(struct index_request *r, struct index_key *key, struct index_conn *conn)
{
	r->key = key;
	r->conn = conn;
	r->key_next = key->open;
	r->key_prev = &key->open;
	if (key->open)
		key->open->key_prev = &r->key_next;
	key->open = r;
	key->in_flight++;
	r->conn_next = conn->open;
	r->conn_prev = &conn->open;
	if (conn->open)
		conn->open->conn_prev = &r->conn_next;
	conn->open = r;
	index_conn_ref(conn);
}

void index_request_close(struct index_request *r)
{
	if (!r->key)
		return;
	*r->key_prev = r->key_next;
	if (r->key_next)
		r->key_next->key_prev = r->key_prev;
	*r->conn_prev = r->conn_next;
	if (r->conn_next)
		r->conn_next->conn_prev = r->conn_prev;
	r->key->in_flight--;
	index_conn_unref(r->conn);
	r->key = NULL;
	r->conn = NULL;
}
