/* What the holder of a relay key is told that it may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "policy/provider.h"
#include "relay/discover.h"
#include "tests/lib/full_record.h"

static struct full_record room;

struct told {
	struct msg_discovered m;
	char reaches[4096], methods[64], paths[512], deny[64];
	size_t used;
};

static struct rk_slice list_of(char *mem, size_t cap, const char *const *items)
{
	size_t used = 0;

	for (; *items; items++)
		assert_int_equal(record_list_add(mem, cap, &used, rk_str(*items)), 0);
	return rk_slice(mem, used);
}

static void add_reach(struct told *t, const char *name, const char *provider,
                      const char *base_path, const char *const *paths)
{
	static const char *const methods[] = {"GET", NULL}, *const deny[] = {"a\"b\\c", NULL};
	char one[2048];
	struct msg_reach r = {
	    .conn_id = rk_str("conn_a"),
	    .name = rk_str(name),
	    .provider = rk_str(provider),
	    .base_path = rk_str(base_path),
	    .enabled = 1,
	    .methods = list_of(t->methods, sizeof t->methods, methods),
	    .paths = list_of(t->paths, sizeof t->paths, paths),
	    .deny_query = list_of(t->deny, sizeof t->deny, deny),
	};
	ssize_t n = record_encode(&msg_reach_desc, &r, one, sizeof one);

	assert_true(n > 0);
	assert_int_equal(
	    record_list_add(t->reaches, sizeof t->reaches, &t->used, rk_slice(one, (size_t)n)),
	    0);
	t->m.reaches = rk_slice(t->reaches, t->used);
}

static json_t *render(const struct msg_discovered *m)
{
	struct rk_buf out;
	json_error_t why;
	json_t *doc;

	assert_int_equal(discover_render(m, rk_str("[::1]:8443"), &out), 0);
	doc = json_loadb(rk_buf_data(&out), out.len, JSON_REJECT_DUPLICATES, &why);
	if (!doc)
		fail_msg("%s: %.*s", why.text, RK_FMT(rk_buf_slice(&out)));
	rk_buf_free(&out);
	return doc;
}

static const char *text(const json_t *doc, const char *name)
{
	return json_string_value(json_object_get(doc, name));
}

static void what_is_not_set_is_null_and_what_is_odd_is_escaped(void **state)
{
	static const char *const paths[] = {"/v1/x", NULL};
	struct told t = {.m = {.key_id = rk_str("key_x"), .holder = rk_str("h")}};
	json_t *doc, *conn;

	(void)state;
	add_reach(&t, "openai", "", "/v1", paths);
	doc = render(&t.m);
	conn = json_array_get(json_object_get(doc, "connections"), 0);
	assert_true(json_is_null(json_object_get(json_object_get(doc, "key"), "expires_at")));
	assert_true(json_is_null(json_object_get(
	    json_object_get(json_object_get(doc, "key"), "limits"), "per_day")));
	assert_string_equal(text(conn, "base_url"), "https://[::1]:8443/openai");
	assert_true(json_is_null(json_object_get(conn, "provider")));
	assert_true(json_is_null(json_object_get(conn, "sdk")));
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(conn, "deny_query_params"), 0)),
	    "a\"b\\c");
	json_decref(doc);
}

static void each_provider_s_variables_are_named_where_the_base_path_is_theirs(void **state)
{
	static const char *const paths[] = {"/**", NULL};
	const json_t *sdk;
	json_t *doc;

	(void)state;
	for (size_t i = 0; provider_at(i); i++) {
		const struct provider *p = provider_at(i);
		const char *base = provider_base_path(p);
		struct told t = {.m = {.key_id = rk_str("key_x")}};

		add_reach(&t, "c", p->id, base ? base : "/any", paths);
		add_reach(&t, "d", p->id, "/elsewhere", paths);
		doc = render(&t.m);
		sdk = json_object_get(json_array_get(json_object_get(doc, "connections"), 0),
		                      "sdk");
		assert_string_equal(text(sdk, "key_variable"), p->key_var);
		assert_int_equal(json_is_string(json_object_get(sdk, "base_url_variable")),
		                 p->sdk_reads_base);
		sdk = json_object_get(json_array_get(json_object_get(doc, "connections"), 1),
		                      "sdk");
		if (base)
			assert_true(json_is_null(json_object_get(sdk, "base_url_variable")));
		json_decref(doc);
	}
}

static void a_path_is_written_behind_the_name_where_that_says_the_same(void **state)
{
	static const struct {
		const char *glob, *base, *behind; /* NULL: cannot be */
	} cases[] = {
	    {"/v1/files/*", "/v1", "/files/*"},
	    {"/v1", "/v1", ""},
	    {"/v1/**", "/v1", "/**"},
	    {"/v10/x", "/v1", NULL},
	    {"/**", "/v1", "/**"},
	    {"/*", "/v1", "/*"},
	    {"/*/files", "/v1", NULL},
	    {"/v*/x", "/v1", NULL},
	    {"/other", "/v1", NULL},
	    {"/v1/x", "", "/v1/x"},
	    {"/**/x", "/v1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rk_slice behind;
		bool can =
		    discover_proxy_path(rk_str(cases[i].glob), rk_str(cases[i].base), &behind);

		if (can != (cases[i].behind != NULL) ||
		    (can && !rk_slice_is(behind, cases[i].behind)))
			fail_msg("%s below %s", cases[i].glob, cases[i].base);
	}
}

static void the_largest_answer_of_a_keeper_is_rendered_or_refused_but_not_cut(void **state)
{
	struct msg_discovered m;
	struct rk_buf out;

	(void)state;
	/* its list of connections is none: random bytes */
	full_record(ipc_row(MSG_DISCOVERED)->body, &m, &room);
	assert_int_equal(discover_render(&m, rk_str("h"), &out), RK_E_PROTOCOL);
	assert_int_equal(out.len, 0);
	m.reaches.n = 0;
	json_decref(render(&m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_set_is_null_and_what_is_odd_is_escaped),
	    cmocka_unit_test(each_provider_s_variables_are_named_where_the_base_path_is_theirs),
	    cmocka_unit_test(a_path_is_written_behind_the_name_where_that_says_the_same),
	    cmocka_unit_test(the_largest_answer_of_a_keeper_is_rendered_or_refused_but_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
