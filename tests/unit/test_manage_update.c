/*
 * The change of a connection: who does not have the secret does not get it by pointing the
 * connection elsewhere; grants and ids stay; what was decided for another target is not sent.
 */
#include "tests/lib/manage_world.h"

#include "keeper/credential.h"
#include "keeper/store_credential.h"
#include "keeper/store_schema.h"

#define NEW_SECRET "sk_live_elsewhere_92c4d0be71aa55f3"

static struct world_key key;
static char conn_id[MSG_MAX_NAME + 1];

static struct index_conn *conn(struct world *w)
{
	return index_conn_find(w->k.index, rk_str(conn_id));
}

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
	world_key_issue(w, "openai", 0, &key);
	return 0;
}

static struct msg_conn_update change(uint32_t set)
{
	return (struct msg_conn_update){.ref = rk_str(conn_id), .set = set};
}

static const struct msg_conn_info *run(struct world *w, const struct msg_conn_update *m)
{
	world_run(w, &w->a, MSG_CONN_UPDATE, m);
	return &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
}

static int refused(struct world *w, const struct msg_conn_update *m)
{
	unsigned rows = w->rows;
	uint32_t upstream = conn(w)->upstream_id, revision = conn(w)->revision;
	int err = world_refusal(w, &w->a, MSG_CONN_UPDATE, m);

	world_turns(w);
	assert_int_equal(w->rows, rows);
	assert_int_equal(conn(w)->upstream_id, upstream);
	assert_int_equal(conn(w)->revision, revision);
	return err;
}

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

/* ---- a name ---- */

static void test_a_renamed_connection_is_found_by_its_new_name_and_its_id(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_NAME | CONN_SET_PROVIDER);
	uint32_t upstream = conn(w)->upstream_id, revision = conn(w)->revision;
	const struct msg_conn_info *info;

	m.name = rk_str("models");
	m.provider = rk_str("azure");
	info = run(w, &m);
	assert_true(rk_slice_is(info->name, "models"));
	assert_true(rk_slice_is(info->provider, "azure"));
	assert_int_equal(info->credential_version, 1);
	assert_null(index_conn_find(w->k.index, rk_str("openai")));
	assert_ptr_equal(index_conn_find(w->k.index, rk_str("models")), conn(w));
	assert_int_equal(conn(w)->revision, revision + 1);
	WORLD_WAIT(w, w->last_replaces == upstream);
	assert_true(world_last_action(w, "connection.update"));
	assert_string_equal(world_last_row(w)->detail,
	                    "name=openai > models provider=openai > azure");
	/* the key's grant is on it still */
	assert_int_equal(world_ask(w, "models", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(world_ask(w, conn_id, key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_NO_CONN);
	/* and its former name is free */
	world_conn_add(w, "openai", "https://api.example.com");
}

static void test_a_name_that_is_taken_or_means_something_else_is_refused(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_NAME);

	world_conn_add(w, "other", "https://api.example.com");
	m.name = rk_str("other");
	assert_int_equal(refused(w, &m), RK_E_EXISTS);
	m.name = rk_str("healthz");
	assert_int_equal(refused(w, &m), RK_E_INVALID);
	m.name = rk_str("");
	assert_int_equal(refused(w, &m), RK_E_INVALID);
	m.name = rk_str("another");
	run(w, &m);
}

static void test_what_is_so_already_changes_nothing(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_ALL);
	struct sample_list auth;
	unsigned rows = w->rows;
	uint32_t revision = conn(w)->revision;

	m.name = rk_str("openai");
	m.provider = rk_str("openai");
	m.base_url = rk_str("https://API.openai.com:443/v1/");
	m.auth = sample_words(&auth, "bearer");
	m.flags = conn(w)->flags;
	run(w, &m);
	world_turns(w);
	assert_int_equal(w->rows, rows);
	assert_int_equal(conn(w)->revision, revision);
}

/* ---- where the secret goes ---- */

