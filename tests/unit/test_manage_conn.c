/*
 * Management of connections, with a real token, store and journal: each command, each refusal
 * beside what is allowed, and what the audit log says of it.
 */
#include "tests/lib/manage_world.h"

#include "keeper/store_schema.h"

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "CERTIFICATE_BYTES"
                             "-----END CERTIFICATE-----\n";

/* A good request; tests spoil one thing at a time. */
static struct msg_conn_add good(void)
{
	return (struct msg_conn_add){
	    .name = rk_str("openai"),
	    .base_url = rk_str("https://api.openai.com/v1"),
	    .secret = rk_str(WORLD_SECRET),
	};
}

static int refused(struct world *w, const struct msg_conn_add *add)
{
	unsigned rows = w->rows;
	int err = world_refusal(w, &w->a, MSG_CONN_ADD, add);

	world_turns(w);
	assert_int_equal(w->rows, rows);
	assert_int_equal(index_conn_count(w->k.index), 0);
	return err;
}

static bool holds(const char *bytes, size_t n, const char *text)
{
	return memmem(bytes, n, text, strlen(text)) != NULL;
}

static void run_state(struct world *w, const char *ref, bool enabled)
{
	struct msg_conn_state m = {.ref = rk_str(ref), .enabled = enabled};

	world_run(w, &w->a, MSG_CONN_STATE, &m);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

/* ---- adding ---- */

static void test_a_connection_is_added_and_answered_without_its_secret(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();
	const struct msg_conn_info *info;
	struct index_conn *c;

	world_run(w, &w->a, MSG_CONN_ADD, &add);
	assert_int_equal(w->a.answers, 1);
	info = &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
	assert_true(rk_slice_starts(info->id, rk_str("conn_")));
	assert_int_equal(info->id.n, 17);
	assert_true(rk_slice_is(info->name, "openai"));
	assert_true(rk_slice_is(info->base_url, "https://api.openai.com/v1"));
	assert_true(rk_slice_is(info->secret_hint, "sk_\u2022\u2022\u2022\u20225f81"));
	assert_true(rk_slice_is(info->mechanism, "aes-gcm"));
	assert_int_equal(info->credential_version, 1);
	assert_int_equal(info->kek_generation, 1);
	assert_int_equal(info->enabled, 1);
	assert_int_equal(record_list_count(info->auth), 1);
	assert_false(holds(w->a.bytes, w->a.used, WORLD_SECRET));
	c = index_conn_find(w->k.index, rk_str("openai"));
	assert_non_null(c);
	assert_true(rk_slice_is(info->id, c->id));
	assert_int_equal(w->k.policy_version, 1);
	WORLD_WAIT(w, w->upstreams == 1);
	assert_true(world_last_action(w, "connection.add"));
	assert_string_equal(world_last_row(w)->actor, "uid:1000");
	assert_string_equal(world_last_row(w)->target, c->id);
	assert_string_equal(world_last_row(w)->conn_id, c->id);
}

static void test_the_added_secret_opens_for_a_request_and_only_there(void **state)
{
	struct world *w = *state;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_no_file_holds_a_secret_or_a_key_in_the_clear(void **state)
{
	static const char *const files[] = {"policy.db", "policy.db-wal", "journal.db",
	                                    "journal.db-wal"};
	struct world *w = *state;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		char path[128];
		struct rk_buf bytes;

		snprintf(path, sizeof path, "%s/%s", w->home.dir, files[i]);
		if (access(path, R_OK) != 0)
			continue;
		bytes = fixture_read(path);
		assert_false(holds(rk_buf_data(&bytes), bytes.len, WORLD_SECRET));
		assert_false(holds(rk_buf_data(&bytes), bytes.len, key.text));
		rk_buf_free(&bytes);
	}
}

static int keep_conn(const struct store_conn *c, void *arg)
{
	struct world *w = arg;

	/* neither in what stands under the database's encryption */
	assert_false(holds(c->credential.blob.p, c->credential.blob.n, WORLD_SECRET));
	assert_true(rk_slice_is(c->name, "openai"));
	assert_int_equal(c->credential.version, 1);
	w->next_id++;
	return 0;
}

static int keep_key(const struct store_key *k, void *arg)
{
	(void)k;
	(void)arg;
	return 0;
}

static void test_the_store_holds_the_wrapped_form_only(void **state)
{
	struct world *w = *state;
	struct store_loader load = {.conn = keep_conn, .key = keep_key, .arg = w};
	uint64_t version;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	w->next_id = 0;
	WORLD_OK(store_load(w->k.store, &load, &version, &world_fault));
	assert_int_equal(w->next_id, 1);
}

static void test_names_that_mean_something_else_are_refused(void **state)
{
	static const char *const bad[] = {"",          "conn_abc", "CONN_x",  "healthz",
	                                  "_discover", "a/b",      "a b",     "-a",
	                                  ".a",        "\xc3\xa4", "llms.txt"};
	struct world *w = *state;
	struct msg_conn_add add = good();
	char longest[64];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		add.name = rk_str(bad[i]);
		assert_int_equal(refused(w, &add), RK_E_INVALID);
	}
	memset(longest, 'a', sizeof longest);
	add.name = rk_slice(longest, 64);
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add.name = rk_slice(longest, 63);
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
	world_conn_add(w, "A.b_c-9", "https://api.openai.com/v1");
	world_conn_add(w, "healthz2", "https://api.openai.com/v1");
}

