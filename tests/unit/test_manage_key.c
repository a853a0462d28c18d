/*
 * Management of relay keys, with a real store and journal: each command, each refusal beside
 * what is allowed, and when a revocation is in force.
 */
#include "tests/lib/manage_world.h"

enum { HOUR_MS = 3600 * 1000 };

struct request {
	struct sample_grants grants;
	struct sample_list cidrs;
	struct msg_key_issue issue;
};

/* A good request on the connection "openai"; tests spoil one thing at a time. */
static void good(struct request *r)
{
	r->grants.used = 0;
	sample_grant(&r->grants, "openai", "GET POST", "/v1/** /v2/x", "debug trace");
	r->issue = (struct msg_key_issue){
	    .kind = HOLDER_VENDOR,
	    .holder = rk_str("acme"),
	    .name = rk_str("nightly"),
	    .env = rk_str("production"),
	    .cidrs = sample_words(&r->cidrs, "192.0.2.0/24 2001:DB8::/32"),
	    .grants = sample_grants_slice(&r->grants),
	};
}

static int refused(struct world *w, const struct msg_key_issue *issue)
{
	unsigned rows = w->rows;
	int err = world_refusal(w, &w->a, MSG_KEY_ISSUE, issue);

	world_turns(w);
	assert_int_equal(w->rows, rows);
	assert_int_equal(index_key_count(w->k.index), 0);
	return err;
}

static int setup(void **state)
{
	int err = world_setup(state);

	if (err == 0)
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
	return err;
}

static const struct msg_key_info *run_ref(struct world *w, enum ipc_type type, const char *text)
{
	struct msg_ref ref = {.ref = rk_str(text)};

	world_run(w, &w->a, type, &ref);
	return &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
}

static int refuse_ref(struct world *w, enum ipc_type type, const char *text)
{
	struct msg_ref ref = {.ref = rk_str(text)};

	return world_refusal(w, &w->a, type, &ref);
}

/* ---- issuing ---- */

static void test_a_key_is_shown_once_and_only_its_digest_is_kept(void **state)
{
	struct world *w = *state;
	const struct msg_key_info *info;
	struct relay_key parsed;
	struct index_key *k;
	struct request r;
	char text[RELAY_KEY_MAX + 1];
	uint8_t digest[32];

	good(&r);
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	assert_int_equal(w->a.answers, 1);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	assert_int_equal(relay_key_parse(info->key, &parsed), 0);
	assert_int_equal(parsed.kind, HOLDER_VENDOR);
	assert_true(rk_slice_cstr(info->key, text, sizeof text));
	assert_int_equal(info->state, KEY_ACTIVE);
	assert_int_equal(info->expires_ms, 0);
	assert_true(rk_slice_is(info->holder, "acme"));
	k = index_key_by_id(w->k.index, info->id);
	assert_non_null(k);
	rk_sha256(rk_str(text), digest);
	assert_memory_equal(k->digest, digest, 32);
	assert_int_equal(run_ref(w, MSG_KEY_GET, text)->key.n, 0);
	assert_null(memmem(w->a.bytes, w->a.used, text + 11, strlen(text) - 11));
	assert_true(world_last_action(w, "key.issue"));
	assert_string_equal(world_last_row(w)->key_id, world_last_row(w)->target);
}

static void test_limits_are_kept_and_shown(void **state)
{
	struct world *w = *state;
	const struct msg_key_info *info;
	struct rate_limits *kept;
	struct request r;

	good(&r);
	r.issue.rate_per_minute = 60;
	r.issue.rate_per_day = RATE_MAX;
	r.issue.max_concurrent = 4;
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	assert_int_equal(info->rate_per_minute, 60);
	assert_int_equal(info->rate_per_day, RATE_MAX);
	assert_int_equal(info->max_concurrent, 4);
	kept = &index_key_by_id(w->k.index, info->id)->rate->limits;
	assert_int_equal(kept->per_minute, 60);
	assert_int_equal(kept->max_concurrent, 4);
}

static void test_a_limit_over_the_highest_is_refused(void **state)
{
	struct world *w = *state;
	struct request r;

	good(&r);
	r.issue.rate_per_day = RATE_MAX + 1u;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.rate_per_day = 0;
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	assert_null(index_key_next(w->k.index, NULL)->rate);
}

