/* Whether a grant allows nothing that others do not allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper/grant_cover.h"
#include "tests/lib/policy_sample.h"

static struct index_conn openai = {.name = "openai"}, stripe = {.name = "stripe"};

struct sample {
	struct sample_list methods, paths, deny;
	struct index_grant g;
};

static void grant(struct sample *s, struct index_conn *c, const char *methods,
                  const char *paths, const char *deny)
{
	s->g = (struct index_grant){.conn = c,
	                            .methods = sample_words(&s->methods, methods),
	                            .paths = sample_words(&s->paths, paths),
	                            .deny_query = sample_words(&s->deny, deny)};
}

/* by[0], by[1] */
static int check(const struct sample *g, const struct sample *by, unsigned n)
{
	const struct index_grant *const at[] = {&by[0].g, &by[1].g};
	struct rk_fault fault = {""};
	struct grant_cover *c;
	int covered;

	assert_int_equal(grant_cover_new(&c), 0);
	covered = grant_cover_check(c, &g->g, at, n, &fault);
	grant_cover_free(c);
	assert_int_equal(covered == 1, fault.text[0] == '\0');
	return covered;
}

static void test_methods_paths_and_denied_parameters_all_count(void **state)
{
	struct sample g, by[2];

	(void)state;
	grant(&by[0], &openai, "GET POST", "/v1/**", "a");
	grant(&g, &openai, "GET", "/v1/x", "a b");
	assert_int_equal(check(&g, by, 1), 1);
	grant(&g, &openai, "GET", "/v1/x", "b");
	assert_int_equal(check(&g, by, 1), 0);
	grant(&g, &openai, "PUT", "/v1/x", "a");
	assert_int_equal(check(&g, by, 1), 0);
	grant(&g, &openai, "*", "/v1/x", "a");
	assert_int_equal(check(&g, by, 1), 0);
	grant(&g, &openai, "POST", "/v2/x", "a");
	assert_int_equal(check(&g, by, 1), 0);
	grant(&g, &stripe, "GET", "/v1/x", "a");
	assert_int_equal(check(&g, by, 1), 0);
	grant(&by[0], &openai, "*", "/**", "");
	grant(&g, &openai, "* GET", "/v1/x /v2/*", "");
	assert_int_equal(check(&g, by, 1), 1);
}

static void test_grants_add_up_for_the_same_method_only(void **state)
{
	struct sample g, by[2];

	(void)state;
	grant(&by[0], &openai, "GET", "/a", "");
	grant(&by[1], &openai, "GET POST", "/b", "");
	grant(&g, &openai, "GET", "/a /b", "");
	assert_int_equal(check(&g, by, 2), 1);
	grant(&g, &openai, "POST", "/a /b", "");
	assert_int_equal(check(&g, by, 2), 0);
}

static void test_what_allows_nothing_is_covered_by_anything(void **state)
{
	struct sample g, by[2];

	(void)state;
	grant(&by[0], &openai, "GET", "/a", "");
	grant(&g, &openai, "", "/**", "");
	assert_int_equal(check(&g, by, 1), 1);
	grant(&g, &openai, "GET", "", "");
	assert_int_equal(check(&g, by, 1), 1);
	grant(&g, &openai, "GET", "/b", "");
	assert_int_equal(check(&g, by, 0), 0);
}

static void test_a_dead_grant_covers_nothing(void **state)
{
	struct sample g, by[2];

	(void)state;
	grant(&by[0], NULL, "GET", "/**", "");
	grant(&g, NULL, "GET", "/a", "");
	assert_int_equal(check(&g, by, 1), 0);
	by[0].g.conn = g.g.conn = &openai;
	assert_int_equal(check(&g, by, 1), 1);
}

static void test_too_many_methods_are_too_much(void **state)
{
	struct sample g, by[2];
	char methods[512] = "";
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i <= GRANT_COVER_METHODS; i++)
		at += (size_t)snprintf(methods + at, sizeof methods - at, "%sM%u",
		                       at ? " " : "", i);
	grant(&by[0], &openai, "*", "/**", "");
	grant(&g, &openai, methods, "/a", "");
	assert_int_equal(check(&g, by, 1), RK_E_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_methods_paths_and_denied_parameters_all_count),
	    cmocka_unit_test(test_grants_add_up_for_the_same_method_only),
	    cmocka_unit_test(test_what_allows_nothing_is_covered_by_anything),
	    cmocka_unit_test(test_a_dead_grant_covers_nothing),
	    cmocka_unit_test(test_too_many_methods_are_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
