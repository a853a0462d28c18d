#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/record.h"
#include "policy/auth_style.h"

/* A style from up to three texts; NULL ends them. */
static int parse(struct auth_style *out, const char *a, const char *b, const char *c)
{
	const char *texts[] = {a, b, c};
	char list[1024];
	size_t used = 0;

	for (size_t i = 0; i < 3 && texts[i]; i++)
		assert_int_equal(record_list_add(list, sizeof list, &used, rk_str(texts[i])),
		                 0);
	return auth_style_parse(rk_slice(list, used), out, NULL);
}

static void must_parse(struct auth_style *out, const char *a)
{
	if (parse(out, a, NULL, NULL))
		fail_msg("%s was refused", a);
}

static void must_refuse(const char *a)
{
	struct auth_style style = {.count = 77};

	if (parse(&style, a, NULL, NULL) == 0)
		fail_msg("%s was accepted", a);
	assert_int_equal(style.count, 77);
}

static void keep(struct rk_secret *s, const char *text)
{
	assert_int_equal(rk_secret_alloc(s, strlen(text) + 1), 0);
	assert_int_equal(rk_secret_add(s, text, strlen(text)), 0);
}

static void assert_renders(const struct auth_style *a, const char *secret, const char *headers,
                           const char *query)
{
	RK_SECRET_AUTO s = {0}, h = {0}, q = {0};

	keep(&s, secret);
	assert_int_equal(auth_style_check_secret(a, &s, NULL), 0);
	assert_int_equal(auth_style_render(a, &s, &h, &q), 0);
	assert_true(rk_slice_is(rk_secret_slice(&h), headers));
	assert_true(rk_slice_is(rk_secret_slice(&q), query));
	if (h.p)
		assert_true(secret_arena_holds(h.p));
}

static int check(const char *style, const char *secret)
{
	RK_SECRET_AUTO s = {0}, h = {0}, q = {0};
	struct auth_style a;
	int err;

	must_parse(&a, style);
	keep(&s, secret);
	err = auth_style_check_secret(&a, &s, NULL);
	/* what the check refuses is never rendered either */
	assert_int_equal(auth_style_render(&a, &s, &h, &q), err);
	return err;
}

static void test_no_style_is_bearer(void **state)
{
	struct auth_style a;

	(void)state;
	assert_int_equal(parse(&a, NULL, NULL, NULL), 0);
	assert_renders(&a, "sk_live_1", "Authorization: Bearer sk_live_1\r\n", "");
	assert_true(rk_slice_is(auth_style_header(&a, 0), "Authorization"));
}

static void test_basic_encodes_the_pair(void **state)
{
	struct auth_style a;

	(void)state;
	must_parse(&a, "basic");
	assert_renders(&a, "Aladdin:open sesame",
	               "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", "");
	must_parse(&a, "basic:Aladdin");
	assert_renders(&a, "open sesame",
	               "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", "");
}

static void test_a_header_carries_prefix_and_secret(void **state)
{
	struct auth_style a;

	(void)state;
	must_parse(&a, "header:X-API-Key");
	assert_renders(&a, "abc", "X-API-Key: abc\r\n", "");
	must_parse(&a, "header:Authorization:Token token=");
	assert_renders(&a, "abc", "Authorization: Token token=abc\r\n", "");
	must_parse(&a, "header:X-A:b:c");
	assert_renders(&a, "d", "X-A: b:cd\r\n", "");
	assert_true(rk_slice_is(auth_style_header(&a, 0), "X-A"));
	assert_false(auth_style_is_query(&a));
}

static void test_several_headers_carry_the_same_secret(void **state)
{
	struct auth_style a;

	(void)state;
	assert_int_equal(parse(&a, "header:X-One", "header:X-Two:v=", NULL), 0);
	assert_renders(&a, "s", "X-One: s\r\nX-Two: v=s\r\n", "");
	assert_true(rk_slice_is(auth_style_header(&a, 1), "X-Two"));
	assert_int_equal(auth_style_header(&a, 2).n, 0);
	assert_int_not_equal(parse(&a, "header:X-One", "header:x_one", NULL), 0);
	assert_int_not_equal(parse(&a, "header:X-One", "bearer", NULL), 0);
	assert_int_not_equal(parse(&a, "query:a", "query:b", NULL), 0);
}

static void test_the_fifth_header_is_refused(void **state)
{
	char list[256];
	size_t used = 0;
	struct auth_style a;
	char text[] = "header:X-0";

	(void)state;
	for (int i = 0; i < AUTH_MAX_PARTS; i++) {
		text[sizeof text - 2] = (char)('0' + i);
		assert_int_equal(record_list_add(list, sizeof list, &used, rk_str(text)), 0);
	}
	assert_int_equal(auth_style_parse(rk_slice(list, used), &a, NULL), 0);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str("header:Y")), 0);
	assert_int_equal(auth_style_parse(rk_slice(list, used), &a, NULL), RK_E_TOOBIG);
}

