/* The record of people: each command, what is refused, and that an administrator stays. */
#include "tests/lib/manage_world.h"

static void add(struct world *w, const char *name, enum mgmt_role role)
{
	struct msg_user_add m = {
	    .name = rk_str(name), .email = rk_str("ada@example.com"), .role = (uint8_t)role};

	world_run(w, &w->a, MSG_USER_ADD, &m);
	world_answer(&w->a, 0, MSG_USER_INFO);
}

static const struct msg_user_info *update(struct world *w, const struct msg_user_update *m)
{
	world_run(w, &w->a, MSG_USER_UPDATE, m);
	return &world_answer(&w->a, 0, MSG_USER_INFO)->user_info;
}

static void test_a_user_is_added_shown_changed_and_removed(void **state)
{
	struct msg_ref ref = {.ref = rk_str("ada")};
	const struct msg_user_info *info;
	struct world *w = *state;
	struct users *again;
	char id[32];

	add(w, "ada", ROLE_ADMIN);
	add(w, "bob", ROLE_ADMIN);
	assert_true(world_last_action(w, "user.add"));
	world_run(w, &w->a, MSG_USER_GET, &ref);
	info = &world_answer(&w->a, 0, MSG_USER_INFO)->user_info;
	assert_true(rk_slice_cstr(info->id, id, sizeof id));
	assert_true(rk_slice_is(info->email, "ada@example.com"));
	assert_int_equal(info->enabled, 1);
	assert_int_equal(info->revision, 1);
	info = update(w, &(struct msg_user_update){.ref = rk_str(id),
	                                           .set = USER_SET_NAME | USER_SET_ROLE,
	                                           .name = rk_str("countess"),
	                                           .role = ROLE_AUDITOR});
	assert_true(rk_slice_is(info->name, "countess"));
	assert_int_equal(info->role, ROLE_AUDITOR);
	assert_int_equal(info->revision, 2);
	assert_true(rk_slice_is(info->email, "ada@example.com"));
	ref.ref = rk_str("bob");
	assert_int_equal(users_new(&again), 0);
	WORLD_OK(users_load(again, w->k.store, &world_fault));
	assert_string_equal(users_find(again, rk_str(id))->name, "countess");
	assert_int_equal(users_find(again, rk_str(id))->revision, 2);
	users_free(again);
	ref.ref = rk_str("countess");
	world_run(w, &w->a, MSG_USER_REMOVE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_GET, &ref), RK_E_NOTFOUND);
}

static int refuse_add(struct world *w, const char *name, const char *email, unsigned role)
{
	struct msg_user_add m = {
	    .name = rk_str(name), .email = rk_str(email), .role = (uint8_t)role};

	return world_refusal(w, &w->a, MSG_USER_ADD, &m);
}

static void test_names_addresses_and_roles_are_checked(void **state)
{
	static const char *const bad[] = {"ada",      "@example.com",        "ada@",  "a@b@c",
	                                  "a b@c.de", "a@b.c\nBcc: x@y",     "<a@b>", "a@b,c@d",
	                                  "\"a\"@b",  "ad\xc3\xa4@b.example"};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(refuse_add(w, "ada", bad[i], ROLE_ADMIN), RK_E_INVALID);
	assert_int_equal(refuse_add(w, "two words", "", ROLE_ADMIN), RK_E_INVALID);
	assert_int_equal(refuse_add(w, "user_abc", "", ROLE_ADMIN), RK_E_INVALID);
	assert_int_equal(refuse_add(w, "ada", "", ROLE_NOBODY), RK_E_INVALID);
	assert_int_equal(refuse_add(w, "ada", "", ROLE_COUNT), RK_E_INVALID);
	add(w, "ada", ROLE_ADMIN);
	assert_int_equal(refuse_add(w, "ada", "", ROLE_ADMIN), RK_E_EXISTS);
}

static void test_a_name_that_is_taken_is_not_given_again(void **state)
{
	struct msg_user_update m = {
	    .ref = rk_str("bob"), .set = USER_SET_NAME, .name = rk_str("ada")};
	struct world *w = *state;

	add(w, "ada", ROLE_ADMIN);
	add(w, "bob", ROLE_AUDITOR);
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &m), RK_E_EXISTS);
	m.name = rk_str("bob"); /* its own */
	update(w, &m);
	m.set = 0;
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &m), RK_E_INVALID);
	m.set = 1u << 20;
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &m), RK_E_INVALID);
}

static void test_the_last_enabled_administrator_stays(void **state)
{
	struct msg_user_update demote = {
	    .ref = rk_str("ada"), .set = USER_SET_ROLE, .role = ROLE_OPERATOR};
	struct msg_user_update disable = {.ref = rk_str("ada"), .set = USER_SET_ENABLED};
	struct msg_user_update rename = {
	    .ref = rk_str("ada"), .set = USER_SET_NAME, .name = rk_str("ada")};
	struct msg_ref ref = {.ref = rk_str("ada")};
	struct world *w = *state;

	add(w, "ada", ROLE_ADMIN);
	add(w, "bob", ROLE_OPERATOR);
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &demote), RK_E_DENIED);
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &disable), RK_E_DENIED);
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_REMOVE, &ref), RK_E_DENIED);
	update(w, &rename);
	add(w, "cy", ROLE_ADMIN);
	update(w, &disable);
	assert_int_equal(users_find(w->k.users, rk_str("ada"))->enabled, 0);
	/* and now cy is the last one */
	disable.ref = rk_str("cy");
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &disable), RK_E_DENIED);
	world_run(w, &w->a, MSG_USER_REMOVE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
}

static void test_a_change_of_another_revision_is_refused(void **state)
{
	struct msg_user_update m = {
	    .ref = rk_str("ada"), .set = USER_SET_EMAIL, .email = rk_str("")};
	struct world *w = *state;

	add(w, "ada", ROLE_ADMIN);
	w->a.caller.if_revision = 2;
	assert_int_equal(world_refusal(w, &w->a, MSG_USER_UPDATE, &m), RK_E_STALE);
	w->a.caller.if_revision = 1;
	assert_int_equal(update(w, &m)->email.n, 0);
}

static void test_a_list_has_pages(void **state)
{
	struct msg_list list = {.limit = 2};
	struct world *w = *state;

	add(w, "ada", ROLE_ADMIN);
	add(w, "bob", ROLE_AUDITOR);
	add(w, "cy", ROLE_AUDITOR);
	world_run(w, &w->a, MSG_USER_LIST, &list);
	assert_int_equal(w->a.answers, 3);
	assert_int_equal(world_answer(&w->a, 2, MSG_DONE)->done.more, 1);
	list.after = rk_str("bob");
	world_run(w, &w->a, MSG_USER_LIST, &list);
	assert_int_equal(w->a.answers, 2);
	assert_int_equal(world_answer(&w->a, 1, MSG_DONE)->done.more, 0);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_USER_INFO)->user_info.name, "cy"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_user_is_added_shown_changed_and_removed),
	    TEST(test_names_addresses_and_roles_are_checked),
	    TEST(test_a_name_that_is_taken_is_not_given_again),
	    TEST(test_the_last_enabled_administrator_stays),
	    TEST(test_a_change_of_another_revision_is_refused),
	    TEST(test_a_list_has_pages),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
