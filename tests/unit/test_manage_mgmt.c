/*
 * Management keys, with a real store and journal: each command, who is let in with one, and
 * what a revocation takes along.
 */
#include "tests/lib/mgmt_scene.h"

#include "keeper/mgmt_leak.h"
#include "keeper/store_schema.h"

static int setup(void **state)
{
	int err = world_setup(state);

	if (err == 0)
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
	return err;
}

static const struct msg_mgmt_info *show(struct world *w, const char *ref)
{
	struct msg_ref m = {.ref = rk_str(ref)};

	world_run(w, &w->a, MSG_MGMT_GET, &m);
	return &world_answer(&w->a, 0, MSG_MGMT_INFO)->mgmt_info;
}

static void take_back(struct world *w, const char *ref, bool cascade)
{
	struct msg_mgmt_revoke m = {.ref = rk_str(ref), .cascade = cascade};

	world_run(w, &w->a, MSG_MGMT_REVOKE, &m);
	world_answer(&w->a, 0, MSG_MGMT_INFO);
}

static void mint(struct world *w, struct world_caller *c, char id[32], char text[64])
{
	const struct msg_key_info *info;
	struct mint_request r;

	mint_request(&r);
	world_run(w, c, MSG_KEY_MINT, &r.mint);
	info = &world_answer(c, 0, MSG_KEY_INFO)->key_info;
	assert_true(rk_slice_cstr(info->id, id, 32));
	assert_true(rk_slice_cstr(info->key, text, 64));
}

static void reload(struct world *w, struct mgmt_keys **out)
{
	assert_int_equal(mgmt_keys_new(out), 0);
	WORLD_OK(mgmt_keys_load(*out, w->k.store, w->k.index, rk_wall_ms(), &world_fault));
}

/* The store's thread is at rest between commands. */
static void exec(struct world *w, const char *sql)
{
	WORLD_OK(db_exec(w->k.store->db, sql, &world_fault, "test"));
}

static int64_t number(struct world *w, const char *sql)
{
	int64_t n = 0;

	WORLD_OK(db_query_int(w->k.store->db, sql, &n, &world_fault));
	return n;
}

static void test_a_key_is_shown_once_and_lets_its_bearer_in(void **state)
{
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_OPERATOR, &key);
	assert_true(world_last_action(w, "management_key.issue"));
	assert_string_equal(world_last_row(w)->target, key.id);
	assert_null(strstr(world_last_row(w)->detail, key.text));
	assert_int_equal(show(w, key.id)->key.n, 0);
	assert_int_equal(show(w, key.text)->role, ROLE_OPERATOR);
	assert_int_equal(mgmt_come(w, &w->b, key.text), 0);
	assert_string_equal(w->b.caller.actor, key.id);
	assert_int_equal(w->b.caller.role, ROLE_OPERATOR);
	assert_true(show(w, key.id)->last_used_ms > 0);
}

static void test_every_role_but_nobody_can_have_a_key(void **state)
{
	struct msg_mgmt_issue issue = {.role = ROLE_NOBODY, .name = rk_str("ci")};
	struct world *w = *state;
	struct mint_bounds b;
	struct mgmt_held key;

	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &issue), RK_E_INVALID);
	issue.role = ROLE_COUNT;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &issue), RK_E_INVALID);
	for (issue.role = ROLE_ADMIN; issue.role < ROLE_PROVISIONER; issue.role++)
		mgmt_issue_from(w, &issue, &key);
	mint_bounds(&b);
	mgmt_issue_from(w, &b.issue, &key);
}

static void test_names_expiry_and_bounds_are_checked(void **state)
{
	struct world *w = *state;
	struct msg_mgmt_issue bad;
	struct mint_bounds b;
	struct mgmt_held key;

	mint_bounds(&b);
	bad = b.issue;
	bad.name = rk_str("two words");
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.expires_ms = 1;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.role = ROLE_ADMIN; /* bounds are a provisioner's */
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.grants = rk_str(NULL); /* which needs some */
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.kinds = 1u << HOLDER_KINDS;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.max_ttl_ms = -1;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	bad = b.issue;
	bad.rate_per_day = RATE_MAX + 1u;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_INVALID);
	b.grants.used = 0;
	sample_grant(&b.grants, "unknown", "GET", "/**", "");
	bad = b.issue;
	bad.grants = sample_grants_slice(&b.grants);
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_ISSUE, &bad), RK_E_NOTFOUND);
	mint_bounds(&b);
	mgmt_issue_from(w, &b.issue, &key);
}