static void test_query_escapes_all_but_unreserved_characters(void **state)
{
	struct auth_style a;

	(void)state;
	must_parse(&a, "query:api_key");
	assert_renders(&a, "aZ09-._~", "", "api_key=aZ09-._~");
	assert_renders(&a, "a b&c=d%e+f/g\xc3\xa4", "",
	               "api_key=a%20b%26c%3Dd%25e%2Bf%2Fg%C3%A4");
	assert_true(auth_style_is_query(&a));
	assert_int_equal(auth_style_header(&a, 0).n, 0);
}

static void test_malformed_styles_are_refused(void **state)
{
	(void)state;
	must_refuse("");
	must_refuse("Bearer");
	must_refuse("bearer:x");
	must_refuse("basic:");
	must_refuse("basic:a:b");
	must_refuse("basic:a\nb");
	must_refuse("header");
	must_refuse("header:");
	must_refuse("header:X Y");
	must_refuse("header:X\r\nY: z");
	must_refuse("header:X:a\r\nY: z");
	must_refuse("header:X: leading");
	must_refuse("query");
	must_refuse("query:");
	must_refuse("query:a=b");
	must_refuse("query:a&b");
	must_refuse("digest");
}

static void test_headers_of_the_proxy_itself_carry_no_secret(void **state)
{
	struct auth_style a;

	(void)state;
	must_refuse("header:Host");
	must_refuse("header:connection");
	must_refuse("header:Content-Length");
	must_refuse("header:Transfer_Encoding");
	must_refuse("header:Proxy-Authorization");
	must_refuse("header:X-Forwarded-For");
	must_refuse("header:X-HTTP-Method-Override");
	must_refuse("header:X-RelayKey");
	must_parse(&a, "header:X-Api-Key");
	must_parse(&a, "header:X-Vault-Token");
	must_parse(&a, "header:Cookie:session=");
}

static void test_a_secret_that_would_break_the_head_is_refused_when_pasted(void **state)
{
	(void)state;
	assert_int_equal(check("bearer", "abc"), 0);
	assert_int_equal(check("bearer", "abc\r\nX: y"), RK_E_INVALID);
	assert_int_equal(check("bearer", "abc\n"), RK_E_INVALID);
	assert_int_equal(check("bearer", "abc def"), RK_E_INVALID);
	assert_int_equal(check("bearer", "abc\x7f"), RK_E_INVALID);
	assert_int_equal(check("bearer", "\xc3\xa4"), RK_E_INVALID);
	assert_int_equal(check("bearer", ""), RK_E_INVALID);
	assert_int_equal(check("header:X", "two words"), 0);
	assert_int_equal(check("header:X", " padded"), RK_E_INVALID);
	assert_int_equal(check("header:X", "padded "), RK_E_INVALID);
	assert_int_equal(check("header:X", "a\tb"), RK_E_INVALID);
	assert_int_equal(check("query:q", "a\nb"), RK_E_INVALID);
	assert_int_equal(check("query:q", " a "), 0);
	assert_int_equal(check("basic:u", "p\xc3\xa4ss"), 0);
	assert_int_equal(check("basic:u", "p\nss"), RK_E_INVALID);
	assert_int_equal(check("basic", "user:pass"), 0);
	assert_int_equal(check("basic", "pass"), RK_E_INVALID);
}

static void test_a_nul_in_a_secret_is_refused(void **state)
{
	RK_SECRET_AUTO s = {0};
	struct auth_style a;

	(void)state;
	must_parse(&a, "query:q");
	assert_int_equal(rk_secret_alloc(&s, 8), 0);
	assert_int_equal(rk_secret_add(&s, "a\0b", 3), 0);
	assert_int_equal(auth_style_check_secret(&a, &s, NULL), RK_E_INVALID);
}

static void test_a_secret_too_long_for_its_style_is_refused_when_pasted(void **state)
{
	RK_SECRET_AUTO s = {0}, h = {0}, q = {0};
	struct auth_style a;

	(void)state;
	assert_int_equal(rk_secret_alloc(&s, 16384), 0);
	memset(s.p, '+', 16384);
	s.len = 16384;
	must_parse(&a, "bearer");
	assert_int_equal(auth_style_render(&a, &s, &h, &q), 0);
	rk_secret_free(&h);
	must_parse(&a, "query:q"); /* three bytes for each */
	assert_int_equal(auth_style_check_secret(&a, &s, NULL), RK_E_TOOBIG);
	assert_int_equal(auth_style_render(&a, &s, &h, &q), RK_E_TOOBIG);
	assert_null(q.p);
}

