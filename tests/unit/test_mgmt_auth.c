/* Who is let in with a management key, and how much noise the others may make. */
#include "tests/lib/mgmt_scene.h"

static int come_from(struct world *w, const char *ip, const char *credential)
{
	struct msg_caller m = {.credential = rk_str(credential)};

	assert_int_equal(rk_ip_parse(rk_str(ip), (struct rk_ip *)m.client_ip), 0);
	return mgmt_authenticate(&w->k, &m, &w->b.caller);
}

/* Well formed, and never issued. */
static void stranger(char text[MGMT_KEY_MAX + 1])
{
	struct mgmt_key made;

	text[mgmt_key_generate(ROLE_ADMIN, text, &made)] = '\0';
}

static void test_nobody_is_nobody_and_no_error(void **state)
{
	struct world *w = *state;

	w->b.caller.role = ROLE_ADMIN;
	w->b.caller.mgmt_key = 7;
	assert_int_equal(mgmt_come(w, &w->b, ""), 0);
	assert_int_equal(w->b.caller.role, ROLE_NOBODY);
	assert_int_equal(w->b.caller.mgmt_key, 0);
	assert_string_equal(w->b.caller.actor, "ip:192.0.2.7");
}

static void test_unknown_malformed_and_revoked_keys_get_one_answer_and_a_row_each(void **state)
{
	char unknown[MGMT_KEY_MAX + 1];
	struct msg_mgmt_revoke m;
	struct world *w = *state;
	struct mgmt_held key;

	stranger(unknown);
	mgmt_issue(w, ROLE_ADMIN, &key);
	m = (struct msg_mgmt_revoke){.ref = rk_str(key.id)};
	world_run(w, &w->a, MSG_MGMT_REVOKE, &m);
	assert_int_equal(mgmt_come(w, &w->b, "rk_mgmt_admin_x"), RK_E_AUTH);
	WORLD_WAIT(w, world_last_action(w, "authentication.failed"));
	assert_string_equal(world_last_row(w)->detail, "malformed");
	assert_int_equal(mgmt_come(w, &w->b, unknown), RK_E_AUTH);
	WORLD_WAIT(w, rows_with(w, "authentication.failed") == 2);
	assert_string_equal(world_last_row(w)->detail, "unknown");
	assert_string_equal(world_last_row(w)->actor, "ip:192.0.2.7");
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_AUTH);
	WORLD_WAIT(w, rows_with(w, "authentication.failed") == 3);
	assert_string_equal(world_last_row(w)->detail, "revoked");
	assert_string_equal(world_last_row(w)->target, key.id);
	assert_int_equal(w->b.caller.role, ROLE_NOBODY);
}

/* Also one with the right id and the wrong secret. */
static void test_a_relay_key_or_a_changed_key_is_not_let_in(void **state)
{
	struct world *w = *state;
	struct mgmt_held key;
	struct world_key k;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &k);
	mgmt_issue(w, ROLE_ADMIN, &key);
	assert_int_equal(mgmt_come(w, &w->b, k.text), RK_E_AUTH);
	key.text[40] = key.text[40] == 'a' ? 'b' : 'a';
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_AUTH);
}

static void test_too_many_failures_of_an_address_are_turned_away_without_a_row(void **state)
{
	struct world *w = *state;
	char unknown[MGMT_KEY_MAX + 1];
	struct mgmt_held key;

	mgmt_issue(w, ROLE_ADMIN, &key);
	stranger(unknown);
	for (unsigned i = 0; i < AUTH_MAX_FAILED; i++)
		assert_int_equal(come_from(w, "192.0.2.1", unknown), RK_E_AUTH);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(come_from(w, "192.0.2.1", unknown), RK_E_AGAIN);
	world_turns(w);
	WORLD_WAIT(w, rows_with(w, "authentication.failed") == AUTH_MAX_FAILED);
	/* another address is another matter, and so is a good key */
	assert_int_equal(come_from(w, "192.0.2.2", unknown), RK_E_AUTH);
	assert_int_equal(come_from(w, "192.0.2.1", key.text), 0);
}

static void test_an_ipv6_address_stands_for_its_64(void **state)
{
	struct world *w = *state;
	char unknown[MGMT_KEY_MAX + 1], ip[64];

	stranger(unknown);
	for (unsigned i = 0; i < AUTH_MAX_FAILED; i++) {
		snprintf(ip, sizeof ip, "2001:db8::%x", i + 1);
		assert_int_equal(come_from(w, ip, unknown), RK_E_AUTH);
	}
	assert_int_equal(come_from(w, "2001:db8::ffff", unknown), RK_E_AGAIN);
	assert_int_equal(come_from(w, "2001:db8:0:1::1", unknown), RK_E_AUTH);
}

static void test_many_addresses_together_write_so_many_rows(void **state)
{
	struct world *w = *state;
	char unknown[MGMT_KEY_MAX + 1], ip[64];

	stranger(unknown);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(ip, sizeof ip, "10.0.%u.%u", i / 250, i % 250 + 1);
		assert_int_equal(come_from(w, ip, unknown), RK_E_AUTH);
	}
	WORLD_WAIT(w, rows_with(w, "authentication.failed") >= AUTH_MAX_ROWS);
	world_turns(w);
	assert_int_equal(rows_with(w, "authentication.failed"), AUTH_MAX_ROWS);
}

static void test_the_terms_are_taken_and_malformed_ones_refused(void **state)
{
	struct msg_caller m = {.idempotency_key = rk_str("order-1"), .if_revision = 7};
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_ADMIN, &key);
	m.credential = rk_str(key.text);
	assert_int_equal(mgmt_authenticate(&w->k, &m, &w->b.caller), 0);
	assert_string_equal(w->b.caller.idempotency_key, "order-1");
	assert_int_equal(w->b.caller.if_revision, 7);
	/* and not kept for the next command */
	assert_int_equal(mgmt_come(w, &w->b, key.text), 0);
	assert_string_equal(w->b.caller.idempotency_key, "");
	assert_int_equal(w->b.caller.if_revision, 0);
	m.idempotency_key = rk_str("two words");
	assert_int_equal(mgmt_authenticate(&w->k, &m, &w->b.caller), RK_E_INVALID);
	assert_int_equal(w->b.caller.role, ROLE_NOBODY);
	m.idempotency_key = rk_slice("a\0b", 3);
	assert_int_equal(mgmt_authenticate(&w->k, &m, &w->b.caller), RK_E_INVALID);
}

static void test_a_sealed_keeper_knows_nobody(void **state)
{
	struct world *w = *state;
	struct mgmt_held key;

	mgmt_issue(w, ROLE_ADMIN, &key);
	w->k.state = KEEPER_SEALED;
	assert_int_equal(mgmt_come(w, &w->b, key.text), RK_E_STATE);
	assert_int_equal(w->b.caller.role, ROLE_NOBODY);
	w->k.state = KEEPER_OPEN;
	assert_int_equal(mgmt_come(w, &w->b, key.text), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_nobody_is_nobody_and_no_error),
	    TEST(test_unknown_malformed_and_revoked_keys_get_one_answer_and_a_row_each),
	    TEST(test_a_relay_key_or_a_changed_key_is_not_let_in),
	    TEST(test_too_many_failures_of_an_address_are_turned_away_without_a_row),
	    TEST(test_an_ipv6_address_stands_for_its_64),
	    TEST(test_many_addresses_together_write_so_many_rows),
	    TEST(test_the_terms_are_taken_and_malformed_ones_refused),
	    TEST(test_a_sealed_keeper_knows_nobody),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
