/*
 * Changing relay keys: each member, what is refused, and when it is in force. The relay's
 * requests are GET /v1/x from 192.0.2.1.
 */
#include "tests/lib/mgmt_scene.h"

#include "keeper/store_schema.h"

static int setup(void **state)
{
	int err = world_setup(state);

	if (err == 0) {
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
		world_conn_add(*state, "stripe", "https://api.stripe.com");
	}
	return err;
}

struct update {
	struct sample_grants grants;
	struct sample_list cidrs;
	struct msg_key_update m;
};

static struct update *of(struct update *u, const struct world_key *k, uint32_t set)
{
	u->m = (struct msg_key_update){.ref = rk_str(k->id), .set = set};
	return u;
}

static void grants(struct update *u, const char *conn, const char *methods, const char *paths,
                   const char *deny)
{
	u->grants.used = 0;
	sample_grant(&u->grants, conn, methods, paths, deny);
	u->m.grants = sample_grants_slice(&u->grants);
	u->m.set |= KEY_SET_GRANTS;
}

static void cidrs(struct update *u, const char *words)
{
	u->m.cidrs = sample_words(&u->cidrs, words);
	u->m.set |= KEY_SET_CIDRS;
}

static const struct msg_key_info *run(struct world *w, const struct update *u)
{
	world_run(w, &w->a, MSG_KEY_UPDATE, &u->m);
	return &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
}

static int refused(struct world *w, const struct update *u)
{
	return world_refusal(w, &w->a, MSG_KEY_UPDATE, &u->m);
}

/* Whatever a restart would load is what is in memory. */
struct loaded {
	struct index *ix;
};

static int see_conn(const struct store_conn *c, void *arg)
{
	return index_add_conn(((struct loaded *)arg)->ix, c, NULL, NULL);
}

static int see_key(const struct store_key *k, void *arg)
{
	return index_add_key(((struct loaded *)arg)->ix, k, NULL, NULL);
}

static void check_restart(struct world *w, const struct world_key *key)
{
	const struct index_key *now = index_key_by_id(w->k.index, rk_str(key->id)), *then;
	struct loaded l = {0};
	uint64_t version;

	assert_int_equal(index_new(&l.ix), 0);
	WORLD_OK(store_load(w->k.store,
	                    &(struct store_loader){.conn = see_conn, .key = see_key, .arg = &l},
	                    &version, &world_fault));
	then = index_key_by_id(l.ix, rk_str(key->id));
	assert_non_null(then);
	assert_string_equal(now->name, then->name);
	assert_string_equal(now->env, then->env);
	assert_int_equal(now->expires_ms, then->expires_ms);
	assert_int_equal(now->revision, then->revision);
	assert_int_equal(now->flags, then->flags);
	assert_int_equal(now->cidr_count, then->cidr_count);
	for (unsigned i = 0; i < now->cidr_count; i++)
		assert_memory_equal(&now->cidrs[i], &then->cidrs[i], sizeof now->cidrs[i]);
	assert_int_equal(now->grant_count, then->grant_count);
	for (unsigned i = 0; i < now->grant_count; i++) {
		assert_true(rk_slice_eq(now->grants[i]->methods, then->grants[i]->methods));
		assert_true(rk_slice_eq(now->grants[i]->paths, then->grants[i]->paths));
	}
	if (now->rate && rate_limits_any(&now->rate->limits))
		assert_memory_equal(&now->rate->limits, &then->rate->limits,
		                    sizeof then->rate->limits);
	else
		assert_null(then->rate);
	index_free(l.ix);
}

