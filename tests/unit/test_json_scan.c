#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy/json_scan.h"

static const char *const wants[] = {"model", "usage.input_tokens", "choices.[].delta.content",
                                    "[].id", ""};

static char said[2048]; /* "model=s:gpt-5; " for each value */
static const char letters[] = "sntf0oa";

static void value(unsigned want, const struct json_value *v, void *arg)
{
	size_t n = strlen(said);

	assert_ptr_equal(arg, said);
	snprintf(said + n, sizeof said - n, "%s%s=%c:%.*s%s; ", wants[want],
	         v->exact ? "" : "(other case)", letters[v->type], RK_FMT(v->text),
	         v->cut ? "..." : "");
}

static const struct json_scan_ops ops = {
    .wants = wants, .want_count = sizeof wants / sizeof wants[0], .value = value};

/* In pieces of `piece` bytes; the error. */
static int scan_in(const char *text, size_t piece)
{
	struct rk_slice left = rk_str(text);
	struct json_scan s;

	said[0] = '\0';
	json_scan_init(&s, &ops, said);
	while (left.n) {
		size_t n = left.n < piece ? left.n : piece;
		int err = json_scan_feed(&s, rk_slice(left.p, n));

		if (err) {
			assert_int_equal(json_scan_feed(&s, rk_str(" ")), err);
			assert_int_equal(json_scan_end(&s), err);
			return err;
		}
		left = rk_slice_skip(left, n);
	}
	return json_scan_end(&s);
}

static int scan(const char *text)
{
	char whole[sizeof said];
	int err = scan_in(text, SIZE_MAX);

	memcpy(whole, said, sizeof whole);
	assert_int_equal(scan_in(text, 1), err);
	assert_string_equal(said, whole);
	return err;
}

static void test_a_wanted_value_is_reported_wherever_it_stands(void **state)
{
	(void)state;
	assert_int_equal(
	    scan("{\"a\":{\"model\":\"no\"},\"model\":\"gpt-5\",\"b\":[\"model\"]}"), 0);
	assert_string_equal(said, "=o:; model=s:gpt-5; ");
	assert_int_equal(scan("{\"usage\":{\"x\":[1,{}],\"input_tokens\" : 12 }}"), 0);
	assert_string_equal(said, "=o:; usage.input_tokens=n:12; ");
	assert_int_equal(scan("{\"choices\":[{\"delta\":{\"content\":\"a\"}},"
	                      "{\"delta\":{\"content\":null}},{\"delta\":{}}]}"),
	                 0);
	assert_string_equal(said,
	                    "=o:; choices.[].delta.content=s:a; choices.[].delta.content=0:; ");
	assert_int_equal(scan("[{\"id\":true},7,{\"id\":false}]"), 0);
	assert_string_equal(said, "=a:; [].id=t:; [].id=f:; ");
}

static void test_a_path_through_an_array_is_not_one_through_an_object(void **state)
{
	(void)state;
	assert_int_equal(scan("{\"choices\":{\"[]\":{\"delta\":{\"content\":\"a\"}}}}"), 0);
	assert_string_equal(said, "=o:; ");
	assert_int_equal(scan("{\"[]\":{\"id\":1}}"), 0);
	assert_string_equal(said, "=o:; ");
	assert_int_equal(scan("[{\"usage\":{\"input_tokens\":1}}]"), 0);
	assert_string_equal(said, "=a:; ");
}

static void test_a_second_value_and_one_of_another_type_are_told_of(void **state)
{
	(void)state;
	assert_int_equal(scan("{\"model\":\"a\",\"model\":[\"b\"]}"), 0);
	assert_string_equal(said, "=o:; model=s:a; model=a:; ");
	assert_int_equal(scan("{\"model\":\"a\",\"Model\":\"b\"}"), 0);
	assert_string_equal(said, "=o:; model=s:a; model(other case)=s:b; ");
	assert_int_equal(scan("{\"m\\u006fdel\":\"a\"}"), 0);
	assert_string_equal(said, "=o:; model=s:a; ");
}

static void test_escapes_are_decoded(void **state)
{
	(void)state;
	assert_int_equal(
	    scan("{\"model\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\"}"), 0);
	assert_string_equal(said, "=o:; model=s:\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac; ");
	assert_int_equal(scan("{\"model\":\"\\ud83d\\ude00\"}"), 0);
	assert_string_equal(said, "=o:; model=s:\xf0\x9f\x98\x80; ");
	/* halves of a pair */
	assert_int_equal(scan("{\"model\":\"\\ud83dx\\ude00\\ud83d\\ud83d\\ude00\\ud83d\"}"),
	                 0);
	assert_string_equal(said, "=o:; model=s:\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd"
	                          "\xf0\x9f\x98\x80\xef\xbf\xbd; ");
}

