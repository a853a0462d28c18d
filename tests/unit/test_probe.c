/*
 * The test of a connection, between management, pipeline and a relay: what goes out, when it
 * does not, what the audit log says, and who may.
 */
#include "tests/lib/manage_world.h"

#include "keeper/probe.h"
#include "policy/provider_probe.h"

static char conn_id[MSG_MAX_NAME + 1];

static int setup(void **state)
{
	struct world *w;
	int err = world_setup(state);

	if (err)
		return err;
	w = *state;
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	snprintf(conn_id, sizeof conn_id, "%s",
	         index_conn_find(w->k.index, rk_str("openai"))->id);
	return 0;
}

static struct msg_conn_probe probe(const char *method, const char *path)
{
	return (struct msg_conn_probe){
	    .ref = rk_str("openai"), .method = rk_str(method), .path = rk_str(path)};
}

static void begin(struct world *w, const struct msg_conn_probe *m)
{
	unsigned before = w->probes;

	world_start(w, &w->a, MSG_CONN_PROBE, m);
	WORLD_WAIT(w, w->probes > before || w->a.done);
	if (w->a.done)
		fail_msg("%.*s", RK_FMT(world_answer(&w->a, 0, MSG_DONE)->done.text));
}

static const struct msg_probed good = {
    .status = 200,
    .dial_us = 100,
    .tls_us = 200,
    .first_byte_us = 300,
    .subject = {"CN=api.openai.com", 17},
    .expires_ms = 1900000000000,
};

static const struct msg_probe_result *answer(struct world *w, const struct msg_probed *m)
{
	assert_int_equal(ipc_peer_send(w->relay, MSG_PROBED, w->probe_id, m), 0);
	WORLD_WAIT(w, w->a.done);
	return &world_answer(&w->a, 0, MSG_PROBE_RESULT)->probe_result;
}

/* ---- rows ---- */

static struct {
	struct pipeline_tail tail;
	unsigned requests, responses;
	char actor[64], action[64], path[64], key_id[32];
	uint16_t status;
	uint8_t outcome;
} seen;

static void on_row(const struct msg_audit_entry *e, void *arg)
{
	struct audit_row row;

	(void)arg;
	assert_int_equal(record_unpack(&audit_row_desc, e->row, &row), 0);
	if (row.type == AUDIT_REQUEST) {
		seen.requests++;
		assert_true(rk_slice_cstr(row.actor, seen.actor, sizeof seen.actor));
		assert_true(rk_slice_cstr(row.action, seen.action, sizeof seen.action));
		assert_true(rk_slice_cstr(row.path, seen.path, sizeof seen.path));
		assert_true(rk_slice_cstr(row.key_id, seen.key_id, sizeof seen.key_id));
	} else if (row.type == AUDIT_RESPONSE) {
		seen.responses++;
		seen.status = row.status;
		seen.outcome = row.outcome;
	}
}

static void watch(struct world *w)
{
	memset(&seen, 0, sizeof seen);
	seen.tail.row = on_row;
	pipeline_tail_add(w->k.pipeline, &seen.tail);
}

/* ---- tests ---- */

static void test_a_relay_gets_the_request_with_the_secret_and_says_how_it_went(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("HEAD", "/things");
	const struct msg_probe_result *r;

	watch(w);
	begin(w, &m);
	assert_true(w->probe_head);
	assert_string_equal(w->probe_rest, "/things");
	assert_string_equal(w->probe_headers, "Authorization: Bearer " WORLD_SECRET "\r\n");
	assert_int_equal(seen.requests, 1);
	assert_string_equal(seen.actor, "uid:1000");
	assert_string_equal(seen.action, "connection.probe");
	assert_string_equal(seen.path, "/v1/things");
	assert_string_equal(seen.key_id, "");
	r = answer(w, &good);
	assert_int_equal(r->status, 200);
	assert_int_equal(r->reason, REASON_OK);
	assert_int_equal(r->tls_us, 200);
	assert_true(rk_slice_is(r->path, "/v1/things"));
	assert_true(rk_slice_is(r->method, "HEAD"));
	assert_true(rk_slice_is(r->subject, "CN=api.openai.com"));
	assert_null(memmem(w->a.bytes, w->a.used, WORLD_SECRET, strlen(WORLD_SECRET)));
	WORLD_WAIT(w, seen.responses == 1);
	assert_int_equal(seen.status, 200);
	assert_int_equal(seen.outcome, OUTCOME_COMPLETE);
	pipeline_tail_remove(w->k.pipeline, &seen.tail);
}

static void test_a_known_provider_is_asked_for_what_costs_nothing(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("", "");

	assert_string_equal(provider_probe_path(rk_str("openai")), "/models");
	assert_string_equal(provider_probe_path(rk_str("anthropic")), "/v1/models");
	assert_string_equal(provider_probe_path(rk_str("zzz")), "");
	assert_string_equal(provider_probe_path(rk_str("")), "");
	assert_string_equal(provider_probe_path(rk_str("open")), "");
	begin(w, &m);
	assert_false(w->probe_head);
	assert_string_equal(w->probe_rest, "/models");
	answer(w, &good);
	{
		struct msg_conn_update u = {.ref = rk_str("openai"),
		                            .set = CONN_SET_PROVIDER,
		                            .provider = rk_str("anthropic")};

		world_run(w, &w->a, MSG_CONN_UPDATE, &u);
	}
	/* its path begins with the base path already */
	begin(w, &m);
	assert_string_equal(w->probe_rest, "/models");
	answer(w, &good);
}

