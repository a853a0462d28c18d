/*
 * How a connection's upstream is reached, as management sets it: client certificates and egress
 * proxies, with a real token. What a relay is told, when it gets the secrets, and what is
 * refused.
 */
#include "tests/lib/manage_world.h"

#include "keeper/credential.h"
#include "tests/lib/identity.h"

#define PROXY        "http://proxy.example:3128"
#define PROXY_SECRET "broker:proxy-pass-5f81aa"

static struct identity one, two;

static int make_identities(void **state)
{
	identity_make(&one, "broker-one", 30);
	identity_make(&two, "broker-two", -1);
	return world_arena(state);
}

static const struct msg_conn_info *set_identity(struct world *w, const char *certificate,
                                                const char *key)
{
	struct msg_conn_identity m = {.ref = rk_str("openai"),
	                              .client_chain = rk_str(certificate),
	                              .client_key = rk_str(key)};

	world_run(w, &w->a, MSG_CONN_IDENTITY, &m);
	return &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
}

static int identity_refused(struct world *w, const char *certificate, const char *key)
{
	struct msg_conn_identity m = {.ref = rk_str("openai"),
	                              .client_chain = rk_str(certificate),
	                              .client_key = rk_str(key)};

	return world_refusal(w, &w->a, MSG_CONN_IDENTITY, &m);
}

static const struct msg_conn_info *set_proxy(struct world *w, const char *egress,
                                             const char *secret)
{
	struct msg_conn_proxy m = {
	    .ref = rk_str("openai"), .egress = rk_str(egress), .proxy_secret = rk_str(secret)};

	world_run(w, &w->a, MSG_CONN_PROXY, &m);
	return &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
}

static int proxy_refused(struct world *w, const char *ref, const char *egress,
                         const char *secret)
{
	struct msg_conn_proxy m = {
	    .ref = rk_str(ref), .egress = rk_str(egress), .proxy_secret = rk_str(secret)};

	return world_refusal(w, &w->a, MSG_CONN_PROXY, &m);
}

/* Whether the key that a decision brought is that of the PEM text. */
static bool dial_key_is(const struct world *w, const char *pem)
{
	const unsigned char *at = w->dial_key;
	EVP_PKEY *got = d2i_AutoPrivateKey(NULL, &at, (long)w->dial_key_n);
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *want = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool same = got && EVP_PKEY_eq(got, want) == 1;

	EVP_PKEY_free(got);
	EVP_PKEY_free(want);
	BIO_free(bio);
	return same;
}

static bool holds(const void *bytes, size_t n, const char *text)
{
	return memmem(bytes, n, text, strlen(text)) != NULL;
}

static void test_an_identity_is_shown_by_its_certificate_and_dials_with_its_key(void **state)
{
	struct world *w = *state;
	const struct msg_conn_info *info;
	struct world_key key;
	uint32_t before;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	before = index_conn_find(w->k.index, rk_str("openai"))->upstream_id;
	info = set_identity(w, one.certificate, one.key);
	assert_true(rk_slice_is(info->client_subject, "CN = broker-one"));
	assert_true(info->client_expires_ms > rk_wall_ms());
	assert_int_equal(info->egress.n, 0);
	assert_int_equal(info->proxy_secret, 0);
	assert_false(holds(w->a.bytes, w->a.used, "PRIVATE KEY"));
	assert_true(world_last_action(w, "connection.identity"));
	assert_string_equal(world_last_row(w)->detail, "version=1 CN = broker-one");
	/* pooled connections are another identity's */
	WORLD_WAIT(w, w->upstreams == 2);
	assert_int_equal(w->last_replaces, before);
	assert_int_equal(w->upstream_chain_n, strlen(one.certificate));

	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_false(w->dialled);
	world_complete(w);
	w->dial = true;
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_true(w->dialled);
	assert_true(dial_key_is(w, one.key));
	assert_string_equal(w->dial_proxy, "");
	world_complete(w);
}

