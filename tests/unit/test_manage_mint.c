/*
 * Delegated credentials: what lies within the bounds of a provisioner's key is minted, what
 * does not is refused and says why; and what a provisioner sees.
 */
#include "tests/lib/mgmt_scene.h"

static int setup(void **state)
{
	int err = world_setup(state);

	if (err == 0) {
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
		world_conn_add(*state, "stripe", "https://api.stripe.com");
	}
	return err;
}

/* b is the bearer of a key with these bounds. */
static void be_provisioner(struct world *w, const struct mint_bounds *b)
{
	struct mgmt_held key;

	mgmt_issue_from(w, &b->issue, &key);
	mgmt_be(w, &w->b, &key);
}

static const struct msg_key_info *mint(struct world *w, const struct msg_key_mint *m)
{
	world_run(w, &w->b, MSG_KEY_MINT, m);
	return &world_answer(&w->b, 0, MSG_KEY_INFO)->key_info;
}

/* Refused, and the text names the bound; nothing was made, and it is written down. */
static void refused(struct world *w, const struct msg_key_mint *m, const char *bound)
{
	size_t keys = index_key_count(w->k.index);
	unsigned rows = rows_with(w, "key.mint.denied");

	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, m), RK_E_DENIED);
	if (!strstr(world_fault.text, bound))
		fail_msg("%s is not in: %s", bound, world_fault.text);
	assert_int_equal(index_key_count(w->k.index), keys);
	WORLD_WAIT(w, rows_with(w, "key.mint.denied") == rows + 1);
}

static void test_what_lies_within_the_bounds_is_minted(void **state)
{
	const struct msg_key_info *info;
	struct rk_slice list, item;
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;
	struct msg_grant g;

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	info = mint(w, &r.mint);
	assert_int_equal(info->kind, HOLDER_AGENT);
	assert_true(rk_slice_is(info->holder, "pipeline"));
	assert_true(rk_slice_is(info->name, "agent-run-2026-05-01"));
	assert_true(rk_slice_is(info->minted_by, w->b.caller.actor));
	assert_true(info->key.n > 0 && info->expires_ms > rk_wall_ms());
	list = info->grants;
	assert_true(record_list_next(&list, &item));
	assert_int_equal(record_decode(&msg_grant_desc, item, &g), 0);
	assert_true(rk_slice_is(g.conn_name, "openai"));
	/* what the bounds deny is denied */
	list = g.deny_query;
	assert_true(record_list_next(&list, &item));
	assert_true(rk_slice_is(item, "expand"));
	assert_true(world_last_action(w, "key.mint"));
	assert_string_equal(world_last_row(w)->actor, w->b.caller.actor);
}

static void test_a_minted_key_works_and_no_further_than_it_says(void **state)
{
	struct world *w = *state;
	char text[RELAY_KEY_MAX + 1];
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.grants.used = 0;
	sample_grant(&b.grants, "openai", "GET", "/v1/**", "");
	b.issue.grants = sample_grants_slice(&b.grants);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.paths = sample_words(&r.paths, "/v1/x");
	assert_true(rk_slice_cstr(mint(w, &r.mint)->key, text, sizeof text));
	assert_int_equal(world_ask(w, "openai", text), REASON_OK); /* GET /v1/x */
	world_complete(w);
	r.mint.paths = sample_words(&r.paths, "/v1/y");
	assert_true(rk_slice_cstr(mint(w, &r.mint)->key, text, sizeof text));
	assert_int_equal(world_ask(w, "openai", text), REASON_PATH_DENIED);
	assert_int_equal(world_ask(w, "stripe", text), REASON_CONN_NOT_GRANTED);
}

static void test_methods_and_paths_are_bounded(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.methods = sample_words(&r.methods, "POST");
	refused(w, &r.mint, "grants: POST");
	r.mint.methods = sample_words(&r.methods, "GET DELETE");
	refused(w, &r.mint, "grants: DELETE");
	r.mint.methods = sample_words(&r.methods, "*");
	refused(w, &r.mint, "grants: *");
	r.mint.methods = sample_words(&r.methods, "HEAD GET");
	mint(w, &r.mint);
	r.mint.paths = sample_words(&r.paths, "/v1/**");
	refused(w, &r.mint, "grants: ");
	r.mint.paths = sample_words(&r.paths, "/v1/files");
	refused(w, &r.mint, "/v1/files");
	r.mint.paths = sample_words(&r.paths, "/v1/files/a /v1/responses");
	refused(w, &r.mint, "/v1/responses");
	r.mint.paths = sample_words(&r.paths, "/v1/files/a/* /v1/files/b* /v1/models");
	mint(w, &r.mint);
}