static void test_bounds_are_shown_with_the_connections_name(void **state)
{
	const struct msg_mgmt_info *info;
	struct world *w = *state;
	struct rk_slice list, item;
	struct mint_bounds b;
	struct mgmt_held key;
	struct msg_grant g;

	mint_bounds(&b);
	b.issue.max_live_keys = 5;
	b.issue.env = rk_str("ci");
	mgmt_issue_from(w, &b.issue, &key);
	info = show(w, key.id);
	assert_int_equal(info->max_ttl_ms, 120000);
	assert_int_equal(info->max_live_keys, 5);
	assert_true(rk_slice_is(info->env, "ci"));
	list = info->grants;
	assert_true(record_list_next(&list, &item));
	assert_int_equal(record_decode(&msg_grant_desc, item, &g), 0);
	assert_true(rk_slice_is(g.conn_name, "openai"));
	assert_true(rk_slice_starts(g.conn, rk_str("conn_")));
}

static void test_a_list_has_pages_and_may_leave_out_the_dead(void **state)
{
	struct msg_list list = {.limit = 2};
	struct mgmt_held key[3];
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++)
		mgmt_issue(w, ROLE_AUDITOR, &key[i]);
	world_run(w, &w->a, MSG_MGMT_LIST, &list);
	assert_int_equal(w->a.answers, 3);
	assert_true(
	    rk_slice_is(world_answer(&w->a, 1, MSG_MGMT_INFO)->mgmt_info.id, key[1].id));
	assert_int_equal(world_answer(&w->a, 2, MSG_DONE)->done.more, 1);
	list.after = rk_str(key[1].id);
	world_run(w, &w->a, MSG_MGMT_LIST, &list);
	assert_int_equal(w->a.answers, 2);
	assert_int_equal(world_answer(&w->a, 1, MSG_DONE)->done.more, 0);
	take_back(w, key[0].id, false);
	list = (struct msg_list){.live_only = 1};
	world_run(w, &w->a, MSG_MGMT_LIST, &list);
	assert_int_equal(w->a.answers, 3);
	list = (struct msg_list){.after = rk_str("mkey_none")};
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_LIST, &list), RK_E_NOTFOUND);
}

static void test_a_list_waits_for_its_reader(void **state)
{
	struct msg_list list = {0};
	struct mgmt_held key;
	struct world *w = *state;

	for (unsigned i = 0; i < 5; i++)
		mgmt_issue(w, ROLE_AUDITOR, &key);
	w->a.room = 2;
	world_start(w, &w->a, MSG_MGMT_LIST, &list);
	world_turns(w);
	assert_int_equal(w->a.answers, 2);
	w->a.room = UINT32_MAX;
	manage_drained(&w->a.caller);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(w->a.answers, 6);
}

static void test_name_and_expiry_change_and_a_revoked_key_does_not(void **state)
{
	struct msg_mgmt_update m = {
	    .set = MGMT_SET_NAME | MGMT_SET_EXPIRY, .name = rk_str("nightly"), .ttl_ms = 60000};
	const struct msg_mgmt_info *info;
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_AUDITOR, &key);
	m.ref = rk_str(key.id);
	world_run(w, &w->a, MSG_MGMT_UPDATE, &m);
	info = &world_answer(&w->a, 0, MSG_MGMT_INFO)->mgmt_info;
	assert_true(rk_slice_is(info->name, "nightly"));
	assert_true(info->expires_ms > rk_wall_ms());
	assert_int_equal(info->revision, 2);
	m = (struct msg_mgmt_update){.ref = rk_str(key.id), .set = MGMT_SET_EXPIRY};
	w->a.caller.if_revision = 1;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_UPDATE, &m), RK_E_STALE);
	w->a.caller.if_revision = 2;
	world_run(w, &w->a, MSG_MGMT_UPDATE, &m);
	info = &world_answer(&w->a, 0, MSG_MGMT_INFO)->mgmt_info;
	assert_int_equal(info->expires_ms, 0);
	assert_true(rk_slice_is(info->name, "nightly"));
	w->a.caller.if_revision = 0;
	m.set = 0;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_UPDATE, &m), RK_E_INVALID);
	m.set = 64;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_UPDATE, &m), RK_E_INVALID);
	take_back(w, key.id, false);
	m.set = MGMT_SET_EXPIRY;
	assert_int_equal(world_refusal(w, &w->a, MSG_MGMT_UPDATE, &m), RK_E_STATE);
}

