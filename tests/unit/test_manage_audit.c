/*
 * Reading the audit log through management: lists, exports and the check on reader threads, the
 * live tail in pairs, and callers that read slowly or go away.
 */
#include "tests/lib/manage_world.h"

static struct audit_row decode(struct rk_slice bytes)
{
	struct audit_row row;

	assert_int_equal(record_unpack(&audit_row_desc, bytes, &row), 0);
	return row;
}

static const struct msg_audit_entry *entry(struct world_caller *c, unsigned i)
{
	return &world_answer(c, i, MSG_AUDIT_ENTRY)->audit_entry;
}

/* The last answer ends the rest without error; how many came before it. */
static unsigned entries(struct world_caller *c)
{
	assert_int_equal(world_answer(c, c->answers - 1, MSG_DONE)->done.err, 0);
	return c->answers - 1;
}

/* One allowed and completed, one refused request, after a connection and a key. */
static void some_rows(struct world *w, struct world_key *key)
{
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, key);
	assert_int_equal(world_ask(w, "openai", key->text), REASON_OK);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", "rk_agent_no"), REASON_INVALID_KEY);
	world_turns(w);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
}

static void many_rows(struct world *w, unsigned n)
{
	struct audit_row row = {.type = AUDIT_STATE, .action = rk_str("test.row")};

	for (unsigned i = 0; i < n; i++) {
		char detail[400];

		memset(detail, 'x', sizeof detail);
		row.detail = rk_slice(detail, sizeof detail);
		if (pipeline_append_row(w->k.pipeline, &row, NULL, NULL))
			fail();
		if (i % 100 == 99)
			world_turns(w);
	}
	WORLD_WAIT(w, ({
		           struct journal_head head;
		           journal_head(w->k.journal, &head);
		           head.rows >= n;
	           }));
}

/* ---- list and export ---- */

static void test_a_list_pairs_requests_with_their_responses(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_LIST, .limit = 50};
	struct world_key key;

	some_rows(w, &key);
	WORLD_WAIT(w, ({
		           struct journal_head head;
		           journal_head(w->k.journal, &head);
		           head.rows == 5;
	           }));
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 4);
	assert_true(rk_slice_is(decode(entry(&w->a, 0)->row).action, "connection.add"));
	assert_true(rk_slice_is(decode(entry(&w->a, 1)->row).action, "key.issue"));
	assert_int_equal(decode(entry(&w->a, 2)->row).type, AUDIT_REQUEST);
	assert_int_equal(decode(entry(&w->a, 2)->response).status, 200);
	assert_int_equal(decode(entry(&w->a, 3)->row).reason, REASON_INVALID_KEY);
	assert_int_equal(entry(&w->a, 3)->response_seq, 0);
	q.decision = rk_str("allowed");
	q.limit = 1;
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1);
}

static void test_a_list_by_key_takes_every_form_of_the_key(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_LIST, .decision = rk_str("allowed")};
	struct world_key key;

	some_rows(w, &key);
	q.key_id = rk_str(key.id);
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1);
	q.key_id = rk_str(key.masked);
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1);
	q.key_id = rk_str(key.text);
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1);
	q.key_id = rk_str("key_000000000000");
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_NOTFOUND);
}

static void test_questions_that_make_no_sense_are_refused(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = 9};

	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_INVALID);
	q = (struct msg_audit_query){.mode = AUDIT_MODE_LIST, .decision = rk_str("maybe")};
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_INVALID);
	q.mode = AUDIT_MODE_TAIL;
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_INVALID);
	q = (struct msg_audit_query){.mode = AUDIT_MODE_LIST, .limit = UINT32_MAX};
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_TOOBIG);
	q.limit = 1;
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 0);
}

static void test_an_export_gives_every_row_in_order(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_EXPORT};

	many_rows(w, 1200);
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1200);
	for (unsigned i = 0; i < 1200; i++)
		assert_int_equal(entry(&w->a, i)->seq, i + 1);
}

