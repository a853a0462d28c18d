/* .env files, and whose the keys in them are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/env_file.h"
#include "policy/key_shape.h"
#include "policy/relay_key.h"

/* One line of text, and what is read from it. */
static void expect(const char *text, const char *name, const char *value)
{
	struct env_line l;
	size_t at = 0;

	assert_true(env_file_next(rk_str(text), &at, &l));
	if (!rk_slice_is(l.name, name) || !rk_slice_is(l.value, value))
		fail_msg("%s: name '%.*s', value '%.*s'", text, RK_FMT(l.name),
		         RK_FMT(l.value));
	assert_int_equal(at, strlen(text));
	assert_int_equal(l.raw.n, strlen(text));
}

static void assignments_are_read_as_the_usual_libraries_do(void **state)
{
	(void)state;
	expect("A=1", "A", "1");
	expect("A=1\n", "A", "1");
	expect("  export  A_b.c-1 =  two words  # why\r\n", "A_b.c-1", "two words");
	expect("A=a#b", "A", "a#b");
	expect("A=#b", "A", "");
	expect("A=", "A", "");
	expect("A='x # y' # z", "A", "x # y");
	expect("A=\"x \\\" y\"", "A", "x \\\" y");
	expect("A='x \\'", "A", "x \\");
	expect("A=`\"'`", "A", "\"'");
	expect("A=\"one\ntwo\"\n", "A", "one\ntwo");
	expect("\xef\xbb\xbf"
	       "A=1",
	       "A", "1");
	expect("exportA=1", "exportA", "1");
	expect("export=1", "export", "1");
}

static void a_quote_that_does_not_close_or_does_not_end_the_value_is_part_of_it(void **state)
{
	(void)state;
	expect("A=\"b", "A", "\"b");
	expect("A=\"b\"c", "A", "\"b\"c");
	expect("A=it's", "A", "it's");
}

static void what_assigns_nothing_has_no_name(void **state)
{
	static const char *const lines[] = {"# A=1", "",      "A",      "=1",
	                                    "1A=2",  "A B=3", "export", "A: 1"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char text[32];

		snprintf(text, sizeof text, "%s\n", lines[i]);
		expect(text, "", "");
	}
}

static void all_lines_together_are_the_text_again(void **state)
{
	static const char text[] = "\r\n#x\nA=\"1\n2\"  # c\r\n\n\tB='\nC=3";
	struct env_line l;
	size_t at = 0, sum = 0, lines = 0;

	(void)state;
	while (env_file_next(rk_str(text), &at, &l)) {
		assert_ptr_equal(l.raw.p, text + sum);
		sum += l.raw.n;
		lines++;
	}
	assert_int_equal(sum, sizeof text - 1);
	assert_int_equal(lines, 6);
	at = 0;
	assert_false(env_file_next(rk_str(NULL), &at, &l));
}

/* NAME, value, provider or NULL. Values are made up here and open nothing. */
#define A20 "aB3dE6gH9jK2mN5pQ8sT"
#define X32 "0123456789abcdef0123456789abcdef"
static const struct {
	const char *name, *value, *provider;
} keys[] = {
    {"OPENAI_API_KEY", "sk-proj-" A20 "T3BlbkFJ" A20, "openai"},
    {"X", "sk-" A20 "T3BlbkFJ" A20, "openai"},
    {"X", "sk-" A20 A20, NULL},
    {"OPENAI_KEY", "sk-" A20 A20, "openai"},
    {"OPENAI_API_KEY", "sk-short", NULL},
    {"X", "sk-ant-api03-" A20 A20 "-_AA", "anthropic"},
    {"X", "sk-or-v1-" X32 X32, "openrouter"},
    {"X", "sk-" X32, NULL},
    {"DEEPSEEK_API_KEY", "sk-" X32, "deepseek"},
    {"X", "sk_live_" A20, "stripe"},
    {"X", "rk_live_" A20, "stripe"},
    {"STRIPE_PUBLISHABLE_KEY", "pk_live_" A20, NULL},
    {"X", "sk_" X32 "0123456789abcdef", "elevenlabs"},
    {"ELEVENLABS_API_KEY", X32, "elevenlabs"},
    {"X", X32, NULL},
    {"X", "ghp_" A20 "aB3dE6gH9jK2mN5p", "github"},
    {"X", "github_pat_" A20 A20 "__" A20 A20, "github"},
    {"X", "glpat-" A20, "gitlab"},
    {"X", "AIza" A20 "aB3dE6gH9jK2mN5", "gemini"},
    {"X", "SG.aB3dE6gH9jK2mN5pQ8sTwX." A20 A20 "abc", "sendgrid"},
    {"X", "key-" X32, "mailgun"},
    {"MAILGUN_API_KEY", X32 "-01234567-89abcdef", "mailgun"},
    {"X", X32 "-01234567-89abcdef", NULL},
    {"POSTMARK_SERVER_TOKEN", "01234567-89ab-cdef-0123-456789abcdef", "postmark"},
    {"REQUEST_ID", "01234567-89ab-cdef-0123-456789abcdef", NULL},
    {"X", "re_" A20, "resend"},
    {"TWILIO_AUTH_TOKEN", X32, "twilio"},
    {"TWILIO_API_SECRET", "aB3dE6gH9jK2mN5pQ8sTaB3dE6gH9jK2", "twilio"},
    {"X", "cfut_" A20 A20 "01234567", "cloudflare"},
    {"CLOUDFLARE_API_TOKEN", A20 A20, "cloudflare"},
    {"X", "glsa_aB3dE6gH9jK2mN5pQ8sTaB3dE6gH9jK2_01234567", "grafana"},
    {"X", "FlyV1 fm2_" A20 A20 "," A20, "flyio"},
    {"X", "xoxb-1234567890-1234567890-" A20, "slack"},
    {"X", "gsk_" A20 A20 "aB3dE6gH9jK2", "groq"},
    {"X", "hf_" A20 "aB3dE6gH9jK2mN", "huggingface"},
    {"DATABASE_URL", "postgres://app:secret@db/app", NULL},
    {"PORT", "3000", NULL},
};

