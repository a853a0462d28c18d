#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/target.h"

#define S(text) ((struct rk_slice){(text), sizeof(text) - 1})

static int check_flags(struct rk_slice path, unsigned flags)
{
	char *copy = malloc(path.n ? path.n : 1);
	int err;

	assert_non_null(copy);
	if (path.n)
		memcpy(copy, path.p, path.n);
	err = target_check_path(rk_slice(copy, path.n), flags);
	free(copy);
	return err;
}

/* In the middle, at the end, and as the last thing before another segment. */
static void refuse_segment(const char *segment, int err)
{
	char path[256];
	static const char *const frames[][2] = {
	    {"/", ""}, {"/a/", ""}, {"/a/", "/b"}, {"/", "/"}};

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		size_t n = 0;

		for (const char *p = frames[i][0]; *p; p++)
			path[n++] = *p;
		for (const char *p = segment; *p; p++)
			path[n++] = *p;
		for (const char *p = frames[i][1]; *p; p++)
			path[n++] = *p;
		if (check_flags(rk_slice(path, n), 0) != err)
			fail_msg("%.*s gives %d", (int)n, path,
			         check_flags(rk_slice(path, n), 0));
	}
}

static void accept_segment(const char *segment)
{
	refuse_segment(segment, 0);
}

static void test_plain_paths_are_taken(void **state)
{
	static const struct rk_slice good[] = {
	    S("/"),
	    S("/a"),
	    S("/a/"),
	    S("/conn_openai/v1/chat/completions"),
	    S("/v1/models/gpt-4o:generate"),
	    S("/a;v=1/b"),
	    S("/a,b;c=1,2/$x+y@z!'()*~_-"),
	    S("/users(1)/items[2]"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(check_flags(good[i], 0), 0);
}

static void test_a_path_starts_with_a_slash(void **state)
{
	(void)state;
	assert_int_equal(check_flags(S(""), 0), TARGET_E_FORM);
	assert_int_equal(target_check_path(rk_slice(NULL, 0), 0), TARGET_E_FORM);
	assert_int_equal(check_flags(S("a"), 0), TARGET_E_FORM);
	assert_int_equal(check_flags(S("*"), 0), TARGET_E_FORM);
	assert_int_equal(check_flags(S("http://a/"), 0), TARGET_E_FORM);
}

static void test_every_byte_is_legal_or_refused_by_the_list(void **state)
{
	static const char bad[] = " \"#<>?\\^`{|}";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char path[] = {'/', 'a', (char)c, 'b'};
		int got = check_flags(rk_slice(path, sizeof(path)), 0);

		if (c == '%')
			assert_int_equal(got, TARGET_E_ESCAPE);
		else if (c <= 0x20 || c >= 0x7f || strchr(bad, c))
			assert_int_equal(got, TARGET_E_BYTE);
		else
			assert_int_equal(got, 0);
	}
}

static void test_malformed_escapes_are_refused(void **state)
{
	(void)state;
	refuse_segment("a%zz", TARGET_E_ESCAPE);
	refuse_segment("%4g", TARGET_E_ESCAPE);
	refuse_segment("%-1", TARGET_E_ESCAPE);
	assert_int_equal(check_flags(S("/a%"), 0), TARGET_E_ESCAPE);
	assert_int_equal(check_flags(S("/a%2"), 0), TARGET_E_ESCAPE);
	assert_int_equal(check_flags(S("/%u0041"), 0), TARGET_E_ESCAPE);
	accept_segment("a%20b");
}

static void test_every_ascii_escape_is_legal_or_ambiguous(void **state)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

	(void)state;
	for (int b = 0; b < 0x80; b++) {
		char small[] = {'x', '%', lower[b >> 4], lower[b & 15], 'x', '\0'};
		char large[] = {'x', '%', upper[b >> 4], upper[b & 15], 'x', '\0'};
		bool bad =
		    b < 0x20 || b == 0x7f || b == '/' || b == '\\' || b == '.' || b == '%';

		refuse_segment(small, bad ? TARGET_E_AMBIGUOUS : 0);
		refuse_segment(large, bad ? TARGET_E_AMBIGUOUS : 0);
	}
}