static void test_an_export_waits_for_a_slow_caller(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_EXPORT};

	many_rows(w, 1200);
	w->a.room = 10;
	world_start(w, &w->a, MSG_AUDIT_QUERY, &q);
	WORLD_WAIT(w, w->a.answers == 10);
	world_turns(w);
	assert_int_equal(w->a.answers, 10);
	assert_int_equal(w->a.done, 0);
	while (!w->a.done) {
		unsigned before = w->a.answers;

		w->a.room = 100;
		manage_drained(&w->a.caller);
		assert_in_range(w->a.answers, before, before + 101);
		world_turn(w);
	}
	assert_int_equal(entries(&w->a), 1200);
	for (unsigned i = 0; i < 1200; i++)
		assert_int_equal(entry(&w->a, i)->seq, i + 1);
	w->a.room = UINT32_MAX;
}

static void test_a_caller_that_leaves_frees_its_reader(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_EXPORT};

	many_rows(w, 1200);
	/* twice the number of reader threads, all of them stuck before their callers leave */
	for (int i = 0; i < 4; i++) {
		struct world_caller *c = i % 2 ? &w->b : &w->a;

		c->room = 1;
		world_start(w, c, MSG_AUDIT_QUERY, &q);
		WORLD_WAIT(w, c->answers == 1);
		if (i % 2) {
			manage_forget(&w->a.caller);
			manage_forget(&w->b.caller);
		}
	}
	w->a.room = UINT32_MAX;
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 1200);
}

static void test_the_end_of_management_ends_its_readers(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_EXPORT};

	many_rows(w, 1200);
	w->a.room = 1;
	world_start(w, &w->a, MSG_AUDIT_QUERY, &q);
	WORLD_WAIT(w, w->a.answers == 1);
	manage_free(w->m);
	w->m = NULL;
	assert_null(w->a.caller.op);
}

/* ---- verify ---- */

static void test_the_chain_of_what_was_written_verifies(void **state)
{
	struct world *w = *state;
	struct msg_empty empty = {0};
	const struct msg_audit_verified *v;
	struct world_key key;

	some_rows(w, &key);
	world_run(w, &w->a, MSG_AUDIT_VERIFY, &empty);
	v = &world_answer(&w->a, 0, MSG_AUDIT_VERIFIED)->audit_verified;
	assert_int_equal(v->ok, 1);
	assert_true(v->rows >= 4);
	assert_int_equal(v->first_seq, 1);
	world_start(w, &w->a, MSG_AUDIT_VERIFY, &empty);
	manage_forget(&w->a.caller);
	world_run(w, &w->a, MSG_AUDIT_VERIFY, &empty);
	assert_int_equal(world_answer(&w->a, 0, MSG_AUDIT_VERIFIED)->audit_verified.ok, 1);
}

/* What a reader thread has ready for one is no message for the other. */
static void test_an_export_and_a_verification_run_at_the_same_time(void **state)
{
	const struct msg_audit_query q = {.mode = AUDIT_MODE_EXPORT};
	struct world *w = *state;
	struct msg_empty empty = {0};

	many_rows(w, 1200);
	for (unsigned i = 0; i < 10; i++) {
		world_start(w, &w->a, MSG_AUDIT_VERIFY, &empty);
		world_start(w, &w->b, MSG_AUDIT_QUERY, &q);
		WORLD_WAIT(w, w->a.done && w->b.done);
		assert_int_equal(world_answer(&w->a, 0, MSG_AUDIT_VERIFIED)->audit_verified.ok,
		                 1);
	}
}

/* ---- tail ---- */

static void tail(struct world *w, const struct msg_audit_query *more)
{
	struct msg_audit_query q = more ? *more : (struct msg_audit_query){.limit = 0};

	q.mode = AUDIT_MODE_TAIL;
	world_start(w, &w->b, MSG_AUDIT_QUERY, &q);
	assert_int_equal(w->b.done, 0);
}

static void test_the_tail_shows_allowed_requests_with_their_response(void **state)
{
	struct world *w = *state;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	tail(w, NULL);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_turns(w);
	assert_int_equal(w->b.answers, 0);
	world_complete(w);
	WORLD_WAIT(w, w->b.answers == 1);
	assert_int_equal(decode(entry(&w->b, 0)->row).type, AUDIT_REQUEST);
	assert_int_equal(decode(entry(&w->b, 0)->response).status, 200);
	assert_true(entry(&w->b, 0)->response_seq > entry(&w->b, 0)->seq);
	world_ask(w, "openai", "rk_agent_no");
	WORLD_WAIT(w, w->b.answers == 2);
	assert_int_equal(decode(entry(&w->b, 1)->row).reason, REASON_INVALID_KEY);
	world_conn_add(w, "other", "https://other.example");
	WORLD_WAIT(w, w->b.answers == 3);
	assert_true(rk_slice_is(decode(entry(&w->b, 2)->row).action, "connection.add"));
	manage_forget(&w->b.caller);
	world_conn_add(w, "third", "https://third.example");
	assert_int_equal(w->b.answers, 3);
}

