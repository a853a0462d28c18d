/* What an import of a .env file plans, and the file as it will be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/import.h"

#define A20    "aB3dE6gH9jK2mN5pQ8sT"
#define OPENAI "sk-proj-" A20 "T3BlbkFJ" A20
#define GROQ   "gsk_" A20 A20 "aB3dE6gH9jK2"
#define XAI    "xai-" A20 A20 A20 A20

static struct import_options options;
static struct import_plan plan;

static int setup(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(512 << 10, SECRET_BACKING_BEST, &fault);
}

/* Plans for a text, names what would be made, and gives the new text. */
static void expect(const char *text, const char *want)
{
	RK_SECRET_AUTO in = {0};
	RK_SECRET_AUTO out = {0};

	assert_int_equal(rk_secret_alloc(&in, IMPORT_MAX_BYTES), 0);
	assert_int_equal(rk_secret_alloc(&out, IMPORT_MAX_OUT), 0);
	assert_int_equal(rk_secret_add(&in, text, strlen(text)), 0);
	memset(&plan, 0, sizeof plan);
	snprintf(plan.proxy, sizeof plan.proxy, "https://p");
	assert_int_equal(import_plan_make(&plan, &in, &options), CLI_DONE);
	for (unsigned i = 0; i < plan.count; i++) {
		snprintf(plan.key[i].conn, sizeof plan.key[i].conn, "c%u", i);
		plan.key[i].relay_key = rk_str("RELAY");
	}
	assert_int_equal(import_plan_apply(&plan, &out), 0);
	if (!rk_slice_is(rk_secret_slice(&out), want))
		fail_msg("%.*s", (int)out.len, (const char *)out.p);
}

static void a_key_is_replaced_and_its_base_url_added_behind_it(void **state)
{
	(void)state;
	expect("OPENAI_API_KEY=" OPENAI "\nB=1\n",
	       "OPENAI_API_KEY=RELAY\nOPENAI_BASE_URL=https://p/c0\nB=1\n");
	expect("export K=\"" OPENAI "\" # c\r\n",
	       "export K=\"RELAY\" # c\r\nexport OPENAI_BASE_URL=https://p/c0\r\n");
	expect("K=" OPENAI, "K=RELAY\nOPENAI_BASE_URL=https://p/c0\n");
}

static void a_base_url_that_is_there_is_replaced_where_it_stands(void **state)
{
	(void)state;
	expect("OPENAI_API_BASE='https://eu.api.openai.com/v1/' # eu\nK=" OPENAI "\n",
	       "OPENAI_API_BASE='https://p/c0' # eu\nK=RELAY\n");
	assert_string_equal(plan.key[0].url.host, "eu.api.openai.com");
	assert_string_equal(plan.key[0].url.path, "/v1");
}

static void a_file_that_speaks_of_the_proxy_already_means_the_provider_s_own_api(void **state)
{
	(void)state;
	expect("OPENAI_BASE_URL=https://p/openai\nK=" OPENAI "\n",
	       "OPENAI_BASE_URL=https://p/c0\nK=RELAY\n");
	assert_string_equal(plan.key[0].url.host, "api.openai.com");
	/* the twin */
	expect("OPENAI_BASE_URL=https://pp.example/v1\nK=" OPENAI "\n",
	       "OPENAI_BASE_URL=https://p/c0\nK=RELAY\n");
	assert_string_equal(plan.key[0].url.host, "pp.example");
}

static void the_same_secret_twice_is_one_key_and_another_one_has_its_own_variable(void **state)
{
	(void)state;
	expect("A=" XAI "\nB_API_KEY=" XAI "x\nC=" XAI "\n",
	       "A=RELAY\nXAI_BASE_URL=https://p/c0\nB_API_KEY=" XAI "x\nC=RELAY\n");
	expect("A_API_KEY=" OPENAI "\nB_API_KEY=" OPENAI "x\nB_BASE_URL=1\n",
	       "A_API_KEY=RELAY\nOPENAI_BASE_URL=https://p/c0\nB_API_KEY=RELAY\n"
	       "B_2_BASE_URL=https://p/c1\nB_BASE_URL=1\n");
}