static void test_an_issued_key_says_what_it_may(void **state)
{
	struct world *w = *state;
	const struct msg_key_info *info;
	struct rk_slice list, item;
	struct msg_grant g;
	struct request r;

	good(&r);
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	list = info->grants;
	assert_true(record_list_next(&list, &item));
	assert_int_equal(record_decode(&msg_grant_desc, item, &g), 0);
	assert_true(rk_slice_starts(g.conn, rk_str("conn_")));
	assert_true(rk_slice_is(g.conn_name, "openai"));
	assert_int_equal(record_list_count(g.methods), 2);
	assert_int_equal(record_list_count(g.paths), 2);
	assert_int_equal(record_list_count(g.deny_query), 2);
	list = info->cidrs;
	assert_true(record_list_next(&list, &item));
	assert_true(record_list_next(&list, &item));
	assert_true(rk_slice_is(item, "2001:db8::/32"));
}

static void test_a_key_needs_a_holder_and_good_names(void **state)
{
	struct world *w = *state;
	struct request r;

	good(&r);
	r.issue.holder = rk_str("");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.holder = rk_str("two words");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	good(&r);
	r.issue.kind = HOLDER_KINDS;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	good(&r);
	r.issue.name = rk_str("/");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	good(&r);
	r.issue.env = rk_str("a\nb");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	good(&r);
	r.issue.name = rk_str("");
	r.issue.env = rk_str("");
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	world_answer(&w->a, 0, MSG_KEY_INFO);
}

static void refuse_grant(struct world *w, const char *conn, const char *methods,
                         const char *paths, const char *deny, int want)
{
	struct request r;

	good(&r);
	r.grants.used = 0;
	sample_grant(&r.grants, conn, methods, paths, deny);
	r.issue.grants = sample_grants_slice(&r.grants);
	assert_int_equal(refused(w, &r.issue), want);
}

static void test_grants_are_checked(void **state)
{
	struct world *w = *state;
	struct request r;

	refuse_grant(w, "unknown", "GET", "/**", "", RK_E_NOTFOUND);
	refuse_grant(w, "openai", "get", "/**", "", RK_E_INVALID);
	refuse_grant(w, "openai", "**", "/**", "", RK_E_INVALID);
	refuse_grant(w, "openai", "GET", "v1", "", RK_E_INVALID);
	refuse_grant(w, "openai", "GET", "/a/../b", "", RK_E_INVALID);
	refuse_grant(w, "openai", "GET", "/**", "a\nb", RK_E_INVALID);
	good(&r);
	r.issue.grants = rk_str("");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	good(&r);
	r.grants.used = 0;
	sample_grant(&r.grants, "openai", "* M-SEARCH", "/**", "");
	r.issue.grants = sample_grants_slice(&r.grants);
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	world_answer(&w->a, 0, MSG_KEY_INFO);
}

/* Deny is the default: the command line warns of it, and the proxy refuses everything. */
static void test_a_grant_without_methods_or_paths_is_taken(void **state)
{
	static const char *const lists[][2] = {{"", ""}, {"GET", ""}, {"", "/**"}};
	struct world *w = *state;
	struct request r;

	for (size_t i = 0; i < 3; i++) {
		good(&r);
		r.grants.used = 0;
		sample_grant(&r.grants, "openai", lists[i][0], lists[i][1], "");
		r.issue.grants = sample_grants_slice(&r.grants);
		world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
		world_answer(&w->a, 0, MSG_KEY_INFO);
	}
}

static void test_a_grant_that_does_not_decode_is_refused(void **state)
{
	struct world *w = *state;
	struct sample_list junk;
	struct request r;

	good(&r);
	r.issue.grants = sample_words(&junk, "junk");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
}

static void test_prefixes_are_checked(void **state)
{
	struct world *w = *state;
	struct request r;

	good(&r);
	r.issue.cidrs = sample_words(&r.cidrs, "10.0.0.1/8");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.cidrs = sample_words(&r.cidrs, "example.com");
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.cidrs = sample_words(&r.cidrs, "10.0.0.1");
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	world_answer(&w->a, 0, MSG_KEY_INFO);
}

static void test_expiry_is_a_span_or_a_date_to_come(void **state)
{
	struct world *w = *state;
	int64_t now_ms = rk_wall_ms();
	struct request r;

	good(&r);
	r.issue.ttl_ms = HOUR_MS;
	r.issue.expires_ms = now_ms + HOUR_MS;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.ttl_ms = -1;
	r.issue.expires_ms = 0;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.ttl_ms = INT64_MAX;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.ttl_ms = 0;
	r.issue.expires_ms = now_ms - 1;
	assert_int_equal(refused(w, &r.issue), RK_E_INVALID);
	r.issue.expires_ms = now_ms + HOUR_MS;
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	assert_int_equal(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.expires_ms,
	                 now_ms + HOUR_MS);
	r.issue.expires_ms = 0;
	r.issue.ttl_ms = HOUR_MS;
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	assert_in_range(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.expires_ms,
	                now_ms + HOUR_MS, rk_wall_ms() + HOUR_MS);
}