static void test_paths_and_methods_are_those_of_the_proxy(void **state)
{
	static const char *const bad[] = {"things", "/a/../b", "/a%2fb", "/a?b=c", "//"};
	struct world *w = *state;
	struct msg_conn_probe m = probe("POST", "/x");

	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_INVALID);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		m = probe("GET", bad[i]);
		assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_INVALID);
	}
	assert_int_equal(w->probes, 0);
}

static void test_nothing_leaves_before_its_row_is_durable(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");

	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_PROBE, &m);
	world_turns(w);
	assert_int_equal(w->probes, 0);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->probes == 1);
	answer(w, &good);
	world_append_fails(w, RK_E_FULL);
	world_run(w, &w->a, MSG_CONN_PROBE, &m);
	assert_int_equal(world_answer(&w->a, 0, MSG_PROBE_RESULT)->probe_result.reason,
	                 REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_STATE);
	assert_int_equal(w->probes, 1);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
}

static void test_a_disabled_connection_and_stopped_traffic_are_not_tested(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");
	struct msg_conn_state freeze = {.ref = rk_str("openai")};
	struct msg_panic none = {.reason = rk_str("")};

	world_run(w, &w->a, MSG_CONN_STATE, &freeze);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_STATE);
	freeze.enabled = 1;
	world_run(w, &w->a, MSG_CONN_STATE, &freeze);
	world_run(w, &w->a, MSG_PANIC_ON, &none);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_STATE);
	world_run(w, &w->a, MSG_PANIC_OFF, &none);
	begin(w, &m);
	answer(w, &good);
	assert_int_equal(w->probes, 1);
}

static void test_one_under_way_is_taken_back_when_the_connection_is_frozen(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");
	struct msg_conn_state freeze = {.ref = rk_str("openai")};
	const struct msg_probed cut = {.reason = REASON_CONN_DISABLED, .detail = {"cut", 3}};

	watch(w);
	begin(w, &m);
	world_run(w, &w->b, MSG_CONN_STATE, &freeze);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(answer(w, &cut)->reason, REASON_CONN_DISABLED);
	WORLD_WAIT(w, seen.responses == 1);
	assert_int_equal(seen.outcome, OUTCOME_CUT);
	pipeline_tail_remove(w->k.pipeline, &seen.tail);
}

static void test_one_under_way_is_taken_back_when_all_traffic_stops(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");
	struct msg_panic none = {.reason = rk_str("")};
	const struct msg_probed cut = {.reason = REASON_TRAFFIC_STOPPED, .detail = {"cut", 3}};

	begin(w, &m);
	world_run(w, &w->b, MSG_PANIC_ON, &none);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_TRAFFIC_STOPPED);
	assert_int_equal(answer(w, &cut)->reason, REASON_TRAFFIC_STOPPED);
}

static void test_what_changes_before_the_secret_is_there_stops_it(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");

	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_PROBE, &m);
	world_turns(w);
	index_conn_set_enabled(w->k.index, index_conn_find(w->k.index, rk_str("openai")), false,
	                       1);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_PROBE_RESULT)->probe_result.reason,
	                 REASON_CONN_DISABLED);
	assert_int_equal(w->probes, 0);
}

static void test_a_few_at_a_time(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");
	struct world_caller many[PROBES_MAX];

	memset(many, 0, sizeof many);
	for (unsigned i = 0; i < PROBES_MAX; i++) {
		world_caller_init(&many[i], "uid:7");
		world_start(w, &many[i], MSG_CONN_PROBE, &m);
	}
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_FULL);
	WORLD_WAIT(w, w->probes == PROBES_MAX);
	/* who leaves does not keep a place for ever: the relay's answer frees it */
	manage_forget(&many[PROBES_MAX - 1].caller);
	assert_int_equal(ipc_peer_send(w->relay, MSG_PROBED, w->probe_id, &good), 0);
	world_turns(w);
	begin(w, &m);
	answer(w, &good);
	for (unsigned i = 0; i < PROBES_MAX; i++) {
		manage_forget(&many[i].caller);
		free(many[i].bytes);
	}
}

static void test_an_answer_that_nobody_waits_for_is_passed_over(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");

	assert_int_equal(ipc_peer_send(w->relay, MSG_PROBED, 99, &good), 0);
	begin(w, &m);
	assert_int_equal(ipc_peer_send(w->relay, MSG_PROBED, w->probe_id + 1, &good), 0);
	world_turns(w);
	assert_int_equal(w->a.done, 0);
	answer(w, &good);
}

static void test_operators_may_and_readers_may_not(void **state)
{
	struct world *w = *state;
	struct msg_conn_probe m = probe("GET", "/x");

	w->a.caller.role = ROLE_AUDITOR;
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_PROBE, &m), RK_E_DENIED);
	w->a.caller.role = ROLE_OPERATOR;
	begin(w, &m);
	answer(w, &good);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_relay_gets_the_request_with_the_secret_and_says_how_it_went),
	    TEST(test_a_known_provider_is_asked_for_what_costs_nothing),
	    TEST(test_paths_and_methods_are_those_of_the_proxy),
	    TEST(test_nothing_leaves_before_its_row_is_durable),
	    TEST(test_a_disabled_connection_and_stopped_traffic_are_not_tested),
	    TEST(test_one_under_way_is_taken_back_when_the_connection_is_frozen),
	    TEST(test_one_under_way_is_taken_back_when_all_traffic_stops),
	    TEST(test_what_changes_before_the_secret_is_there_stops_it),
	    TEST(test_a_few_at_a_time),
	    TEST(test_an_answer_that_nobody_waits_for_is_passed_over),
	    TEST(test_operators_may_and_readers_may_not),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