static void test_escaped_dots_slashes_and_percent_signs_are_refused(void **state)
{
	(void)state;
	refuse_segment("%2e%2e", TARGET_E_AMBIGUOUS);
	refuse_segment("%2E", TARGET_E_AMBIGUOUS);
	refuse_segment(".%2e", TARGET_E_AMBIGUOUS);
	refuse_segment("a%2fb", TARGET_E_AMBIGUOUS);
	refuse_segment("a%2Fb", TARGET_E_AMBIGUOUS);
	refuse_segment("a%5cb", TARGET_E_AMBIGUOUS);
	refuse_segment("a%5Cb", TARGET_E_AMBIGUOUS);
	refuse_segment("%252e%252e", TARGET_E_AMBIGUOUS);
	refuse_segment("%25", TARGET_E_AMBIGUOUS);
	refuse_segment("a%00b", TARGET_E_AMBIGUOUS);
	refuse_segment("a%0d%0ab", TARGET_E_AMBIGUOUS);
	refuse_segment("a%7f", TARGET_E_AMBIGUOUS);
	accept_segment("a%2Cb%3a%40");
}

static void test_escapes_beyond_ascii_are_utf8(void **state)
{
	(void)state;
	accept_segment("%C3%A9t%c3%a9");
	accept_segment("%E6%97%A5%E6%9C%AC");
	accept_segment("%F0%9F%94%91");
	accept_segment("%F4%8F%BF%BD");
	accept_segment("%EF%BF%BD");
	accept_segment("%ED%9F%BF");
	accept_segment("%C2%A0");
	refuse_segment("%C3", TARGET_E_AMBIGUOUS);
	refuse_segment("%C3a9", TARGET_E_AMBIGUOUS);
	refuse_segment("%C3%41", TARGET_E_AMBIGUOUS);
	refuse_segment("%A9", TARGET_E_AMBIGUOUS);
	refuse_segment("%FF", TARGET_E_AMBIGUOUS);
	refuse_segment("%FE%80", TARGET_E_AMBIGUOUS);
	refuse_segment("%E6%97", TARGET_E_AMBIGUOUS);
	refuse_segment("%C3%zz", TARGET_E_ESCAPE);
	assert_int_equal(check_flags(S("/%C3%a"), 0), TARGET_E_ESCAPE);
}

static void test_overlong_forms_surrogates_and_the_rest_of_broken_utf8_are_refused(void **state)
{
	(void)state;
	refuse_segment("%C0%AE%C0%AE", TARGET_E_AMBIGUOUS);
	refuse_segment("%C0%AF", TARGET_E_AMBIGUOUS);
	refuse_segment("%C1%9C", TARGET_E_AMBIGUOUS);
	refuse_segment("%E0%80%AE", TARGET_E_AMBIGUOUS);
	refuse_segment("%E0%80%AF", TARGET_E_AMBIGUOUS);
	refuse_segment("%E0%9F%BF", TARGET_E_AMBIGUOUS);
	refuse_segment("%F0%80%80%AF", TARGET_E_AMBIGUOUS);
	refuse_segment("%F0%8F%BF%BF", TARGET_E_AMBIGUOUS);
	refuse_segment("%ED%A0%80", TARGET_E_AMBIGUOUS);
	refuse_segment("%ED%BF%BF", TARGET_E_AMBIGUOUS);
	refuse_segment("%F4%90%80%80", TARGET_E_AMBIGUOUS);
	refuse_segment("%F5%80%80%80", TARGET_E_AMBIGUOUS);
	refuse_segment("%C2%85", TARGET_E_AMBIGUOUS);
	accept_segment("%E0%A0%80");
	accept_segment("%F0%90%80%80");
}

static void test_characters_that_fold_to_dots_and_slashes_are_refused(void **state)
{
	(void)state;
	refuse_segment("%EF%BC%8E%EF%BC%8E", TARGET_E_AMBIGUOUS); /* full-width full stops */
	refuse_segment("%EF%BC%8F", TARGET_E_AMBIGUOUS);          /* full-width solidus */
	refuse_segment("%EF%BC%BC", TARGET_E_AMBIGUOUS); /* full-width reverse solidus */
	refuse_segment("%EF%BC%85", TARGET_E_AMBIGUOUS); /* full-width percent sign */
	refuse_segment("%E2%80%A4", TARGET_E_AMBIGUOUS); /* one dot leader */
	refuse_segment("%E2%88%95", TARGET_E_AMBIGUOUS); /* division slash */
	refuse_segment("%E2%84%85", TARGET_E_AMBIGUOUS); /* care of */
	accept_segment("%EF%BC%8D");                     /* full-width hyphen-minus */
}