static void test_without_an_audit_row_no_key_exists(void **state)
{
	struct world *w = *state;
	struct request r;

	good(&r);
	world_append_fails(w, RK_E_FULL);
	world_refusal(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	assert_int_equal(index_key_count(w->k.index), 0);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	world_answer(&w->a, 0, MSG_KEY_INFO);
}

static void test_no_part_of_a_key_stays_in_secret_memory(void **state)
{
	struct world *w = *state;
	size_t before = secret_arena_in_use();
	struct world_key key;

	world_key_issue(w, "openai", 0, &key);
	world_turns(w);
	assert_int_equal(secret_arena_in_use(), before);
}

/* ---- revoking ---- */

static void test_a_revocation_is_in_force_before_its_row_is_durable(void **state)
{
	struct world *w = *state;
	struct world_key key;
	struct msg_ref ref;

	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	ref = (struct msg_ref){.ref = rk_str(key.id)};
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_true(index_key_by_id(w->k.index, rk_str(key.id))->revoked_ms > 0);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_INVALID_KEY);
	assert_int_equal(w->a.done, 0);
	assert_false(world_last_action(w, "key.revoke"));
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.state, KEY_REVOKED);
	assert_true(world_last_action(w, "key.revoke"));
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_INVALID_KEY);
}

static void test_a_revocation_does_not_wait_for_another_change(void **state)
{
	struct world *w = *state;
	struct world_key key;
	struct msg_ref ref;
	struct request r;

	world_key_issue(w, "openai", 0, &key);
	good(&r);
	world_hold_store(w);
	world_start(w, &w->b, MSG_KEY_ISSUE, &r.issue);
	ref = (struct msg_ref){.ref = rk_str(key.masked)};
	world_start(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_true(index_key_by_id(w->k.index, rk_str(key.id))->revoked_ms > 0);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	world_answer(&w->a, 0, MSG_KEY_INFO);
}

static void test_a_key_is_revoked_by_id_whole_or_masked(void **state)
{
	struct world *w = *state;
	struct world_key key[3];

	for (int i = 0; i < 3; i++)
		world_key_issue(w, "openai", 0, &key[i]);
	assert_int_equal(run_ref(w, MSG_KEY_REVOKE, key[0].id)->state, KEY_REVOKED);
	assert_int_equal(run_ref(w, MSG_KEY_REVOKE, key[1].text)->state, KEY_REVOKED);
	assert_int_equal(run_ref(w, MSG_KEY_REVOKE, key[2].masked)->state, KEY_REVOKED);
	assert_int_equal(refuse_ref(w, MSG_KEY_REVOKE, "key_000000000000"), RK_E_NOTFOUND);
	assert_int_equal(refuse_ref(w, MSG_KEY_REVOKE, "rk_agent...@@@"), RK_E_NOTFOUND);
	assert_int_equal(refuse_ref(w, MSG_KEY_REVOKE, ""), RK_E_NOTFOUND);
}

static void test_revoking_twice_is_fine_and_leaves_one_row(void **state)
{
	struct world *w = *state;
	struct world_key key;
	unsigned rows;
	int64_t when;

	world_key_issue(w, "openai", 0, &key);
	when = run_ref(w, MSG_KEY_REVOKE, key.id)->revoked_ms;
	rows = w->rows;
	assert_int_equal(run_ref(w, MSG_KEY_REVOKE, key.id)->revoked_ms, when);
	world_turns(w);
	assert_int_equal(w->rows, rows);
}

struct loaded {
	char id[32];
	int64_t revoked_ms, expires_ms;
	unsigned keys;
};

static int load_conn(const struct store_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	return 0;
}

static int load_key(const struct store_key *k, void *arg)
{
	struct loaded *l = arg;

	if (rk_slice_is(k->id, l->id)) {
		l->revoked_ms = k->revoked_ms;
		l->expires_ms = k->expires_ms;
		l->keys++;
	}
	return 0;
}

/* What a restart would find. */
static struct loaded load(struct world *w, const char *id)
{
	struct loaded l = {.keys = 0};
	struct store_loader loader = {.conn = load_conn, .key = load_key, .arg = &l};
	uint64_t version;

	snprintf(l.id, sizeof l.id, "%s", id);
	WORLD_OK(store_load(w->k.store, &loader, &version, &world_fault));
	assert_int_equal(l.keys, 1);
	return l;
}

static void test_a_revocation_is_stored_though_the_journal_is_away(void **state)
{
	struct world *w = *state;
	struct world_key key;

	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(load(w, key.id).revoked_ms, 0);
	world_append_fails(w, RK_E_FULL);
	assert_true(refuse_ref(w, MSG_KEY_REVOKE, key.id) < 0);
	assert_non_null(strstr(world_fault.text, "in force and stored"));
	assert_true(index_key_by_id(w->k.index, rk_str(key.id))->revoked_ms > 0);
	assert_true(load(w, key.id).revoked_ms > 0);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	/* told of once the journal is back */
	WORLD_WAIT(w, world_last_action(w, "key.revoke"));
}

static void test_a_revocation_that_could_not_be_stored_says_so_and_is_tried_again(void **state)
{
	struct world *w = *state;
	struct store *real = w->k.store;
	struct world_key key;
	char path[128];

	world_key_issue(w, "openai", 0, &key);
	/* a store that does not know this key stands for one that fails */
	snprintf(path, sizeof path, "%s/other.db", w->home.dir);
	WORLD_OK(store_open(path, &w->policy_key, true, &w->k.store, &world_fault));
	assert_true(refuse_ref(w, MSG_KEY_REVOKE, key.id) < 0);
	assert_non_null(strstr(world_fault.text, "in force now, but not stored"));
	assert_true(index_key_by_id(w->k.index, rk_str(key.id))->revoked_ms > 0);
	WORLD_WAIT(w, world_last_action(w, "key.revoke.failed"));
	store_close(w->k.store);
	w->k.store = real;
	assert_int_equal(load(w, key.id).revoked_ms, 0);
	assert_int_equal(run_ref(w, MSG_KEY_REVOKE, key.id)->state, KEY_REVOKED);
	assert_true(load(w, key.id).revoked_ms > 0);
}

/* ---- extending ---- */

static void test_a_key_is_extended_by_span_or_date(void **state)
{
	struct world *w = *state;
	int64_t now_ms = rk_wall_ms();
	struct msg_key_extend m = {.ttl_ms = 2 * HOUR_MS};
	struct world_key key;

	world_key_issue(w, "openai", HOUR_MS, &key);
	m.ref = rk_str(key.id);
	world_run(w, &w->a, MSG_KEY_EXTEND, &m);
	assert_in_range(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.expires_ms,
	                now_ms + 2 * HOUR_MS, rk_wall_ms() + 2 * HOUR_MS);
	assert_true(world_last_action(w, "key.extend"));
	m.ttl_ms = 0;
	m.expires_ms = now_ms + 9 * HOUR_MS;
	world_run(w, &w->a, MSG_KEY_EXTEND, &m);
	assert_int_equal(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.expires_ms,
	                 now_ms + 9 * HOUR_MS);
	assert_int_equal(load(w, key.id).expires_ms, now_ms + 9 * HOUR_MS);
	m.expires_ms = 0;
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_EXTEND, &m), RK_E_INVALID);
	m.expires_ms = now_ms - 1;
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_EXTEND, &m), RK_E_INVALID);
}

