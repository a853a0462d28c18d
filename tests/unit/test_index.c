/* The policy in memory: finding, sharing, removing, and what a key costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper/index.h"
#include "keeper/intern.h"
#include "tests/lib/policy_sample.h"

static int setup(void **state)
{
	struct index *ix;

	if (index_new(&ix))
		return -1;
	*state = ix;
	return 0;
}

static int teardown(void **state)
{
	index_free(*state);
	return 0;
}

static struct index_conn *openai(struct index *ix)
{
	return sample_conn(ix, "conn_a", "openai", "https://api.openai.com/v1", 0);
}

static void a_connection_is_found_by_id_and_by_name(void **state)
{
	struct index *ix = *state;
	struct index_conn *c = openai(ix);

	assert_ptr_equal(index_conn_find(ix, rk_str("conn_a")), c);
	assert_ptr_equal(index_conn_find(ix, rk_str("openai")), c);
	assert_null(index_conn_find(ix, rk_str("Openai")));
	assert_null(index_conn_find(ix, rk_str("")));
	assert_string_equal(c->url.host, "api.openai.com");
	assert_int_equal(index_conn_count(ix), 1);
}

static void a_second_connection_with_the_same_name_is_refused(void **state)
{
	struct index *ix = *state;
	struct store_conn c = {.id = rk_str("conn_b"),
	                       .name = rk_str("openai"),
	                       .base_url = rk_str("https://example.com")};
	struct index_conn *out = NULL;

	openai(ix);
	assert_int_equal(index_add_conn(ix, &c, &out, NULL), RK_E_EXISTS);
	assert_null(out);
	c.name = rk_str("other");
	assert_int_equal(index_add_conn(ix, &c, &out, NULL), 0);
}

static void a_connection_with_a_bad_url_or_name_is_refused(void **state)
{
	struct index *ix = *state;
	struct store_conn c = {.id = rk_str("conn_b"),
	                       .name = rk_str("fine"),
	                       .base_url = rk_str("http://example.com")};

	assert_true(index_add_conn(ix, &c, NULL, NULL) < 0);
	c.base_url = rk_str("https://example.com");
	c.name = rk_str("a/b");
	assert_int_equal(index_add_conn(ix, &c, NULL, NULL), RK_E_INVALID);
	c.name = rk_str("fine");
	assert_int_equal(index_add_conn(ix, &c, NULL, NULL), 0);
}

static void connections_are_walked_in_order_of_creation(void **state)
{
	struct index *ix = *state;
	struct index_conn *a = sample_conn(ix, "conn_a", "a", "https://a.example", 0);
	struct index_conn *b = sample_conn(ix, "conn_b", "b", "https://b.example", 0);
	struct index_conn *c = sample_conn(ix, "conn_c", "c", "https://c.example", 0);

	assert_ptr_equal(index_conn_next(ix, NULL), a);
	assert_ptr_equal(index_conn_next(ix, a), b);
	index_conn_remove(ix, b);
	assert_ptr_equal(index_conn_next(ix, a), c);
	assert_null(index_conn_next(ix, c));
}

static void many_connections_come_and_go_without_losing_others(void **state)
{
	enum { MANY = 600 };
	struct index *ix = *state;
	char id[32], name[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "conn_%u", i);
		snprintf(name, sizeof name, "name-%u", i);
		sample_conn(ix, id, name, "https://x.example", 0);
	}
	for (unsigned i = 0; i < MANY; i += 3) {
		snprintf(name, sizeof name, "name-%u", i);
		index_conn_remove(ix, index_conn_find(ix, rk_str(name)));
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct index_conn *c;

		snprintf(id, sizeof id, "conn_%u", i);
		snprintf(name, sizeof name, "name-%u", i);
		c = index_conn_find(ix, rk_str(id));
		assert_int_equal(c != NULL, i % 3 != 0);
		assert_ptr_equal(index_conn_find(ix, rk_str(name)), c);
	}
	assert_int_equal(index_conn_count(ix), MANY - MANY / 3);
}

static void rotating_gives_a_new_upstream_id_and_version(void **state)
{
	struct index *ix = *state;
	struct index_conn *c = openai(ix);
	struct store_credential next = {
	    .version = 2, .blob = rk_str("wrapped again"), .hint = rk_str("sk_...0000")};
	uint32_t before = c->upstream_id;

	assert_int_equal(index_conn_rotate(ix, c, &next, 5000), 0);
	assert_int_not_equal(c->upstream_id, before);
	assert_int_equal(c->credential_version, 2);
	assert_int_equal(c->blob.n, strlen("wrapped again"));
	assert_int_equal(c->updated_ms, 5000);
}

static void a_removed_connection_lives_while_a_request_holds_it(void **state)
{
	struct index *ix = *state;
	struct index_conn *c = openai(ix);
	struct sample_grants g = {.used = 0};
	struct index_request r = {0};
	struct sample_key k;

	sample_grant(&g, "conn_a", "GET", "/**", "");
	sample_key(ix, &g, "", 0, &k);
	index_request_open(&r, k.key, c);
	assert_int_equal(k.key->in_flight, 1);
	assert_ptr_equal(k.key->grants[0]->conn, c);
	index_conn_remove(ix, c);
	assert_true(c->removed);
	assert_null(k.key->grants[0]->conn);
	assert_null(index_conn_find(ix, rk_str("openai")));
	index_request_close(&r);
	assert_int_equal(k.key->in_flight, 0);
	assert_null(k.key->open);
}

static void a_new_connection_never_revives_the_grants_of_a_removed_one(void **state)
{
	struct index *ix = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key before, after;

	sample_grant(&g, "conn_a", "GET", "/**", "");
	openai(ix);
	sample_key(ix, &g, "", 0, &before);
	for (int i = 0; i < 8; i++) {
		index_conn_remove(ix, index_conn_find(ix, rk_str("conn_a")));
		openai(ix); /* often at the very same address */
		sample_key(ix, &g, "", 0, &after);
		assert_null(before.key->grants[0]->conn);
		assert_ptr_equal(after.key->grants[0]->conn,
		                 index_conn_find(ix, rk_str("conn_a")));
	}
}