static void test_an_identity_is_replaced_and_taken_back(void **state)
{
	struct world *w = *state;
	const struct msg_conn_info *info;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	w->dial = true;
	set_identity(w, one.certificate, one.key);
	info = set_identity(w, two.certificate, two.key);
	assert_true(rk_slice_is(info->client_subject, "CN = broker-two"));
	/* taken, and the one who asked can see what is wrong with it */
	assert_true(info->client_expires_ms < rk_wall_ms());
	assert_string_equal(world_last_row(w)->detail, "version=2 CN = broker-two");
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_true(dial_key_is(w, two.key));
	assert_false(dial_key_is(w, one.key));
	world_complete(w);

	info = set_identity(w, "", "");
	assert_int_equal(info->client_subject.n, 0);
	assert_int_equal(info->client_expires_ms, 0);
	assert_string_equal(world_last_row(w)->detail, "version=3 none");
	WORLD_WAIT(w, w->upstreams == 4);
	assert_int_equal(w->upstream_chain_n, 0);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_false(w->dialled);
	world_complete(w);
	/* once more changes nothing, and says so by no row */
	set_identity(w, "", "");
	assert_string_equal(world_last_row(w)->detail, "version=3 none");
}

static void test_key_and_certificate_must_belong_together(void **state)
{
	struct world *w = *state;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	assert_int_equal(identity_refused(w, one.certificate, two.key), RK_E_INVALID);
	assert_int_equal(identity_refused(w, one.certificate, ""), RK_E_INVALID);
	assert_int_equal(identity_refused(w, "", one.key), RK_E_INVALID);
	assert_int_equal(identity_refused(w, one.key, one.key), RK_E_INVALID);
	assert_int_equal(identity_refused(w, one.certificate, one.certificate), RK_E_INVALID);
	assert_int_equal(identity_refused(w, "nothing", one.key), RK_E_INVALID);
	assert_string_equal(index_conn_find(w->k.index, rk_str("openai"))->client_subject, "");
	set_identity(w, one.certificate, one.key);
}

static void test_a_proxy_s_credential_comes_with_a_dial_only(void **state)
{
	struct world *w = *state;
	const struct msg_conn_info *info;
	struct world_key key;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	world_key_issue(w, "openai", 0, &key);
	info = set_proxy(w, "HTTP://Proxy.Example:3128", PROXY_SECRET);
	assert_true(rk_slice_is(info->egress, PROXY));
	assert_int_equal(info->proxy_secret, 1);
	assert_false(holds(w->a.bytes, w->a.used, "proxy-pass"));
	assert_true(world_last_action(w, "connection.proxy"));
	assert_string_equal(world_last_row(w)->detail, "version=1 egress=" PROXY " secret");
	WORLD_WAIT(w, w->upstreams == 2);
	assert_string_equal(w->upstream_egress, PROXY);
	assert_true(w->upstream_flags & UPSTREAM_PROXY_SECRET);

	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_false(w->dialled);
	world_complete(w);
	w->dial = true;
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_string_equal(w->dial_proxy, PROXY_SECRET);
	assert_int_equal(w->dial_key_n, 0);
	world_complete(w);
	/* both together */
	set_identity(w, one.certificate, one.key);
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_string_equal(w->dial_proxy, PROXY_SECRET);
	assert_true(dial_key_is(w, one.key));
	world_complete(w);
	/* and a refused request gets neither */
	assert_int_equal(world_ask(w, "openai", "rk_app_nobody"), REASON_INVALID_KEY);
	assert_false(w->dialled);

	/* another proxy has another credential: the former one does not stay */
	info = set_proxy(w, "none", "");
	assert_int_equal(info->proxy_secret, 0);
	WORLD_WAIT(w, w->upstreams == 4);
	assert_string_equal(w->upstream_egress, "none");
	assert_false(w->upstream_flags & UPSTREAM_PROXY_SECRET);
	info = set_proxy(w, "", "");
	assert_int_equal(info->egress.n, 0);
	assert_string_equal(world_last_row(w)->detail, "version=3 egress=default");
}