static void test_an_expired_key_lets_nobody_in_until_it_is_extended(void **state)
{
	struct msg_mgmt_issue issue = {
	    .role = ROLE_ADMIN, .name = rk_str("short"), .ttl_ms = 30};
	struct msg_mgmt_update longer = {.set = MGMT_SET_EXPIRY, .ttl_ms = 60000};
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue_from(w, &issue, &key);
	assert_int_equal(mgmt_come(w, &w->b, key.text), 0);
	usleep(40000);
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_AUTH);
	assert_int_equal(w->b.caller.role, ROLE_NOBODY);
	assert_int_equal(show(w, key.id)->state, KEY_EXPIRED);
	longer.ref = rk_str(key.id);
	world_run(w, &w->a, MSG_MGMT_UPDATE, &longer);
	assert_int_equal(mgmt_come(w, &w->b, key.text), 0);
}

static void test_a_revoked_key_is_out_at_once_though_the_journal_is_slow(void **state)
{
	struct msg_mgmt_revoke m;
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_ADMIN, &key);
	m = (struct msg_mgmt_revoke){.ref = rk_str(key.id)};
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_MGMT_REVOKE, &m);
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_AUTH);
	assert_int_equal(w->a.done, 0);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_MGMT_INFO)->mgmt_info.state, KEY_REVOKED);
	assert_int_equal(rows_with(w, "management_key.revoke"), 1);
	assert_int_equal(rows_with(w, "authentication.failed"), 1);
}

static void test_commands_of_a_revoked_key_end_and_what_waits_is_not_done(void **state)
{
	struct msg_audit_query tail = {.mode = AUDIT_MODE_TAIL};
	struct msg_key_extend extend = {.ttl_ms = 60000};
	struct msg_mgmt_revoke revocation;
	struct world_caller *waiting = calloc(1, sizeof *waiting);
	struct world_caller *third = calloc(1, sizeof *third);
	struct mgmt_held admin;
	struct world *w = *state;
	struct world_key k;

	world_key_issue(w, "openai", 0, &k);
	mgmt_issue(w, ROLE_ADMIN, &admin);
	revocation = (struct msg_mgmt_revoke){.ref = rk_str(admin.id)};
	extend.ref = rk_str(k.id);
	world_caller_init(waiting, "");
	world_caller_init(third, "uid:0");
	mgmt_be(w, &w->b, &admin);
	mgmt_be(w, waiting, &admin);
	world_start(w, &w->b, MSG_AUDIT_QUERY, &tail);
	world_turns(w);
	assert_int_equal(w->b.done, 0);
	world_hold_store(w);
	world_start(w, &w->a, MSG_KEY_EXTEND, &extend); /* this one runs, the next one waits */
	world_start(w, waiting, MSG_KEY_EXTEND, &extend);
	world_turns(w);
	world_start(w, third, MSG_MGMT_REVOKE, &revocation);
	assert_int_equal(w->b.done, 1);
	assert_int_equal(world_answer(&w->b, w->b.answers - 1, MSG_DONE)->done.err, RK_E_AUTH);
	assert_int_equal(waiting->done, 1);
	assert_int_equal(world_answer(waiting, 0, MSG_DONE)->done.err, RK_E_AUTH);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && third->done);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(k.id))->revision, 2);
	free(waiting->bytes);
	free(waiting);
	free(third->bytes);
	free(third);
}

static void test_a_key_that_expires_ends_what_its_bearer_still_reads(void **state)
{
	struct msg_mgmt_issue issue = {
	    .role = ROLE_AUDITOR, .name = rk_str("short"), .ttl_ms = 300};
	struct msg_audit_query tail = {.mode = AUDIT_MODE_TAIL};
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue_from(w, &issue, &key);
	mgmt_be(w, &w->b, &key);
	world_start(w, &w->b, MSG_AUDIT_QUERY, &tail);
	world_start(w, &w->a, MSG_AUDIT_QUERY, &tail);
	world_turns(w);
	assert_int_equal(w->b.done, 0);
	WORLD_WAIT(w, w->b.done);
	assert_int_equal(world_answer(&w->b, w->b.answers - 1, MSG_DONE)->done.err, RK_E_AUTH);
	assert_int_equal(w->a.done, 0);
}

