/*
 * Honey keys: never valid, told of at once and then once a minute, and bounded whoever uses
 * them from wherever.
 */
#include "tests/lib/manage_world.h"

#include "keeper/alarm.h"
#include "keeper/db_stmt.h"
#include "keeper/honey.h"
#include "keeper/store_schema.h"

/* ---- how often it is told of ---- */

static const void *key_a = "a", *key_b = "b";

static struct rk_ip address(unsigned n)
{
	return (struct rk_ip){.b = {[10] = 0xff, 0xff, 203, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

static void test_a_use_is_told_of_at_once_and_the_next_ones_a_minute_later(void **state)
{
	struct honey h = {.elsewhere = 0};
	const struct rk_ip one = address(1), two = address(2);
	const void *key;
	struct rk_ip ip;

	(void)state;
	assert_false(honey_waits(&h));
	assert_int_equal(honey_used(&h, key_a, &one, 1000), 1);
	assert_int_equal(honey_used(&h, key_a, &one, 1001), 0);
	assert_int_equal(honey_used(&h, key_a, &one, 60000), 0);
	/* another key and another address are others */
	assert_int_equal(honey_used(&h, key_b, &one, 2000), 1);
	assert_int_equal(honey_used(&h, key_a, &two, 2000), 1);
	assert_int_equal(honey_due(&h, 60999, &key, &ip), 0);
	assert_int_equal(honey_due(&h, 61000, &key, &ip), 2);
	assert_ptr_equal(key, key_a);
	assert_memory_equal(&ip, &one, sizeof ip);
	assert_int_equal(honey_due(&h, 61000, &key, &ip), 0);
	assert_true(honey_waits(&h));
	/* and when it is used no more, nothing is kept */
	assert_int_equal(honey_due(&h, 200000, &key, &ip), 0);
	assert_false(honey_waits(&h));
}

static void test_a_use_after_the_minute_brings_the_count_of_those_before(void **state)
{
	struct honey h = {.elsewhere = 0};
	const struct rk_ip one = address(1);

	(void)state;
	assert_int_equal(honey_used(&h, key_a, &one, 1000), 1);
	assert_int_equal(honey_used(&h, key_a, &one, 1001), 0);
	assert_int_equal(honey_used(&h, key_a, &one, 61000), 2);
	/* a clock that was set back tells at once rather than never */
	assert_int_equal(honey_used(&h, key_a, &one, 500), 1);
}

static void test_many_addresses_are_counted_and_do_not_flood(void **state)
{
	struct honey h = {.elsewhere = 0};
	unsigned told = 0, uses = 0, n;
	const void *key;
	struct rk_ip ip;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct rk_ip from = address(i);

		n = honey_used(&h, key_a, &from, 1000 + i);
		told += n > 0;
		uses += n;
	}
	assert_int_equal(told, HONEY_PLACES);
	ip = address(0);
	assert_int_equal(honey_used(&h, key_a, &ip, 2000), 0);
	while ((n = honey_due(&h, 62000, &key, &ip)))
		uses += n;
	assert_int_equal(uses, 1001);
}

/* ---- the key ---- */

static struct world_key honey;

static int setup(void **state)
{
	int err = world_setup(state);
	struct world *w = *state;

	if (err)
		return err;
	world_listen(w);
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	return alarm_new(&w->k, &w->k.alarm);
}

static int teardown(void **state)
{
	struct world *w = *state;

	alarm_free(w->k.alarm);
	w->k.alarm = NULL;
	return world_teardown(state);
}

static struct msg_key_issue request(uint32_t flags)
{
	return (struct msg_key_issue){
	    .kind = HOLDER_AGENT, .holder = rk_str("decoy"), .flags = flags};
}

static const struct msg_key_info *issue(struct world *w, const struct msg_key_issue *m)
{
	const struct msg_key_info *info;

	world_run(w, &w->a, MSG_KEY_ISSUE, m);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	assert_true(rk_slice_cstr(info->id, honey.id, sizeof honey.id));
	assert_true(rk_slice_cstr(info->key, honey.text, sizeof honey.text));
	return info;
}

static int64_t outbox_rows(struct world *w)
{
	int64_t n = -1;

	/* behind what the store's thread has in hand */
	world_hold_store(w);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, !w->store_held);
	WORLD_OK(db_query_int(w->k.store->db, "SELECT count(*) FROM outbox", &n, &world_fault));
	return n;
}

static void test_a_honey_key_needs_no_grant_and_is_shown_as_one(void **state)
{
	struct world *w = *state;
	struct msg_key_issue m = request(KEY_HONEY);
	struct relay_key shape;
	const struct msg_key_info *info = issue(w, &m);

	assert_int_equal(info->flags, KEY_HONEY);
	assert_int_equal(info->state, KEY_ACTIVE);
	assert_int_equal(info->grants.n, 0);
	/* looks like any other */
	assert_int_equal(relay_key_parse(rk_str(honey.text), &shape), 0);
	assert_true(world_last_action(w, "key.issue"));
	assert_string_equal(world_last_row(w)->detail, "honey");
	/* the twin: one that is not needs a grant */
	m = request(0);
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_ISSUE, &m), RK_E_INVALID);
	m = request(64);
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_ISSUE, &m), RK_E_INVALID);
}