static void a_key_whose_api_is_not_known_or_not_https_stays(void **state)
{
	static const char grafana[] = "GRAFANA_TOKEN=glsa_" A20 "aB3dE6gH9jK2_01234567\n";
	static const char groq[] = "GROQ_BASE_URL=http://localhost\nGROQ_API_KEY=" GROQ "\n";

	(void)state;
	expect(grafana, grafana);
	assert_string_equal(plan.key[0].hint, "gls••••4567");
	assert_true(plan.key[0].problem[0]);
	expect(groq, groq);
	assert_true(plan.key[0].problem[0]);
	/* the twin */
	expect("GROQ_API_KEY=" GROQ "\n", "GROQ_API_KEY=RELAY\nGROQ_BASE_URL=https://p/c0\n");
}

static void a_problem_of_one_key_is_not_the_next_one_s(void **state)
{
	(void)state;
	assert_int_equal(cli_list_add(&options.base_urls, "grafana=https://g.example"), 0);
	expect("GRAFANA_TOKEN=glsa_" A20 "aB3dE6gH9jK2_01234567\nTWILIO_AUTH_TOKEN="
	       "0123456789abcdef0123456789abcdef\n",
	       "GRAFANA_TOKEN=RELAY\nGRAFANA_URL=https://p/c0\nTWILIO_AUTH_TOKEN="
	       "0123456789abcdef0123456789abcdef\n");
	assert_true(plan.key[1].problem[0]);
	options.base_urls.used = 0;
}

static void a_grant_covers_the_api_below_its_base_path_and_the_base_path(void **state)
{
	static struct cli_list methods, paths;
	struct rk_slice left, item;

	(void)state;
	expect("LINEAR_API_KEY=lin_api_" A20 A20 "\n",
	       "LINEAR_API_KEY=RELAY\nLINEAR_API_URL=https://p/c0\n");
	assert_int_equal(import_grant(&plan, &plan.key[0], &methods, &paths), CLI_DONE);
	left = cli_list_slice(&paths);
	assert_true(record_list_next(&left, &item) && rk_slice_is(item, "/graphql/**"));
	assert_true(record_list_next(&left, &item) && rk_slice_is(item, "/graphql"));
	assert_false(record_list_next(&left, &item));
}

static void more_keys_than_there_may_be_are_refused_as_a_whole(void **state)
{
	static char text[IMPORT_MAX_BYTES];
	RK_SECRET_AUTO in = {0};
	size_t n = 0;

	(void)state;
	for (int i = 0; i <= IMPORT_MAX_KEYS; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "K%d=gsk_%052d\n", i, i);
	assert_int_equal(rk_secret_alloc(&in, IMPORT_MAX_BYTES), 0);
	assert_int_equal(rk_secret_add(&in, text, n), 0);
	memset(&plan, 0, sizeof plan);
	assert_int_equal(import_plan_make(&plan, &in, &options), CLI_FAILED);
}

static void any_text_gives_a_name(void **state)
{
	char name[64];

	(void)state;
	import_name(rk_str("my shop (old)"), "x", name, sizeof name);
	assert_string_equal(name, "my-shop-old-");
	import_name(rk_str("..--"), "x", name, sizeof name);
	assert_string_equal(name, "x");
	import_name(rk_str("_OPENAI_KEY"), "x", name, sizeof name);
	assert_string_equal(name, "OPENAI_KEY");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_is_replaced_and_its_base_url_added_behind_it),
	    cmocka_unit_test(a_base_url_that_is_there_is_replaced_where_it_stands),
	    cmocka_unit_test(
	        a_file_that_speaks_of_the_proxy_already_means_the_provider_s_own_api),
	    cmocka_unit_test(
	        the_same_secret_twice_is_one_key_and_another_one_has_its_own_variable),
	    cmocka_unit_test(a_key_whose_api_is_not_known_or_not_https_stays),
	    cmocka_unit_test(a_problem_of_one_key_is_not_the_next_one_s),
	    cmocka_unit_test(a_grant_covers_the_api_below_its_base_path_and_the_base_path),
	    cmocka_unit_test(more_keys_than_there_may_be_are_refused_as_a_whole),
	    cmocka_unit_test(any_text_gives_a_name),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