static void keys_are_recognised_by_shape_and_where_needed_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const struct key_shape *s =
		    key_shape_find(rk_str(keys[i].name), rk_str(keys[i].value));

		if (!s != !keys[i].provider ||
		    (s && strcmp(s->provider, keys[i].provider) != 0))
			fail_msg("%s=%s: %s instead of %s", keys[i].name, keys[i].value,
			         s ? s->provider : "nobody",
			         keys[i].provider ? keys[i].provider : "nobody");
		if (s)
			assert_non_null(provider_find(rk_str(s->provider)));
	}
}

static void a_relay_key_is_nobody_s(void **state)
{
	char text[RELAY_KEY_MAX];
	struct relay_key key;

	(void)state;
	for (int kind = 0; kind < HOLDER_KINDS; kind++) {
		size_t n = relay_key_generate((enum holder_kind)kind, text, &key);

		assert_null(key_shape_find(rk_str("OPENAI_API_KEY"), rk_slice(text, n)));
		assert_true(env_value_is_plain(rk_slice(text, n)));
	}
}

static void what_is_not_part_of_the_key_is_taken_off(void **state)
{
	struct rk_slice value = rk_str("FlyV1 fm2_" A20 A20);
	const struct key_shape *s = key_shape_find(rk_str("T"), value);

	(void)state;
	assert_true(rk_slice_is(key_shape_secret(s, value), "fm2_" A20 A20));
	assert_true(key_shape_suspicious(rk_str("db_password"), rk_str("hunter2hunter2")));
	assert_true(key_shape_suspicious(rk_str("OPENAI_ADMIN_KEY"), rk_str("hunter2hunter2")));
	assert_true(key_shape_suspicious(rk_str("DB"), rk_str("postgres://u:p@h/d")));
	assert_false(key_shape_suspicious(rk_str("DB"), rk_str("postgres://u@h:5432/d")));
	assert_false(key_shape_suspicious(rk_str("PORT"), rk_str("hunter2hunter2")));
}

static void every_provider_says_what_import_needs_of_it(void **state)
{
	const struct provider *p;

	(void)state;
	for (size_t i = 0; (p = provider_at(i)); i++) {
		struct rk_slice words = rk_str(p->paths), word;

		assert_ptr_equal(provider_find(rk_str(p->id)), p);
		assert_true(p->title && p->auth[0] && p->key_var && p->base_vars && p->methods);
		assert_true(p->sdk_reads_base || p->sdk);
		assert_true(!p->base_url || strncmp(p->base_url, "https://", 8) == 0);
		while (provider_next_word(&words, &word))
			assert_int_equal(word.p[0], '/');
		if (provider_at(i + 1))
			assert_true(strcmp(p->id, provider_at(i + 1)->id) < 0);
	}
	assert_null(provider_find(rk_str("nobody")));
	assert_string_equal(provider_base_path(provider_find(rk_str("openai"))), "/v1");
	assert_string_equal(provider_base_path(provider_find(rk_str("stripe"))), "");
	assert_null(provider_base_path(provider_find(rk_str("grafana"))));
	assert_true(provider_has_word("A B", rk_str("B")));
	assert_false(provider_has_word("A BC", rk_str("B")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(assignments_are_read_as_the_usual_libraries_do),
	    cmocka_unit_test(
	        a_quote_that_does_not_close_or_does_not_end_the_value_is_part_of_it),
	    cmocka_unit_test(what_assigns_nothing_has_no_name),
	    cmocka_unit_test(all_lines_together_are_the_text_again),
	    cmocka_unit_test(keys_are_recognised_by_shape_and_where_needed_by_name),
	    cmocka_unit_test(a_relay_key_is_nobody_s),
	    cmocka_unit_test(what_is_not_part_of_the_key_is_taken_off),
	    cmocka_unit_test(every_provider_says_what_import_needs_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
