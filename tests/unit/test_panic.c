/*
 * The panic switch: in force before its row, kept across a restart, off only when that is
 * stored, and who wins when both come at once.
 */
#include "tests/lib/manage_world.h"

#include "keeper/db_stmt.h"
#include "keeper/store_contain.h"
#include "keeper/store_schema.h"

static struct world_key key;

static int setup(void **state)
{
	int err = world_setup(state);

	if (err)
		return err;
	world_conn_add(*state, "openai", "https://api.openai.com/v1");
	world_key_issue(*state, "openai", 0, &key);
	world_listen(*state);
	return 0;
}

static const struct msg_panic leak = {.reason = {"keys on a forum\n", 16}};

static const struct msg_status *run(struct world *w, enum ipc_type type)
{
	world_run(w, &w->a, type, &leak);
	return &world_answer(&w->a, 0, MSG_STATUS)->status;
}

static struct panic stored(struct world *w)
{
	struct panic p;

	WORLD_OK(store_panic_get(w->k.store, &p, &world_fault));
	return p;
}

static int64_t outbox_rows(struct world *w)
{
	int64_t n = -1;

	WORLD_OK(db_query_int(w->k.store->db, "SELECT count(*) FROM outbox", &n, &world_fault));
	return n;
}

static void test_everything_is_cut_and_refused_before_the_row_is_durable(void **state)
{
	struct world *w = *state;

	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_PANIC_ON, &leak);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_TRAFFIC_STOPPED);
	assert_int_equal(w->a.done, 0);
	assert_true(w->k.panic.on);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_TRAFFIC_STOPPED);
	/* a key that is none is told nothing */
	assert_int_equal(world_ask(w, "openai", "rk_agent_nonsense"), REASON_INVALID_KEY);
}

static void test_the_status_says_since_when_by_whom_and_why(void **state)
{
	struct world *w = *state;
	const struct msg_status *s = run(w, MSG_PANIC_ON);
	int64_t since = s->panic_ms;

	assert_int_equal(s->panic, 1);
	assert_true(since > 0);
	assert_true(rk_slice_is(s->panic_by, "uid:1000"));
	assert_true(rk_slice_is(s->panic_reason, "keys on a forum?"));
	assert_true(world_last_action(w, "traffic.stop"));
	assert_string_equal(world_last_row(w)->detail, "keys on a forum?");
	/* once more changes nothing, not even the hour */
	assert_int_equal(run(w, MSG_PANIC_ON)->panic_ms, since);
	assert_int_equal(outbox_rows(w), 1);
	s = run(w, MSG_PANIC_OFF);
	assert_int_equal(s->panic, 0);
	assert_true(world_last_action(w, "traffic.resume"));
	assert_int_equal(outbox_rows(w), 2);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_what_is_stored_is_what_is_in_force(void **state)
{
	struct world *w = *state;
	struct panic p = stored(w);

	assert_false(p.on);
	assert_int_equal(p.since_ms, 0);
	run(w, MSG_PANIC_ON);
	p = stored(w);
	assert_true(p.on);
	assert_int_equal(p.since_ms, w->k.panic.since_ms);
	assert_string_equal(p.by, "uid:1000");
	assert_string_equal(p.reason, "keys on a forum?");
	run(w, MSG_PANIC_OFF);
	assert_false(stored(w).on);
}

static void test_an_operator_may_stop_but_only_an_admin_lets_go_on(void **state)
{
	static const enum mgmt_role none[] = {ROLE_NOBODY, ROLE_AUDITOR, ROLE_PROVISIONER};
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		w->a.caller.role = none[i];
		assert_true(world_refusal(w, &w->a, MSG_PANIC_ON, &leak) < 0);
		assert_false(w->k.panic.on);
	}
	w->a.caller.role = ROLE_OPERATOR;
	assert_int_equal(run(w, MSG_PANIC_ON)->panic, 1);
	assert_int_equal(world_refusal(w, &w->a, MSG_PANIC_OFF, &leak), RK_E_DENIED);
	assert_true(w->k.panic.on);
	w->a.caller.role = ROLE_ADMIN;
	assert_int_equal(run(w, MSG_PANIC_OFF)->panic, 0);
}

static void test_it_is_stored_though_the_journal_is_away(void **state)
{
	struct world *w = *state;

	world_append_fails(w, RK_E_FULL);
	assert_true(world_refusal(w, &w->a, MSG_PANIC_ON, &leak) < 0);
	assert_non_null(strstr(world_fault.text, "in force and stored"));
	assert_true(stored(w).on);
	/* and off is refused, because nothing would tell of it */
	assert_true(world_refusal(w, &w->a, MSG_PANIC_OFF, &leak) < 0);
	assert_true(w->k.panic.on);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	WORLD_WAIT(w, world_last_action(w, "traffic.stop"));
}

static void test_one_that_could_not_be_stored_holds_and_is_tried_again(void **state)
{
	struct world *w = *state;
	struct store *real = w->k.store;

	/* a store that cannot be written */
	WORLD_OK(db_exec(real->db, "PRAGMA query_only = ON", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_PANIC_ON, &leak) < 0);
	assert_non_null(strstr(world_fault.text, "not stored"));
	assert_true(w->k.panic.on);
	WORLD_OK(db_exec(real->db, "PRAGMA query_only = OFF", &world_fault, "test"));
	assert_false(stored(w).on);
	assert_int_equal(run(w, MSG_PANIC_ON)->panic, 1);
	assert_true(stored(w).on);
}

static void test_a_stop_that_comes_while_traffic_is_let_go_on_wins(void **state)
{
	struct world *w = *state;

	run(w, MSG_PANIC_ON);
	world_hold_store(w);
	world_start(w, &w->a, MSG_PANIC_OFF, &leak);
	world_turns(w);
	world_start(w, &w->b, MSG_PANIC_ON, &leak);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	assert_true(w->k.panic.on);
	assert_true(stored(w).on);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_TRAFFIC_STOPPED);
}

static void test_what_was_decided_but_not_answered_is_refused(void **state)
{
	struct world *w = *state;
	struct msg_authorize m = {.key = rk_str(key.text),
	                          .conn = rk_str("openai"),
	                          .method = rk_str("GET"),
	                          .rest = rk_str("/x")};

	world_set(w, &w->hold_append, true);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &m), 0);
	world_turns(w);
	world_start(w, &w->a, MSG_PANIC_ON, &leak);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->decisions == 1 && w->a.done);
	assert_int_equal(w->decision.reason, REASON_TRAFFIC_STOPPED);
	assert_int_equal(w->cuts, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_everything_is_cut_and_refused_before_the_row_is_durable),
	    TEST(test_the_status_says_since_when_by_whom_and_why),
	    TEST(test_what_is_stored_is_what_is_in_force),
	    TEST(test_an_operator_may_stop_but_only_an_admin_lets_go_on),
	    TEST(test_it_is_stored_though_the_journal_is_away),
	    TEST(test_one_that_could_not_be_stored_holds_and_is_tried_again),
	    TEST(test_a_stop_that_comes_while_traffic_is_let_go_on_wins),
	    TEST(test_what_was_decided_but_not_answered_is_refused),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
