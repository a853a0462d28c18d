/* New addresses, from the request to the store: what lets in, what is kept, what is mailed. */
#include "tests/lib/trust_world.h"

static void the_first_address_is_trusted_once_it_is_stored(void **state)
{
	struct world *w = *state;
	struct world_key key;
	const struct world_row *row;

	trust_key(w, "ada", &key);
	world_hold_store(w);
	trust_send(w, "203.0.113.1", key.text);
	world_turns(w);
	/* no decision, and nothing was unwrapped: the store has not got it yet */
	assert_int_equal(w->decisions, 0);
	assert_true(world_last_action(w, "ip.first"));
	row = world_last_row(w);
	assert_string_equal(row->key_id, key.id);
	assert_string_equal(row->target, "ip_1");
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->decisions == 1);
	assert_int_equal(w->decision.reason, REASON_OK);
	world_complete(w);
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip WHERE state = 2"),
	                 1);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "203.0.113.2", key.text), REASON_IP_UNCONFIRMED);
	assert_int_equal(w->decision.decision, DECISION_LOCKED);
}

static void of_two_addresses_at_once_exactly_one_is_the_first(void **state)
{
	struct world *w = *state;
	unsigned allowed = 0, locked = 0;
	struct world_key key, second;

	trust_key(w, "ada", &key);
	trust_key(w, "ada", &second);
	world_hold_store(w);
	/* both keys, two addresses, all before anything is stored */
	trust_send(w, "203.0.113.1", key.text);
	trust_send(w, "203.0.113.2", second.text);
	trust_send(w, "203.0.113.1", second.text);
	trust_send(w, "203.0.113.2", key.text);
	WORLD_WAIT(w, w->decisions == 2);
	assert_int_equal(w->decision.reason, REASON_IP_UNCONFIRMED);
	world_turns(w);
	assert_int_equal(w->decisions, 2);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->decisions == 4);
	assert_int_equal(w->decision.reason, REASON_OK);
	for (unsigned i = 0; i < trust_holder(w, "ada")->trusts; i++) {
		allowed += trust_holder(w, "ada")->trust[i]->state == TRUST_TRUSTED;
		locked += trust_holder(w, "ada")->trust[i]->state == TRUST_PENDING;
	}
	assert_int_equal(allowed, 1);
	assert_int_equal(locked, 1);
	for (uint64_t id = 1; id <= 4; id += 2) {
		struct msg_complete m = {.status = 200, .outcome = OUTCOME_COMPLETE};

		assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, id, &m), 0);
	}
	world_turns(w);
}

static void what_is_not_stored_is_not_trusted(void **state)
{
	struct world *w = *state;
	struct world_key key;

	trust_key(w, "ada", &key);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 1", &world_fault, "test"));
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OVERLOADED);
	assert_true(world_last_action(w, "ip.first.failed"));
	assert_int_equal(trust_holder(w, "ada")->trusts, 0);
	assert_null(trust_holder(w, "ada")->claim);
	/* it was nobody's first: another one may be */
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 0", &world_fault, "test"));
	assert_int_equal(trust_ask(w, "203.0.113.2", key.text), REASON_OK);
	world_complete(w);
}

static void without_an_audit_row_nothing_is_trusted(void **state)
{
	struct world *w = *state;
	struct world_key key;

	trust_key(w, "ada", &key);
	world_append_fails(w, RK_E_FULL);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip"), 0);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_complete(w);
}

static void a_key_revoked_while_its_first_address_is_stored_is_refused(void **state)
{
	struct world *w = *state;
	struct msg_ref ref;
	struct world_key key;

	trust_key(w, "ada", &key);
	world_hold_store(w);
	trust_send(w, "203.0.113.1", key.text);
	world_turns(w);
	ref = (struct msg_ref){.ref = rk_str(key.id)};
	world_start(w, &w->a, MSG_KEY_REVOKE, &ref);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->decisions == 1 && w->a.done);
	assert_int_equal(w->decision.reason, REASON_INVALID_KEY);
}

