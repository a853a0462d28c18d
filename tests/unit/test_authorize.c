/* The decision: every refusal has a twin that is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper/authorize.h"
#include "keeper/index_holder.h"
#include "tests/lib/policy_sample.h"

enum { NOW = 5000 };

struct world {
	struct index *ix;
	struct index_conn *openai, *other, *gitlab;
	struct sample_key key;
	struct msg_authorize ask;
	struct sample_list names;
	struct authorized out;
};

/* Grants of the sample key: files may be read, /v1/responses may be posted without `debug`. */
static int setup(void **state)
{
	struct sample_grants g = {.used = 0};
	struct world *w = calloc(1, sizeof *w);

	if (!w || index_new(&w->ix))
		return -1;
	w->openai = sample_conn(w->ix, "conn_a", "openai", "https://api.openai.com/v1", 0);
	w->other = sample_conn(w->ix, "conn_b", "other", "https://other.example", 0);
	w->gitlab = sample_conn(w->ix, "conn_c", "gitlab", "https://gitlab.example/api",
	                        UPSTREAM_ALLOW_ENCODED_SLASH);
	sample_grant(&g, "conn_a", "GET", "/v1/files/* /v1/models", "");
	sample_grant(&g, "conn_a", "POST", "/v1/responses", "debug admin");
	sample_grant(&g, "conn_c", "*", "/api/**", "");
	sample_key(w->ix, &g, "", 0, &w->key);
	w->ask = (struct msg_authorize){
	    .key = rk_slice(w->key.text, w->key.len),
	    .conn = rk_str("openai"),
	    .method = rk_str("POST"),
	    .rest = rk_str("/responses"),
	    .client_ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3},
	};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	index_free(w->ix);
	free(w);
	return 0;
}

static enum reason ask(struct world *w)
{
	authorize(w->ix, &w->ask, false, NOW, &w->out);
	return w->out.reason;
}

static enum reason ask_for(struct world *w, const char *method, const char *rest)
{
	w->ask.method = rk_str(method);
	w->ask.rest = rk_str(rest);
	return ask(w);
}

static void a_request_inside_its_grant_is_allowed(void **state)
{
	struct world *w = *state;

	assert_int_equal(ask(w), REASON_OK);
	assert_ptr_equal(w->out.key, w->key.key);
	assert_ptr_equal(w->out.conn, w->openai);
	assert_true(rk_slice_is(w->out.path, "/v1/responses"));
	assert_string_equal(w->out.detail, "");
	w->ask.conn = rk_str("conn_a");
	assert_int_equal(ask(w), REASON_OK);
}

/* Asks as the pipeline does; an allowed request is counted. */
static enum reason ask_limited(struct world *w, const char *method, const char *rest,
                               struct rate_report *report)
{
	const struct rate_now now = {.mono_ms = 90000, .wall_ms = NOW};

	ask_for(w, method, rest);
	if (authorize_limits(&w->out, now, report) == REASON_OK && w->out.key->rate)
		rate_take(w->out.key->rate, now);
	return w->out.reason;
}

static void only_what_passed_all_other_hurdles_uses_up_a_quota(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct rate_report report;
	struct sample_key key;

	sample_grant(&g, "conn_a", "GET", "/v1/models", "");
	sample_limited_key(w->ix, &g, "", 0, (struct rate_limits){.per_minute = 2}, &key);
	w->ask.key = rk_slice(key.text, key.len);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ask_limited(w, "GET", "/files/a", &report),
		                 REASON_PATH_DENIED);
		assert_int_equal(report.minute_limit, 0);
	}
	assert_int_equal(ask_limited(w, "GET", "/models", &report), REASON_OK);
	assert_int_equal(report.minute_left, 1);
	assert_int_equal(ask_limited(w, "GET", "/models", &report), REASON_OK);
	assert_int_equal(ask_limited(w, "GET", "/models", &report), REASON_RATE_LIMITED);
	assert_string_equal(w->out.detail, "per_minute");
	/* outside the scope it stays what it is */
	assert_int_equal(ask_limited(w, "GET", "/files/a", &report), REASON_PATH_DENIED);
}