static void test_the_hint_shows_the_ends_of_long_secrets_only(void **state)
{
	RK_SECRET_AUTO s = {0};
	char hint[65];

	(void)state;
	keep(&s, "sk_live_0123456789ab5f81");
	auth_secret_hint(&s, hint, sizeof hint);
	assert_string_equal(hint, "sk_\u2022\u2022\u2022\u20225f81");
	rk_secret_free(&s);
	keep(&s, "0123456789012345678"); /* 19 */
	auth_secret_hint(&s, hint, sizeof hint);
	assert_string_equal(hint, "\u2022\u2022\u2022\u2022");
	rk_secret_free(&s);
	keep(&s, "\xc3\xa4zzzzzzzzzzzzzzzzzzzz1234");
	auth_secret_hint(&s, hint, sizeof hint);
	assert_string_equal(hint, "\u2022\u2022\u2022\u20221234");
	auth_secret_hint(&s, hint, 8);
	assert_string_equal(hint, "");
}

static void expect_forms(const char *style, const char *secret, const char *a, const char *b)
{
	RK_SECRET_AUTO s = {0}, h = {0}, q = {0};
	struct rk_slice out[AUTH_MAX_FORMS];
	struct auth_style style_of;
	unsigned n;

	must_parse(&style_of, style);
	keep(&s, secret);
	assert_int_equal(auth_style_render(&style_of, &s, &h, &q), 0);
	n = auth_style_forms(&style_of, &s, auth_style_is_query(&style_of) ? &q : &h, out);
	assert_int_equal(n, b ? 2 : 1);
	assert_true(rk_slice_is(out[0], a));
	if (b)
		assert_true(rk_slice_is(out[1], b));
}

static void test_what_may_come_back_is_the_secret_and_its_encoded_form(void **state)
{
	(void)state;
	expect_forms("bearer", "sk_live_1", "sk_live_1", NULL);
	expect_forms("header:X-Auth:Token ", "abc", "abc", NULL);
	expect_forms("basic:svc", "open sesame", "open sesame", "c3ZjOm9wZW4gc2VzYW1l");
	expect_forms("basic:Aladdin", "open sesame", "open sesame",
	             "QWxhZGRpbjpvcGVuIHNlc2FtZQ");
	expect_forms("query:key", "abc-1", "abc-1", NULL);
	expect_forms("query:key", "a/b+c", "a/b+c", "a%2Fb%2Bc");
}

static void test_of_a_pair_the_password_is_the_secret_or_a_key_in_its_place(void **state)
{
	(void)state;
	expect_forms("basic", "Aladdin:open sesame", "open sesame",
	             "QWxhZGRpbjpvcGVuIHNlc2FtZQ");
	expect_forms("basic", "svc:a:password", "a:password", "c3ZjOmE6cGFzc3dvcmQ");
	expect_forms("basic", "sk_live_0123456789ab:", "sk_live_0123456789ab",
	             "c2tfbGl2ZV8wMTIzNDU2Nzg5YWI6");
	expect_forms("basic", "sk_live_0123456789ab:X", "sk_live_0123456789ab",
	             "c2tfbGl2ZV8wMTIzNDU2Nzg5YWI6WA");
	expect_forms("basic", "admin:pass", "admin:pass", "YWRtaW46cGFzcw");
}

static void test_nothing_stays_in_the_arena(void **state)
{
	(void)state;
	assert_int_equal(secret_arena_in_use(), 0);
}

static int make_arena(void **state)
{
	(void)state;
	return secret_arena_init(1 << 20, SECRET_BACKING_BEST, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_style_is_bearer),
	    cmocka_unit_test(test_basic_encodes_the_pair),
	    cmocka_unit_test(test_a_header_carries_prefix_and_secret),
	    cmocka_unit_test(test_several_headers_carry_the_same_secret),
	    cmocka_unit_test(test_the_fifth_header_is_refused),
	    cmocka_unit_test(test_query_escapes_all_but_unreserved_characters),
	    cmocka_unit_test(test_malformed_styles_are_refused),
	    cmocka_unit_test(test_headers_of_the_proxy_itself_carry_no_secret),
	    cmocka_unit_test(test_a_secret_that_would_break_the_head_is_refused_when_pasted),
	    cmocka_unit_test(test_a_nul_in_a_secret_is_refused),
	    cmocka_unit_test(test_a_secret_too_long_for_its_style_is_refused_when_pasted),
	    cmocka_unit_test(test_what_may_come_back_is_the_secret_and_its_encoded_form),
	    cmocka_unit_test(test_of_a_pair_the_password_is_the_secret_or_a_key_in_its_place),
	    cmocka_unit_test(test_the_hint_shows_the_ends_of_long_secrets_only),
	    cmocka_unit_test(test_nothing_stays_in_the_arena),
	};

	return cmocka_run_group_tests(tests, make_arena, NULL);
}