static void test_it_is_pointed_elsewhere_only_together_with_the_secret(void **state)
{
	struct world *w = *state;
	struct sample_list header;
	struct msg_conn_update url = change(CONN_SET_BASE_URL), auth = change(CONN_SET_AUTH);

	url.base_url = rk_str("https://evil.example.com/v1");
	auth.auth = sample_words(&header, "header:X-Leak");
	assert_int_equal(refused(w, &url), RK_E_INVALID);
	assert_non_null(strstr(world_fault.text, "together with the secret"));
	assert_int_equal(refused(w, &auth), RK_E_INVALID);
	/* another path of the same host may be somebody else's too */
	url.base_url = rk_str("https://api.openai.com/v2");
	assert_int_equal(refused(w, &url), RK_E_INVALID);
	assert_true(opens_to(w, WORLD_SECRET));
	url.secret = rk_str(NEW_SECRET);
	assert_int_equal(run(w, &url)->credential_version, 2);
	assert_true(opens_to(w, NEW_SECRET));
	assert_true(world_last_action(w, "connection.update"));
	assert_string_equal(
	    world_last_row(w)->detail,
	    "version=2 base_url=https://api.openai.com/v1 > https://api.openai.com/v2");
	assert_null(strstr(world_last_row(w)->detail, NEW_SECRET));
}

static void test_a_former_secret_is_not_brought_back_to_a_new_place(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_BASE_URL);
	struct msg_credential_ref first = {.ref = rk_str(conn_id), .version = 1};

	m.base_url = rk_str("https://evil.example.com/v1");
	m.secret = rk_str("anything-at-all-that-is-a-secret");
	run(w, &m);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ROLLBACK, &first), RK_E_DENIED);
	/* while what was given for the new place is */
	{
		struct msg_conn_rotate r = {.ref = rk_str(conn_id),
		                            .secret = rk_str(NEW_SECRET)};
		struct msg_credential_ref second = {.ref = rk_str(conn_id), .version = 2};

		world_run(w, &w->a, MSG_CONN_ROTATE, &r);
		world_run(w, &w->a, MSG_CONN_ROLLBACK, &second);
		assert_int_equal(
		    world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.credential_version, 4);
	}
}

static void test_another_style_takes_the_secret_that_fits_it(void **state)
{
	struct world *w = *state;
	struct sample_list basic;
	struct msg_conn_update m = change(CONN_SET_AUTH);

	m.auth = sample_words(&basic, "basic");
	m.secret = rk_str("no colon in it, so no user:");
	run(w, &m);
	m = change(CONN_SET_AUTH);
	m.auth = sample_words(&basic, "header:X-Key");
	m.secret = rk_str("two\r\nlines");
	assert_int_equal(refused(w, &m), RK_E_INVALID);
	m.secret = rk_str(NEW_SECRET);
	run(w, &m);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_options_are_judged_with_the_base_url(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_BASE_URL);

	m.base_url = rk_str("https://10.0.0.1/v1");
	m.secret = rk_str(NEW_SECRET);
	assert_int_equal(refused(w, &m), RK_E_DENIED);
	m.set |= CONN_SET_FLAGS;
	m.flags = UPSTREAM_ALLOW_PRIVATE;
	assert_int_equal(run(w, &m)->flags, UPSTREAM_ALLOW_PRIVATE);
	m = change(CONN_SET_FLAGS);
	assert_int_equal(refused(w, &m), RK_E_DENIED);
	m.flags = 64;
	assert_int_equal(refused(w, &m), RK_E_INVALID);
	m = change(CONN_SET_ALL + 1);
	assert_int_equal(refused(w, &m), RK_E_INVALID);
}

static void test_one_option_leaves_the_others_as_they_are(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_FLAGS);

	m.flags = UPSTREAM_ALLOW_ENCODED_SLASH;
	assert_int_equal(run(w, &m)->flags, UPSTREAM_ALLOW_ENCODED_SLASH);
	m = change(CONN_SET_COOKIE);
	m.flags =
	    UPSTREAM_ALLOW_SET_COOKIE | UPSTREAM_ALLOW_PRIVATE; /* the latter is not meant */
	assert_int_equal(run(w, &m)->flags,
	                 UPSTREAM_ALLOW_ENCODED_SLASH | UPSTREAM_ALLOW_SET_COOKIE);
	m = change(CONN_SET_ENCODED_SLASH);
	assert_int_equal(run(w, &m)->flags, UPSTREAM_ALLOW_SET_COOKIE);
}

static void test_a_new_secret_alone_is_a_rotation(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(0);

	m.secret = rk_str(NEW_SECRET);
	assert_int_equal(run(w, &m)->credential_version, 2);
	assert_true(opens_to(w, NEW_SECRET));
}

/* ---- what is under way ---- */

