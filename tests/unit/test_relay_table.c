/*
 * The relay's public table, which addresses may be dialled, deadlines' order, and the bodies of
 * refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "relay/limits.h"
#include "relay/refusal.h"
#include "relay/upstream.h"
#include "tests/lib/identity.h"

static struct msg_upstream sample(uint32_t id, const char *conn_id, const char *name)
{
	return (struct msg_upstream){
	    .upstream_id = id,
	    .conn_id = rk_str(conn_id),
	    .name = rk_str(name),
	    .host = rk_str("api.example"),
	    .port = 443,
	    .base_path = rk_str("/v1"),
	};
}

static void test_an_entry_is_found_by_id_name_and_number(void **state)
{
	static struct table t;
	struct msg_upstream m = sample(7, "conn_a", "openai");
	struct upstream *u;

	(void)state;
	assert_int_equal(table_add(&t, &m, &u), 0);
	assert_ptr_equal(table_find(&t, rk_str("conn_a")), u);
	assert_ptr_equal(table_find(&t, rk_str("openai")), u);
	assert_ptr_equal(table_by_id(&t, 7), u);
	assert_null(table_find(&t, rk_str("opena")));
	assert_null(table_find(&t, rk_str("")));
	assert_null(table_by_id(&t, 8));
	assert_int_equal(table_add(&t, &m, &u), RK_E_EXISTS);
	table_remove(&t, u);
	assert_null(table_any(&t));
}

static void test_a_replaced_entry_is_found_by_number_only(void **state)
{
	static struct table t;
	struct msg_upstream m = sample(1, "conn_a", "openai");
	struct upstream *old, *new;

	(void)state;
	assert_int_equal(table_add(&t, &m, &old), 0);
	table_unname(&t, old);
	m.upstream_id = 1 + TABLE_BUCKETS; /* the same bucket */
	assert_int_equal(table_add(&t, &m, &new), 0);
	assert_ptr_equal(table_find(&t, rk_str("openai")), new);
	assert_ptr_equal(table_by_id(&t, 1), old);
	upstream_ref(old);
	table_remove(&t, old);
	assert_null(table_by_id(&t, 1));
	assert_true(rk_slice_is(old->name, "openai")); /* still held */
	upstream_unref(old);
	table_remove(&t, new);
}