static void test_a_key_may_revoke_itself_and_hears_of_it(void **state)
{
	struct msg_mgmt_revoke m;
	struct mgmt_held admin;
	struct world *w = *state;

	mgmt_issue(w, ROLE_ADMIN, &admin);
	mgmt_be(w, &w->b, &admin);
	m = (struct msg_mgmt_revoke){.ref = rk_str(admin.id)};
	world_run(w, &w->b, MSG_MGMT_REVOKE, &m);
	assert_int_equal(world_answer(&w->b, 0, MSG_MGMT_INFO)->mgmt_info.state, KEY_REVOKED);
	assert_string_equal(world_last_row(w)->actor, admin.id);
	assert_int_equal(mgmt_come(w, &w->b, admin.text), RK_E_AUTH);
}

static void test_what_it_minted_lives_on_unless_the_revocation_says_otherwise(void **state)
{
	char id[4][32], text[4][64];
	struct world *w = *state;
	struct mgmt_held one, two;
	struct mint_bounds b;
	struct mgmt_keys *again;

	mint_bounds(&b);
	mgmt_issue_from(w, &b.issue, &one);
	mgmt_issue_from(w, &b.issue, &two);
	mgmt_be(w, &w->b, &one);
	mint(w, &w->b, id[0], text[0]);
	mgmt_be(w, &w->b, &two);
	mint(w, &w->b, id[1], text[1]);
	mint(w, &w->b, id[2], text[2]);
	take_back(w, one.id, false);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(id[0]))->revoked_ms, 0);
	take_back(w, two.id, true);
	assert_true(index_key_by_id(w->k.index, rk_str(id[1]))->revoked_ms > 0);
	assert_true(index_key_by_id(w->k.index, rk_str(id[2]))->revoked_ms > 0);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(id[1]))->revision, 2);
	assert_int_equal(index_key_by_id(w->k.index, rk_str(id[0]))->revision, 1);
	assert_non_null(strstr(world_last_row(w)->detail, "relay_keys=2"));
	assert_int_equal(show(w, two.id)->live_keys, 0);
	assert_int_equal(show(w, one.id)->live_keys, 1);
	/* later, for one that is revoked already */
	take_back(w, one.id, true);
	assert_true(index_key_by_id(w->k.index, rk_str(id[0]))->revoked_ms > 0);
	reload(w, &again);
	assert_int_equal(mgmt_keys_by_id(again, rk_str(two.id))->minted.keys, 2);
	assert_int_equal(mgmt_keys_by_id(again, rk_str(two.id))->revision, 2);
	mgmt_keys_free(again);
}

static void test_a_cascade_that_could_not_be_stored_says_so_and_is_tried_again(void **state)
{
	char id[32], text[64];
	struct world *w = *state;
	struct msg_mgmt_revoke m;
	struct mgmt_held key;
	struct mint_bounds b;
	struct msg_ref ref;
	int64_t live;

	mint_bounds(&b);
	mgmt_issue_from(w, &b.issue, &key);
	mgmt_be(w, &w->b, &key);
	mint(w, &w->b, id, text);
	exec(
	    w,
	    "CREATE TRIGGER no BEFORE UPDATE ON relay_key BEGIN SELECT RAISE(FAIL, 'no'); END");
	m = (struct msg_mgmt_revoke){.ref = rk_str(key.id), .cascade = 1};
	assert_true(world_refusal(w, &w->a, MSG_MGMT_REVOKE, &m) < 0);
	assert_non_null(strstr(world_fault.text, "try again"));
	assert_true(index_key_by_id(w->k.index, rk_str(id))->revoked_ms > 0);
	/* the key on its own is not stored either, and must not be said to be */
	ref = (struct msg_ref){.ref = rk_str(id)};
	assert_true(world_refusal(w, &w->a, MSG_KEY_REVOKE, &ref) < 0);
	exec(w, "DROP TRIGGER no");
	take_back(w, key.id, true);
	live = number(w, "SELECT count(*) FROM relay_key WHERE revoked_ms = 0");
	assert_int_equal(live, 0);
	live = number(w, "SELECT revision FROM relay_key");
	assert_int_equal(live, index_key_by_id(w->k.index, rk_str(id))->revision);
}