static void a_key_is_found_by_digest_id_and_text(void **state)
{
	struct index *ix = *state;
	struct sample_grants g = {.used = 0};
	struct index_key *found;
	struct sample_key k;
	uint8_t digest[32];

	openai(ix);
	sample_grant(&g, "conn_a", "GET", "/**", "");
	sample_key(ix, &g, "", 0, &k);
	rk_sha256(rk_slice(k.text, k.len), digest);
	assert_ptr_equal(index_key_by_digest(ix, digest), k.key);
	digest[31] ^= 1;
	assert_null(index_key_by_digest(ix, digest));
	assert_ptr_equal(index_key_by_id(ix, rk_str(k.id)), k.key);
	assert_ptr_equal(index_key_by_id(ix, rk_str(k.id + 4)), k.key);
	assert_int_equal(index_key_resolve(ix, rk_slice(k.text, k.len), &found, NULL), 0);
	assert_ptr_equal(found, k.key);
	assert_int_equal(index_key_resolve(ix, rk_str("key_000000000000"), &found, NULL),
	                 RK_E_NOTFOUND);
}

static void a_masked_key_is_found_when_it_is_the_only_one(void **state)
{
	struct index *ix = *state;
	struct sample_grants g = {.used = 0};
	char masked[RELAY_KEY_MASKED];
	struct index_key *found;
	struct rk_fault fault;
	struct sample_key k, twin;
	struct store_key copy = {.kind = HOLDER_VENDOR, .id = rk_str("key_twintwintwin")};

	openai(ix);
	sample_grant(&g, "conn_a", "GET", "/**", "");
	sample_key(ix, &g, "", 0, &k);
	relay_key_mask(HOLDER_VENDOR, k.key->hint, masked);
	assert_int_equal(index_key_resolve(ix, rk_str(masked), &found, &fault), 0);
	assert_ptr_equal(found, k.key);

	memcpy(copy.hint, k.key->hint, sizeof copy.hint);
	copy.grants = sample_grants_slice(&g);
	assert_int_equal(index_add_key(ix, &copy, &twin.key, &fault), 0);
	assert_int_equal(index_key_resolve(ix, rk_str(masked), &found, &fault), RK_E_AMBIGUOUS);
	assert_non_null(strstr(fault.text, "key_twintwintwin"));
	assert_non_null(strstr(fault.text, k.id));

	twin.key->revoked_ms = 2000;
	assert_int_equal(index_key_resolve(ix, rk_str(masked), &found, &fault), 0);
	assert_ptr_equal(found, k.key);
}

