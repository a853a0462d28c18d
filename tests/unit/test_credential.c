#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/credential.h"

#define S(text) ((struct rk_slice){(text), sizeof(text) - 1})
#define KEY     "rk_app_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
#define OTHER   "rk_vendor_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"

static struct h1_head head;
static char key[CREDENTIAL_MAX_KEY];
static size_t key_len;

static enum credential_result find_query(const char *fields, const char *query, bool allowed)
{
	static char text[8192];
	int n = snprintf(text, sizeof(text), "GET /c HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	assert_int_equal(h1_parse_request(rk_slice(text, (size_t)n), H1_MAX_HEAD, &head), n);
	memset(key, 'x', sizeof(key));
	key_len = 999;
	return credential_find(&head, rk_str(query), allowed, key, &key_len);
}

static enum credential_result find(const char *fields)
{
	return find_query(fields, "", false);
}

static void expect_key(enum credential_result got, const char *want)
{
	assert_int_equal(got, CREDENTIAL_FOUND);
	assert_true(rk_slice_is(rk_slice(key, key_len), want));
}

/* Refused, and nothing of a key is left behind. */
static void expect_refusal(enum credential_result got, enum credential_result want)
{
	assert_int_equal(got, want);
	assert_int_equal(key_len, 999);
	for (size_t i = 0; i < sizeof(key); i++)
		assert_int_equal(key[i], 0);
}

static void test_bearer_is_found_in_any_case(void **state)
{
	(void)state;
	expect_key(find("Authorization: Bearer " KEY "\r\n"), KEY);
	expect_key(find("authorization: bearer   " KEY "\r\n"), KEY);
	expect_key(find("AUTHORIZATION: BEARER " KEY "\r\n"), KEY);
}

static void test_authorization_may_be_the_bare_key_or_another_scheme(void **state)
{
	(void)state;
	expect_key(find("Authorization: " KEY "\r\n"), KEY);
	expect_key(find("Authorization: token " KEY "\r\n"), KEY);
	expect_key(find("Authorization: Token token=" KEY "\r\n"), KEY);
	expect_key(find("Authorization: Token token=\"" KEY "\"\r\n"), KEY);
	expect_key(find("Authorization: SSWS " KEY "\r\n"), KEY);
}

static void test_every_key_header_is_read(void **state)
{
	static const char *const names[] = {
	    "x-api-key",
	    "api-key",
	    "Api-Key",
	    "xi-api-key",
	    "x-goog-api-key",
	    "X-Postmark-Server-Token",
	    "X-Postmark-Account-Token",
	    "X-Auth-Key",
	    "X-Auth-User-Service-Key",
	    "X-Auth-Token",
	    "X-Access-Token",
	    "Impact360AuthToken",
	    "PRIVATE-TOKEN",
	    "JOB-TOKEN",
	    "Deploy-Token",
	    "DD-API-KEY",
	    "DD-APPLICATION-KEY",
	    "apikey",
	    "X-Amz-Security-Token",
	    "X-API-Token",
	    "X-ApiKey",
	    "Api-Token",
	    "Auth-Token",
	    "Access-Token",
	    "X-Vault-Token",
	    "X-Shopify-Access-Token",
	    "X-Figma-Token",
	    "Circle-Token",
	    "Ocp-Apim-Subscription-Key",
	    "x-functions-key",
	    "X-Subscription-Token",
	    "X-RapidAPI-Key",
	    "X-Secret-Key",
	    "X-Token",
	    "X-RelayKey",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char field[256], twin[64];

		snprintf(field, sizeof(field), "%s: " KEY "\r\n", names[i]);
		expect_key(find(field), KEY);
		assert_true(credential_is_header(rk_str(names[i])));

		/* CGI-like servers take the underscore spelling for the same header. */
		snprintf(twin, sizeof(twin), "%s", names[i]);
		for (char *p = twin; *p; p++)
			*p = *p == '-' ? '_' : *p;
		snprintf(field, sizeof(field), "%s: " KEY "\r\n", twin);
		expect_key(find(field), KEY);
		assert_true(credential_is_header(rk_str(twin)));
	}
	assert_true(credential_is_header(S("Authorization")));
	assert_true(credential_is_header(S("proxy_authorization")));
}

static void test_other_headers_are_not_read(void **state)
{
	(void)state;
	assert_int_equal(find("X-Api-Keys: abc\r\nCookie: key=abc\r\nX-Request-Id: abc\r\n"),
	                 CREDENTIAL_NONE);
	assert_int_equal(find("X-RelayKey-Env: prod\r\n"), CREDENTIAL_NONE);
	assert_int_equal(find("Proxy-Authorization: Basic YTpi\r\n"), CREDENTIAL_NONE);
	assert_false(credential_is_header(S("x-api-keys")));
	assert_false(credential_is_header(S("x-relaykey-env")));
	assert_false(credential_is_header(S("cookie")));
	assert_false(credential_is_header(S("")));
}

static void test_an_unknown_header_is_read_when_it_holds_a_relay_key(void **state)
{
	(void)state;
	expect_key(find("X-Made-Up: " KEY "\r\n"), KEY);
	assert_int_equal(find("X-Made-Up: sk_live_1\r\n"), CREDENTIAL_NONE);
	expect_refusal(find("X-Made-Up: " KEY "\r\nx-api-key: " OTHER "\r\n"),
	               CREDENTIAL_CONFLICT);
}

static void test_no_header_and_an_empty_one_present_nothing(void **state)
{
	(void)state;
	expect_refusal(find(""), CREDENTIAL_NONE);
	expect_refusal(find("x-api-key:\r\nAuthorization:\r\n"), CREDENTIAL_NONE);
	expect_key(find("x-api-key:\r\nAuthorization: Bearer " KEY "\r\n"), KEY);
}

static void test_the_same_key_in_two_places_is_one_credential(void **state)
{
	(void)state;
	expect_key(find("Authorization: Bearer " KEY "\r\nx-api-key: " KEY "\r\n"), KEY);
	expect_key(find("DD-API-KEY: " KEY "\r\nDD-APPLICATION-KEY: " KEY "\r\n"), KEY);
	expect_key(find("x-api-key: " KEY "\r\nx_api_key: " KEY "\r\n"), KEY);
}

static void test_two_different_credentials_are_a_conflict(void **state)
{
	(void)state;
	expect_refusal(find("Authorization: Bearer " KEY "\r\nx-api-key: " OTHER "\r\n"),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find("x-api-key: " KEY "\r\nx_api_key: other\r\n"), CREDENTIAL_CONFLICT);
	expect_refusal(find("Authorization: Bearer " KEY "\r\nAuthorization: Bearer x\r\n"),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find("X-RelayKey: " KEY "\r\nAuthorization: Basic dXNlcjpwYXNz\r\n"),
	               CREDENTIAL_CONFLICT);
	/* a prefix is a different key */
	expect_refusal(find("x-api-key: " KEY "\r\napi-key: " KEY "0\r\n"),
	               CREDENTIAL_CONFLICT);
}

static enum credential_result find_basic(const char *plain)
{
	char encoded[2048], field[4096];
	size_t n = credential_base64_encode(rk_str(plain), encoded);