static void test_a_name_is_taken_once(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ADD, &add), RK_E_EXISTS);
	add.name = rk_str("openai2");
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

static void test_private_addresses_need_the_flag_and_metadata_never_passes(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	add.base_url = rk_str("https://10.0.0.1/v1");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	assert_non_null(strstr(world_fault.text, "--allow-private"));
	add.base_url = rk_str("https://127.0.0.1:8443");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	add.base_url = rk_str("https://[::ffff:127.0.0.1]:8443");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	add.flags = UPSTREAM_ALLOW_PRIVATE;
	add.base_url = rk_str("https://169.254.169.254/latest");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	add.base_url = rk_str("https://[fe80::1]");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	add.base_url = rk_str("https://0.0.0.0");
	assert_int_equal(refused(w, &add), RK_E_DENIED);
	add.base_url = rk_str("https://127.0.0.1:8443");
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
	add.name = rk_str("public");
	add.flags = 0;
	add.base_url = rk_str("https://8.8.8.8");
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

static void test_urls_styles_options_and_secrets_are_checked(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();
	struct sample_list auth;

	add.base_url = rk_str("http://api.openai.com");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add = good();
	add.auth = sample_words(&auth, "digest");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add = good();
	add.secret = rk_str("");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add.secret = rk_str("line\r\nX-Evil: 1");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add = good();
	add.flags = UPSTREAM_QUERY_AUTH;
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add = good();
	add.provider = rk_str("open ai");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add = good();
	add.auth = sample_words(&auth, "header:X-One header:X-Two:Token");
	add.flags = UPSTREAM_ALLOW_ENCODED_SLASH | UPSTREAM_ALLOW_SET_COOKIE;
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	assert_int_equal(
	    record_list_count(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.auth), 2);
}

static void test_a_ca_file_holds_certificates_and_nothing_else(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	add.ca_pem = rk_str("no certificate at all");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add.ca_pem = rk_str(ca_pem);
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	add.ca_pem = rk_str("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n");
	assert_int_equal(refused(w, &add), RK_E_INVALID);
	assert_non_null(strstr(world_fault.text, "private key"));
}

static void test_a_token_that_is_away_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	token_logout(w->k.token);
	assert_int_equal(refused(w, &add), RK_E_TOKEN);
}

static void test_without_an_audit_row_nothing_is_added(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();
	struct store_loader load = {.conn = keep_conn, .key = keep_key, .arg = w};
	uint64_t version;

	world_append_fails(w, RK_E_FULL);
	world_refusal(w, &w->a, MSG_CONN_ADD, &add);
	assert_non_null(strstr(world_fault.text, "nothing was changed"));
	assert_int_equal(index_conn_count(w->k.index), 0);
	w->next_id = 0;
	WORLD_OK(store_load(w->k.store, &load, &version, &world_fault));
	assert_int_equal(w->next_id, 0);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

static void test_a_store_that_fails_is_told_and_audited(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();
	struct store_conn taken = {
	    .id = rk_str("conn_taken0000000"),
	    .name = rk_str("openai"),
	    .base_url = rk_str("https://api.openai.com/v1"),
	    .credential = {.version = 1, .blob = rk_str("x"), .hint = rk_str("x")},
	};

	/* in the store, not in the index: as after an outside change */
	WORLD_OK(store_conn_add(w->k.store, &taken, &world_fault));
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ADD, &add), RK_E_EXISTS);
	WORLD_WAIT(w, world_last_action(w, "connection.add.failed"));
	assert_int_equal(w->rows, 2);
	assert_int_equal(index_conn_count(w->k.index), 0);
}