static void test_each_member_changes_and_the_others_stay(void **state)
{
	const struct msg_key_info *info;
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	of(&u, &k, KEY_SET_NAME)->m.name = rk_str("nightly");
	info = run(w, &u);
	assert_true(rk_slice_is(info->name, "nightly"));
	assert_true(rk_slice_is(info->holder, "crawler"));
	of(&u, &k, KEY_SET_ENV)->m.env = rk_str("ci");
	assert_true(rk_slice_is(run(w, &u)->env, "ci"));
	of(&u, &k, KEY_SET_RATE_PER_DAY)->m.rate_per_day = 7;
	assert_int_equal(run(w, &u)->rate_per_day, 7);
	of(&u, &k, KEY_SET_MAX_CONCURRENT)->m.max_concurrent = 3;
	info = run(w, &u);
	assert_int_equal(info->rate_per_day, 7);
	assert_int_equal(info->max_concurrent, 3);
	assert_int_equal(info->rate_per_minute, 0);
	cidrs(of(&u, &k, 0), "10.0.0.0/8 192.0.2.0/24");
	assert_int_equal(record_list_count(run(w, &u)->cidrs), 2);
	of(&u, &k, KEY_SET_EXPIRY)->m.ttl_ms = 60000;
	assert_true(run(w, &u)->expires_ms > rk_wall_ms());
	of(&u, &k, KEY_SET_FLAGS)->m.flags = KEY_TRUSTED_ONLY;
	info = run(w, &u);
	assert_int_equal(info->flags, KEY_TRUSTED_ONLY);
	assert_true(rk_slice_is(info->name, "nightly"));
	assert_true(rk_slice_is(info->env, "ci"));
	assert_int_equal(info->revision, 8);
	check_restart(w, &k);
	/* and back */
	of(&u, &k,
	   KEY_SET_EXPIRY | KEY_SET_ENV | KEY_SET_NAME | KEY_SET_CIDRS | KEY_SET_FLAGS |
	       KEY_SET_LIMITS);
	info = run(w, &u);
	assert_int_equal(info->expires_ms, 0);
	assert_int_equal(info->env.n + info->name.n + info->cidrs.n, 0);
	assert_int_equal(info->flags, 0);
	assert_int_equal(info->rate_per_day + info->max_concurrent, 0);
	check_restart(w, &k);
	assert_true(world_last_action(w, "key.update"));
	assert_string_equal(world_last_row(w)->key_id, k.id);
}

static void test_what_makes_no_sense_is_refused_and_nothing_changes(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;
	struct msg_ref ref;

	world_key_issue(w, "openai", 0, &k);
	assert_int_equal(refused(w, of(&u, &k, 0)), RK_E_INVALID);
	assert_int_equal(refused(w, of(&u, &k, KEY_SET_ALL + 1)), RK_E_INVALID);
	of(&u, &k, KEY_SET_NAME)->m.name = rk_str("two words");
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	of(&u, &k, KEY_SET_ENV)->m.env = rk_str("two words");
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	of(&u, &k, KEY_SET_EXPIRY)->m.expires_ms = 1;
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	cidrs(of(&u, &k, 0), "10.0.0.1/8");
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	grants(of(&u, &k, 0), "nowhere", "GET", "/**", "");
	assert_int_equal(refused(w, &u), RK_E_NOTFOUND);
	grants(of(&u, &k, 0), "openai", "get", "/**", "");
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	assert_int_equal(refused(w, of(&u, &k, KEY_SET_GRANTS)), RK_E_INVALID);
	of(&u, &k, KEY_SET_RATE_PER_DAY)->m.rate_per_day = RATE_MAX + 1u;
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	of(&u, &k, KEY_SET_FLAGS)->m.flags = KEY_HONEY;
	assert_int_equal(refused(w, &u), RK_E_INVALID);
	of(&u, &k, KEY_SET_NAME)->m.ref = rk_str("key_000000000000");
	assert_int_equal(refused(w, &u), RK_E_NOTFOUND);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(k.id))->revision, 1);
	ref = (struct msg_ref){.ref = rk_str(k.id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_int_equal(refused(w, of(&u, &k, KEY_SET_NAME)), RK_E_STATE);
}

static void test_another_revision_is_refused_for_a_tighter_key_too(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	cidrs(of(&u, &k, 0), "10.0.0.0/8");
	w->a.caller.if_revision = 2;
	assert_int_equal(refused(w, &u), RK_E_STALE);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_OK);
	world_complete(w);
	w->a.caller.if_revision = 1;
	assert_int_equal(run(w, &u)->revision, 2);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_IP_DENIED);
}

/* ---- requests in flight ---- */

static void test_a_request_that_the_new_grants_would_not_allow_is_cut(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_OK);
	/* one that they still allow goes on */
	grants(of(&u, &k, 0), "openai", "GET", "/v1/x /v1/files/*", "");
	run(w, &u);
	world_turns(w);
	assert_int_equal(w->cuts, 0);
	grants(of(&u, &k, 0), "openai", "GET", "/v1/files/*", "");
	run(w, &u);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_PATH_DENIED);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_PATH_DENIED);
}

static void test_it_is_cut_for_its_method_its_connection_and_its_address_too(void **state)
{
	struct world *w = *state;
	struct world_key k[3];
	struct update u;

	for (unsigned i = 0; i < 3; i++) {
		world_key_issue(w, "openai", 0, &k[i]);
		assert_int_equal(world_ask(w, "openai", k[i].text), REASON_OK);
	}
	grants(of(&u, &k[0], 0), "openai", "POST", "/**", "");
	run(w, &u);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_METHOD_DENIED);
	grants(of(&u, &k[1], 0), "stripe", "GET", "/**", "");
	run(w, &u);
	WORLD_WAIT(w, w->cuts == 2);
	assert_int_equal(w->cut_reason, REASON_CONN_NOT_GRANTED);
	cidrs(of(&u, &k[2], 0), "192.0.2.0/24");
	run(w, &u);
	world_turns(w);
	assert_int_equal(w->cuts, 2);
	cidrs(of(&u, &k[2], 0), "192.0.2.2/32");
	run(w, &u);
	WORLD_WAIT(w, w->cuts == 3);
	assert_int_equal(w->cut_reason, REASON_IP_DENIED);
}