/* Each grant of the bounds is for its own methods: they do not add up. */
static void test_grants_of_the_bounds_are_not_mixed(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.grants.used = 0;
	sample_grant(&b.grants, "openai", "GET", "/v1/files/*", "");
	sample_grant(&b.grants, "openai", "POST", "/v1/responses", "store");
	sample_grant(&b.grants, "stripe", "GET", "/v1/charges", "");
	b.issue.grants = sample_grants_slice(&b.grants);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.methods = sample_words(&r.methods, "POST");
	refused(w, &r.mint, "grants: POST");
	r.mint.paths = sample_words(&r.paths, "/v1/responses");
	mint(w, &r.mint);
	r.mint.conn = rk_str("stripe");
	r.mint.methods = sample_words(&r.methods, "GET");
	refused(w, &r.mint, "grants: GET");
	r.mint.paths = sample_words(&r.paths, "/v1/charges");
	mint(w, &r.mint);
}

static void test_a_connection_outside_the_bounds_is_refused(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.conn = rk_str("stripe");
	refused(w, &r.mint, "not on this connection");
	r.mint.conn = rk_str("nowhere");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_NOTFOUND);
	r.mint.conn = rk_str("openai");
	mint(w, &r.mint);
}

static void test_a_connection_that_was_removed_is_in_no_bounds_any_more(void **state)
{
	struct msg_ref gone = {.ref = rk_str("openai"), .force = 1};
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	be_provisioner(w, &b);
	world_run(w, &w->a, MSG_CONN_REMOVE, &gone);
	world_conn_add(w, "openai", "https://evil.example");
	mint_request(&r);
	refused(w, &r.mint, "not on this connection");
}

static void test_a_time_to_live_is_needed_and_bounded(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.ttl_ms = 0;
	refused(w, &r.mint, "max_ttl_seconds");
	r.mint.ttl_ms = 120001;
	refused(w, &r.mint, "at most 120");
	r.mint.ttl_ms = -1;
	refused(w, &r.mint, "max_ttl_seconds");
	r.mint.ttl_ms = 120000;
	mint(w, &r.mint);
	b.issue.max_ttl_ms = 0;
	be_provisioner(w, &b);
	r.mint.ttl_ms = 0;
	assert_int_equal(mint(w, &r.mint)->expires_ms, 0);
}

static void test_kinds_are_bounded_and_one_alone_is_the_default(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.issue.kinds = 1 << HOLDER_APP;
	be_provisioner(w, &b);
	mint_request(&r);
	assert_int_equal(mint(w, &r.mint)->kind, HOLDER_APP);
	r.mint.set = MINT_SET_KIND;
	r.mint.kind = HOLDER_VENDOR;
	refused(w, &r.mint, "kinds: vendor");
	r.mint.kind = HOLDER_APP;
	mint(w, &r.mint);
	r.mint.kind = HOLDER_KINDS;
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	b.issue.kinds = 1 << HOLDER_APP | 1 << HOLDER_VENDOR;
	be_provisioner(w, &b);
	r.mint.set = 0;
	refused(w, &r.mint, "kinds: agent");
	r.mint.set = MINT_SET_KIND;
	r.mint.kind = HOLDER_VENDOR;
	mint(w, &r.mint);
}

static void test_limits_are_bounded_and_given_where_none_is_asked_for(void **state)
{
	const struct msg_key_info *info;
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.issue.rate_per_minute = 10;
	b.issue.rate_per_day = 100;
	b.issue.max_concurrent = 2;
	be_provisioner(w, &b);
	mint_request(&r);
	info = mint(w, &r.mint);
	assert_int_equal(info->rate_per_minute, 10);
	assert_int_equal(info->rate_per_day, 100);
	assert_int_equal(info->max_concurrent, 2);
	r.mint.rate_per_minute = 11;
	refused(w, &r.mint, "per_minute: at most 10");
	r.mint.rate_per_minute = 9;
	r.mint.rate_per_day = 101;
	refused(w, &r.mint, "per_day: at most 100");
	r.mint.rate_per_day = 100;
	r.mint.max_concurrent = 3;
	refused(w, &r.mint, "concurrent: at most 2");
	r.mint.max_concurrent = 1;
	assert_int_equal(mint(w, &r.mint)->rate_per_minute, 9);
}