static void a_key_without_limits_is_never_limited(void **state)
{
	struct world *w = *state;
	struct rate_report report;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(ask_limited(w, "GET", "/models", &report), REASON_OK);
	assert_int_equal(report.minute_limit + report.day_limit + report.concurrent_limit, 0);
}

static void nothing_is_allowed_while_sealed(void **state)
{
	struct world *w = *state;

	authorize(w->ix, &w->ask, true, NOW, &w->out);
	assert_int_equal(w->out.reason, REASON_SEALED);
	authorize(w->ix, &w->ask, false, NOW, &w->out);
	assert_int_equal(w->out.reason, REASON_OK);
}

static void a_missing_key_is_refused(void **state)
{
	struct world *w = *state;

	w->ask.key = rk_slice(NULL, 0);
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "none");
	assert_null(w->out.key);
}

static void two_different_keys_are_refused(void **state)
{
	struct world *w = *state;

	w->ask.key_conflict = 1;
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "conflict");
	w->ask.key_conflict = 0;
	assert_int_equal(ask(w), REASON_OK);
}

static void unknown_and_misshapen_keys_are_refused_alike(void **state)
{
	struct world *w = *state;
	char text[RELAY_KEY_MAX];
	struct relay_key parts;

	w->ask.key = rk_slice(text, relay_key_generate(HOLDER_VENDOR, text, &parts));
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "unknown");
	w->ask.key = rk_str("sk-live-something");
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "unknown");
}

static void a_revoked_key_is_refused_and_named_in_the_audit(void **state)
{
	struct world *w = *state;

	w->key.key->revoked_ms = NOW - 1;
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "revoked");
	assert_ptr_equal(w->out.key, w->key.key);
	w->key.key->revoked_ms = 0;
	assert_int_equal(ask(w), REASON_OK);
}

static void a_key_is_refused_from_its_expiry_on(void **state)
{
	struct world *w = *state;

	w->key.key->expires_ms = NOW + 1;
	assert_int_equal(ask(w), REASON_OK);
	w->key.key->expires_ms = NOW;
	assert_int_equal(ask(w), REASON_INVALID_KEY);
	assert_string_equal(w->out.detail, "expired");
	assert_ptr_equal(w->out.key, w->key.key);
}

static void an_unknown_connection_is_404_for_a_valid_key_only(void **state)
{
	struct world *w = *state;

	w->ask.conn = rk_str("nowhere");
	assert_int_equal(ask(w), REASON_NO_CONN);
	assert_null(w->out.conn);
	assert_true(rk_slice_is(w->out.path, "/responses"));
	w->ask.key = rk_str("rk_vendor_wrong");
	assert_int_equal(ask(w), REASON_INVALID_KEY);
}

static void a_connection_without_a_grant_is_refused(void **state)
{
	struct world *w = *state;

	w->ask.conn = rk_str("other");
	assert_int_equal(ask(w), REASON_CONN_NOT_GRANTED);
	w->ask.conn = rk_str("openai");
	assert_int_equal(ask(w), REASON_OK);
}

static void a_disabled_connection_is_refused(void **state)
{
	struct world *w = *state;

	index_conn_set_enabled(w->ix, w->openai, false, NOW);
	assert_int_equal(ask(w), REASON_CONN_DISABLED);
	index_conn_set_enabled(w->ix, w->openai, true, NOW);
	assert_int_equal(ask(w), REASON_OK);
}

static void a_removed_connection_is_unknown(void **state)
{
	struct world *w = *state;

	index_conn_remove(w->ix, w->openai);
	assert_int_equal(ask(w), REASON_NO_CONN);
	/* its namesake is another connection, which the old grants do not open */
	sample_conn(w->ix, "conn_a", "openai", "https://api.openai.com/v1", 0);
	assert_int_equal(ask(w), REASON_CONN_NOT_GRANTED);
}

