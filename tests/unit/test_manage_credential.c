/*
 * A connection's earlier credentials: listed without their secrets, brought back as a new
 * version, removed for good; with a real token and store.
 */
#include "tests/lib/manage_world.h"

#include "keeper/credential.h"
#include "keeper/db_stmt.h"
#include "keeper/store_credential.h"
#include "keeper/store_schema.h"

static const char *const secrets[] = {WORLD_SECRET, "sk_live_second_8d11aa90c2e4b7c0",
                                      "sk_live_third__71f0bb64d3c5a9e2"};

static void rotate(struct world *w, const char *secret)
{
	struct msg_conn_rotate m = {.ref = rk_str("openai"), .secret = rk_str(secret)};

	world_run(w, &w->a, MSG_CONN_ROTATE, &m);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

/* Three versions. */
static int setup(void **state)
{
	int err = world_setup(state);

	if (err)
		return err;
	world_conn_add(*state, "openai", "https://api.openai.com/v1");
	rotate(*state, secrets[1]);
	rotate(*state, secrets[2]);
	return 0;
}

static struct index_conn *conn(struct world *w)
{
	return index_conn_find(w->k.index, rk_str("openai"));
}

/* What a request would send now. */
static bool opens_to(struct world *w, const char *secret)
{
	char mem[CREDENTIAL_PLACE_MAX];
	struct index_conn *c = conn(w);
	RK_SECRET_AUTO plain = {0};

	WORLD_OK(token_unwrap(w->k.token, c->blob,
	                      credential_place(rk_str(c->id), c->credential_version, mem),
	                      &plain, &world_fault));
	return rk_slice_is(rk_secret_slice(&plain), secret);
}

static struct msg_credential_ref version(uint32_t n)
{
	return (struct msg_credential_ref){.ref = rk_str("openai"), .version = n};
}

static const struct msg_conn_info *run(struct world *w, enum ipc_type type, uint32_t n)
{
	struct msg_credential_ref m = version(n);

	world_run(w, &w->a, type, &m);
	return &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
}

static int refused(struct world *w, enum ipc_type type, uint32_t n)
{
	struct msg_credential_ref m = version(n);
	uint32_t before = conn(w)->credential_version;
	int err = world_refusal(w, &w->a, type, &m);

	assert_int_equal(conn(w)->credential_version, before);
	return err;
}

static unsigned list(struct world *w, uint32_t before, uint32_t limit, bool *more)
{
	struct msg_credential_list m = {
	    .ref = rk_str("openai"), .before = before, .limit = limit};

	world_run(w, &w->a, MSG_CREDENTIAL_LIST, &m);
	*more = world_answer(&w->a, w->a.answers - 1, MSG_DONE)->done.more;
	return w->a.answers - 1;
}

static const struct msg_credential_info *shown(struct world *w, unsigned i)
{
	return &world_answer(&w->a, i, MSG_CREDENTIAL_INFO)->credential_info;
}

static void test_versions_are_listed_from_the_newest_without_their_secrets(void **state)
{
	struct world *w = *state;
	const struct msg_credential_info *info;
	bool more;

	assert_int_equal(list(w, 0, 0, &more), 3);
	assert_false(more);
	for (unsigned i = 0; i < 3; i++) {
		info = shown(w, i);
		assert_int_equal(info->version, 3 - i);
		assert_int_equal(info->current, i == 0);
		assert_int_equal(info->restorable, 1);
		assert_true(rk_slice_is(info->mechanism, "aes-gcm"));
		assert_int_equal(info->kek_generation, 1);
		assert_true(info->created_ms > 0);
	}
	assert_true(rk_slice_is(shown(w, 2)->hint, "sk_\u2022\u2022\u2022\u20225f81"));
	for (unsigned i = 0; i < 3; i++)
		assert_null(memmem(w->a.bytes, w->a.used, secrets[i], strlen(secrets[i])));
	/* in pages */
	assert_int_equal(list(w, 0, 2, &more), 2);
	assert_true(more);
	assert_int_equal(list(w, shown(w, 1)->version, 2, &more), 1);
	assert_false(more);
}

static void test_an_earlier_version_comes_back_as_a_new_one(void **state)
{
	struct world *w = *state;
	struct world_key key;
	uint32_t upstream = conn(w)->upstream_id;
	bool more;

	assert_int_equal(run(w, MSG_CONN_ROLLBACK, 1)->credential_version, 4);
	assert_true(opens_to(w, secrets[0]));
	assert_int_not_equal(conn(w)->upstream_id, upstream);
	WORLD_WAIT(w, w->last_replaces == upstream);
	assert_true(world_last_action(w, "connection.rollback"));
	assert_string_equal(world_last_row(w)->detail, "version=4 from=1");
	assert_string_equal(world_last_row(w)->conn_id, conn(w)->id);
	/* none is lost by it, and requests go on */
	assert_int_equal(list(w, 0, 0, &more), 4);
	assert_true(rk_slice_eq(shown(w, 0)->hint, rk_str(conn(w)->hint)));
	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_a_version_that_is_none_or_in_use_does_not_come_back(void **state)
{
	struct world *w = *state;

	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 3), RK_E_STATE);
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 0), RK_E_NOTFOUND);
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 4), RK_E_NOTFOUND);
	assert_int_equal(run(w, MSG_CONN_ROLLBACK, 2)->credential_version, 4);
	assert_true(opens_to(w, secrets[1]));
}