static void test_host_is_written_as_the_upstream_expects_it(void **state)
{
	static struct table t;
	static const struct {
		const char *host;
		uint16_t port;
		const char *authority;
	} cases[] = {
	    {"api.example", 443, "api.example"},
	    {"api.example", 8443, "api.example:8443"},
	    {"2001:db8::1", 443, "[2001:db8::1]"},
	    {"2001:db8::1", 444, "[2001:db8::1]:444"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct msg_upstream m = sample(1, "conn_a", "a");
		struct upstream *u;

		m.host = rk_str(cases[i].host);
		m.port = cases[i].port;
		assert_int_equal(table_add(&t, &m, &u), 0);
		assert_string_equal(u->authority, cases[i].authority);
		table_remove(&t, u);
	}
}

static void test_entries_that_would_break_a_head_are_not_taken(void **state)
{
	static struct table t;
	struct msg_upstream m = sample(1, "conn_a", "a");
	struct upstream *u;

	(void)state;
	m.host = rk_str("a\r\nX: y");
	assert_int_equal(table_add(&t, &m, &u), RK_E_PROTOCOL);
	m = sample(1, "conn_a", "a");
	m.base_path = rk_str("/v1 HTTP/1.1\r\n");
	assert_int_equal(table_add(&t, &m, &u), RK_E_PROTOCOL);
	m = sample(1, "conn_a", "a");
	m.port = 0;
	assert_int_equal(table_add(&t, &m, &u), RK_E_PROTOCOL);
}

static void test_a_private_bundle_that_is_none_is_marked(void **state)
{
	static struct table t;
	struct msg_upstream m = sample(1, "conn_a", "a");
	struct upstream *u;

	(void)state;
	m.ca_pem = rk_str("not a certificate");
	assert_int_equal(table_add(&t, &m, &u), 0);
	assert_true(u->broken_ca);
	assert_null(u->ctx);
	table_remove(&t, u);
}

static void test_a_broken_client_certificate_or_proxy_is_marked(void **state)
{
	static struct table t;
	struct msg_upstream m = sample(1, "conn_a", "a");
	static struct identity id;
	struct upstream *u;

	(void)state;
	identity_make(&id, "broker", 1);
	m.client_chain = rk_str("not a certificate");
	assert_int_equal(table_add(&t, &m, &u), 0);
	assert_true(u->broken_egress);
	table_remove(&t, u);
	m.client_chain = rk_str(id.certificate);
	m.egress = rk_str("proxy:3128");
	assert_int_equal(table_add(&t, &m, &u), 0);
	assert_true(u->broken_egress);
	table_remove(&t, u);
	m.egress = rk_str("http://proxy:3128");
	assert_int_equal(table_add(&t, &m, &u), 0);
	assert_false(u->broken_egress);
	assert_non_null(u->identity);
	assert_int_equal(u->egress.port, 3128);
	assert_true(upstream_dials_secretly(u));
	table_remove(&t, u);
}

static void test_an_upstream_s_own_word_on_proxies_is_before_the_configured_one(void **state)
{
	static struct relay r;
	struct upstream u = {.refs = 1};

	(void)state;
	assert_null(upstream_proxy(&r, &u));
	r.egress = (struct egress){.kind = EGRESS_PROXY, .port = 1};
	assert_int_equal(upstream_proxy(&r, &u)->port, 1);
	u.egress = (struct egress){.kind = EGRESS_PROXY, .port = 2};
	assert_int_equal(upstream_proxy(&r, &u)->port, 2);
	u.egress.kind = EGRESS_DIRECT;
	assert_null(upstream_proxy(&r, &u));
}

static void test_only_public_addresses_are_dialled_unless_allowed(void **state)
{
	static const struct {
		const char *ip;
		bool by_default, when_allowed;
	} cases[] = {
	    {"93.184.216.34", true, true},    {"2606:4700::1", true, true},
	    {"127.0.0.1", false, true},       {"::1", false, true},
	    {"10.1.2.3", false, true},        {"fd12::1", false, true},
	    {"::ffff:10.0.0.1", false, true}, {"169.254.169.254", false, false},
	    {"fe80::1", false, false},        {"fd00:ec2::254", false, false},
	    {"0.0.0.0", false, false},        {"224.0.0.1", false, false},
	    {"64:ff9b::a00:1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rk_ip ip;

		assert_int_equal(rk_ip_parse(rk_str(cases[i].ip), &ip), 0);
		assert_int_equal(resolve_address_allowed(&ip, 0), cases[i].by_default);
		assert_int_equal(resolve_address_allowed(&ip, UPSTREAM_ALLOW_PRIVATE) != 0,
		                 cases[i].when_allowed);
	}
}

/* ---- refusals ---- */

static void test_every_refusal_is_whole_http_and_json(void **state)
{
	(void)state;
	for (unsigned reason = REASON_OK + 1; reason < REASON_COUNT; reason++) {
		const struct reason_info *info = reason_info(reason);
		const struct refusal r = {
		    .reason = reason, .detail = "bad_header_name", .request_id = "req_1"};
		static struct h1_head h;
		char out[2048];
		ssize_t n = refusal_write(&r, out, sizeof out);
		json_t *body, *error;
		int used;

		assert_true(n > 0);
		used = h1_parse_response(rk_slice(out, (size_t)n), H1_MAX_HEAD, false, &h);
		assert_true(used > 0);
		assert_int_equal(h.status, info->status);
		assert_int_equal(h.content_length, n - used);
		body = json_loadb(out + used, (size_t)(n - used), 0, NULL);
		assert_non_null(body);
		assert_string_equal(json_string_value(json_object_get(body, "type")), "error");
		error = json_object_get(body, "error");
		assert_string_equal(json_string_value(json_object_get(error, "type")),
		                    info->type);
		assert_string_equal(json_string_value(json_object_get(error, "code")),
		                    info->code);
		assert_non_null(json_string_value(json_object_get(error, "message")));
		assert_true(json_is_null(json_object_get(error, "param")));
		assert_string_equal(json_string_value(json_object_get(error, "request_id")),
		                    "req_1");
		assert_non_null(json_string_value(json_object_get(error, "help_url")));
		json_decref(body);
		out[used] = '\0';
		assert_int_equal(strstr(out, "x-should-retry: false") != NULL, info->lasting);
		assert_int_equal(strstr(out, "Retry-After: ") != NULL,
		                 info->retry_after_s != 0);
		assert_int_equal(strstr(out, "WWW-Authenticate: ") != NULL,
		                 info->status == 401);
	}
}

static const struct rate_report some_limits = {.minute_limit = 60,
                                               .minute_reset_s = 41,
                                               .concurrent_limit = 4,
                                               .concurrent_left = 3,
                                               .retry_after_s = 41};

static void test_a_429_says_when_to_come_back_and_what_the_limits_are(void **state)
{
	const struct refusal r = {
	    .reason = REASON_RATE_LIMITED, .request_id = "req_1", .limits = &some_limits};
	char out[2048];
	ssize_t n = refusal_write(&r, out, sizeof out);

	(void)state;
	assert_true(n > 0);
	out[n] = '\0';
	assert_memory_equal(out, "HTTP/1.1 429 Too Many Requests\r\n", 32);
	assert_non_null(strstr(out, "\r\nRetry-After: 41\r\n"));
	assert_non_null(strstr(out, "\r\nRateLimit-Policy: \"relaykey-minute\";q=60;w=60, "
	                            "\"relaykey-concurrent\";q=4;qu=\"concurrent-requests\"\r\n"
	                            "RateLimit: \"relaykey-minute\";r=0;t=41, "
	                            "\"relaykey-concurrent\";r=3\r\n"));
	assert_non_null(strstr(out, "\r\nx-relaykey-block-reason: rate_limited\r\n"));
	assert_non_null(strstr(out, "\r\nx-relaykey-decision: limited\r\n"));
	assert_null(strstr(out, "x-should-retry"));
}

static void test_other_refusals_keep_their_own_time_and_a_401_tells_nothing(void **state)
{
	struct refusal r = {
	    .reason = REASON_SEALED, .request_id = "req_1", .limits = &some_limits};
	char out[2048];
	ssize_t n = refusal_write(&r, out, sizeof out);

	(void)state;
	assert_true(n > 0);
	out[n] = '\0';
	assert_non_null(strstr(out, "\r\nRetry-After: 5\r\n"));
	assert_non_null(strstr(out, "\r\nRateLimit: "));
	r.reason = REASON_INVALID_KEY;
	n = refusal_write(&r, out, sizeof out);
	assert_true(n > 0);
	out[n] = '\0';
	assert_null(strstr(out, "RateLimit"));
}

static void test_the_largest_limits_there_are_fit(void **state)
{
	struct rate_report most;
	struct refusal r = {.reason = REASON_CONCURRENCY_LIMITED,
	                    .detail = "a_detail_as_long_as_any_of_the_broker",
	                    .request_id = "req_0123456789abcdef0123456789abcdef",
	                    .limits = &most,
	                    .close = true};
	char text[LIMITS_TEXT], out[2048];

	(void)state;
	memset(&most, 0xff, sizeof most);
	limits_text(&most, text);
	assert_in_range(strlen(text), 200, LIMITS_TEXT - 1);
	assert_memory_equal(text + strlen(text) - 4, "95\r\n", 4);
	assert_true(refusal_write(&r, out, sizeof out) > 0);
}

static void test_a_refused_head_request_has_no_body(void **state)
{
	const struct refusal r = {
	    .reason = REASON_INVALID_KEY, .request_id = "req_1", .head = true, .close = true};
	char out[2048];
	ssize_t n = refusal_write(&r, out, sizeof out);

	(void)state;
	assert_true(n > 4);
	assert_memory_equal(out + n - 4, "\r\n\r\n", 4);
	out[n] = '\0';
	assert_non_null(strstr(out, "Connection: close\r\n"));
}

static void test_health_is_200_only_when_all_is_well(void **state)
{
	const struct refusal r = {0};
	char out[512];
	ssize_t n = refusal_write_health("ok", &r, out, sizeof out);

	(void)state;
	assert_true(n > 0);
	assert_memory_equal(out, "HTTP/1.1 200 OK\r\n", 17);
	n = refusal_write_health("sealed", &r, out, sizeof out);
	assert_true(n > 0);
	assert_memory_equal(out, "HTTP/1.1 503 ", 13);
	out[n] = '\0';
	assert_non_null(strstr(out, "{\"status\":\"sealed\"}"));
}

/* ---- deadlines ---- */

static int expired_order[8];
static int expired_count;
static struct loop *deadline_loop;

static void note_expired(void *arg)
{
	expired_order[expired_count++] = (int)(intptr_t)arg;
	if (expired_count == 2)
		loop_stop(deadline_loop);
}

static void test_deadlines_fire_in_their_order_and_cleared_ones_never(void **state)
{
	const uint32_t ms[DEADLINE_KINDS] = {[DEADLINE_HEAD] = 150, [DEADLINE_IDLE] = 10};
	struct deadline d[4];
	struct deadlines all;

	(void)state;
	assert_int_equal(loop_new(&deadline_loop), 0);
	assert_int_equal(deadlines_init(&all, deadline_loop, ms), 0);
	for (intptr_t i = 0; i < 4; i++)
		d[i] = (struct deadline){.expired = note_expired, .arg = (void *)i};
	deadline_set(&all, &d[0], DEADLINE_HEAD);
	deadline_set(&all, &d[1], DEADLINE_IDLE);
	deadline_set(&all, &d[2], DEADLINE_HEAD);
	deadline_set(&all, &d[3], DEADLINE_IDLE);
	deadline_clear(&all, &d[2]);
	deadline_clear(&all, &d[2]);
	deadline_clear(&all, &d[3]);
	loop_run(deadline_loop);
	assert_int_equal(expired_count, 2);
	assert_int_equal(expired_order[0], 1);
	assert_int_equal(expired_order[1], 0);
	assert_int_equal(all.count, 0);
	deadlines_free(&all);
	loop_free(deadline_loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_entry_is_found_by_id_name_and_number),
	    cmocka_unit_test(test_a_replaced_entry_is_found_by_number_only),
	    cmocka_unit_test(test_host_is_written_as_the_upstream_expects_it),
	    cmocka_unit_test(test_entries_that_would_break_a_head_are_not_taken),
	    cmocka_unit_test(test_a_private_bundle_that_is_none_is_marked),
	    cmocka_unit_test(test_a_broken_client_certificate_or_proxy_is_marked),
	    cmocka_unit_test(
	        test_an_upstream_s_own_word_on_proxies_is_before_the_configured_one),
	    cmocka_unit_test(test_only_public_addresses_are_dialled_unless_allowed),
	    cmocka_unit_test(test_every_refusal_is_whole_http_and_json),
	    cmocka_unit_test(test_a_429_says_when_to_come_back_and_what_the_limits_are),
	    cmocka_unit_test(test_other_refusals_keep_their_own_time_and_a_401_tells_nothing),
	    cmocka_unit_test(test_the_largest_limits_there_are_fit),
	    cmocka_unit_test(test_a_refused_head_request_has_no_body),
	    cmocka_unit_test(test_health_is_200_only_when_all_is_well),
	    cmocka_unit_test(test_deadlines_fire_in_their_order_and_cleared_ones_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