	snprintf(field, sizeof(field), "Authorization: Basic %.*s\r\n", (int)n, encoded);
	return find(field);
}

static void test_basic_gives_the_half_that_looks_like_a_relay_key(void **state)
{
	(void)state;
	expect_key(find_basic(KEY ":"), KEY);
	expect_key(find_basic(":" KEY), KEY);
	expect_key(find_basic("api:" KEY), KEY);
	expect_key(find_basic(KEY ":x"), KEY);
	expect_key(find_basic(KEY ":" KEY), KEY);
	expect_key(find_basic("user:pass"), "pass");
	expect_key(find_basic("user:"), "user");
	expect_key(find_basic("user:pa:ss"), "pa:ss");
	expect_refusal(find_basic(KEY ":" OTHER), CREDENTIAL_CONFLICT);
}

static void test_malformed_basic_is_refused(void **state)
{
	(void)state;
	expect_refusal(find_basic("nocolon"), CREDENTIAL_MALFORMED);
	expect_refusal(find_basic(":"), CREDENTIAL_MALFORMED);
	expect_refusal(find_basic("a:b c"), CREDENTIAL_MALFORMED);
	expect_refusal(find_basic("a:b\x01"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Basic ****\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Basic YTpi YTpi\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Basic YTpiYw\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Basic\r\n"), CREDENTIAL_MALFORMED);
	expect_key(find("Authorization: Basic YTpiYw==\r\n"), "bc");
}

static void test_values_that_are_no_single_key_are_refused(void **state)
{
	(void)state;
	expect_refusal(find("Authorization: Bearer\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Bearer a b\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Bearer a,Bearer\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: Token token=\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature=c\r\n"),
	               CREDENTIAL_MALFORMED);
	expect_refusal(find("x-api-key: a b\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("x-api-key: a,b\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("x-api-key: a\tb\r\n"), CREDENTIAL_MALFORMED);
	expect_refusal(find("x-api-key: " KEY "\r\nAuthorization: Digest a=b, c=d\r\n"),
	               CREDENTIAL_MALFORMED);
}

static void test_a_key_has_a_limit(void **state)
{
	char long_key[CREDENTIAL_MAX_KEY + 2], field[512];

	(void)state;
	memset(long_key, 'k', sizeof(long_key));
	long_key[CREDENTIAL_MAX_KEY] = '\0';
	snprintf(field, sizeof(field), "x-api-key: %s\r\n", long_key);
	expect_key(find(field), long_key);
	long_key[CREDENTIAL_MAX_KEY] = 'k';
	long_key[CREDENTIAL_MAX_KEY + 1] = '\0';
	snprintf(field, sizeof(field), "x-api-key: %s\r\n", long_key);
	expect_refusal(find(field), CREDENTIAL_MALFORMED);
}

static void test_the_query_counts_only_where_it_is_allowed(void **state)
{
	(void)state;
	expect_key(find_query("", "a=1&key=" KEY, true), KEY);
	expect_key(find_query("", "a=1;API-KEY=" KEY, true), KEY);
	expect_key(find_query("", "%61k=rk%5fapp%5F1", true), "rk_app_1");
	expect_refusal(find_query("", "a=1&key=" KEY, false), CREDENTIAL_NONE);
	expect_refusal(find_query("", "keys=" KEY, true), CREDENTIAL_NONE);
	expect_refusal(find_query("", "key=&token", true), CREDENTIAL_NONE);
}

static void test_query_and_header_have_to_agree(void **state)
{
	(void)state;
	expect_key(find_query("x-api-key: " KEY "\r\n", "key=" KEY, true), KEY);
	expect_refusal(find_query("x-api-key: " KEY "\r\n", "key=" OTHER, true),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find_query("", "key=" KEY "&access_token=" OTHER, true),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find_query("", "key=a+b", true), CREDENTIAL_MALFORMED);
	/* Where the query does not count, a parameter of that name is the upstream's business
	 * ... */
	expect_key(find_query("x-api-key: " KEY "\r\n", "key=value", false), KEY);
	/* ... but not a second relay key. */
	expect_refusal(find_query("x-api-key: " KEY "\r\n", "q=" OTHER, false),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find_query("x-api-key: " KEY "\r\n", "q=%72k_app_2", false),
	               CREDENTIAL_CONFLICT);
	expect_key(find_query("x-api-key: " KEY "\r\n", "q=" KEY, false), KEY);
}

static void test_query_names_ignore_case_and_hyphens(void **state)
{
	(void)state;
	assert_true(credential_is_query_name(S("key")));
	assert_true(credential_is_query_name(S("ak")));
	assert_true(credential_is_query_name(S("api_key")));
	assert_true(credential_is_query_name(S("Api-Key")));
	assert_true(credential_is_query_name(S("apikey")));
	assert_true(credential_is_query_name(S("access_token")));
	assert_true(credential_is_query_name(S("token")));
	assert_true(credential_is_query_name(S("single_use_token")));
	assert_false(credential_is_query_name(S("keys")));
	assert_false(credential_is_query_name(S("ke")));
	assert_false(credential_is_query_name(S("monkey")));
	assert_false(credential_is_query_name(S("key\0")));
	assert_false(credential_is_query_name(S("")));
}

static void test_a_key_among_subprotocols_is_found(void **state)
{
	(void)state;
	expect_key(find("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key." KEY
	                ", openai-beta.realtime-v1\r\n"),
	           KEY);
	expect_key(find("sec-websocket-protocol: token," KEY "\r\n"), KEY);
	expect_key(
	    find("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: bearer-" KEY "\r\n"),
	    KEY);
	expect_key(find("Sec_WebSocket_Protocol: " KEY "\r\n"), KEY);
	expect_key(find("Sec-WebSocket-Protocol: openai-insecure-api-key.sk-1\r\n"), "sk-1");
	expect_key(find("X-Api-Key: " KEY "\r\nSec-WebSocket-Protocol: x." KEY "\r\n"), KEY);
	assert_int_equal(find("Sec-WebSocket-Protocol: realtime, , mark_app_b\r\n"),
	                 CREDENTIAL_NONE);
	expect_refusal(find("X-Api-Key: " KEY "\r\nSec-WebSocket-Protocol: x." OTHER "\r\n"),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find("Sec-WebSocket-Protocol: x." KEY ", y." OTHER "\r\n"),
	               CREDENTIAL_CONFLICT);
	expect_refusal(find("Sec-WebSocket-Protocol: openai-insecure-api-key.\r\n"),
	               CREDENTIAL_MALFORMED);
}

static void assert_protocols(const char *list, const char *want)
{
	char left[512];
	size_t n = credential_protocols_without(rk_str(list), left);

	assert_true(n <= strlen(list));
	assert_true(rk_slice_is(rk_slice(left, n), want));
}

static void test_subprotocols_with_a_key_are_left_out(void **state)
{
	(void)state;
	assert_protocols("realtime, openai-insecure-api-key." KEY ", v1", "realtime,v1");
	assert_protocols(KEY ",realtime", "realtime");
	assert_protocols("realtime\t,\tx." KEY, "realtime");
	assert_protocols("OpenAI-Insecure-API-Key.sk-1", "");
	assert_protocols(" , ,", "");
	assert_protocols("", "");
	assert_protocols("a, b ,,c", "a,b,c");
	assert_protocols("mark_app_b", "mark_app_b");
}

static void test_base64_follows_the_vectors_of_rfc_4648(void **state)
{
	static const char *const vectors[][2] = {
	    {"", ""},
	    {"f", "Zg=="},
	    {"fo", "Zm8="},
	    {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"},
	    {"\xff\xef\xbe", "/+++"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct rk_slice plain = rk_str(vectors[i][0]), text = rk_str(vectors[i][1]);
		char encoded[16];
		unsigned char decoded[16];

		assert_int_equal(credential_base64_encode(plain, encoded), text.n);
		assert_memory_equal(encoded, text.p, text.n);
		assert_int_equal(credential_base64_decode(text, decoded, plain.n), plain.n);
		assert_memory_equal(decoded, plain.p, plain.n);
	}
}

static void test_base64_is_decoded_strictly(void **state)
{
	static const struct rk_slice bad[] = {
	    S("Z"),    S("Zg"),    S("Zg="),      S("Zg==="),  S("Zh=="),  S("Zm9="),
	    S("Z==="), S("===="),  S("Zg==Zg=="), S("Zm9v\n"), S(" Zm9v"), S("Zm 9"),
	    S("Zm-_"), S("Zm9\0"), S("Zm9\xc3"),  S("=m9v"),   S("Z=9v"),  S("Zm=v"),
	};
	unsigned char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(credential_base64_decode(bad[i], out, sizeof(out)), -1);
	assert_int_equal(credential_base64_decode(S("Zm9v"), out, 2), -1);
	assert_int_equal(credential_base64_decode(S("Zm9v"), out, 3), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bearer_is_found_in_any_case),
	    cmocka_unit_test(test_authorization_may_be_the_bare_key_or_another_scheme),
	    cmocka_unit_test(test_every_key_header_is_read),
	    cmocka_unit_test(test_other_headers_are_not_read),
	    cmocka_unit_test(test_an_unknown_header_is_read_when_it_holds_a_relay_key),
	    cmocka_unit_test(test_no_header_and_an_empty_one_present_nothing),
	    cmocka_unit_test(test_the_same_key_in_two_places_is_one_credential),
	    cmocka_unit_test(test_two_different_credentials_are_a_conflict),
	    cmocka_unit_test(test_basic_gives_the_half_that_looks_like_a_relay_key),
	    cmocka_unit_test(test_malformed_basic_is_refused),
	    cmocka_unit_test(test_values_that_are_no_single_key_are_refused),
	    cmocka_unit_test(test_a_key_has_a_limit),
	    cmocka_unit_test(test_the_query_counts_only_where_it_is_allowed),
	    cmocka_unit_test(test_query_and_header_have_to_agree),
	    cmocka_unit_test(test_query_names_ignore_case_and_hyphens),
	    cmocka_unit_test(test_a_key_among_subprotocols_is_found),
	    cmocka_unit_test(test_subprotocols_with_a_key_are_left_out),
	    cmocka_unit_test(test_base64_follows_the_vectors_of_rfc_4648),
	    cmocka_unit_test(test_base64_is_decoded_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