/* ---- showing ---- */

static void test_connections_are_found_by_name_and_id(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("openai")};
	char id[32];

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_run(w, &w->a, MSG_CONN_GET, &ref);
	assert_true(
	    rk_slice_cstr(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.id, id, sizeof id));
	ref.ref = rk_str(id);
	world_run(w, &w->a, MSG_CONN_GET, &ref);
	assert_true(
	    rk_slice_is(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.name, "openai"));
	ref.ref = rk_str("other");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_GET, &ref), RK_E_NOTFOUND);
	ref.ref = rk_str("");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_GET, &ref), RK_E_NOTFOUND);
}

static void test_the_url_comes_back_as_it_is_used(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	add.base_url = rk_str("https://[2001:4860::8888]:8443/v1/");
	world_run(w, &w->a, MSG_CONN_ADD, &add);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.base_url,
	                        "https://[2001:4860::8888]:8443/v1"));
}

static void test_the_list_is_in_order_and_counts_live_keys(void **state)
{
	struct world *w = *state;
	struct msg_list list = {0};
	struct world_key key, other;
	struct msg_ref ref = {0};

	world_conn_add(w, "one", "https://one.example");
	world_conn_add(w, "two", "https://two.example");
	world_conn_add(w, "three", "https://three.example");
	world_key_issue(w, "two", 0, &key);
	world_key_issue(w, "two", 0, &other);
	ref.ref = rk_str(other.id);
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	world_run(w, &w->a, MSG_CONN_LIST, &list);
	assert_int_equal(w->a.answers, 4);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.name, "one"));
	assert_int_equal(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.live_keys, 0);
	assert_true(rk_slice_is(world_answer(&w->a, 1, MSG_CONN_INFO)->conn_info.name, "two"));
	assert_int_equal(world_answer(&w->a, 1, MSG_CONN_INFO)->conn_info.live_keys, 1);
	assert_int_equal(world_answer(&w->a, 3, MSG_DONE)->done.err, 0);
	list.after = rk_str("one");
	list.limit = 1;
	world_run(w, &w->a, MSG_CONN_LIST, &list);
	assert_int_equal(w->a.answers, 2);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.name, "two"));
}

static void test_a_list_waits_for_a_slow_caller_and_survives_a_removal(void **state)
{
	struct world *w = *state;
	struct msg_list list = {0};
	struct msg_ref ref = {.ref = rk_str("two")};

	world_conn_add(w, "one", "https://one.example");
	world_conn_add(w, "two", "https://two.example");
	world_conn_add(w, "three", "https://three.example");
	w->a.room = 1;
	world_start(w, &w->a, MSG_CONN_LIST, &list);
	world_turns(w);
	assert_int_equal(w->a.answers, 1);
	assert_int_equal(w->a.done, 0);
	world_run(w, &w->b, MSG_CONN_REMOVE, &ref);
	w->a.room = UINT32_MAX;
	manage_drained(&w->a.caller);
	assert_int_equal(w->a.done, 1);
	assert_int_equal(w->a.answers, 3);
	assert_true(
	    rk_slice_is(world_answer(&w->a, 1, MSG_CONN_INFO)->conn_info.name, "three"));
}

/* ---- rotating ---- */

static void test_rotation_gives_the_next_version_to_relays_and_requests(void **state)
{
	struct world *w = *state;
	struct msg_conn_rotate rotate = {.ref = rk_str("openai"),
	                                 .secret = rk_str("sk_live_the_next_one_aaaa7777")};
	const struct msg_conn_info *info;
	struct world_key key;
	uint32_t before;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	before = index_conn_find(w->k.index, rk_str("openai"))->upstream_id;
	world_run(w, &w->a, MSG_CONN_ROTATE, &rotate);
	info = &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
	assert_int_equal(info->credential_version, 2);
	assert_int_equal(info->live_keys, 1);
	assert_true(rk_slice_is(info->secret_hint, "sk_\u2022\u2022\u2022\u20227777"));
	assert_true(world_last_action(w, "connection.rotate"));
	WORLD_WAIT(w, w->upstreams == 2);
	assert_int_equal(w->last_replaces, before);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
	rotate.ref = rk_str("nothing");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ROTATE, &rotate), RK_E_NOTFOUND);
	rotate.ref = rk_str("openai");
	rotate.secret = rk_str("two words");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ROTATE, &rotate), RK_E_INVALID);
	assert_int_equal(index_conn_find(w->k.index, rk_str("openai"))->credential_version, 2);
}