static void test_dot_segments_are_refused(void **state)
{
	(void)state;
	refuse_segment(".", TARGET_E_DOT_SEGMENT);
	refuse_segment("..", TARGET_E_DOT_SEGMENT);
	refuse_segment("..;x=1", TARGET_E_DOT_SEGMENT);
	refuse_segment(".;", TARGET_E_DOT_SEGMENT);
	refuse_segment("..;", TARGET_E_DOT_SEGMENT);
	refuse_segment("..%3bx=1", TARGET_E_DOT_SEGMENT);
	refuse_segment("..%3B", TARGET_E_DOT_SEGMENT);
	accept_segment("...");
	accept_segment("..a");
	accept_segment("a..");
	accept_segment(".well-known");
	accept_segment("a;..");
	accept_segment("..%3a");
}

static void test_empty_segments_are_refused(void **state)
{
	(void)state;
	assert_int_equal(check_flags(S("//"), 0), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("//a"), 0), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a//b"), 0), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a//"), 0), TARGET_E_EMPTY_SEGMENT);
	/* empty once the parameters are cut off */
	refuse_segment(";", TARGET_E_EMPTY_SEGMENT);
	refuse_segment(";x=1", TARGET_E_EMPTY_SEGMENT);
	refuse_segment("%3Bx", TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a/b/"), 0), 0);
}

static void test_only_the_encoded_slash_can_be_allowed(void **state)
{
	const unsigned flags = TARGET_ALLOW_ENCODED_SLASH;

	(void)state;
	assert_int_equal(check_flags(S("/projects/group%2Fname/files/src%2fmain.c"), flags), 0);
	assert_int_equal(check_flags(S("/projects/group%2Fname"), 0), TARGET_E_AMBIGUOUS);
	assert_int_equal(check_flags(S("/a%2F%2e%2e%2Fb"), flags), TARGET_E_AMBIGUOUS);
	assert_int_equal(check_flags(S("/a%5Cb"), flags), TARGET_E_AMBIGUOUS);
	assert_int_equal(check_flags(S("/a%252Fb"), flags), TARGET_E_AMBIGUOUS);
}

static void test_an_allowed_encoded_slash_still_separates_dots(void **state)
{
	const unsigned flags = TARGET_ALLOW_ENCODED_SLASH;

	(void)state;
	assert_int_equal(check_flags(S("/a%2F..%2Fb"), flags), TARGET_E_DOT_SEGMENT);
	assert_int_equal(check_flags(S("/..%2Fb"), flags), TARGET_E_DOT_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F.."), flags), TARGET_E_DOT_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F..;x/b"), flags), TARGET_E_DOT_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F./b"), flags), TARGET_E_DOT_SEGMENT);
	assert_int_equal(check_flags(S("/%2Fetc"), flags), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F%2Fb"), flags), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F/b"), flags), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(check_flags(S("/a%2F..b%2F.c"), flags), 0);
}

static void test_a_path_has_a_limit(void **state)
{
	static char path[TARGET_MAX_BYTES + 1];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	assert_int_equal(check_flags(rk_slice(path, TARGET_MAX_BYTES), 0), 0);
	assert_int_equal(check_flags(rk_slice(path, sizeof(path)), 0), TARGET_E_TOO_LONG);
}

static struct target t;

static void parse_ok(struct rk_slice raw, const char *conn, const char *rest, const char *query)
{
	memset(&t, 0xff, sizeof(t));
	assert_int_equal(target_parse(raw, 0, &t), 0);
	assert_true(rk_slice_is(t.conn, conn));
	assert_true(rk_slice_is(t.rest, rest));
	assert_int_equal(t.has_query, query != NULL);
	assert_true(rk_slice_is(t.query, query ? query : ""));
	assert_true(rk_slice_is(target_peek_conn(raw), conn));
}

static void test_a_target_is_split_into_connection_rest_and_query(void **state)
{
	(void)state;
	parse_ok(S("/openai/v1/chat?a=b&c"), "openai", "/v1/chat", "a=b&c");
	parse_ok(S("/openai/v1"), "openai", "/v1", NULL);
	parse_ok(S("/openai/"), "openai", "/", NULL);
	parse_ok(S("/openai"), "openai", "", NULL);
	parse_ok(S("/openai?"), "openai", "", "");
	parse_ok(S("/openai?a/b?c"), "openai", "", "a/b?c");
	parse_ok(S("/"), "", "", NULL);
	parse_ok(S("/?x"), "", "", "x");
}

