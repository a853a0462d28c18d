/*
 * Heads as the relay writes them: what of a request reaches the upstream, and what of a
 * response the client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/record.h"
#include "relay/rewrite.h"

#define INJECT "Authorization: Bearer sk_real\r\n"

/* The request head that the upstream would get, as a C string; freed by the caller. */
static char *rewritten(const char *head, bool query_auth, const char *inject_headers,
                       const char *inject_query, const char *set_header)
{
	static struct h1_head h;
	char list[128];
	size_t list_n = 0;
	struct target t;
	struct request *r;
	struct rk_secret out = {0};
	struct rewrite_upstream u = {.authority = rk_str("api.example"),
	                             .base_path = rk_str("/v1")};
	char *text;

	assert_true(h1_parse_request(rk_str(head), H1_MAX_HEAD, &h) > 0);
	assert_int_equal(target_parse(h.target, 0, &t), 0);
	r = request_new(&h, &t, query_auth);
	assert_non_null(r);
	if (set_header)
		assert_int_equal(
		    record_list_add(list, sizeof list, &list_n, rk_str(set_header)), 0);
	u.set_headers = rk_slice(list, list_n);
	assert_int_equal(
	    rewrite_request(r, &u, rk_str(inject_headers), rk_str(inject_query), 0, &out), 0);
	assert_true(secret_arena_holds(out.p));
	text = calloc(1, out.len + 1);
	memcpy(text, out.p, out.len);
	rk_secret_free(&out);
	free(r);
	assert_int_equal(secret_arena_in_use(), 0);
	return text;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strcasestr(p, what)); p++)
		n++;
	return n;
}

static void test_no_copy_of_a_credential_in_any_spelling_survives(void **state)
{
	char *out =
	    rewritten("GET /c/x HTTP/1.1\r\nHost: proxy\r\n"
	              "authorization: Bearer rk_app_1\r\nX-Api-Key: rk_app_1\r\n"
	              "x_api_key: rk_app_1\r\nApi-Key: rk_app_1\r\nx-goog-api-key: rk_app_1\r\n"
	              "X-RelayKey: rk_app_1\r\nX-RelayKey-Debug: 1\r\nx_relaykey_debug: 1\r\n"
	              "Proxy-Authorization: Basic eDp5\r\nCookie: s=1\r\n"
	              "X-Unheard-Of: rk_app_1\r\nAccept: */*\r\n\r\n",
	              false, INJECT, "", NULL);

	(void)state;
	assert_string_equal(
	    out, "GET /v1/x HTTP/1.1\r\nHost: api.example\r\nAccept: */*\r\n" INJECT "\r\n");
	free(out);
}

static void test_headers_that_the_credential_sets_are_taken_from_nobody_else(void **state)
{
	char *out = rewritten("GET /c/x HTTP/1.1\r\nHost: proxy\r\nX-Site-Auth: a\r\n"
	                      "x_site_auth: b\r\nX-Site-Author: c\r\n\r\n",
	                      false, "X-Site-Auth: real\r\n", "", "x-site-auth");

	(void)state;
	assert_int_equal(count(out, "site-auth:"), 1);
	assert_int_equal(count(out, "site_auth"), 0);
	assert_non_null(strstr(out, "X-Site-Auth: real\r\n"));
	assert_non_null(strstr(out, "X-Site-Author: c\r\n"));
	free(out);
}

static void test_hop_by_hop_and_forwarding_headers_stay_here(void **state)
{
	char *out =
	    rewritten("GET /c/x HTTP/1.1\r\nHost: proxy\r\nConnection: keep-alive, X-Mine\r\n"
	              "X-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: a\r\n"
	              "Upgrade: h2c\r\nForwarded: for=1\r\nX-Forwarded-Host: e\r\n"
	              "X-Real-IP: 1\r\nVia: 1.1 a\r\nX-HTTP-Method-Override: DELETE\r\n"
	              "Accept-Encoding: gzip\r\n\r\n",
	              false, INJECT, "", NULL);

	(void)state;
	assert_string_equal(out, "GET /v1/x HTTP/1.1\r\nHost: api.example\r\n"
	                         "Accept-Encoding: gzip\r\n" INJECT "\r\n");
	free(out);
}

