/*
 * Idempotency keys: a command that is sent again is not done again, whatever happened between.
 */
#include "tests/lib/mgmt_scene.h"

#include "keeper/recent_keys.h"

static int setup(void **state)
{
	int err = world_setup(state);
	struct world *w = *state;
	struct mgmt_held key;

	if (err)
		return err;
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	mgmt_issue(w, ROLE_ADMIN, &key);
	mgmt_be(w, &w->b, &key);
	return 0;
}

static void under(struct world_caller *c, const char *key)
{
	snprintf(c->caller.idempotency_key, sizeof c->caller.idempotency_key, "%s", key);
}

struct issue {
	struct sample_grants grants;
	struct msg_key_issue m;
};

static void issue(struct issue *r, const char *holder)
{
	r->grants.used = 0;
	sample_grant(&r->grants, "openai", "GET", "/**", "");
	r->m = (struct msg_key_issue){.kind = HOLDER_APP,
	                              .holder = rk_str(holder),
	                              .grants = sample_grants_slice(&r->grants)};
}

struct told {
	char id[32], text[RELAY_KEY_MAX + 1];
};

static struct told run(struct world *w, struct world_caller *c, const struct msg_key_issue *m)
{
	const struct msg_key_info *info;
	struct told t;

	world_run(w, c, MSG_KEY_ISSUE, m);
	info = &world_answer(c, 0, MSG_KEY_INFO)->key_info;
	assert_true(rk_slice_cstr(info->id, t.id, sizeof t.id));
	assert_true(rk_slice_cstr(info->key, t.text, sizeof t.text));
	return t;
}

static void test_the_same_command_again_gives_the_same_answer_and_does_nothing(void **state)
{
	struct world *w = *state;
	struct told first, second;
	struct issue r;

	issue(&r, "web");
	under(&w->b, "order-1");
	first = run(w, &w->b, &r.m);
	second = run(w, &w->b, &r.m);
	assert_string_equal(first.id, second.id);
	assert_string_equal(first.text, second.text);
	assert_true(strlen(first.text) > 40);
	assert_int_equal(index_key_count(w->k.index), 1);
	assert_int_equal(rows_with(w, "key.issue"), 1);
}

static void test_the_answer_is_of_the_object_as_it_is_now(void **state)
{
	struct world *w = *state;
	struct told first;
	struct issue r;
	struct msg_ref ref;

	issue(&r, "web");
	under(&w->b, "order-1");
	first = run(w, &w->b, &r.m);
	ref = (struct msg_ref){.ref = rk_str(first.id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	world_run(w, &w->b, MSG_KEY_ISSUE, &r.m);
	assert_int_equal(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.state, KEY_REVOKED);
}

static void test_another_command_under_the_same_key_is_refused(void **state)
{
	struct world *w = *state;
	struct msg_key_extend extend = {.ttl_ms = 1000};
	struct told first;
	struct issue r;

	issue(&r, "web");
	under(&w->b, "order-1");
	first = run(w, &w->b, &r.m);
	issue(&r, "api");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_ISSUE, &r.m), RK_E_EXISTS);
	assert_non_null(strstr(world_fault.text, "another command"));
	extend.ref = rk_str(first.id);
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_EXTEND, &extend), RK_E_EXISTS);
	under(&w->b, "order-2");
	run(w, &w->b, &r.m);
	assert_int_equal(index_key_count(w->k.index), 2);
}

static void test_each_caller_has_keys_of_its_own(void **state)
{
	struct world *w = *state;
	struct told one, two;
	struct issue r;

	issue(&r, "web");
	under(&w->a, "order-1");
	under(&w->b, "order-1");
	one = run(w, &w->a, &r.m);
	two = run(w, &w->b, &r.m);
	assert_string_not_equal(one.id, two.id);
}

static void test_while_it_is_in_progress_the_second_one_is_told_so(void **state)
{
	struct world_caller *c = calloc(1, sizeof *c);
	struct world *w = *state;
	struct issue r;

	world_caller_init(c, "");
	c->caller = w->b.caller;
	c->caller.op = NULL;
	issue(&r, "web");
	under(&w->b, "order-1");
	under(c, "order-1");
	world_set(w, &w->hold_append, true);
	world_start(w, &w->b, MSG_KEY_ISSUE, &r.m);
	world_turns(w);
	assert_int_equal(world_refusal(w, c, MSG_KEY_ISSUE, &r.m), RK_E_AGAIN);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->b.done);
	world_run(w, c, MSG_KEY_ISSUE, &r.m);
	world_answer(c, 0, MSG_KEY_INFO);
	assert_int_equal(index_key_count(w->k.index), 1);
	free(c->bytes);
	free(c);
}

static void test_what_failed_may_be_tried_again_under_its_key(void **state)
{
	struct world *w = *state;
	struct issue r;

	issue(&r, "web");
	under(&w->b, "order-1");
	world_append_fails(w, RK_E_FULL);
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_ISSUE, &r.m), RK_E_FULL);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	run(w, &w->b, &r.m);
	assert_int_equal(index_key_count(w->k.index), 1);
}

/* A new manager on the same store: the texts went with the old one. */
static void test_after_a_restart_the_object_is_known_but_not_the_keys_text(void **state)
{
	struct world *w = *state;
	struct told first, second;
	struct issue r;

	issue(&r, "web");
	under(&w->b, "order-1");
	first = run(w, &w->b, &r.m);
	manage_free(w->m);
	assert_int_equal(manage_new(&w->k, &w->m), 0);
	second = run(w, &w->b, &r.m);
	assert_string_equal(first.id, second.id);
	assert_string_equal(second.text, "");
	assert_int_equal(index_key_count(w->k.index), 1);
}