static void test_a_request_with_a_long_path_is_judged_as_any_other(void **state)
{
	struct world *w = *state;
	char rest[2048] = "/";
	struct world_key k;
	struct update u;
	struct msg_authorize m = {.conn = rk_str("openai"), .method = rk_str("GET")};
	unsigned before = w->decisions;

	memset(rest + 1, 'x', sizeof rest - 2);
	world_key_issue(w, "openai", 0, &k);
	m.key = rk_str(k.text);
	m.rest = rk_str(rest);
	rk_random(m.request_id, sizeof m.request_id);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &m), 0);
	WORLD_WAIT(w, w->decisions > before);
	grants(of(&u, &k, 0), "openai", "GET", "/v1/x*", "");
	run(w, &u);
	world_turns(w);
	assert_int_equal(w->cuts, 0);
	grants(of(&u, &k, 0), "openai", "GET", "/v1/xy*", "");
	run(w, &u);
	WORLD_WAIT(w, w->cuts == 1);
}

/* It was decided under the old grants, and the answer comes under the new ones. */
static void test_a_request_that_waits_for_its_row_is_judged_by_the_new_grants(void **state)
{
	struct msg_authorize m = {
	    .conn = rk_str("openai"), .method = rk_str("GET"), .rest = rk_str("/x")};
	struct world *w = *state;
	struct world_key k;
	struct update u;
	unsigned before;

	world_key_issue(w, "openai", 0, &k);
	before = w->decisions;
	m.key = rk_str(k.text);
	world_set(w, &w->hold_append, true);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &m), 0);
	world_turns(w);
	grants(of(&u, &k, 0), "openai", "GET", "/v1/y", "");
	world_start(w, &w->a, MSG_KEY_UPDATE, &u.m);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->decisions > before && w->a.done);
	assert_int_equal(w->decision.reason, REASON_PATH_DENIED);
}

/* ---- at once, or when it is stored ---- */

static void test_what_only_takes_away_does_not_wait_for_journal_or_store(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_OK);
	world_set(w, &w->hold_append, true);
	grants(of(&u, &k, 0), "openai", "GET", "/v1/files/*", "");
	world_start(w, &w->a, MSG_KEY_UPDATE, &u.m);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->a.done, 0);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	world_answer(&w->a, 0, MSG_KEY_INFO);
	check_restart(w, &k);
}

static void test_what_gives_more_waits_until_it_is_stored(void **state)
{
	struct world *w = *state;
	struct index_key *key;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	key = index_key_by_id(w->k.index, rk_str(k.id));
	cidrs(of(&u, &k, 0), "10.0.0.0/8");
	run(w, &u);
	world_hold_store(w);
	cidrs(of(&u, &k, 0), "10.0.0.0/8 192.0.2.0/24");
	world_start(w, &w->a, MSG_KEY_UPDATE, &u.m);
	world_turns(w);
	assert_int_equal(key->cidr_count, 1);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(key->cidr_count, 2);
	check_restart(w, &k);
}

static void test_without_an_audit_row_nothing_is_given_but_it_is_taken(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	world_append_fails(w, RK_E_FULL);
	/* both in one: not only taken away */
	cidrs(of(&u, &k, KEY_SET_EXPIRY), "10.0.0.0/8");
	grants(&u, "openai", "*", "/**", "");
	assert_int_equal(refused(w, &u), RK_E_FULL);
	assert_non_null(strstr(world_fault.text, "nothing was changed"));
	assert_int_equal(index_key_by_id(w->k.index, rk_str(k.id))->cidr_count, 0);
	cidrs(of(&u, &k, 0), "10.0.0.0/8");
	assert_true(refused(w, &u) < 0);
	assert_non_null(strstr(world_fault.text, "in force and stored"));
	assert_int_equal(index_key_by_id(w->k.index, rk_str(k.id))->cidr_count, 1);
	check_restart(w, &k);
	world_append_fails(w, 0);
}