static void a_relay_that_gives_up_while_it_waits_is_no_protocol_error(void **state)
{
	struct world *w = *state;
	struct msg_complete m = {.outcome = OUTCOME_CLIENT_GONE};
	struct world_key key;

	trust_key(w, "ada", &key);
	world_hold_store(w);
	trust_send(w, "203.0.113.1", key.text);
	world_turns(w);
	assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, w->next_id, &m), 0);
	world_turns(w);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, trust_holder(w, "ada")->settled);
	world_turns(w);
	assert_int_equal(w->decisions, 0);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_complete(w);
}

static void with_the_rule_off_only_presets_let_in(void **state)
{
	struct world *w = *state;
	struct sample_list list;
	struct world_key key;

	trust_key(w, "ada", &key);
	w->terms.first = false;
	w->terms.presets = sample_words(&list, "10.0.0.0/8");
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_IP_UNCONFIRMED);
	assert_int_equal(trust_ask(w, "10.1.2.3", key.text), REASON_OK);
	/* a preset that goes takes what is in flight with it */
	w->terms.presets = rk_str("");
	assert_int_equal(w->cuts, 0);
	w->from = "10.9.9.9";
	trust_send(w, "10.9.9.9", key.text);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, w->decisions == 3);
	assert_int_equal(w->decision.reason, REASON_IP_UNCONFIRMED);
}

static void a_new_address_is_kept_with_one_mail_however_often_it_comes(void **state)
{
	struct world *w = *state;
	const struct msg_trust_info *t;
	struct world_key key, second;
	unsigned count;

	trust_key(w, "ada", &key);
	trust_key(w, "ada", &second);
	trust_email(w, "person:ada", "ada@example.com");
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_complete(w);
	trust_send(w, "203.0.113.9", key.text);
	WORLD_WAIT(w, w->decisions == 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(trust_ask(w, "203.0.113.9", i % 2 ? key.text : second.text),
		                 REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(trust_mails(w), 1);
	assert_true(world_last_action(w, "ip.pending"));
	t = trust_list(w, "person:ada", TRUST_PENDING, &count);
	assert_int_equal(count, 1);
	assert_true(rk_slice_is(t->address, "203.0.113.9"));
	assert_true(rk_slice_is(t->key_masked, key.masked));
	assert_true(rk_slice_is(t->conn_name, "openai"));
	assert_true(rk_slice_is(t->user_agent, "cursor/0.42"));
	assert_true(t->code_expires_ms > rk_wall_ms());
}

static void what_is_not_stored_yet_is_not_shown(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("ip_1")};
	struct world_key key;
	unsigned count;

	trust_key(w, "ada", &key);
	w->terms.first = false;
	world_hold_store(w);
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	world_turns(w);
	assert_null(trust_list(w, "", 0, &count));
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_APPROVE, &ref), RK_E_NOTFOUND);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_non_null(trust_list(w, "", 0, &count));
	world_run(w, &w->a, MSG_TRUST_APPROVE, &ref);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
}

static void without_an_address_for_mail_it_waits_for_an_administrator(void **state)
{
	struct world *w = *state;
	const struct msg_trust_info *t;
	struct world_key key;
	unsigned count;

	trust_key(w, "ada", &key);
	w->terms.first = false;
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(trust_mails(w), 0);
	t = trust_list(w, "", TRUST_PENDING, &count);
	assert_int_equal(count, 1);
	assert_int_equal(t->code_expires_ms, 0);
	/* once there is an address, the next attempt sends the mail */
	trust_email(w, "person:ada", "ada@example.com");
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(trust_mails(w), 1);
	assert_int_equal(trust_holder(w, "ada")->trusts, 1);
}