static void an_address_outside_the_prefixes_is_refused(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key k;

	sample_grant(&g, "conn_a", "POST", "/v1/responses", "");
	sample_key(w->ix, &g, "192.168.0.0/16 10.1.0.0/16 2001:db8::/32", 0, &k);
	w->ask.key = rk_slice(k.text, k.len);
	assert_int_equal(ask(w), REASON_OK);
	w->ask.client_ip[13] = 2;
	assert_int_equal(ask(w), REASON_IP_DENIED);
}

static void an_ambiguous_path_is_refused_though_the_relay_passed_it(void **state)
{
	struct world *w = *state;

	assert_int_equal(ask_for(w, "GET", "/files/a/../../admin"), REASON_AMBIGUOUS_PATH);
	assert_string_not_equal(w->out.detail, "");
	assert_int_equal(ask_for(w, "GET", "/files/a%2fb"), REASON_AMBIGUOUS_PATH);
	assert_int_equal(ask_for(w, "GET", "files/a"), REASON_AMBIGUOUS_PATH);
	assert_int_equal(ask_for(w, "GET", "/files/a"), REASON_OK);
}

static void an_encoded_slash_passes_where_the_connection_opted_in(void **state)
{
	struct world *w = *state;

	w->ask.conn = rk_str("gitlab");
	assert_int_equal(ask_for(w, "GET", "/projects/a%2Fb"), REASON_OK);
	w->ask.conn = rk_str("openai");
	assert_int_equal(ask_for(w, "GET", "/files/a%2Fb"), REASON_AMBIGUOUS_PATH);
}

static void a_method_that_no_grant_names_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(ask_for(w, "DELETE", "/files/a"), REASON_METHOD_DENIED);
	assert_int_equal(ask_for(w, "get", "/files/a"), REASON_METHOD_DENIED);
	assert_int_equal(ask_for(w, "HEAD", "/files/a"), REASON_METHOD_DENIED);
	assert_int_equal(ask_for(w, "GET", "/files/a"), REASON_OK);
}

static void a_star_is_every_method(void **state)
{
	struct world *w = *state;

	w->ask.conn = rk_str("gitlab");
	assert_int_equal(ask_for(w, "PROPFIND", "/projects"), REASON_OK);
	assert_int_equal(ask_for(w, "*", "/projects"), REASON_OK);
	w->ask.conn = rk_str("openai");
	assert_int_equal(ask_for(w, "*", "/files/a"), REASON_METHOD_DENIED);
}

static void a_path_that_no_grant_with_the_method_covers_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(ask_for(w, "GET", "/responses"), REASON_PATH_DENIED);
	assert_int_equal(ask_for(w, "POST", "/files/a"), REASON_PATH_DENIED);
	assert_int_equal(ask_for(w, "GET", "/models"), REASON_OK);
	assert_int_equal(ask_for(w, "GET", "/models/x"), REASON_PATH_DENIED);
}

static void a_denied_query_name_is_refused(void **state)
{
	struct world *w = *state;

	w->ask.query_names = sample_words(&w->names, "verbose debug");
	assert_int_equal(ask(w), REASON_QUERY_DENIED);
	w->ask.query_names = sample_words(&w->names, "verbose Debug debugger");
	assert_int_equal(ask(w), REASON_OK);
	/* the other grant denies nothing */
	w->ask.query_names = sample_words(&w->names, "debug");
	assert_int_equal(ask_for(w, "GET", "/files/a"), REASON_OK);
}

static void grants_are_alternatives_and_one_that_allows_wins(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key k;

	sample_grant(&g, "conn_a", "GET", "/v1/files/*", "debug");
	sample_grant(&g, "conn_a", "GET", "/v1/files/open/*", "");
	sample_key(w->ix, &g, "", 0, &k);
	w->ask.key = rk_slice(k.text, k.len);
	w->ask.query_names = sample_words(&w->names, "debug");
	assert_int_equal(ask_for(w, "GET", "/files/open/a"), REASON_OK);
	assert_int_equal(ask_for(w, "GET", "/files/shut/a"), REASON_QUERY_DENIED);
	assert_int_equal(ask_for(w, "GET", "/other"), REASON_PATH_DENIED);
}