static void test_the_tail_keeps_to_its_filter(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.decision = rk_str("denied")};
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	tail(w, &q);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
	world_ask(w, "openai", "rk_agent_no");
	WORLD_WAIT(w, w->b.answers == 1);
	assert_int_equal(decode(entry(&w->b, 0)->row).reason, REASON_INVALID_KEY);
	world_turns(w);
	assert_int_equal(w->b.answers, 1);
}

static void test_the_tail_ends_after_its_limit(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.limit = 2};

	tail(w, &q);
	world_conn_add(w, "one", "https://one.example");
	world_conn_add(w, "two", "https://two.example");
	world_conn_add(w, "three", "https://three.example");
	assert_int_equal(w->b.done, 1);
	assert_int_equal(entries(&w->b), 2);
}

static void test_the_tail_catches_up_after_a_pause(void **state)
{
	struct world *w = *state;

	w->b.room = 1;
	tail(w, NULL);
	many_rows(w, 300);
	world_turns(w);
	assert_int_equal(w->b.answers, 1);
	w->b.room = UINT32_MAX;
	manage_drained(&w->b.caller);
	assert_int_equal(w->b.answers, 300);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(entry(&w->b, i)->seq, i + 1);
}

static void test_a_tail_that_falls_too_far_behind_is_ended_and_told(void **state)
{
	struct world *w = *state;

	w->b.room = 1;
	tail(w, NULL);
	many_rows(w, 3000);
	world_turns(w);
	assert_int_equal(w->b.done, 1);
	assert_int_equal(world_answer(&w->b, w->b.answers - 1, MSG_DONE)->done.err,
	                 RK_E_TOOBIG);
	w->b.room = UINT32_MAX;
}

static void test_requests_that_never_end_do_not_fill_the_tail(void **state)
{
	enum { OPEN = 1024 };
	struct world *w = *state;
	struct audit_row row = {.type = AUDIT_REQUEST, .decision = DECISION_ALLOWED};

	tail(w, NULL);
	for (unsigned i = 0; i < OPEN + 3; i++) {
		memcpy(row.request_id, &i, sizeof i);
		row.request_id[15] = 1;
		if (pipeline_append_row(w->k.pipeline, &row, NULL, NULL))
			fail();
		if (i % 100 == 99)
			world_turns(w);
	}
	WORLD_WAIT(w, w->b.answers == 3);
	assert_int_equal(entry(&w->b, 2)->response_seq, 0);
}

static uint64_t rows_so_far(struct world *w)
{
	struct journal_head head;

	journal_head(w->k.journal, &head);
	return head.seq;
}

static void test_a_tail_may_begin_behind_an_earlier_row(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.cursor = 200};

	many_rows(w, 600);
	tail(w, &q);
	many_rows(w, 100);
	WORLD_WAIT(w, w->b.answers == 500);
	world_turns(w);
	assert_int_equal(w->b.answers, 500);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(entry(&w->b, i)->seq, 201 + i);
	assert_int_equal(w->b.done, 0);
}

static void test_a_tail_from_the_past_waits_for_a_slow_caller(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.cursor = 1};

	many_rows(w, 3000);
	w->b.room = 5;
	tail(w, &q);
	WORLD_WAIT(w, w->b.answers == 5);
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	while (w->b.answers < 3000) {
		w->b.room = 400;
		manage_drained(&w->b.caller);
		world_turn(w);
		assert_int_equal(w->b.done, 0);
	}
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(entry(&w->b, i)->seq, 2 + i);
	w->b.room = UINT32_MAX;
}

static void test_a_tail_from_the_past_knows_what_was_open_then(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_TAIL};
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_turns(w);
	/* seen: all of it, the request without its response */
	q.cursor = rows_so_far(w);
	world_complete(w);
	WORLD_WAIT(w, rows_so_far(w) == q.cursor + 1);
	tail(w, &q);
	WORLD_WAIT(w, w->b.answers == 1);
	assert_int_equal(entry(&w->b, 0)->seq, q.cursor);
	assert_int_equal(entry(&w->b, 0)->response_seq, q.cursor + 1);
	manage_forget(&w->b.caller);
	/* seen with its response: nothing is left to show */
	q.cursor++;
	tail(w, &q);
	world_turns(w);
	assert_int_equal(w->b.answers, 0);
}

