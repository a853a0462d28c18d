/*
 * Every command and every role: allowed or refused. Written from what the roles are, not from
 * the code; a command that is missing here fails.
 */
#include "tests/lib/manage_world.h"

struct permitted {
	enum ipc_type type;
	const char *roles; /* a admin, o operator, u auditor, p provisioner, n nobody */
};

static const struct permitted table[] = {
    {MSG_STATUS_GET, "aou"},
    {MSG_CONN_ADD, "a"},
    {MSG_CONN_GET, "aou"},
    {MSG_CONN_LIST, "aou"},
    {MSG_CONN_ROTATE, "a"},
    {MSG_CONN_IDENTITY, "a"},
    {MSG_CONN_PROXY, "a"},
    {MSG_CONN_STATE, "ao"},
    {MSG_CONN_REMOVE, "a"},
    {MSG_KEY_ISSUE, "ao"},
    {MSG_KEY_MINT, "aop"},
    {MSG_KEY_GET, "aoup"},  /* a provisioner: its own */
    {MSG_KEY_LIST, "aoup"}, /* likewise */
    {MSG_KEY_UPDATE, "ao"},
    {MSG_KEY_REVOKE, "aop"}, /* likewise */
    {MSG_KEY_EXTEND, "ao"},
    {MSG_AUDIT_QUERY, "aou"},
    {MSG_AUDIT_VERIFY, "aou"},
    {MSG_MGMT_ISSUE, "a"},
    {MSG_MGMT_GET, "a"},
    {MSG_MGMT_LIST, "a"},
    {MSG_MGMT_UPDATE, "a"},
    {MSG_MGMT_REVOKE, "a"},
    {MSG_USER_ADD, "a"},
    {MSG_USER_GET, "a"},
    {MSG_USER_LIST, "a"},
    {MSG_USER_UPDATE, "a"},
    {MSG_USER_REMOVE, "a"},
    {MSG_CONN_UPDATE, "a"},
    {MSG_CREDENTIAL_LIST, "aou"},
    {MSG_CONN_ROLLBACK, "a"},
    {MSG_CONN_PURGE, "a"},
    {MSG_CONN_PROBE, "ao"},
    {MSG_SETTINGS_GET, "aou"},
    {MSG_SETTINGS_SET, "a"},
    {MSG_MAIL_TEST, "a"},
    {MSG_HOOK_ADD, "a"},
    {MSG_HOOK_GET, "aou"},
    {MSG_HOOK_LIST, "aou"},
    {MSG_HOOK_UPDATE, "a"},
    {MSG_HOOK_REMOVE, "a"},
    {MSG_HOOK_ROTATE, "a"},
    {MSG_HOOK_TEST, "a"},
    {MSG_DELIVERY_LIST, "aou"},
    {MSG_DELIVERY_GET, "aou"},
    {MSG_DELIVERY_REPLAY, "ao"},
    {MSG_HOLDER_LIST, "aou"},
    {MSG_HOLDER_GET, "aou"},
    {MSG_HOLDER_SET, "ao"},
    {MSG_HOLDER_REVOKE, "ao"},
    {MSG_TRUST_LIST, "aou"},
    {MSG_TRUST_GET, "aou"},
    {MSG_TRUST_ADD, "ao"},
    {MSG_TRUST_APPROVE, "ao"},
    {MSG_TRUST_REMOVE, "ao"},
    {MSG_TRUST_CONFIRM_GET, "naoup"}, /* who has the code of a mail */
    {MSG_TRUST_CONFIRM, "naoup"},     /* likewise */
    {MSG_LEAK_REPORT, "nao"},         /* nobody: with a scanner's signature */
    {MSG_PANIC_ON, "ao"},
    {MSG_PANIC_OFF, "a"},
};

static const char letters[ROLE_COUNT] = {[ROLE_NOBODY] = 'n',
                                         [ROLE_ADMIN] = 'a',
                                         [ROLE_OPERATOR] = 'o',
                                         [ROLE_AUDITOR] = 'u',
                                         [ROLE_PROVISIONER] = 'p'};

static const struct permitted *row_of(unsigned type)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].type == type)
			return &table[i];
	}
	return NULL;
}

/* Of those that a command may come from, the control socket has them all. */
static bool is_command(unsigned type)
{
	return ipc_row(type) && ipc_permitted(type, IPC_CONTROL, IPC_KEEPER, IPC_PHASE_SERVE);
}

static void test_every_command_is_in_the_table(void **state)
{
	size_t commands = 0;

	(void)state;
	for (unsigned type = 1; type < MSG_TYPES; type++) {
		if (!is_command(type))
			continue;
		commands++;
		if (!row_of(type))
			fail_msg("%s is not in the table", ipc_row(type)->name);
	}
	assert_int_equal(commands, sizeof table / sizeof table[0]);
}

/* Refused for its role, or anything else: an empty command mostly is malformed. */
static bool refused_for_role(struct world *w, unsigned type)
{
	static union ipc_body zero;
	const struct msg_done *done;

	world_run(w, &w->a, (enum ipc_type)type, &zero);
	if (w->a.answers != 1 || w->a.answer[0].type != MSG_DONE)
		return false;
	done = &world_answer(&w->a, 0, MSG_DONE)->done;
	if (!rk_slice_starts(done->text, rk_str("the role ")))
		return false;
	assert_int_equal(done->err, w->a.caller.role == ROLE_NOBODY ? RK_E_AUTH : RK_E_DENIED);
	return true;
}

static void test_a_role_may_what_the_table_says_and_no_more(void **state)
{
	unsigned allowed = 0, refused = 0;
	struct world *w = *state;

	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		w->a.caller.role = (enum mgmt_role)role;
		for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
			bool may = strchr(table[i].roles, letters[role]) != NULL;

			if (refused_for_role(w, table[i].type) == may)
				fail_msg("%s %s %s", mgmt_role_name(role),
				         may ? "may not" : "may", ipc_row(table[i].type)->name);
			allowed += may;
			refused += !may;
		}
	}
	assert_true(allowed > 50);
	assert_true(refused > 50);
}

static void test_who_is_known_and_refused_stands_in_the_audit_log(void **state)
{
	struct world *w = *state;

	w->a.caller.role = ROLE_AUDITOR;
	assert_true(refused_for_role(w, MSG_CONN_ROTATE));
	WORLD_WAIT(w, world_last_action(w, "denied"));
	assert_string_equal(world_last_row(w)->target, "CONN_ROTATE");
	assert_string_equal(world_last_row(w)->actor, "uid:1000");
	assert_string_equal(world_last_row(w)->detail, "role=auditor");
	w->a.caller.role = ROLE_NOBODY;
	assert_true(refused_for_role(w, MSG_CONN_ROTATE));
	world_turns(w);
	assert_int_equal(w->rows, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_every_command_is_in_the_table),
	    TEST(test_a_role_may_what_the_table_says_and_no_more),
	    TEST(test_who_is_known_and_refused_stands_in_the_audit_log),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