static void the_base_path_is_joined_with_what_follows(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key k;

	sample_grant(&g, "conn_a", "GET", "/v1 /v1/", "");
	sample_grant(&g, "conn_b", "GET", "/", "");
	sample_key(w->ix, &g, "", 0, &k);
	w->ask.key = rk_slice(k.text, k.len);
	assert_int_equal(ask_for(w, "GET", ""), REASON_OK);
	assert_true(rk_slice_is(w->out.path, "/v1"));
	assert_int_equal(ask_for(w, "GET", "/"), REASON_OK);
	assert_true(rk_slice_is(w->out.path, "/v1/"));
	w->ask.conn = rk_str("other");
	assert_int_equal(ask_for(w, "GET", ""), REASON_OK);
	assert_true(rk_slice_is(w->out.path, "/"));
}

static void the_longest_path_fits(void **state)
{
	static char longest[MSG_MAX_PATH];
	struct world *w = *state;

	memset(longest, 'a', sizeof longest);
	memcpy(longest, "/files/", 7);
	w->ask.method = rk_str("GET");
	w->ask.rest = rk_slice(longest, sizeof longest);
	assert_int_equal(ask(w), REASON_OK);
	assert_int_equal(w->out.path.n, sizeof longest + 3);
}

static void a_decision_is_judged_again_before_its_answer(void **state)
{
	struct world *w = *state;
	struct index_key *k = w->key.key;

	assert_int_equal(authorize_still(k, w->openai, NOW), REASON_OK);
	k->revoked_ms = NOW;
	assert_int_equal(authorize_still(k, w->openai, NOW), REASON_INVALID_KEY);
	k->revoked_ms = 0;
	k->expires_ms = NOW;
	assert_int_equal(authorize_still(k, w->openai, NOW), REASON_INVALID_KEY);
	assert_int_equal(authorize_still(k, w->openai, NOW - 1), REASON_OK);
	k->expires_ms = 0;
	w->openai->enabled = false;
	assert_int_equal(authorize_still(k, w->openai, NOW), REASON_CONN_DISABLED);
	w->openai->enabled = true;
	index_conn_ref(w->openai);
	index_conn_remove(w->ix, w->openai);
	assert_int_equal(authorize_still(k, w->openai, NOW), REASON_NO_CONN);
	index_conn_unref(w->openai);
}

/* ---- addresses of the holder ---- */

static enum reason ask_from(struct world *w, const char *address)
{
	struct rk_ip ip;

	assert_int_equal(rk_ip_parse(rk_str(address), &ip), 0);
	memcpy(w->ask.client_ip, ip.b, sizeof ip.b);
	return ask(w);
}

/* As the keeper does it once the store has it. */
static struct index_trust *trust(struct world *w, const char *address)
{
	struct index_trust *t;
	struct rk_cidr net;

	assert_int_equal(rk_cidr_parse(rk_str(address), &net), 0);
	assert_int_equal(index_trust_new(w->ix, w->key.key->owner, &net, rk_str(""), &t), 0);
	t->busy = false;
	t->state = TRUST_TRUSTED;
	t->holder->settled = true;
	return t;
}

static void trust_concerns_keys_that_ask_for_it_only(void **state)
{
	struct world *w = *state;

	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_OK);
	w->key.key->flags = KEY_TRUSTED_ONLY;
	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_IP_UNCONFIRMED);
	assert_false(w->out.first);
}

static void a_first_address_is_not_allowed_before_it_is_stored(void **state)
{
	struct world *w = *state;

	w->key.key->flags = KEY_TRUSTED_ONLY;
	index_trust_rule(w->ix, true, rk_str(""));
	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_IP_UNCONFIRMED);
	assert_true(w->out.first);
	trust(w, "203.0.113.1");
	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_OK);
	assert_false(w->out.first);
	assert_int_equal(ask_from(w, "203.0.113.2"), REASON_IP_UNCONFIRMED);
	assert_false(w->out.first);
}