static void test_proxies_and_their_credentials_are_checked(void **state)
{
	static const char *const bad[] = {"no-colon", "user:tab\there", "user:\xc3\xa9",
	                                  "a:b\n"};
	struct world *w = *state;
	char longest[MSG_MAX_PROXY_SECRET + 1] = "u:";

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	assert_int_equal(proxy_refused(w, "openai", "proxy:3128", ""), RK_E_INVALID);
	assert_int_equal(proxy_refused(w, "openai", "http://u:p@proxy:3128", ""), RK_E_INVALID);
	assert_int_equal(proxy_refused(w, "openai", "none", PROXY_SECRET), RK_E_INVALID);
	assert_int_equal(proxy_refused(w, "openai", "", PROXY_SECRET), RK_E_INVALID);
	assert_int_equal(proxy_refused(w, "nothing", PROXY, ""), RK_E_NOTFOUND);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(proxy_refused(w, "openai", PROXY, bad[i]), RK_E_INVALID);
	memset(longest + 2, 'p', MSG_MAX_PROXY_SECRET - 2);
	set_proxy(w, PROXY, longest);
	set_proxy(w, "http://[::1]:1", ":");
}

static void add(struct world *w, const char *name, const char *url, uint32_t flags)
{
	struct msg_conn_add m = {.name = rk_str(name),
	                         .base_url = rk_str(url),
	                         .flags = flags,
	                         .secret = rk_str(WORLD_SECRET)};

	world_run(w, &w->a, MSG_CONN_ADD, &m);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

static void test_names_that_a_proxy_must_not_be_asked_for(void **state)
{
	struct world *w = *state;
	struct msg_conn_add direct = {.name = rk_str("added"),
	                              .base_url = rk_str("https://localhost:8443"),
	                              .secret = rk_str(WORLD_SECRET),
	                              .egress = rk_str(PROXY)};

	add(w, "local", "https://vault.internal", 0);
	add(w, "allowed", "https://vault.internal:8443", UPSTREAM_ALLOW_PRIVATE);
	add(w, "metadata", "https://metadata.google.internal", UPSTREAM_ALLOW_PRIVATE);
	assert_int_equal(proxy_refused(w, "local", PROXY, ""), RK_E_DENIED);
	assert_int_equal(proxy_refused(w, "metadata", PROXY, ""), RK_E_DENIED);
	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ADD, &direct), RK_E_DENIED);
	{
		struct msg_conn_proxy m = {.ref = rk_str("allowed"), .egress = rk_str(PROXY)};

		world_run(w, &w->a, MSG_CONN_PROXY, &m);
		world_answer(&w->a, 0, MSG_CONN_INFO);
	}
	direct.flags = UPSTREAM_ALLOW_PRIVATE;
	world_run(w, &w->a, MSG_CONN_ADD, &direct);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

static void test_a_connection_is_added_with_all_of_it(void **state)
{
	struct world *w = *state;
	struct msg_conn_add m = {.name = rk_str("openai"),
	                         .base_url = rk_str("https://api.openai.com/v1"),
	                         .secret = rk_str(WORLD_SECRET),
	                         .egress = rk_str(PROXY),
	                         .proxy_secret = rk_str(PROXY_SECRET),
	                         .client_chain = rk_str(one.certificate),
	                         .client_key = rk_str(two.key)};
	const struct msg_conn_info *info;
	struct world_key key;

	assert_int_equal(world_refusal(w, &w->a, MSG_CONN_ADD, &m), RK_E_INVALID);
	assert_int_equal(index_conn_count(w->k.index), 0);
	m.client_key = rk_str(one.key);
	world_run(w, &w->a, MSG_CONN_ADD, &m);
	info = &world_answer(&w->a, 0, MSG_CONN_INFO)->conn_info;
	assert_true(rk_slice_is(info->client_subject, "CN = broker-one"));
	assert_true(rk_slice_is(info->egress, PROXY));
	assert_int_equal(info->proxy_secret, 1);
	assert_string_equal(
	    world_last_row(w)->detail,
	    "base_url=https://api.openai.com/v1 client_certificate egress=" PROXY);
	world_key_issue(w, "openai", 0, &key);
	w->dial = true;
	assert_int_equal(world_ask(w, "openai", key.text), REASON_OK);
	assert_true(dial_key_is(w, one.key));
	assert_string_equal(w->dial_proxy, PROXY_SECRET);
	world_complete(w);
}