static void test_a_tail_from_the_past_ends_and_is_left_like_any(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {.cursor = 100, .limit = 7};

	many_rows(w, 1200);
	tail(w, &q);
	WORLD_WAIT(w, w->b.done == 1);
	assert_int_equal(entries(&w->b), 7);
	q.limit = 0;
	for (unsigned i = 0; i < 5; i++) {
		w->b.room = 1;
		tail(w, &q);
		WORLD_WAIT(w, w->b.answers == 1);
		manage_forget(&w->b.caller);
	}
	/* and one that nobody has begun to read when management ends */
	w->b.room = 1;
	tail(w, &q);
	w->b.room = UINT32_MAX;
}

static void test_a_tail_does_not_begin_too_far_back(void **state)
{
	struct world *w = *state;
	static struct journal_entry e[1000];
	unsigned char mem[256];
	struct audit_row row = {.type = AUDIT_STATE, .action = rk_str("test.row")};
	struct msg_audit_query q = {.mode = AUDIT_MODE_TAIL, .cursor = 1};

	for (unsigned i = 0; i < 1000; i++)
		e[i].body = fixture_row(&row, mem, sizeof mem);
	for (unsigned i = 0; i < 101; i++)
		WORLD_OK(journal_append(w->k.journal, e, 1000, &world_fault));
	assert_int_equal(world_refusal(w, &w->b, MSG_AUDIT_QUERY, &q), RK_E_TOOBIG);
	q.cursor = 100000;
	world_start(w, &w->b, MSG_AUDIT_QUERY, &q);
	WORLD_WAIT(w, w->b.answers == 1000);
}

static void test_pages_follow_each_other_by_cursor(void **state)
{
	struct world *w = *state;
	struct msg_audit_query q = {
	    .mode = AUDIT_MODE_LIST, .order = AUDIT_FALLING, .limit = 40};

	many_rows(w, 100);
	for (uint64_t next = 100; next > 0;) {
		world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
		for (unsigned i = 0; i < entries(&w->a); i++)
			assert_int_equal(entry(&w->a, i)->seq, next--);
		q.cursor = next + 1;
		assert_int_equal(world_answer(&w->a, w->a.answers - 1, MSG_DONE)->done.more,
		                 next > 0);
	}
	q.order = AUDIT_RISING;
	q.cursor = 95;
	world_run(w, &w->a, MSG_AUDIT_QUERY, &q);
	assert_int_equal(entries(&w->a), 5);
	assert_int_equal(entry(&w->a, 0)->seq, 96);
	q.order = 3;
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_QUERY, &q), RK_E_INVALID);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_list_pairs_requests_with_their_responses),
	    TEST(test_a_list_by_key_takes_every_form_of_the_key),
	    TEST(test_questions_that_make_no_sense_are_refused),
	    TEST(test_an_export_gives_every_row_in_order),
	    TEST(test_an_export_waits_for_a_slow_caller),
	    TEST(test_a_caller_that_leaves_frees_its_reader),
	    TEST(test_the_end_of_management_ends_its_readers),
	    TEST(test_the_chain_of_what_was_written_verifies),
	    TEST(test_an_export_and_a_verification_run_at_the_same_time),
	    TEST(test_the_tail_shows_allowed_requests_with_their_response),
	    TEST(test_the_tail_keeps_to_its_filter),
	    TEST(test_the_tail_ends_after_its_limit),
	    TEST(test_the_tail_catches_up_after_a_pause),
	    TEST(test_a_tail_that_falls_too_far_behind_is_ended_and_told),
	    TEST(test_requests_that_never_end_do_not_fill_the_tail),
	    TEST(test_a_tail_may_begin_behind_an_earlier_row),
	    TEST(test_a_tail_from_the_past_waits_for_a_slow_caller),
	    TEST(test_a_tail_from_the_past_knows_what_was_open_then),
	    TEST(test_a_tail_from_the_past_ends_and_is_left_like_any),
	    TEST(test_a_tail_does_not_begin_too_far_back),
	    TEST(test_pages_follow_each_other_by_cursor),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