static void malformed_keys_are_refused(void **state)
{
	struct index *ix = *state;
	struct sample_grants good = {.used = 0}, lower = {.used = 0}, glob = {.used = 0};
	struct sample_list cidrs;
	struct store_key k = {.id = rk_str("key_0123456789ab"), .kind = HOLDER_APP};

	memcpy(k.hint, "abc", 3);
	openai(ix);
	sample_grant(&good, "conn_a", "GET", "/**", "");
	sample_grant(&lower, "conn_a", "get", "/**", "");
	sample_grant(&glob, "conn_a", "GET", "/a/../b", "");
	k.grants = sample_grants_slice(&lower);
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_INVALID);
	k.grants = sample_grants_slice(&glob);
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_INVALID);
	k.grants = sample_grants_slice(&good);
	k.cidrs = sample_words(&cidrs, "10.0.0.0/33");
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_INVALID);
	k.cidrs = rk_slice(NULL, 0);
	k.id = rk_str("key_short");
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_INVALID);
	k.id = rk_str("key_0123456789ab");
	k.kind = HOLDER_KINDS;
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_INVALID);
	k.kind = HOLDER_APP;
	assert_int_equal(index_key_count(ix), 0);
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), 0);
	assert_int_equal(index_add_key(ix, &k, NULL, NULL), RK_E_EXISTS);
}

static void equal_texts_and_grants_are_stored_once(void **state)
{
	struct index *ix = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key a, b;

	openai(ix);
	sample_grant(&g, "conn_a", "GET POST", "/v1/models /v1/files/*", "debug");
	sample_key(ix, &g, "10.0.0.0/8", 0, &a);
	sample_key(ix, &g, "10.0.0.0/8", 0, &b);
	assert_ptr_equal(a.key->grants, b.key->grants);
	assert_ptr_equal(index_key_holder(a.key), index_key_holder(b.key));
	assert_ptr_equal(a.key->cidrs, b.key->cidrs);
	assert_ptr_not_equal(a.key, b.key);
}

static void live_keys_are_counted(void **state)
{
	struct index *ix = *state;
	struct sample_grants a = {.used = 0}, b = {.used = 0};
	struct index_conn *ca = openai(ix);
	struct index_conn *cb = sample_conn(ix, "conn_b", "b", "https://b.example", 0);
	struct sample_key k[3];

	sample_grant(&a, "conn_a", "GET", "/**", "");
	sample_grant(&b, "conn_b", "GET", "/**", "");
	sample_grant(&b, "conn_a", "GET", "/**", "");
	sample_key(ix, &a, "", 0, &k[0]);
	sample_key(ix, &b, "", 9000, &k[1]);
	sample_key(ix, &a, "", 0, &k[2]);
	k[2].key->revoked_ms = 1500;
	assert_int_equal(index_key_live(ix, 8999), 2);
	assert_int_equal(index_key_live(ix, 9000), 1);
	assert_int_equal(index_conn_live_keys(ix, ca, 8999), 2);
	assert_int_equal(index_conn_live_keys(ix, cb, 8999), 1);
	assert_int_equal(index_conn_live_keys(ix, cb, 9000), 0);
}