static void test_environment_and_holder_are_bounded_and_the_default(void **state)
{
	const struct msg_key_info *info;
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.issue.env = rk_str("ci");
	b.issue.holder = rk_str("nightly");
	be_provisioner(w, &b);
	mint_request(&r);
	info = mint(w, &r.mint);
	assert_true(rk_slice_is(info->env, "ci"));
	assert_true(rk_slice_is(info->holder, "nightly"));
	r.mint.env = rk_str("production");
	refused(w, &r.mint, "environment: only \"ci\"");
	r.mint.env = rk_str("ci");
	r.mint.holder = rk_str("somebody");
	refused(w, &r.mint, "holder: only \"nightly\"");
	r.mint.holder = rk_str("nightly");
	mint(w, &r.mint);
}

static void test_a_mint_is_checked_as_an_issue_is(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.methods = rk_str(NULL);
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	mint_request(&r);
	r.mint.paths = sample_words(&r.paths, "/v1/files/../x");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	mint_request(&r);
	r.mint.name = rk_str("two words");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	mint_request(&r);
	r.mint.cidrs = sample_words(&r.deny, "10.0.0.1/8");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	mint_request(&r);
	r.mint.flags = 1u << 31;
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	r.mint.flags = KEY_TRUSTED_ONLY;
	assert_int_equal(mint(w, &r.mint)->flags, KEY_TRUSTED_ONLY);
}

static void test_an_operator_mints_without_bounds_but_needs_a_holder(void **state)
{
	struct world *w = *state;
	struct mint_request r;
	struct mgmt_held key;

	mint_request(&r);
	r.mint.methods = sample_words(&r.methods, "*");
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_MINT, &r.mint), RK_E_INVALID);
	r.mint.holder = rk_str("crawler");
	world_run(w, &w->a, MSG_KEY_MINT, &r.mint);
	assert_int_equal(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.minted_by.n, 0);
	mgmt_issue(w, ROLE_OPERATOR, &key);
	mgmt_be(w, &w->b, &key);
	r.mint.holder = rk_str(NULL); /* the key's name */
	assert_true(rk_slice_is(mint(w, &r.mint)->holder, "ci"));
}

/* ---- the number of live keys ---- */

static void test_a_hundred_at_once_never_exceed_the_limit(void **state)
{
	enum { CALLERS = 100, MOST = 7 };
	struct world_caller *c = calloc(CALLERS, sizeof *c);
	unsigned minted = 0, denied = 0;
	struct world *w = *state;
	struct mgmt_held key;
	struct mint_bounds b;
	struct mint_request r;

	mint_bounds(&b);
	b.issue.max_live_keys = MOST;
	mgmt_issue_from(w, &b.issue, &key);
	mint_request(&r);
	r.mint.ttl_ms = 2000;
	for (unsigned i = 0; i < CALLERS; i++) {
		world_caller_init(&c[i], "");
		mgmt_be(w, &c[i], &key);
		world_start(w, &c[i], MSG_KEY_MINT, &r.mint);
	}
	for (unsigned i = 0; i < CALLERS; i++) {
		WORLD_WAIT(w, c[i].done);
		if (c[i].answer[0].type == MSG_KEY_INFO)
			minted++;
		else if (world_answer(&c[i], 0, MSG_DONE)->done.err == RK_E_DENIED)
			denied++;
		free(c[i].bytes);
	}
	free(c);
	assert_int_equal(minted, MOST);
	assert_int_equal(denied, CALLERS - MOST);
	assert_int_equal(index_key_count(w->k.index), MOST);
	WORLD_WAIT(w, rows_with(w, "key.mint.denied") == CALLERS - MOST);
	/* and as they end, others may be minted */
	mgmt_be(w, &w->b, &key);
	refused(w, &r.mint, "max_live_keys");
	usleep(2100 * 1000);
	for (unsigned i = 0; i < MOST; i++)
		mint(w, &r.mint);
	refused(w, &r.mint, "max_live_keys");
}