static void test_a_revoked_key_is_not_extended(void **state)
{
	struct world *w = *state;
	struct msg_key_extend m = {.ttl_ms = HOUR_MS};
	struct world_key key;

	world_key_issue(w, "openai", HOUR_MS, &key);
	run_ref(w, MSG_KEY_REVOKE, key.id);
	m.ref = rk_str(key.id);
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_EXTEND, &m), RK_E_STATE);
}

static void test_a_new_end_holds_for_what_is_in_flight(void **state)
{
	static const int64_t spans_ms[] = {2 * HOUR_MS, HOUR_MS / 2};
	struct world *w = *state;
	struct msg_key_extend m = {0};
	struct world_key key;

	world_key_issue(w, "openai", HOUR_MS, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	m.ref = rk_str(key.id);
	for (unsigned i = 0; i < 2; i++) {
		m.ttl_ms = spans_ms[i];
		world_run(w, &w->a, MSG_KEY_EXTEND, &m);
		WORLD_WAIT(w, w->expiries == i + 1);
		assert_int_equal(w->expiry_ms,
		                 world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.expires_ms);
	}
	assert_int_equal(w->cuts, 0);
	world_complete(w);
}

/* ---- listing ---- */

static unsigned list(struct world *w, const struct msg_list *l)
{
	world_run(w, &w->a, MSG_KEY_LIST, l);
	assert_int_equal(world_answer(&w->a, w->a.answers - 1, MSG_DONE)->done.err, 0);
	return w->a.answers - 1;
}

static void test_keys_are_listed_by_connection_holder_and_life(void **state)
{
	struct world *w = *state;
	struct world_key key[2];
	struct msg_list l = {0};
	struct request r;

	world_conn_add(w, "other", "https://other.example");
	world_key_issue(w, "openai", 0, &key[0]);
	world_key_issue(w, "other", 0, &key[1]);
	good(&r);
	world_run(w, &w->a, MSG_KEY_ISSUE, &r.issue);
	run_ref(w, MSG_KEY_REVOKE, key[0].id);
	assert_int_equal(list(w, &l), 3);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.id, key[0].id));
	assert_true(rk_slice_is(world_answer(&w->a, 1, MSG_KEY_INFO)->key_info.id, key[1].id));
	l.live_only = 1;
	assert_int_equal(list(w, &l), 2);
	l.conn = rk_str("other");
	assert_int_equal(list(w, &l), 1);
	l = (struct msg_list){.holder = rk_str("vendor:acme")};
	assert_int_equal(list(w, &l), 1);
	l.holder = rk_str("agent:");
	assert_int_equal(list(w, &l), 2);
	l.holder = rk_str("agent:acme");
	assert_int_equal(list(w, &l), 0);
	l.holder = rk_str("acme");
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_LIST, &l), RK_E_INVALID);
	l = (struct msg_list){.conn = rk_str("unknown")};
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_LIST, &l), RK_E_NOTFOUND);
	l = (struct msg_list){.after = rk_str(key[0].id), .limit = 1};
	assert_int_equal(list(w, &l), 1);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.id, key[1].id));
}