static void test_a_connection_is_added_once_and_its_secret_is_no_part_of_what_is_kept(
    void **state)
{
	struct sample_list auth;
	struct msg_conn_add add = {
	    .name = rk_str("stripe"),
	    .base_url = rk_str("https://api.stripe.com"),
	    .auth = sample_words(&auth, "bearer"),
	    .secret = rk_str(WORLD_SECRET),
	};
	struct world *w = *state;

	under(&w->b, "conn-1");
	world_run(w, &w->b, MSG_CONN_ADD, &add);
	world_run(w, &w->b, MSG_CONN_ADD, &add);
	assert_true(
	    rk_slice_is(world_answer(&w->b, 0, MSG_CONN_INFO)->conn_info.name, "stripe"));
	assert_int_equal(index_conn_count(w->k.index), 2);
	add.secret = rk_str("another-secret-0123456789");
	assert_int_equal(world_refusal(w, &w->b, MSG_CONN_ADD, &add), RK_E_EXISTS);
}

/* Containment is in force whatever the key was used for. */
static void test_a_revocation_does_not_look_at_its_idempotency_key(void **state)
{
	struct world *w = *state;
	struct told first;
	struct msg_ref ref;
	struct issue r;

	issue(&r, "web");
	under(&w->b, "order-1");
	first = run(w, &w->b, &r.m);
	ref = (struct msg_ref){.ref = rk_str(first.id)};
	world_run(w, &w->b, MSG_KEY_REVOKE, &ref);
	assert_int_equal(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.state, KEY_REVOKED);
	world_run(w, &w->b, MSG_KEY_REVOKE, &ref);
	world_answer(&w->b, 0, MSG_KEY_INFO);
}

static void test_a_mint_that_reached_the_limit_is_told_again_and_not_refused(void **state)
{
	struct world *w = *state;
	struct mint_bounds b;
	struct mint_request r;
	struct mgmt_held key;
	char id[32];

	mint_bounds(&b);
	b.issue.max_live_keys = 1;
	mgmt_issue_from(w, &b.issue, &key);
	mgmt_be(w, &w->b, &key);
	under(&w->b, "run-1");
	mint_request(&r);
	world_run(w, &w->b, MSG_KEY_MINT, &r.mint);
	assert_true(
	    rk_slice_cstr(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.id, id, sizeof id));
	world_run(w, &w->b, MSG_KEY_MINT, &r.mint);
	assert_true(rk_slice_is(world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.id, id));
	under(&w->b, "run-2");
	assert_int_equal(world_refusal(w, &w->b, MSG_KEY_MINT, &r.mint), RK_E_DENIED);
}

/* ---- the texts that are kept ---- */

static void test_a_text_is_there_for_ten_minutes_and_then_wiped(void **state)
{
	const uint8_t one[RECENT_TAG] = {1}, two[RECENT_TAG] = {2};
	size_t before = secret_arena_in_use();
	struct world *w = *state;
	struct recent_keys *r;

	assert_int_equal(recent_keys_new(w->k.loop, &r), 0);
	recent_keys_put(r, one, rk_str("rk_app_one"), 1000);
	recent_keys_put(r, two, rk_str("rk_app_two"), 2000);
	assert_true(rk_slice_is(recent_keys_get(r, one, 999 + RECENT_MS), "rk_app_one"));
	assert_true(secret_arena_holds(recent_keys_get(r, one, 1000).p));
	assert_int_equal(recent_keys_get(r, one, 1000 + RECENT_MS).n, 0);
	assert_true(rk_slice_is(recent_keys_get(r, two, 1000 + RECENT_MS), "rk_app_two"));
	assert_int_equal(recent_keys_get(r, two, 2000 + RECENT_MS).n, 0);
	assert_int_equal(secret_arena_in_use(), before);
	recent_keys_free(r);
}

static void test_the_oldest_text_makes_room(void **state)
{
	struct world *w = *state;
	struct recent_keys *r;

	assert_int_equal(recent_keys_new(w->k.loop, &r), 0);
	for (unsigned i = 0; i <= RECENT_KEYS; i++) {
		const uint8_t tag[RECENT_TAG] = {(uint8_t)i};

		recent_keys_put(r, tag, rk_str("rk_app_x"), 1000);
	}
	assert_int_equal(recent_keys_get(r, (const uint8_t[RECENT_TAG]){0}, 1000).n, 0);
	assert_int_equal(recent_keys_get(r, (const uint8_t[RECENT_TAG]){1}, 1000).n, 8);
	recent_keys_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_same_command_again_gives_the_same_answer_and_does_nothing),
	    TEST(test_the_answer_is_of_the_object_as_it_is_now),
	    TEST(test_another_command_under_the_same_key_is_refused),
	    TEST(test_each_caller_has_keys_of_its_own),
	    TEST(test_while_it_is_in_progress_the_second_one_is_told_so),
	    TEST(test_what_failed_may_be_tried_again_under_its_key),
	    TEST(test_after_a_restart_the_object_is_known_but_not_the_keys_text),
	    TEST(test_a_connection_is_added_once_and_its_secret_is_no_part_of_what_is_kept),
	    TEST(test_a_revocation_does_not_look_at_its_idempotency_key),
	    TEST(test_a_mint_that_reached_the_limit_is_told_again_and_not_refused),
	    TEST(test_a_text_is_there_for_ten_minutes_and_then_wiped),
	    TEST(test_the_oldest_text_makes_room),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