/* ---- disabling ---- */

static void test_disabling_is_in_force_before_its_row_is_durable(void **state)
{
	struct world *w = *state;
	struct msg_conn_state m = {.ref = rk_str("openai"), .enabled = 0};
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_STATE, &m);
	assert_false(index_conn_find(w->k.index, rk_str("openai"))->enabled);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_CONN_DISABLED);
	assert_int_equal(w->a.done, 0);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.enabled, 0);
	assert_true(world_last_action(w, "connection.disable"));
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_CONN_DISABLED);
	run_state(w, "openai", true);
	assert_true(world_last_action(w, "connection.enable"));
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	world_complete(w);
}

static void test_doing_it_twice_is_fine_and_leaves_one_row(void **state)
{
	struct world *w = *state;
	unsigned rows;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	run_state(w, "openai", true);
	assert_int_equal(w->rows, 1);
	run_state(w, "openai", false);
	rows = w->rows;
	run_state(w, "openai", false);
	assert_int_equal(w->rows, rows);
	assert_int_equal(world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info.enabled, 0);
}

static void test_an_enable_under_way_does_not_undo_a_later_disable(void **state)
{
	struct world *w = *state;
	struct msg_conn_state on = {.ref = rk_str("openai"), .enabled = 1};
	struct msg_conn_state off = {.ref = rk_str("openai"), .enabled = 0};
	struct index_conn *c;
	int64_t stored = -1;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	run_state(w, "openai", false);
	c = index_conn_find(w->k.index, rk_str("openai"));
	world_hold_store(w);
	world_start(w, &w->a, MSG_CONN_STATE, &on);
	world_turns(w);
	world_start(w, &w->b, MSG_CONN_STATE, &off);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done || c->enabled);
	assert_false(c->enabled);
	WORLD_WAIT(w, w->a.done && w->b.done);
	assert_false(c->enabled);
	/* nor after a restart */
	WORLD_OK(
	    db_query_int(w->k.store->db, "SELECT enabled FROM conn", &stored, &world_fault));
	assert_int_equal(stored, 0);
}

/* ---- removing ---- */

static void test_a_connection_with_live_keys_is_removed_by_force_only(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("openai")};
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_REMOVE, &ref), RK_E_STATE);
	assert_non_null(strstr(world_fault.text, "1 live key"));
	assert_int_equal(index_conn_count(w->k.index), 1);
	ref.force = 1;
	world_run(w, &w->a, MSG_CONN_REMOVE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
	assert_true(world_last_action(w, "connection.remove"));
	assert_int_equal(index_conn_count(w->k.index), 0);
	WORLD_WAIT(w, w->cuts == 1 && w->drops == 1);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_NO_CONN);
	/* the name is free again, and the old key does not work on the new one */
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	assert_int_equal(world_ask(w, "openai", key.text), REASON_CONN_NOT_GRANTED);
}

static void test_a_connection_without_live_keys_is_removed(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("openai")}, revoke = {0};
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	revoke.ref = rk_str(key.id);
	world_run(w, &w->a, MSG_KEY_REVOKE, &revoke);
	world_run(w, &w->a, MSG_CONN_REMOVE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_REMOVE, &ref), RK_E_NOTFOUND);
}

/* ---- order, callers, state ---- */

static void test_changes_wait_for_each_other(void **state)
{
	struct world *w = *state;
	struct msg_conn_add first = good(), second = good();

	second.base_url = rk_str("https://other.example");
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_ADD, &first);
	world_start(w, &w->b, MSG_CONN_ADD, &second);
	world_turns(w);
	assert_int_equal(w->a.done + w->b.done, 0);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	world_answer(&w->a, 0, MSG_CONN_INFO);
	assert_int_equal(world_answer(&w->b, 0, MSG_DONE)->done.err, RK_E_EXISTS);
	assert_int_equal(index_conn_count(w->k.index), 1);
}