static void test_a_blob_moved_from_another_version_does_not_come_back(void **state)
{
	struct world *w = *state;
	unsigned rows = w->rows;

	WORLD_OK(db_exec(w->k.store->db,
	                 "UPDATE credential SET blob = (SELECT blob FROM credential WHERE "
	                 "version = 2) WHERE version = 1",
	                 &world_fault, "test"));
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 1), RK_E_CORRUPT);
	assert_int_equal(w->rows, rows);
	assert_true(opens_to(w, secrets[2]));
}

static void test_one_given_for_another_upstream_does_not_come_back(void **state)
{
	struct world *w = *state;
	bool more;

	WORLD_OK(db_exec(w->k.store->db, "UPDATE conn SET target = 1", &world_fault, "test"));
	WORLD_OK(db_exec(w->k.store->db, "UPDATE credential SET target = 1 WHERE version > 1",
	                 &world_fault, "test"));
	assert_int_equal(list(w, 0, 0, &more), 3);
	assert_int_equal(shown(w, 2)->restorable, 0);
	assert_int_equal(shown(w, 1)->restorable, 1);
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 1), RK_E_DENIED);
	assert_int_equal(run(w, MSG_CONN_ROLLBACK, 2)->credential_version, 4);
}

static void test_a_purged_version_is_gone_for_good(void **state)
{
	struct world *w = *state;
	int64_t n;
	bool more;

	assert_int_equal(run(w, MSG_CONN_PURGE, 1)->credential_version, 3);
	assert_true(world_last_action(w, "connection.purge"));
	assert_string_equal(world_last_row(w)->detail, "version=1");
	assert_int_equal(list(w, 0, 0, &more), 2);
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 1), RK_E_NOTFOUND);
	assert_int_equal(refused(w, MSG_CONN_PURGE, 1), RK_E_NOTFOUND);
	assert_int_equal(refused(w, MSG_CONN_PURGE, 3), RK_E_STATE);
	WORLD_OK(
	    db_query_int(w->k.store->db, "SELECT count(*) FROM credential", &n, &world_fault));
	assert_int_equal(n, 2);
	/* and its number is not given again */
	rotate(w, secrets[0]);
	assert_int_equal(conn(w)->credential_version, 4);
}

static void test_a_purge_that_comes_before_a_rollback_s_turn_wins(void **state)
{
	struct world *w = *state;
	struct msg_credential_ref first = version(1);

	/* the rollback has read the version, and waits for its turn behind the purge */
	world_hold_store(w);
	world_start(w, &w->a, MSG_CONN_PURGE, &first);
	world_start(w, &w->b, MSG_CONN_ROLLBACK, &first);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.credential_version,
	                 3);
	assert_int_equal(world_answer(&w->b, 0, MSG_DONE)->done.err, RK_E_NOTFOUND);
	assert_true(opens_to(w, secrets[2]));
}

static void test_only_an_admin_touches_them_and_who_reads_sees_them(void **state)
{
	struct world *w = *state;
	bool more;

	w->a.caller.role = ROLE_OPERATOR;
	assert_int_equal(refused(w, MSG_CONN_ROLLBACK, 1), RK_E_DENIED);
	assert_int_equal(refused(w, MSG_CONN_PURGE, 1), RK_E_DENIED);
	w->a.caller.role = ROLE_AUDITOR;
	assert_int_equal(list(w, 0, 0, &more), 3);
	w->a.caller.role = ROLE_PROVISIONER;
	{
		struct msg_credential_list m = {.ref = rk_str("openai")};

		assert_int_equal(world_refusal(w, &w->a, MSG_CREDENTIAL_LIST, &m), RK_E_DENIED);
	}
}

static void test_a_caller_that_leaves_meanwhile_costs_nothing(void **state)
{
	struct world *w = *state;
	struct msg_credential_list list_all = {.ref = rk_str("openai")};
	struct msg_credential_ref first = version(1);

	world_hold_store(w);
	world_start(w, &w->a, MSG_CREDENTIAL_LIST, &list_all);
	manage_forget(&w->a.caller);
	world_start(w, &w->a, MSG_CONN_ROLLBACK, &first);
	manage_forget(&w->a.caller);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, !w->store_held);
	world_turns(w);
	assert_int_equal(conn(w)->credential_version, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_versions_are_listed_from_the_newest_without_their_secrets),
	    TEST(test_an_earlier_version_comes_back_as_a_new_one),
	    TEST(test_a_version_that_is_none_or_in_use_does_not_come_back),
	    TEST(test_a_blob_moved_from_another_version_does_not_come_back),
	    TEST(test_one_given_for_another_upstream_does_not_come_back),
	    TEST(test_a_purged_version_is_gone_for_good),
	    TEST(test_a_purge_that_comes_before_a_rollback_s_turn_wins),
	    TEST(test_only_an_admin_touches_them_and_who_reads_sees_them),
	    TEST(test_a_caller_that_leaves_meanwhile_costs_nothing),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