static void test_a_long_list_is_sent_as_fast_as_it_is_read(void **state)
{
	enum { KEYS = 300, PIECE = 7 };
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key key;
	struct msg_list l = {0};
	unsigned sent = 0;

	sample_grant(&g, "openai", "GET", "/**", "");
	for (int i = 0; i < KEYS; i++)
		sample_key(w->k.index, &g, "", 0, &key);
	w->a.room = PIECE;
	world_start(w, &w->a, MSG_KEY_LIST, &l);
	while (!w->a.done) {
		assert_in_range(w->a.answers, sent, sent + PIECE);
		sent = w->a.answers;
		w->a.room = PIECE;
		manage_drained(&w->a.caller);
	}
	assert_int_equal(w->a.answers, KEYS + 1);
	w->a.room = UINT32_MAX;
}

static void test_a_long_list_lets_other_work_come_between(void **state)
{
	enum { KEYS = 9000 };
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key key;
	struct msg_list l = {.holder = rk_str("app:")};

	sample_grant(&g, "openai", "GET", "/**", "");
	for (int i = 0; i < KEYS; i++)
		sample_key(w->k.index, &g, "", 0, &key);
	world_start(w, &w->a, MSG_KEY_LIST, &l);
	assert_int_equal(w->a.done, 0);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(w->a.answers, 1);
	/* and one that is given up in the middle ends */
	world_start(w, &w->a, MSG_KEY_LIST, &l);
	manage_forget(&w->a.caller);
	world_turns(w);
	assert_int_equal(w->a.done, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_key_is_shown_once_and_only_its_digest_is_kept),
	    TEST(test_limits_are_kept_and_shown),
	    TEST(test_a_limit_over_the_highest_is_refused),
	    TEST(test_an_issued_key_says_what_it_may),
	    TEST(test_a_key_needs_a_holder_and_good_names),
	    TEST(test_grants_are_checked),
	    TEST(test_a_grant_without_methods_or_paths_is_taken),
	    TEST(test_a_grant_that_does_not_decode_is_refused),
	    TEST(test_prefixes_are_checked),
	    TEST(test_expiry_is_a_span_or_a_date_to_come),
	    TEST(test_without_an_audit_row_no_key_exists),
	    TEST(test_no_part_of_a_key_stays_in_secret_memory),
	    TEST(test_a_revocation_is_in_force_before_its_row_is_durable),
	    TEST(test_a_revocation_does_not_wait_for_another_change),
	    TEST(test_a_key_is_revoked_by_id_whole_or_masked),
	    TEST(test_revoking_twice_is_fine_and_leaves_one_row),
	    TEST(test_a_revocation_is_stored_though_the_journal_is_away),
	    TEST(test_a_revocation_that_could_not_be_stored_says_so_and_is_tried_again),
	    TEST(test_a_key_is_extended_by_span_or_date),
	    TEST(test_a_revoked_key_is_not_extended),
	    TEST(test_a_new_end_holds_for_what_is_in_flight),
	    TEST(test_keys_are_listed_by_connection_holder_and_life),
	    TEST(test_a_long_list_is_sent_as_fast_as_it_is_read),
	    TEST(test_a_long_list_lets_other_work_come_between),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