static void test_a_change_is_completed_though_its_caller_left(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();

	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_ADD, &add);
	world_turns(w);
	manage_forget(&w->a.caller);
	assert_null(w->a.caller.op);
	world_set(w, &w->hold_append, false);
	WORLD_WAIT(w, index_conn_count(w->k.index) == 1);
	world_turns(w);
	assert_int_equal(w->a.done, 0);
	assert_int_equal(w->a.answers, 0);
}

static void test_the_end_of_management_leaves_a_running_change_to_its_job(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good(), next = good();

	next.name = rk_str("next");
	world_set(w, &w->hold_append, true);
	world_start(w, &w->a, MSG_CONN_ADD, &add);
	world_start(w, &w->b, MSG_CONN_ADD, &next);
	world_turns(w);
	manage_free(w->m);
	w->m = NULL;
	world_set(w, &w->hold_append, false);
	world_turns(w);
	assert_int_equal(w->a.answers + w->b.answers, 0);
}

static void test_a_sealed_keeper_tells_its_status_only(void **state)
{
	struct world *w = *state;
	struct msg_conn_add add = good();
	struct msg_list list = {0};
	struct msg_empty empty = {0};

	w->k.state = KEEPER_SEALED;
	snprintf(w->k.seal_reason, sizeof w->k.seal_reason, "the token is not there");
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ADD, &add), RK_E_TOKEN);
	assert_string_equal(world_fault.text, "sealed: the token is not there");
	assert_int_equal(world_refusal(w, &w->a, MSG_KEY_LIST, &list), RK_E_TOKEN);
	assert_int_equal(world_refusal(w, &w->a, MSG_AUDIT_VERIFY, &empty), RK_E_TOKEN);
	world_run(w, &w->a, MSG_STATUS_GET, &empty);
	world_answer(&w->a, 0, MSG_STATUS);
	w->k.state = KEEPER_OPEN;
	world_run(w, &w->a, MSG_KEY_LIST, &list);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
}

static void test_status_counts_what_there_is(void **state)
{
	struct world *w = *state;
	struct msg_empty empty = {0};
	const struct msg_status *s;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	world_run(w, &w->a, MSG_STATUS_GET, &empty);
	s = &world_answer(&w->a, 0, MSG_STATUS)->status;
	assert_int_equal(s->connections, 1);
	assert_int_equal(s->keys, 1);
	assert_int_equal(s->relays, 1);
	assert_int_equal(s->unsealed, 1);
	assert_int_equal(s->policy_version, 2);
	assert_int_equal(s->audit_rows, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_connection_is_added_and_answered_without_its_secret),
	    TEST(test_the_added_secret_opens_for_a_request_and_only_there),
	    TEST(test_no_file_holds_a_secret_or_a_key_in_the_clear),
	    TEST(test_the_store_holds_the_wrapped_form_only),
	    TEST(test_names_that_mean_something_else_are_refused),
	    TEST(test_a_name_is_taken_once),
	    TEST(test_private_addresses_need_the_flag_and_metadata_never_passes),
	    TEST(test_urls_styles_options_and_secrets_are_checked),
	    TEST(test_a_ca_file_holds_certificates_and_nothing_else),
	    TEST(test_a_token_that_is_away_leaves_nothing_behind),
	    TEST(test_without_an_audit_row_nothing_is_added),
	    TEST(test_a_store_that_fails_is_told_and_audited),
	    TEST(test_connections_are_found_by_name_and_id),
	    TEST(test_the_url_comes_back_as_it_is_used),
	    TEST(test_the_list_is_in_order_and_counts_live_keys),
	    TEST(test_a_list_waits_for_a_slow_caller_and_survives_a_removal),
	    TEST(test_rotation_gives_the_next_version_to_relays_and_requests),
	    TEST(test_disabling_is_in_force_before_its_row_is_durable),
	    TEST(test_doing_it_twice_is_fine_and_leaves_one_row),
	    TEST(test_an_enable_under_way_does_not_undo_a_later_disable),
	    TEST(test_a_connection_with_live_keys_is_removed_by_force_only),
	    TEST(test_a_connection_without_live_keys_is_removed),
	    TEST(test_changes_wait_for_each_other),
	    TEST(test_a_change_is_completed_though_its_caller_left),
	    TEST(test_the_end_of_management_leaves_a_running_change_to_its_job),
	    TEST(test_a_sealed_keeper_tells_its_status_only),
	    TEST(test_status_counts_what_there_is),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}