static void test_what_was_decided_for_another_path_is_not_sent_there(void **state)
{
	struct world *w = *state;
	struct msg_authorize ask = {.key = rk_str(key.text),
	                            .conn = rk_str("openai"),
	                            .method = rk_str("GET"),
	                            .rest = rk_str("/x")};
	struct store_conn_change now = {.set = CONN_SET_BASE_URL,
	                                .base_url = rk_str("https://api.openai.com/admin")};

	world_set(w, &w->hold_append, true);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &ask), 0);
	world_turns(w);
	/* as the change does at its end */
	WORLD_OK(index_conn_update(w->k.index, conn(w), &now, &world_fault));
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->decisions == 1);
	assert_int_equal(w->decision.reason, REASON_OVERLOADED);
	/* the next one is judged by what is there now */
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_what_is_in_flight_is_not_cut(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_BASE_URL);

	m.base_url = rk_str("https://api.example.com/v1");
	m.secret = rk_str(NEW_SECRET);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	run(w, &m);
	world_turns(w);
	assert_int_equal(w->cuts, 0);
	world_complete(w);
}

/* ---- store ---- */

struct loaded {
	char name[64], url[128];
	uint32_t version, revision;
};

static int load_conn(const struct store_conn *c, void *arg)
{
	struct loaded *l = arg;

	assert_true(rk_slice_cstr(c->name, l->name, sizeof l->name));
	assert_true(rk_slice_cstr(c->base_url, l->url, sizeof l->url));
	l->version = c->credential.version;
	l->revision = c->revision;
	return 0;
}

static int load_key(const struct store_key *k, void *arg)
{
	(void)k;
	(void)arg;
	return 0;
}

static void test_it_is_the_same_after_a_restart(void **state)
{
	struct world *w = *state;
	struct loaded l = {.version = 0};
	struct store_loader load = {.conn = load_conn, .key = load_key, .arg = &l};
	struct msg_conn_update m = change(CONN_SET_NAME | CONN_SET_BASE_URL);
	uint64_t version;

	m.name = rk_str("models");
	m.base_url = rk_str("https://api.example.com/v1");
	m.secret = rk_str(NEW_SECRET);
	run(w, &m);
	WORLD_OK(store_load(w->k.store, &load, &version, &world_fault));
	assert_string_equal(l.name, "models");
	assert_string_equal(l.url, "https://api.example.com/v1");
	assert_int_equal(l.version, 2);
	assert_int_equal(l.revision, conn(w)->revision);
}

static void test_when_it_cannot_be_stored_nothing_has_changed(void **state)
{
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_NAME);
	uint32_t upstream = conn(w)->upstream_id;

	m.name = rk_str("models");
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = ON", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_CONN_UPDATE, &m) < 0);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = OFF", &world_fault, "test"));
	WORLD_WAIT(w, world_last_action(w, "connection.update.failed"));
	assert_non_null(index_conn_find(w->k.index, rk_str("openai")));
	assert_int_equal(conn(w)->upstream_id, upstream);
}

static void test_only_an_admin_changes_a_connection(void **state)
{
	static const enum mgmt_role none[] = {ROLE_NOBODY, ROLE_OPERATOR, ROLE_AUDITOR,
	                                      ROLE_PROVISIONER};
	struct world *w = *state;
	struct msg_conn_update m = change(CONN_SET_NAME);

	m.name = rk_str("models");
	for (unsigned i = 0; i < 4; i++) {
		w->a.caller.role = none[i];
		assert_true(world_refusal(w, &w->a, MSG_CONN_UPDATE, &m) < 0);
		assert_string_equal(conn(w)->name, "openai");
	}
	w->a.caller.role = ROLE_ADMIN;
	run(w, &m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_renamed_connection_is_found_by_its_new_name_and_its_id),
	    TEST(test_a_name_that_is_taken_or_means_something_else_is_refused),
	    TEST(test_what_is_so_already_changes_nothing),
	    TEST(test_it_is_pointed_elsewhere_only_together_with_the_secret),
	    TEST(test_a_former_secret_is_not_brought_back_to_a_new_place),
	    TEST(test_another_style_takes_the_secret_that_fits_it),
	    TEST(test_options_are_judged_with_the_base_url),
	    TEST(test_one_option_leaves_the_others_as_they_are),
	    TEST(test_a_new_secret_alone_is_a_rotation),
	    TEST(test_what_was_decided_for_another_path_is_not_sent_there),
	    TEST(test_what_is_in_flight_is_not_cut),
	    TEST(test_it_is_the_same_after_a_restart),
	    TEST(test_when_it_cannot_be_stored_nothing_has_changed),
	    TEST(test_only_an_admin_changes_a_connection),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
