/* What completion reads out of a usage text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/usage.h"

static const char usage[] =
    "usage: relaykey thing add NAME --base-url URL [--secret-file F|-] [--force]\n"
    "           (--ttl 7d | --expires DATE) [--format jsonl|csv] [--json]\n"
    "           [--auth bearer | basic[:USER] | header:NAME[:PREFIX]]...\n"
    "  --force removes it although --json was said.\n";

static void options_come_once_with_what_stands_behind_them(void **state)
{
	static const char *const want[] = {
	    "--base-url",    "URL",
	    "--secret-file", "F|-",
	    "--force",       "",
	    "--ttl",         "7d",
	    "--expires",     "DATE",
	    "--format",      "jsonl|csv",
	    "--json",        "",
	    "--auth",        "bearer | basic[:USER] | header:NAME[:PREFIX]",
	};
	struct rk_slice option, value;
	size_t at = 0, n = 0;

	(void)state;
	while (usage_next_option(usage, &at, &option, &value)) {
		assert_true(n < sizeof want / sizeof want[0]);
		if (!rk_slice_is(option, want[n]) || !rk_slice_is(value, want[n + 1]))
			fail_msg("%.*s with '%.*s'", RK_FMT(option), RK_FMT(value));
		n += 2;
	}
	assert_int_equal(n, sizeof want / sizeof want[0]);
}

static void the_argument_is_what_stands_behind_the_command(void **state)
{
	(void)state;
	assert_true(rk_slice_is(usage_argument(usage, "thing add"), "NAME"));
	assert_true(rk_slice_is(
	    usage_argument("usage: relaykey revoke KEY|ID [--json]\n", "revoke"), "KEY|ID"));
	assert_int_equal(usage_argument("usage: relaykey status [--json]\n", "status").n, 0);
	assert_int_equal(usage_argument("usage: relaykey x\n", "y").n, 0);
}

static void expect_choices(const char *value, const char *want)
{
	struct rk_slice left = rk_str(value), choice;
	char got[128] = "";
	size_t n = 0;

	while (usage_next_choice(&left, &choice))
		n += (size_t)snprintf(got + n, sizeof got - n, "%.*s ", RK_FMT(choice));
	assert_string_equal(got, want);
}

static void choices_are_the_words_in_lower_case(void **state)
{
	(void)state;
	expect_choices("jsonl|csv", "jsonl csv ");
	expect_choices("bearer | basic[:USER] | header:NAME[:PREFIX]", "bearer basic header: ");
	expect_choices("FILE", "");
	expect_choices("7d", "");
	expect_choices("", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_come_once_with_what_stands_behind_them),
	    cmocka_unit_test(the_argument_is_what_stands_behind_the_command),
	    cmocka_unit_test(choices_are_the_words_in_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