static void test_a_text_too_long_is_cut_and_says_so(void **state)
{
	char text[1024], long_key[600];

	(void)state;
	memset(long_key, 'k', sizeof long_key);
	snprintf(text, sizeof text, "{\"model\":\"%.*s\"}", JSON_TEXT_BYTES, long_key);
	assert_int_equal(scan(text), 0);
	assert_null(strstr(said, "..."));
	snprintf(text, sizeof text, "{\"model\":\"%.*s\"}", JSON_TEXT_BYTES + 1, long_key);
	assert_int_equal(scan(text), 0);
	assert_non_null(strstr(said, "..."));
	/* and a key that begins like a wanted one is another */
	snprintf(text, sizeof text, "{\"model%.*s\":1}", JSON_TEXT_BYTES, long_key);
	assert_int_equal(scan(text), 0);
	assert_string_equal(said, "=o:; ");
}

static void test_every_scalar_can_stand_alone(void **state)
{
	static const char *const good[] = {"0",    "-0",      "12",   "-1.5", "1e9",
	                                   "1E+9", "2e-7",    "0.10", "\"\"", "true",
	                                   "null", " false ", "[]",   "{}",   "\t[1]\n"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (scan(good[i]))
			fail_msg("%s is JSON", good[i]);
	}
}

static void test_what_is_not_json_is_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  " ",
	                                  "01",
	                                  "-",
	                                  "1.",
	                                  ".5",
	                                  "+1",
	                                  "1e",
	                                  "1e+",
	                                  "0x1",
	                                  "NaN",
	                                  "tru",
	                                  "True",
	                                  "nulll",
	                                  "[1,]",
	                                  "[,1]",
	                                  "{,}",
	                                  "{\"a\"}",
	                                  "{\"a\":}",
	                                  "{a:1}",
	                                  "{\"a\":1,}",
	                                  "[1 2]",
	                                  "1 2",
	                                  "{} {}",
	                                  "]",
	                                  "[}",
	                                  "{]",
	                                  "[",
	                                  "\"",
	                                  "\"\\x\"",
	                                  "\"\\u12\"",
	                                  "\"\\u12g4\"",
	                                  "'a'",
	                                  "\"a\nb\"",
	                                  "/**/1",
	                                  "[1]//",
	                                  "\xef\xbb\xbf{}",
	                                  "\"\xc0\xaf\"",
	                                  "\"\xed\xa0\x80\"",
	                                  "\"\xf4\x90\x80\x80\"",
	                                  "\"\xff\"",
	                                  "\"\xe2\x82\"",
	                                  "\xa0",
	                                  "{\"a\" 1}",
	                                  "{1:2}",
	                                  "--1",
	                                  "1-",
	                                  "00"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (scan(bad[i]) != RK_E_INVALID)
			fail_msg("%s is not JSON", bad[i]);
	}
}

static void test_nesting_has_a_limit(void **state)
{
	char text[2 * JSON_MAX_DEPTH + 8] = "";

	(void)state;
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	assert_int_equal(scan(text), 0);
	memset(text, '[', JSON_MAX_DEPTH + 1);
	assert_int_equal(scan(text), RK_E_TOOBIG);
}

static void test_it_knows_when_the_text_is_complete(void **state)
{
	struct json_scan s;

	(void)state;
	said[0] = '\0';
	json_scan_init(&s, &ops, said);
	assert_false(json_scan_complete(&s));
	assert_int_equal(json_scan_feed(&s, rk_str("{\"model\":1")), 0);
	assert_false(json_scan_complete(&s));
	assert_int_equal(json_scan_feed(&s, rk_str("}\n")), 0);
	assert_true(json_scan_complete(&s));
	assert_int_equal(json_scan_feed(&s, rk_str("x")), RK_E_INVALID);
	assert_false(json_scan_complete(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_wanted_value_is_reported_wherever_it_stands),
	    cmocka_unit_test(test_a_path_through_an_array_is_not_one_through_an_object),
	    cmocka_unit_test(test_a_second_value_and_one_of_another_type_are_told_of),
	    cmocka_unit_test(test_escapes_are_decoded),
	    cmocka_unit_test(test_a_text_too_long_is_cut_and_says_so),
	    cmocka_unit_test(test_every_scalar_can_stand_alone),
	    cmocka_unit_test(test_what_is_not_json_is_refused),
	    cmocka_unit_test(test_nesting_has_a_limit),
	    cmocka_unit_test(test_it_knows_when_the_text_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