static void test_a_revoked_key_makes_room_and_an_extended_one_does_not(void **state)
{
	struct msg_key_extend extend = {.ttl_ms = 60000};
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;
	struct msg_ref ref;
	char id[32];

	mint_bounds(&b);
	b.issue.max_live_keys = 1;
	be_provisioner(w, &b);
	mint_request(&r);
	r.mint.ttl_ms = 50;
	assert_true(rk_slice_cstr(mint(w, &r.mint)->id, id, sizeof id));
	extend.ref = rk_str(id);
	world_run(w, &w->a, MSG_KEY_EXTEND, &extend);
	usleep(60000);
	refused(w, &r.mint, "max_live_keys");
	ref = (struct msg_ref){.ref = rk_str(id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_true(rk_slice_cstr(mint(w, &r.mint)->id, id, sizeof id));
	usleep(60000);
	/* one that was over lives again */
	extend.ref = rk_str(id);
	world_run(w, &w->a, MSG_KEY_EXTEND, &extend);
	refused(w, &r.mint, "max_live_keys");
}

static void test_a_restart_counts_what_lives(void **state)
{
	struct world *w = *state;
	struct mgmt_keys *again;
	struct mint_bounds b;
	struct mint_request r;
	struct msg_ref ref;
	char id[32];

	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	mint(w, &r.mint);
	assert_true(rk_slice_cstr(mint(w, &r.mint)->id, id, sizeof id));
	r.mint.ttl_ms = 1;
	mint(w, &r.mint);
	ref = (struct msg_ref){.ref = rk_str(id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	usleep(3000);
	assert_int_equal(mgmt_keys_new(&again), 0);
	WORLD_OK(mgmt_keys_load(again, w->k.store, w->k.index, rk_wall_ms(), &world_fault));
	assert_int_equal(minted_live(&mgmt_keys_next(again, NULL)->minted, rk_wall_ms(), false),
	                 1);
	assert_int_equal(mgmt_keys_next(again, NULL)->minted.keys, 3);
	mgmt_keys_free(again);
}

/* ---- what a provisioner sees ---- */

static void test_a_provisioner_sees_and_revokes_what_it_minted_and_nothing_else(void **state)
{
	struct msg_list list = {0};
	struct world *w = *state;
	struct world_key others;
	struct mint_bounds b;
	struct mint_request r;
	struct msg_ref ref;
	char own[32], text[RELAY_KEY_MAX + 1], masked[RELAY_KEY_MASKED];
	const struct msg_key_info *info;

	world_key_issue(w, "openai", 0, &others);
	mint_bounds(&b);
	be_provisioner(w, &b);
	mint_request(&r);
	info = mint(w, &r.mint);
	assert_true(rk_slice_cstr(info->id, own, sizeof own));
	assert_true(rk_slice_cstr(info->key, text, sizeof text));
	assert_true(rk_slice_cstr(info->masked, masked, sizeof masked));
	world_run(w, &w->b, MSG_KEY_LIST, &list);
	assert_int_equal(w->b.answers, 2);
	assert_true(rk_slice_is(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.id, own));
	world_run(w, &w->a, MSG_KEY_LIST, &list);
	assert_int_equal(w->a.answers, 3);
	list.after = rk_str(others.id);
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_LIST, &list), RK_E_NOTFOUND);
	for (unsigned i = 0; i < 4; i++) {
		const char *const foreign[] = {others.id, others.text, others.masked, masked};

		ref = (struct msg_ref){.ref = rk_str(foreign[i])};
		assert_int_equal(world_refusal(w, &w->b, MSG_KEY_GET, &ref), RK_E_NOTFOUND);
		assert_int_equal(world_refusal(w, &w->b, MSG_KEY_REVOKE, &ref), RK_E_NOTFOUND);
	}
	assert_int_equal(index_key_by_id(w->k.index, rk_str(others.id))->revoked_ms, 0);
	ref = (struct msg_ref){.ref = rk_str(own)};
	world_run(w, &w->b, MSG_KEY_GET, &ref);
	assert_int_equal(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.key.n, 0);
	ref = (struct msg_ref){.ref = rk_str(text)};
	world_run(w, &w->b, MSG_KEY_REVOKE, &ref);
	assert_int_equal(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.state, KEY_REVOKED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_what_lies_within_the_bounds_is_minted),
	    TEST(test_a_minted_key_works_and_no_further_than_it_says),
	    TEST(test_methods_and_paths_are_bounded),
	    TEST(test_grants_of_the_bounds_are_not_mixed),
	    TEST(test_a_connection_outside_the_bounds_is_refused),
	    TEST(test_a_connection_that_was_removed_is_in_no_bounds_any_more),
	    TEST(test_a_time_to_live_is_needed_and_bounded),
	    TEST(test_kinds_are_bounded_and_one_alone_is_the_default),
	    TEST(test_limits_are_bounded_and_given_where_none_is_asked_for),
	    TEST(test_environment_and_holder_are_bounded_and_the_default),
	    TEST(test_a_mint_is_checked_as_an_issue_is),
	    TEST(test_an_operator_mints_without_bounds_but_needs_a_holder),
	    TEST(test_a_hundred_at_once_never_exceed_the_limit),
	    TEST(test_a_revoked_key_makes_room_and_an_extended_one_does_not),
	    TEST(test_a_restart_counts_what_lives),
	    TEST(test_a_provisioner_sees_and_revokes_what_it_minted_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