static void a_thief_with_many_addresses_fills_neither_store_nor_mailbox(void **state)
{
	struct world *w = *state;
	struct index_holder *h;
	struct world_key key;
	int64_t now = rk_wall_ms();
	char from[32];

	trust_key(w, "ada", &key);
	trust_email(w, "person:ada", "ada@example.com");
	w->terms.first = false;
	h = trust_holder(w, "ada");
	for (unsigned i = 0; i < 3 * HOLDER_MAX_PENDING; i++) {
		snprintf(from, sizeof from, "198.51.100.%u", i);
		assert_int_equal(trust_ask(w, from, key.text), REASON_IP_UNCONFIRMED);
	}
	WORLD_WAIT(w, trust_quiet(h));
	assert_int_equal(h->trusts, HOLDER_MAX_PENDING);
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip"),
	                 HOLDER_MAX_PENDING);
	assert_int_equal(trust_mails(w), w->terms.mails_per_key_day);
	/* what nobody answered makes room when its time is over */
	h->trust[0]->first_ms = now - 2 * w->terms.confirm_ttl_ms;
	h->trust[0]->mailed_ms = h->trust[0]->code_expires_ms = h->trust[0]->first_ms;
	assert_int_equal(trust_ask(w, "203.0.113.77", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(h));
	assert_int_equal(h->trusts, HOLDER_MAX_PENDING);
	assert_int_equal(h->trust[HOLDER_MAX_PENDING - 1]->number, HOLDER_MAX_PENDING + 1);
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip WHERE n = 1"), 0);
	assert_int_equal(trust_mails(w), w->terms.mails_per_key_day);
}

static void a_code_that_expired_is_followed_by_a_new_one(void **state)
{
	struct world *w = *state;
	char first[TRUST_CODE + 1], second[TRUST_CODE + 1];
	struct index_holder *h;
	struct msg_confirm m;
	struct world_key key;

	trust_key(w, "ada", &key);
	trust_email(w, "person:ada", "ada@example.com");
	w->terms.first = false;
	h = trust_holder(w, "ada");
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(h));
	trust_code(w, first);
	h->trust[0]->code_expires_ms = rk_wall_ms();
	m = (struct msg_confirm){.code = rk_str(first)};
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(h));
	assert_true(world_last_action(w, "ip.mail"));
	trust_code(w, second);
	assert_string_not_equal(first, second);
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	m.code = rk_str(second);
	world_run(w, &w->a, MSG_TRUST_CONFIRM, &m);
	assert_int_equal(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.state,
	                 TRUST_TRUSTED);
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_OK);
	world_complete(w);
}

static void ipv6_is_confirmed_by_its_64(void **state)
{
	struct world *w = *state;
	struct world_key key;

	trust_key(w, "ada", &key);
	assert_int_equal(trust_ask(w, "2001:db8:1:2::1", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "2001:db8:1:2:ffff::9", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "2001:db8:1:3::1", key.text), REASON_IP_UNCONFIRMED);
	assert_int_equal(trust_ask(w, "2001:db8:1:3::2", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(trust_holder(w, "ada")->trusts, 2);
}

static void a_pending_address_can_become_the_first_when_the_rule_is_put_on(void **state)
{
	struct world *w = *state;
	struct world_key key;

	trust_key(w, "ada", &key);
	w->terms.first = false;
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	w->terms.first = true;
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_holder(w, "ada")->trusts, 1);
	assert_int_equal(trust_count_sql(w, "SELECT state FROM trusted_ip"), TRUST_TRUSTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trust_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_first_address_is_trusted_once_it_is_stored),
	    TEST(of_two_addresses_at_once_exactly_one_is_the_first),
	    TEST(what_is_not_stored_is_not_trusted),
	    TEST(without_an_audit_row_nothing_is_trusted),
	    TEST(a_key_revoked_while_its_first_address_is_stored_is_refused),
	    TEST(a_relay_that_gives_up_while_it_waits_is_no_protocol_error),
	    TEST(with_the_rule_off_only_presets_let_in),
	    TEST(a_new_address_is_kept_with_one_mail_however_often_it_comes),
	    TEST(what_is_not_stored_yet_is_not_shown),
	    TEST(without_an_address_for_mail_it_waits_for_an_administrator),
	    TEST(a_thief_with_many_addresses_fills_neither_store_nor_mailbox),
	    TEST(a_code_that_expired_is_followed_by_a_new_one),
	    TEST(ipv6_is_confirmed_by_its_64),
	    TEST(a_pending_address_can_become_the_first_when_the_rule_is_put_on),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