static void test_a_target_that_is_refused_leaves_the_result_alone(void **state)
{
	struct target was;

	(void)state;
	memset(&t, 0x5a, sizeof(t));
	was = t;
	assert_int_equal(target_parse(S("/a/../b"), 0, &t), TARGET_E_DOT_SEGMENT);
	assert_memory_equal(&t, &was, sizeof(t));
}

static void test_the_whole_of_a_target_is_checked(void **state)
{
	(void)state;
	assert_int_equal(target_parse(S("a/b"), 0, &t), TARGET_E_FORM);
	assert_int_equal(target_parse(S(""), 0, &t), TARGET_E_FORM);
	assert_int_equal(target_parse(S("/../b"), 0, &t), TARGET_E_DOT_SEGMENT);
	assert_int_equal(target_parse(S("//b"), 0, &t), TARGET_E_EMPTY_SEGMENT);
	assert_int_equal(target_parse(S("/c/%2e"), 0, &t), TARGET_E_AMBIGUOUS);
	assert_int_equal(target_parse(S("/c/a#b"), 0, &t), TARGET_E_BYTE);
	assert_int_equal(target_parse(S("/c/a?b#c"), 0, &t), TARGET_E_BYTE);
	assert_int_equal(target_parse(S("/c/a?b c"), 0, &t), TARGET_E_BYTE);
	assert_int_equal(target_parse(S("/c/a?b\0c"), 0, &t), TARGET_E_BYTE);
	assert_int_equal(target_parse(S("/c/a?b\xe9"), 0, &t), TARGET_E_BYTE);
	assert_int_equal(target_parse(S("/c/a?b%"), 0, &t), TARGET_E_ESCAPE);
	assert_int_equal(target_parse(S("/c/a?b%4"), 0, &t), TARGET_E_ESCAPE);
	assert_int_equal(target_parse(S("/c/a?b%xy"), 0, &t), TARGET_E_ESCAPE);
	parse_ok(S("/c/a?b=%2F%00%ff\"<>\\^`{|}[]"), "c", "/a", "b=%2F%00%ff\"<>\\^`{|}[]");
}

static void test_the_connection_segment_holds_no_escape(void **state)
{
	(void)state;
	assert_int_equal(target_parse(S("/c%6fnn/a"), 0, &t), TARGET_E_AMBIGUOUS);
	assert_int_equal(target_parse(S("/c%2Fd/a"), TARGET_ALLOW_ENCODED_SLASH, &t),
	                 TARGET_E_AMBIGUOUS);
	assert_int_equal(target_parse(S("/c/d%2Fa"), TARGET_ALLOW_ENCODED_SLASH, &t), 0);
	assert_true(rk_slice_is(t.rest, "/d%2Fa"));
}

static void test_the_connection_segment_has_a_limit(void **state)
{
	char raw[TARGET_MAX_CONN_NAME + 4];

	(void)state;
	memset(raw, 'c', sizeof(raw));
	raw[0] = '/';
	assert_int_equal(target_parse(rk_slice(raw, TARGET_MAX_CONN_NAME + 1), 0, &t), 0);
	assert_int_equal(t.conn.n, TARGET_MAX_CONN_NAME);
	assert_int_equal(target_parse(rk_slice(raw, TARGET_MAX_CONN_NAME + 2), 0, &t),
	                 TARGET_E_TOO_LONG);
	assert_int_equal(target_peek_conn(rk_slice(raw, TARGET_MAX_CONN_NAME + 2)).n, 0);
	assert_int_equal(target_peek_conn(S("conn")).n, 0);
	assert_int_equal(target_peek_conn(rk_slice(NULL, 0)).n, 0);
}

static void test_a_query_has_a_limited_number_of_parameters(void **state)
{
	char raw[3 + 2 * TARGET_MAX_QUERY_PARAMS + 2];
	size_t n = 3;

	(void)state;
	memcpy(raw, "/c?", n);
	for (int i = 0; i < TARGET_MAX_QUERY_PARAMS; i++) {
		raw[n++] = 'a';
		raw[n++] = i % 2 ? '&' : ';';
	}
	assert_int_equal(target_parse(rk_slice(raw, n - 1), 0, &t), 0);
	raw[n++] = 'a';
	assert_int_equal(target_parse(rk_slice(raw, n), 0, &t), TARGET_E_TOO_LONG);
}