static void many_keys_take_under_400_bytes_each(struct index *ix, struct rate_limits limits)
{
	enum { KEYS = 200000, HOLDERS = 500 };
	struct sample_grants g[2] = {{.used = 0}, {.used = 0}};
	char id[32], holder[32], name[32];
	struct index_key *k = NULL;
	unsigned seen = 0;

	openai(ix);
	sample_grant(&g[0], "conn_a", "POST", "/v1/responses /v1/chat/completions", "");
	sample_grant(&g[1], "conn_a", "GET POST", "/v1/**", "debug");
	for (unsigned i = 0; i < KEYS; i++) {
		struct store_key s = {.kind = HOLDER_AGENT,
		                      .env = rk_str("production"),
		                      .grants = sample_grants_slice(&g[i % 2]),
		                      .limits = limits,
		                      .created_ms = 1000 + i};

		snprintf(id, sizeof id, "key_%012u", i);
		snprintf(holder, sizeof holder, "holder-%u", i % HOLDERS);
		snprintf(name, sizeof name, "key number %u", i); /* every name its own */
		s.id = rk_str(id);
		s.holder = rk_str(holder);
		s.name = rk_str(name);
		memcpy(s.hint, "abc", 3);
		rk_sha256(s.id, s.digest);
		assert_int_equal(index_add_key(ix, &s, NULL, NULL), 0);
	}
	assert_true(index_bytes(ix) / KEYS < 400);
	assert_true(index_bytes(ix) / KEYS > sizeof(struct index_key));
	while ((k = index_key_next(ix, k)))
		assert_int_equal(k->created_ms, 1000 + seen++);
	assert_int_equal(seen, KEYS);
	for (unsigned i = 0; i < KEYS; i += 997) {
		snprintf(id, sizeof id, "key_%012u", i);
		assert_int_equal(index_key_by_id(ix, rk_str(id))->created_ms, 1000 + i);
	}
}

static void a_key_takes_under_400_bytes(void **state)
{
	many_keys_take_under_400_bytes_each(*state, (struct rate_limits){0});
}

static void a_key_with_limits_takes_under_400_bytes_too(void **state)
{
	struct index *ix = *state;

	many_keys_take_under_400_bytes_each(
	    ix, (struct rate_limits){.per_minute = 60, .per_day = 1000, .max_concurrent = 4});
	assert_true(index_bytes(ix) / index_key_count(ix) >
	            sizeof(struct index_key) + sizeof(struct rate));
}

static void only_a_key_with_limits_counts(void **state)
{
	struct index *ix = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key without, with;

	openai(ix);
	sample_grant(&g, "conn_a", "GET", "/v1/**", "");
	sample_key(ix, &g, "", 0, &without);
	sample_limited_key(ix, &g, "", 0, (struct rate_limits){.max_concurrent = 2}, &with);
	assert_null(without.key->rate);
	assert_non_null(with.key->rate);
	assert_int_equal(with.key->rate->limits.max_concurrent, 2);
	assert_int_equal(with.key->rate->limits.per_day, 0);
}

static void interned_bytes_keep_their_address_and_their_extra_bytes(void **state)
{
	struct intern *in;
	bool fresh;
	char *a, *b;

	(void)state;
	assert_int_equal(intern_new(&in), 0);
	a = intern_put(in, "abc", 3, 8, &fresh);
	assert_true(fresh);
	for (unsigned i = 0; i < 20000; i++)
		assert_non_null(intern_put(in, &i, sizeof i, 0, NULL));
	b = intern_put(in, "abc", 3, 8, &fresh);
	assert_false(fresh);
	assert_ptr_equal(a, b);
	assert_null(intern_put(in, "", INTERN_MAX_BYTES + 1, 0, NULL));
	intern_free(in);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_connection_is_found_by_id_and_by_name),
	    TEST(a_second_connection_with_the_same_name_is_refused),
	    TEST(a_connection_with_a_bad_url_or_name_is_refused),
	    TEST(connections_are_walked_in_order_of_creation),
	    TEST(many_connections_come_and_go_without_losing_others),
	    TEST(rotating_gives_a_new_upstream_id_and_version),
	    TEST(a_removed_connection_lives_while_a_request_holds_it),
	    TEST(a_new_connection_never_revives_the_grants_of_a_removed_one),
	    TEST(a_key_is_found_by_digest_id_and_text),
	    TEST(a_masked_key_is_found_when_it_is_the_only_one),
	    TEST(malformed_keys_are_refused),
	    TEST(equal_texts_and_grants_are_stored_once),
	    TEST(live_keys_are_counted),
	    TEST(a_key_takes_under_400_bytes),
	    TEST(a_key_with_limits_takes_under_400_bytes_too),
	    TEST(only_a_key_with_limits_counts),
	    TEST(interned_bytes_keep_their_address_and_their_extra_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