static void assert_target(const char *target, bool query_auth, const char *inject,
                          const char *want)
{
	char head[512], line[512], *out;

	snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: proxy\r\n\r\n", target);
	out = rewritten(head, query_auth, "", inject, NULL);
	snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", want);
	assert_memory_equal(out, line, strlen(line));
	free(out);
}

static void test_the_target_keeps_its_bytes_but_for_credentials(void **state)
{
	(void)state;
	assert_target("/c", false, "", "/v1");
	assert_target("/c/", false, "", "/v1/");
	assert_target("/c/a%20b?", false, "", "/v1/a%20b?");
	assert_target("/c/a?x=%7e&&y", false, "", "/v1/a?x=%7e&&y");
	assert_target("/c/a?key=rk_app_1&x=1", true, "", "/v1/a?x=1");
	assert_target("/c/a?x=1&api%5Fkey=q", true, "", "/v1/a?x=1");
	assert_target("/c/a?x=1;key=q;y=2", true, "", "/v1/a?x=1;y=2");
	assert_target("/c/a?key=q", true, "", "/v1/a");
	/* not a place for keys here: a parameter like any other, unless a relay key is in it */
	assert_target("/c/a?key=q", false, "", "/v1/a?key=q");
	assert_target("/c/a?q=rk_app_1&x=1", false, "", "/v1/a?x=1");
	assert_target("/c/a?q=%72k_vendor_1&x=1", false, "", "/v1/a?x=1");
	assert_target("/c/a?q=rk_approach", false, "", "/v1/a?q=rk_approach");
}

static void test_an_injected_parameter_stands_once(void **state)
{
	(void)state;
	assert_target("/c/a", false, "appid=real", "/v1/a?appid=real");
	assert_target("/c/a?x=1", false, "appid=real", "/v1/a?x=1&appid=real");
	assert_target("/c/a?appid=mine", false, "appid=real", "/v1/a?appid=real");
	assert_target("/c/a?x=1&%61PPID=mine&y=2", false, "appid=real",
	              "/v1/a?x=1&y=2&appid=real");
	assert_target("/c/a?appid2=1", false, "appid=real", "/v1/a?appid2=1&appid=real");
}