/* ---- one that leaked ---- */

static enum mgmt_leak leaked(struct world *w, const char *token, char id[MGMT_KEY_ID_TEXT])
{
	char masked[MGMT_KEY_MASKED];

	return mgmt_key_revoke_leaked(w->m, "scanner:one", rk_str(token),
	                              rk_str("https://example.com/a\nb"), id, masked);
}

static void test_a_leaked_key_is_revoked_at_once_and_stays_so(void **state)
{
	char id[MGMT_KEY_ID_TEXT], never[MGMT_KEY_MAX + 1];
	struct world *w = *state;
	struct mgmt_held key, other;
	struct mgmt_key made;

	mgmt_issue(w, ROLE_ADMIN, &key);
	mgmt_issue(w, ROLE_ADMIN, &other);
	never[mgmt_key_generate(ROLE_ADMIN, never, &made)] = '\0';
	assert_int_equal(leaked(w, never, id), MGMT_LEAK_UNKNOWN);
	assert_int_equal(leaked(w, "rk_mgmt_admin_x", id), MGMT_LEAK_UNKNOWN);
	world_set(w, &w->hold_append, true);
	assert_int_equal(leaked(w, key.text, id), MGMT_LEAK_REVOKED);
	assert_string_equal(id, key.id);
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_AUTH);
	assert_int_equal(mgmt_come(w, &w->b, other.text), 0);
	assert_int_equal(leaked(w, key.text, id), MGMT_LEAK_OVER);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, rows_with(w, "management_key.revoke") == 1);
	WORLD_WAIT(w, rows_with(w, "key.leaked") == 1);
	WORLD_WAIT(w, number(w, "SELECT count(*) FROM management_key WHERE revoked_ms > 0"));
	for (unsigned i = 0; i < w->rows; i++)
		assert_null(strstr(w->row[i].detail, key.text + 30));
}

static void test_a_leaked_key_whose_revocation_was_not_stored_is_tried_again(void **state)
{
	char id[MGMT_KEY_ID_TEXT];
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_ADMIN, &key);
	exec(w, "CREATE TRIGGER no BEFORE UPDATE ON management_key BEGIN SELECT RAISE(FAIL, "
	        "'no'); END");
	assert_int_equal(leaked(w, key.text, id), MGMT_LEAK_REVOKED);
	WORLD_WAIT(w, rows_with(w, "management_key.revoke.failed") == 1);
	exec(w, "DROP TRIGGER no");
	assert_int_equal(leaked(w, key.text, id), MGMT_LEAK_OVER);
	WORLD_WAIT(w, number(w, "SELECT count(*) FROM management_key WHERE revoked_ms > 0"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_key_is_shown_once_and_lets_its_bearer_in),
	    TEST(test_every_role_but_nobody_can_have_a_key),
	    TEST(test_names_expiry_and_bounds_are_checked),
	    TEST(test_bounds_are_shown_with_the_connections_name),
	    TEST(test_a_list_has_pages_and_may_leave_out_the_dead),
	    TEST(test_a_list_waits_for_its_reader),
	    TEST(test_name_and_expiry_change_and_a_revoked_key_does_not),
	    TEST(test_an_expired_key_lets_nobody_in_until_it_is_extended),
	    TEST(test_a_revoked_key_is_out_at_once_though_the_journal_is_slow),
	    TEST(test_commands_of_a_revoked_key_end_and_what_waits_is_not_done),
	    TEST(test_a_key_that_expires_ends_what_its_bearer_still_reads),
	    TEST(test_a_key_may_revoke_itself_and_hears_of_it),
	    TEST(test_what_it_minted_lives_on_unless_the_revocation_says_otherwise),
	    TEST(test_a_cascade_that_could_not_be_stored_says_so_and_is_tried_again),
	    TEST(test_a_leaked_key_is_revoked_at_once_and_stays_so),
	    TEST(test_a_leaked_key_whose_revocation_was_not_stored_is_tried_again),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
