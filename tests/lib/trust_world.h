/*
 * What tests of holders and their addresses need beside tests/lib/manage_world.h: keys for
 * trusted addresses, requests from many places, and what the outbox holds.
 */
#ifndef TESTS_LIB_TRUST_WORLD_H
#define TESTS_LIB_TRUST_WORLD_H

#include "ipc/catalogue_trust.h"
#include "keeper/index_holder.h"
#include "keeper/store_schema.h"
#include "tests/lib/manage_world.h"

/* A person's key that may GET everything on "openai", from trusted addresses only. */
static inline void trust_key(struct world *w, const char *holder, struct world_key *out)
{
	struct sample_grants g = {.used = 0};
	struct msg_key_issue issue = {.kind = HOLDER_PERSON, .holder = rk_str(holder)};
	const struct msg_key_info *info;

	sample_grant(&g, "openai", "GET", "/v1/**", "");
	issue.grants = sample_grants_slice(&g);
	world_run(w, &w->a, MSG_KEY_ISSUE, &issue);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	assert_int_equal(info->flags, KEY_TRUSTED_ONLY);
	assert_true(rk_slice_cstr(info->id, out->id, sizeof out->id));
	assert_true(rk_slice_cstr(info->key, out->text, sizeof out->text));
	assert_true(rk_slice_cstr(info->masked, out->masked, sizeof out->masked));
}

static inline unsigned trust_ask(struct world *w, const char *from, const char *key)
{
	w->from = from;
	return world_ask(w, "openai", key);
}

/* Without waiting for the decision. */
static inline void trust_send(struct world *w, const char *from, const char *key)
{
	struct msg_authorize m = {
	    .key = rk_str(key),
	    .conn = rk_str("openai"),
	    .method = rk_str("GET"),
	    .rest = rk_str("/x"),
	    .user_agent = rk_str("cursor/0.42"),
	};

	rk_random(m.request_id, sizeof m.request_id);
	assert_int_equal(rk_ip_parse(rk_str(from), (struct rk_ip *)m.client_ip), 0);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &m), 0);
}

static inline struct index_holder *trust_holder(struct world *w, const char *name)
{
	struct index_holder *h = index_holder_find(w->k.index, HOLDER_PERSON, rk_str(name));

	assert_non_null(h);
	return h;
}

/* Nothing of the holder is being stored. */
static inline bool trust_quiet(const struct index_holder *h)
{
	for (unsigned i = 0; i < h->trusts; i++) {
		if (h->trust[i]->busy)
			return false;
	}
	return true;
}

static inline void trust_email(struct world *w, const char *holder, const char *email)
{
	struct msg_holder_set set = {
	    .ref = rk_str(holder), .set = HOLDER_SET_EMAIL, .email = rk_str(email)};

	world_run(w, &w->a, MSG_HOLDER_SET, &set);
	world_answer(&w->a, 0, MSG_HOLDER_INFO);
}

/* The store's thread is idle between two commands of a test. */
static inline int64_t trust_count_sql(struct world *w, const char *sql)
{
	int64_t n = -1;

	WORLD_OK(db_query_int(w->k.store->db, sql, &n, &world_fault));
	return n;
}

static inline int64_t trust_mails(struct world *w)
{
	return trust_count_sql(w, "SELECT count(*) FROM outbox WHERE kind = 1");
}

/* The code in the newest mail. */
static inline void trust_code(struct world *w, char code[TRUST_CODE + 1])
{
	sqlite3_stmt *st = NULL;
	struct msg_notice n;

	assert_int_equal(sqlite3_prepare_v2(w->k.store->db,
	                                    "SELECT notice, target FROM outbox ORDER BY n "
	                                    "DESC LIMIT 1",
	                                    -1, &st, NULL),
	                 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(record_decode(&msg_notice_desc,
	                               rk_slice(sqlite3_column_blob(st, 0),
	                                        (size_t)sqlite3_column_bytes(st, 0)),
	                               &n),
	                 0);
	assert_int_equal(n.kind, NOTICE_NEW_IP);
	assert_int_equal(n.code.n, TRUST_CODE);
	assert_true(rk_slice_cstr(n.code, code, TRUST_CODE + 1));
	sqlite3_finalize(st);
}

/* An address of the holder as the list shows it; its slices live until the next command. */
static inline const struct msg_trust_info *trust_list(struct world *w, const char *holder,
                                                      enum trust_state state, unsigned *count)
{
	struct msg_trust_list list = {.holder = rk_str(holder), .state = (uint8_t)state};

	world_run(w, &w->b, MSG_TRUST_LIST, &list);
	*count = w->b.answers - 1;
	return *count ? &world_answer(&w->b, 0, MSG_TRUST_INFO)->trust_info : NULL;
}

static inline int trust_setup(void **state)
{
	int err = world_setup(state);

	if (!err)
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
	return err;
}

#endif