static void test_framing_is_made_anew(void **state)
{
	static const char *const cases[][2] = {
	    {"POST /c/x HTTP/1.1\r\nHost: p\r\nContent-Length: 12\r\n\r\n",
	     "Content-Length: 12\r\n\r\n"},
	    {"POST /c/x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n",
	     "Transfer-Encoding: chunked\r\n\r\n"},
	    {"POST /c/x HTTP/1.1\r\nHost: p\r\n\r\n", "Content-Length: 0\r\n\r\n"},
	    {"GET /c/x HTTP/1.1\r\nHost: p\r\n\r\n", "Host: api.example\r\n\r\n"},
	    {"POST /c/x HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\nContent-Length: "
	     "1\r\n\r\n",
	     "Host: api.example\r\nContent-Length: 1\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *out = rewritten(cases[i][0], false, "", "", NULL);
		size_t n = strlen(cases[i][1]);

		assert_true(strlen(out) > n);
		assert_string_equal(out + strlen(out) - n, cases[i][1]);
		free(out);
	}
}

static void test_a_head_over_what_secret_memory_holds_is_refused_and_wiped(void **state)
{
	static struct h1_head h;
	static char headers[70000];
	struct rewrite_upstream u = {.authority = rk_str("a"), .base_path = rk_str("")};
	struct rk_secret out = {0};
	struct target t;
	struct request *r;

	(void)state;
	assert_true(h1_parse_request(rk_str("GET /c HTTP/1.1\r\nHost: p\r\n\r\n"), H1_MAX_HEAD,
	                             &h) > 0);
	assert_int_equal(target_parse(h.target, 0, &t), 0);
	r = request_new(&h, &t, false);
	memset(headers, 'x', sizeof headers);
	assert_int_equal(
	    rewrite_request(r, &u, rk_slice(headers, sizeof headers), rk_str(""), 0, &out),
	    RK_E_TOOBIG);
	assert_int_equal(secret_arena_in_use(), 0);
	free(r);
}

/* ---- responses ---- */

static void response(const char *head, struct rewrite_response how, char *out, size_t cap)
{
	static struct h1_head h;
	ssize_t n;

	assert_true(h1_parse_response(rk_str(head), H1_MAX_HEAD, false, &h) > 0);
	n = rewrite_response(&h, &how, out, cap - 1);
	assert_true(n > 0);
	out[n] = '\0';
}

static void test_a_response_keeps_the_providers_headers_and_gets_ours(void **state)
{
	char out[1024];

	(void)state;
	response(
	    "HTTP/1.1 200 Fine\r\nServer: up\r\nX-RateLimit-Remaining: 5\r\n"
	    "Content-Length: 3\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
	    "Set-Cookie: a\r\nx-relaykey-decision: forged\r\nAlt-Svc: h3\r\n\r\n",
	    (struct rewrite_response){
	        .request_id = "req_1", .framing = REWRITE_LENGTH, .length = 3},
	    out, sizeof out);
	assert_string_equal(out,
	                    "HTTP/1.1 200 OK\r\nServer: up\r\nX-RateLimit-Remaining: 5\r\n"
	                    "x-relaykey-request-id: req_1\r\nx-relaykey-decision: allowed\r\n"
	                    "Content-Length: 3\r\n\r\n");
}

static void test_limits_of_the_key_stand_beside_those_of_the_provider(void **state)
{
	const struct rate_report limits = {
	    .day_limit = 100, .day_left = 99, .day_reset_s = 3600};
	const struct rate_report none = {0};
	struct rewrite_response how = {.request_id = "req_1", .limits = &limits};
	static const char head[] =
	    "HTTP/1.1 204 x\r\nx-ratelimit-remaining: 5\r\nRateLimit: \"up\";r=1\r\n\r\n";
	char out[1024];

	(void)state;
	response(head, how, out, sizeof out);
	assert_string_equal(out, "HTTP/1.1 204 No Content\r\nx-ratelimit-remaining: 5\r\n"
	                         "RateLimit: \"up\";r=1\r\nx-relaykey-request-id: req_1\r\n"
	                         "x-relaykey-decision: allowed\r\n"
	                         "RateLimit-Policy: \"relaykey-day\";q=100;w=86400\r\n"
	                         "RateLimit: \"relaykey-day\";r=99;t=3600\r\n\r\n");
	how.limits = &none;
	response(head, how, out, sizeof out);
	assert_null(strstr(out, "relaykey-day"));
}

static void test_cookies_pass_only_where_the_connection_allows_them(void **state)
{
	static const char head[] =
	    "HTTP/1.1 204 x\r\nSet-Cookie: a=1\r\nset_cookie: b=1\r\n\r\n";
	char out[1024];

	(void)state;
	response(head, (struct rewrite_response){.allow_set_cookie = true}, out, sizeof out);
	assert_non_null(strstr(out, "Set-Cookie: a=1\r\n"));
	response(head, (struct rewrite_response){0}, out, sizeof out);
	assert_string_equal(out, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void test_a_response_that_does_not_fit_is_an_error(void **state)
{
	static struct h1_head h;
	const struct rewrite_response how = {.framing = REWRITE_CHUNKED, .say_close = true};
	char out[128];

	(void)state;
	assert_true(h1_parse_response(rk_str("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), H1_MAX_HEAD,
	                              false, &h) > 0);
	assert_int_equal(rewrite_response(&h, &how, out, 40), RK_E_TOOBIG);
	assert_true(rewrite_response(&h, &how, out, sizeof out) > 0);
}

static int setup(void **state)
{
	(void)state;
	return secret_arena_init(1 << 20, SECRET_BACKING_BEST, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_copy_of_a_credential_in_any_spelling_survives),
	    cmocka_unit_test(test_headers_that_the_credential_sets_are_taken_from_nobody_else),
	    cmocka_unit_test(test_hop_by_hop_and_forwarding_headers_stay_here),
	    cmocka_unit_test(test_the_target_keeps_its_bytes_but_for_credentials),
	    cmocka_unit_test(test_an_injected_parameter_stands_once),
	    cmocka_unit_test(test_framing_is_made_anew),
	    cmocka_unit_test(test_a_head_over_what_secret_memory_holds_is_refused_and_wiped),
	    cmocka_unit_test(test_a_response_keeps_the_providers_headers_and_gets_ours),
	    cmocka_unit_test(test_limits_of_the_key_stand_beside_those_of_the_provider),
	    cmocka_unit_test(test_cookies_pass_only_where_the_connection_allows_them),
	    cmocka_unit_test(test_a_response_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