/* ---- at rest ---- */

static int opens(struct world *w, struct rk_slice blob, struct rk_slice place)
{
	RK_SECRET_AUTO plain = {0};

	return token_unwrap(w->k.token, blob, place, &plain, &world_fault) == 0;
}

static void test_a_wrapped_key_opens_in_its_own_place_only(void **state)
{
	struct world *w = *state;
	char mem[CREDENTIAL_PLACE_MAX];
	struct index_conn *c;
	struct rk_slice id;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	set_identity(w, one.certificate, one.key);
	set_proxy(w, PROXY, PROXY_SECRET);
	c = index_conn_find(w->k.index, rk_str("openai"));
	id = rk_str(c->id);
	assert_true(
	    opens(w, c->identity.blob, credential_dial_place(STORE_IDENTITY, id, 1, mem)));
	assert_true(opens(w, c->proxy.blob, credential_dial_place(STORE_PROXY, id, 1, mem)));
	/* as the other kind, as another version, for another connection, as the credential */
	assert_false(
	    opens(w, c->identity.blob, credential_dial_place(STORE_PROXY, id, 1, mem)));
	assert_false(
	    opens(w, c->proxy.blob, credential_dial_place(STORE_IDENTITY, id, 1, mem)));
	assert_false(
	    opens(w, c->identity.blob, credential_dial_place(STORE_IDENTITY, id, 2, mem)));
	assert_false(opens(w, c->identity.blob,
	                   credential_dial_place(STORE_IDENTITY, rk_str("conn_x"), 1, mem)));
	assert_false(opens(w, c->identity.blob, credential_place(id, 1, mem)));
	assert_false(opens(w, c->blob, credential_dial_place(STORE_IDENTITY, id, 1, mem)));
}

static int keep_conn(const struct store_conn *c, void *arg)
{
	(void)arg;
	assert_true(rk_slice_is(c->identity.public, one.certificate));
	assert_true(rk_slice_is(c->proxy.public, PROXY));
	assert_true(c->identity.blob.n > 100 && c->proxy.blob.n > 30);
	assert_false(holds(c->proxy.blob.p, c->proxy.blob.n, "proxy-pass"));
	return 0;
}

static int keep_key(const struct store_key *k, void *arg)
{
	(void)k;
	(void)arg;
	return 0;
}

static void test_the_store_holds_what_the_index_does(void **state)
{
	struct world *w = *state;
	struct store_loader load = {.conn = keep_conn, .key = keep_key, .arg = w};
	uint64_t version;

	world_conn_add(w, "openai", "https://api.openai.com/v1");
	set_identity(w, one.certificate, one.key);
	set_proxy(w, PROXY, PROXY_SECRET);
	WORLD_OK(store_load(w->k.store, &load, &version, &world_fault));
	assert_int_equal(version, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_an_identity_is_shown_by_its_certificate_and_dials_with_its_key),
	    TEST(test_an_identity_is_replaced_and_taken_back),
	    TEST(test_key_and_certificate_must_belong_together),
	    TEST(test_a_proxy_s_credential_comes_with_a_dial_only),
	    TEST(test_proxies_and_their_credentials_are_checked),
	    TEST(test_names_that_a_proxy_must_not_be_asked_for),
	    TEST(test_a_connection_is_added_with_all_of_it),
	    TEST(test_a_wrapped_key_opens_in_its_own_place_only),
	    TEST(test_the_store_holds_what_the_index_does),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