static void test_an_earlier_change_does_not_give_back_what_a_later_one_took(void **state)
{
	struct msg_key_extend extend = {.ttl_ms = 3600000};
	struct world_caller *third = calloc(1, sizeof *third);
	struct world *w = *state;
	struct index_key *key;
	struct world_key k;
	struct update u;

	world_caller_init(third, "uid:0");
	world_key_issue(w, "openai", 600000, &k);
	key = index_key_by_id(w->k.index, rk_str(k.id));
	extend.ref = rk_str(k.id);
	world_hold_store(w);
	world_start(w, &w->a, MSG_KEY_EXTEND, &extend); /* runs */
	grants(of(&u, &k, 0), "openai", "*", "/**", "");
	world_start(w, &w->b, MSG_KEY_UPDATE, &u.m); /* waits */
	world_turns(w);
	of(&u, &k, KEY_SET_EXPIRY)->m.ttl_ms = 1000;
	grants(&u, "openai", "GET", "/v1/x", "");
	world_start(w, third, MSG_KEY_UPDATE, &u.m);
	assert_true(key->expires_ms <= rk_wall_ms() + 1000);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done);
	assert_true(key->expires_ms <= rk_wall_ms() + 1000);
	WORLD_WAIT(w, w->b.done && third->done);
	assert_true(rk_slice_is(rk_slice_skip(key->grants[0]->paths, 4), "/v1/x"));
	assert_int_equal(key->revision, 4);
	check_restart(w, &k);
	free(third->bytes);
	free(third);
}

static void test_a_tighter_key_that_could_not_be_stored_says_so(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct update u;

	world_key_issue(w, "openai", 0, &k);
	WORLD_OK(db_exec(w->k.store->db,
	                 "CREATE TRIGGER no BEFORE UPDATE ON relay_key BEGIN SELECT "
	                 "RAISE(FAIL, 'no'); END",
	                 &world_fault, "test"));
	cidrs(of(&u, &k, 0), "10.0.0.0/8");
	assert_true(refused(w, &u) < 0);
	assert_non_null(strstr(world_fault.text, "try again"));
	assert_int_equal(world_ask(w, "openai", k.text), REASON_IP_DENIED);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(k.id))->revision, 1);
	WORLD_OK(db_exec(w->k.store->db, "DROP TRIGGER no", &world_fault, "test"));
	assert_int_equal(run(w, &u)->revision, 2);
	check_restart(w, &k);
}

static void test_a_minted_key_that_lives_again_counts_again(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;
	struct mgmt_held key;
	struct world_key k;
	struct update u;

	mint_bounds(&b);
	b.issue.max_live_keys = 1;
	mgmt_issue_from(w, &b.issue, &key);
	mgmt_be(w, &w->b, &key);
	mint_request(&r);
	r.mint.ttl_ms = 30;
	world_run(w, &w->b, MSG_KEY_MINT, &r.mint);
	assert_true(rk_slice_cstr(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.id, k.id,
	                          sizeof k.id));
	usleep(40000);
	run(w, of(&u, &k, KEY_SET_EXPIRY));
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_DENIED);
	of(&u, &k, KEY_SET_EXPIRY)->m.ttl_ms = 1;
	run(w, &u);
	usleep(5000);
	world_run(w, &w->b, MSG_KEY_MINT, &r.mint);
	world_answer(&w->b, 0, MSG_KEY_INFO);
}

/* ---- issuing with options ---- */

static void test_a_key_is_issued_for_trusted_addresses_and_with_no_option_unknown(void **state)
{
	struct sample_grants g = {.used = 0};
	struct msg_key_issue m = {.kind = HOLDER_PERSON, .holder = rk_str("ada")};
	struct world *w = *state;

	sample_grant(&g, "openai", "GET", "/**", "");
	m.grants = sample_grants_slice(&g);
	m.flags = 1u << 30;
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_ISSUE, &m), RK_E_INVALID);
	m.flags = KEY_TRUSTED_ONLY;
	world_run(w, &w->a, MSG_KEY_ISSUE, &m);
	assert_int_equal(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.flags,
	                 KEY_TRUSTED_ONLY);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_each_member_changes_and_the_others_stay),
	    TEST(test_what_makes_no_sense_is_refused_and_nothing_changes),
	    TEST(test_another_revision_is_refused_for_a_tighter_key_too),
	    TEST(test_a_request_that_the_new_grants_would_not_allow_is_cut),
	    TEST(test_it_is_cut_for_its_method_its_connection_and_its_address_too),
	    TEST(test_a_request_with_a_long_path_is_judged_as_any_other),
	    TEST(test_a_request_that_waits_for_its_row_is_judged_by_the_new_grants),
	    TEST(test_what_only_takes_away_does_not_wait_for_journal_or_store),
	    TEST(test_what_gives_more_waits_until_it_is_stored),
	    TEST(test_without_an_audit_row_nothing_is_given_but_it_is_taken),
	    TEST(test_an_earlier_change_does_not_give_back_what_a_later_one_took),
	    TEST(test_a_tighter_key_that_could_not_be_stored_says_so),
	    TEST(test_a_minted_key_that_lives_again_counts_again),
	    TEST(test_a_key_is_issued_for_trusted_addresses_and_with_no_option_unknown),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
