/* Revisions of connections and keys: raised by what is stored, and checked for a caller who
 * means one. */
#include "tests/lib/manage_world.h"

static int setup(void **state)
{
	int err = world_setup(state);

	if (err == 0)
		world_conn_add(*state, "openai", "https://api.openai.com/v1");
	return err;
}

static void extend(struct world *w, const char *id)
{
	struct msg_key_extend m = {.ref = rk_str(id), .ttl_ms = 60000};

	world_start(w, &w->a, MSG_KEY_EXTEND, &m);
	WORLD_WAIT(w, w->a.done);
}

static int last_error(struct world_caller *c)
{
	return c->answer[c->answers - 1].type == MSG_DONE
	           ? (int)world_answer(c, c->answers - 1, MSG_DONE)->done.err
	           : 0;
}

static uint64_t key_revision(struct world *w, const char *id)
{
	struct msg_ref ref = {.ref = rk_str(id)};

	w->b.caller.if_revision = 0;
	world_run(w, &w->b, MSG_KEY_GET, &ref);
	return world_answer(&w->b, 0, MSG_KEY_INFO)->key_info.revision;
}

static uint64_t conn_revision(struct world *w)
{
	struct msg_ref ref = {.ref = rk_str("openai")};

	world_run(w, &w->b, MSG_CONN_GET, &ref);
	return world_answer(&w->b, 0, MSG_CONN_INFO)->conn_info.revision;
}

static void test_a_change_of_the_revision_that_was_meant_is_made_another_one_is_not(
    void **state)
{
	struct world *w = *state;
	struct world_key k;

	world_key_issue(w, "openai", 0, &k);
	assert_int_equal(key_revision(w, k.id), 1);
	w->a.caller.if_revision = 1;
	extend(w, k.id);
	assert_int_equal(last_error(&w->a), 0);
	assert_int_equal(key_revision(w, k.id), 2);
	extend(w, k.id);
	assert_int_equal(last_error(&w->a), RK_E_STALE);
	assert_int_equal(key_revision(w, k.id), 2);
	w->a.caller.if_revision = 2;
	extend(w, k.id);
	assert_int_equal(last_error(&w->a), 0);
	w->a.caller.if_revision = 0; /* of any */
	extend(w, k.id);
	assert_int_equal(last_error(&w->a), 0);
	assert_int_equal(key_revision(w, k.id), 4);
}

static void test_a_stale_revocation_is_not_in_force(void **state)
{
	struct world *w = *state;
	struct world_key k;
	struct msg_ref ref;

	world_key_issue(w, "openai", 0, &k);
	extend(w, k.id);
	ref = (struct msg_ref){.ref = rk_str(k.id)};
	w->a.caller.if_revision = 1;
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_REVOKE, &ref), RK_E_STALE);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_OK);
	world_complete(w);
	w->a.caller.if_revision = 2;
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_int_equal(last_error(&w->a), 0);
	assert_int_equal(world_ask(w, "openai", k.text), REASON_INVALID_KEY);
}

static void test_a_connection_has_revisions_too(void **state)
{
	struct world *w = *state;
	struct msg_conn_state off = {.ref = rk_str("openai")};
	struct msg_conn_state on = {.ref = rk_str("openai"), .enabled = 1};

	assert_int_equal(conn_revision(w), 1);
	w->a.caller.if_revision = 7;
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_STATE, &off), RK_E_STALE);
	assert_true(index_conn_find(w->k.index, rk_str("openai"))->enabled);
	w->a.caller.if_revision = 1;
	world_run(w, &w->a, MSG_CONN_STATE, &off);
	assert_int_equal(conn_revision(w), 2);
	w->a.caller.if_revision = 0;
	world_run(w, &w->a, MSG_CONN_STATE, &off); /* nothing to change */
	assert_int_equal(conn_revision(w), 2);
	world_run(w, &w->a, MSG_CONN_STATE, &on);
	assert_int_equal(conn_revision(w), 3);
}

static int see_conn(const struct store_conn *c, void *arg)
{
	uint32_t *seen = arg;

	seen[0] = c->revision;
	return 0;
}

static int see_key(const struct store_key *k, void *arg)
{
	uint32_t *seen = arg;

	seen[1] = k->revision;
	return 0;
}

static void test_a_restart_finds_the_revisions_that_were_shown(void **state)
{
	struct world *w = *state;
	struct msg_conn_state off = {.ref = rk_str("openai")};
	uint32_t seen[2] = {0};
	uint64_t version;
	struct world_key k;
	struct msg_ref ref;

	world_key_issue(w, "openai", 0, &k);
	extend(w, k.id);
	ref = (struct msg_ref){.ref = rk_str(k.id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref); /* changes nothing */
	world_run(w, &w->a, MSG_CONN_STATE, &off);
	WORLD_OK(store_load(
	    w->k.store, &(struct store_loader){.conn = see_conn, .key = see_key, .arg = seen},
	    &version, &world_fault));
	assert_int_equal(seen[0], conn_revision(w));
	assert_int_equal(seen[1], key_revision(w, k.id));
	assert_int_equal(seen[1], 3);
}

static void test_without_a_stored_change_the_revision_stays(void **state)
{
	struct world *w = *state;
	struct world_key k;

	world_key_issue(w, "openai", 0, &k);
	world_append_fails(w, RK_E_FULL);
	extend(w, k.id);
	assert_true(last_error(&w->a) < 0);
	assert_int_equal(key_revision(w, k.id), 1);
	world_append_fails(w, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        test_a_change_of_the_revision_that_was_meant_is_made_another_one_is_not, setup,
	        world_teardown),
	    cmocka_unit_test_setup_teardown(test_a_stale_revocation_is_not_in_force, setup,
	                                    world_teardown),
	    cmocka_unit_test_setup_teardown(test_a_connection_has_revisions_too, setup,
	                                    world_teardown),
	    cmocka_unit_test_setup_teardown(test_a_restart_finds_the_revisions_that_were_shown,
	                                    setup, world_teardown),
	    cmocka_unit_test_setup_teardown(test_without_a_stored_change_the_revision_stays,
	                                    setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