static void expect_param(struct rk_slice query, size_t *at, const char *name, const char *value)
{
	struct rk_slice n, v;

	assert_true(target_query_next(query, at, &n, &v));
	assert_true(rk_slice_is(n, name));
	assert_true(rk_slice_is(v, value));
}

static void test_parameters_are_separated_by_either_sign(void **state)
{
	const struct rk_slice query = S("a=1&b;c==x&&=v;d=&e");
	struct rk_slice n, v;
	size_t at = 0;

	(void)state;
	expect_param(query, &at, "a", "1");
	expect_param(query, &at, "b", "");
	expect_param(query, &at, "c", "=x");
	expect_param(query, &at, "", "v");
	expect_param(query, &at, "d", "");
	expect_param(query, &at, "e", "");
	assert_false(target_query_next(query, &at, &n, &v));
	at = 0;
	assert_false(target_query_next(rk_slice(NULL, 0), &at, &n, &v));
	assert_false(target_query_next(S("&;&"), &at, &n, &v));
}

static void test_names_are_decoded_for_comparison(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(target_decode_name(S("api_key"), out, sizeof(out)), 7);
	assert_memory_equal(out, "api_key", 7);
	assert_int_equal(target_decode_name(S("%61p%69+k"), out, sizeof(out)), 5);
	assert_memory_equal(out, "api k", 5);
	assert_int_equal(target_decode_name(S("a%00b"), out, sizeof(out)), 3);
	assert_memory_equal(out, "a\0b", 3);
	assert_int_equal(target_decode_name(S("%E9"), out, sizeof(out)), 1);
	assert_int_equal(target_decode_name(S(""), out, sizeof(out)), 0);
	assert_int_equal(target_decode_name(S("12345678"), out, sizeof(out)), 8);
	assert_int_equal(target_decode_name(S("123456789"), out, sizeof(out)), -1);
	assert_int_equal(target_decode_name(S("a%"), out, sizeof(out)), -1);
	assert_int_equal(target_decode_name(S("a%2"), out, sizeof(out)), -1);
	assert_int_equal(target_decode_name(S("a%gg"), out, sizeof(out)), -1);
}

static void test_every_error_has_a_code(void **state)
{
	(void)state;
	for (int err = TARGET_E_TOO_LONG; err < 0; err++)
		assert_string_not_equal(target_err_code(err), "bad_target");
	assert_string_equal(target_err_code(0), "bad_target");
	assert_string_equal(target_err_code(-99), "bad_target");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_paths_are_taken),
	    cmocka_unit_test(test_a_path_starts_with_a_slash),
	    cmocka_unit_test(test_every_byte_is_legal_or_refused_by_the_list),
	    cmocka_unit_test(test_malformed_escapes_are_refused),
	    cmocka_unit_test(test_every_ascii_escape_is_legal_or_ambiguous),
	    cmocka_unit_test(test_escaped_dots_slashes_and_percent_signs_are_refused),
	    cmocka_unit_test(test_escapes_beyond_ascii_are_utf8),
	    cmocka_unit_test(
	        test_overlong_forms_surrogates_and_the_rest_of_broken_utf8_are_refused),
	    cmocka_unit_test(test_characters_that_fold_to_dots_and_slashes_are_refused),
	    cmocka_unit_test(test_dot_segments_are_refused),
	    cmocka_unit_test(test_empty_segments_are_refused),
	    cmocka_unit_test(test_only_the_encoded_slash_can_be_allowed),
	    cmocka_unit_test(test_an_allowed_encoded_slash_still_separates_dots),
	    cmocka_unit_test(test_a_path_has_a_limit),
	    cmocka_unit_test(test_a_target_is_split_into_connection_rest_and_query),
	    cmocka_unit_test(test_a_target_that_is_refused_leaves_the_result_alone),
	    cmocka_unit_test(test_the_whole_of_a_target_is_checked),
	    cmocka_unit_test(test_the_connection_segment_holds_no_escape),
	    cmocka_unit_test(test_the_connection_segment_has_a_limit),
	    cmocka_unit_test(test_a_query_has_a_limited_number_of_parameters),
	    cmocka_unit_test(test_parameters_are_separated_by_either_sign),
	    cmocka_unit_test(test_names_are_decoded_for_comparison),
	    cmocka_unit_test(test_every_error_has_a_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