static void what_is_out_of_scope_is_no_first_address(void **state)
{
	struct world *w = *state;

	w->key.key->flags = KEY_TRUSTED_ONLY;
	index_trust_rule(w->ix, true, rk_str(""));
	assert_int_equal(ask_for(w, "DELETE", "/responses"), REASON_METHOD_DENIED);
	assert_false(w->out.first);
	assert_int_equal(ask_for(w, "POST", "/other"), REASON_PATH_DENIED);
	assert_false(w->out.first);
	/* from an address that is not trusted nothing is told of the scope */
	trust(w, "203.0.113.1");
	assert_int_equal(ask_from(w, "203.0.113.2"), REASON_IP_UNCONFIRMED);
	w->ask.method = rk_str("DELETE");
	assert_int_equal(ask_from(w, "203.0.113.2"), REASON_IP_UNCONFIRMED);
}

static void a_second_key_of_the_holder_has_its_addresses_and_no_more(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key second;

	sample_grant(&g, "conn_a", "POST", "/v1/responses", "");
	sample_key(w->ix, &g, "", 0, &second);
	second.key->flags = KEY_TRUSTED_ONLY;
	index_trust_rule(w->ix, true, rk_str(""));
	trust(w, "203.0.113.1");
	w->ask.key = rk_slice(second.text, second.len);
	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_OK);
	assert_int_equal(ask_from(w, "203.0.113.2"), REASON_IP_UNCONFIRMED);
	assert_false(w->out.first);
}

static void the_key_s_own_prefixes_hold_as_well(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key narrow;

	sample_grant(&g, "conn_a", "POST", "/v1/responses", "");
	sample_key(w->ix, &g, "203.0.113.0/24", 0, &narrow);
	narrow.key->flags = KEY_TRUSTED_ONLY;
	trust(w, "203.0.113.1");
	trust(w, "198.51.100.1");
	w->ask.key = rk_slice(narrow.text, narrow.len);
	assert_int_equal(ask_from(w, "203.0.113.1"), REASON_OK);
	assert_int_equal(ask_from(w, "198.51.100.1"), REASON_IP_DENIED);
	assert_int_equal(ask_from(w, "203.0.113.2"), REASON_IP_UNCONFIRMED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_request_inside_its_grant_is_allowed),
	    TEST(only_what_passed_all_other_hurdles_uses_up_a_quota),
	    TEST(a_key_without_limits_is_never_limited),
	    TEST(nothing_is_allowed_while_sealed),
	    TEST(a_missing_key_is_refused),
	    TEST(two_different_keys_are_refused),
	    TEST(unknown_and_misshapen_keys_are_refused_alike),
	    TEST(a_revoked_key_is_refused_and_named_in_the_audit),
	    TEST(a_key_is_refused_from_its_expiry_on),
	    TEST(an_unknown_connection_is_404_for_a_valid_key_only),
	    TEST(a_connection_without_a_grant_is_refused),
	    TEST(a_disabled_connection_is_refused),
	    TEST(a_removed_connection_is_unknown),
	    TEST(an_address_outside_the_prefixes_is_refused),
	    TEST(an_ambiguous_path_is_refused_though_the_relay_passed_it),
	    TEST(an_encoded_slash_passes_where_the_connection_opted_in),
	    TEST(a_method_that_no_grant_names_is_refused),
	    TEST(a_star_is_every_method),
	    TEST(a_path_that_no_grant_with_the_method_covers_is_refused),
	    TEST(a_denied_query_name_is_refused),
	    TEST(grants_are_alternatives_and_one_that_allows_wins),
	    TEST(the_base_path_is_joined_with_what_follows),
	    TEST(the_longest_path_fits),
	    TEST(a_decision_is_judged_again_before_its_answer),
	    TEST(trust_concerns_keys_that_ask_for_it_only),
	    TEST(a_first_address_is_not_allowed_before_it_is_stored),
	    TEST(what_is_out_of_scope_is_no_first_address),
	    TEST(a_second_key_of_the_holder_has_its_addresses_and_no_more),
	    TEST(the_key_s_own_prefixes_hold_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