static void test_its_use_is_refused_as_any_wrong_key_and_alarms_once(void **state)
{
	struct world *w = *state;
	struct msg_key_issue m = request(KEY_HONEY);
	struct index_key *k;

	issue(w, &m);
	assert_int_equal(outbox_rows(w), 0);
	assert_int_equal(world_ask(w, "openai", honey.text), REASON_INVALID_KEY);
	assert_int_equal(w->decision.minute_limit, 0);
	assert_int_equal(outbox_rows(w), 1);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(world_ask(w, "nowhere", honey.text), REASON_INVALID_KEY);
	assert_int_equal(outbox_rows(w), 1);
	k = index_key_by_id(w->k.index, rk_str(honey.id));
	assert_true(k->last_used_ms > 0);
	assert_int_equal(k->in_flight, 0);
	/* while a wrong key alarms nobody */
	assert_int_equal(world_ask(w, "openai", "rk_agent_wrong"), REASON_INVALID_KEY);
	assert_int_equal(outbox_rows(w), 1);
}

static void test_one_with_grants_is_refused_too(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct msg_key_issue m = request(KEY_HONEY);

	sample_grant(&g, "openai", "GET", "/**", "");
	m.grants = sample_grants_slice(&g);
	issue(w, &m);
	assert_int_equal(world_ask(w, "openai", honey.text), REASON_INVALID_KEY);
	m.flags = 0;
	issue(w, &m);
	assert_int_equal(world_ask(w, "openai", honey.text), REASON_OK);
	world_complete(w);
}

static void test_a_revoked_one_is_quiet(void **state)
{
	struct world *w = *state;
	struct msg_key_issue m = request(KEY_HONEY);
	struct msg_ref ref;

	issue(w, &m);
	ref = (struct msg_ref){.ref = rk_str(honey.id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_int_equal(world_ask(w, "openai", honey.text), REASON_INVALID_KEY);
	assert_int_equal(outbox_rows(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_use_is_told_of_at_once_and_the_next_ones_a_minute_later),
	    cmocka_unit_test(test_a_use_after_the_minute_brings_the_count_of_those_before),
	    cmocka_unit_test(test_many_addresses_are_counted_and_do_not_flood),
	    TEST(test_a_honey_key_needs_no_grant_and_is_shown_as_one),
	    TEST(test_its_use_is_refused_as_any_wrong_key_and_alarms_once),
	    TEST(test_one_with_grants_is_refused_too),
	    TEST(test_a_revoked_one_is_quiet),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
