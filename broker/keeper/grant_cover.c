#include "keeper/grant_cover.h"

#include <stdlib.h>

#include "base/record.h"
#include "policy/glob_cover.h"

struct grant_cover {
	struct glob_cover *globs;
	char witness[GLOB_COVER_WITNESS];
};

int grant_cover_new(struct grant_cover **out)
{
	struct grant_cover *c = calloc(1, sizeof *c);

	if (!c || glob_cover_new(&c->globs)) {
		free(c);
		return RK_E_NOMEM;
	}
	*out = c;
	return 0;
}

void grant_cover_free(struct grant_cover *c)
{
	if (!c)
		return;
	glob_cover_free(c->globs);
	free(c);
}

static bool list_has(struct rk_slice list, struct rk_slice what)
{
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		if (rk_slice_eq(item, what))
			return true;
	}
	return false;
}

static bool list_within(struct rk_slice list, struct rk_slice other)
{
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		if (!list_has(other, item))
			return false;
	}
	return true;
}

/* Whether `by` lets pass what `g` does, as far as it is not about paths. */
static bool serves(const struct index_grant *by, const struct index_grant *g,
                   struct rk_slice method)
{
	return by->conn && by->conn == g->conn &&
	       (list_has(by->methods, rk_str("*")) || list_has(by->methods, method)) &&
	       list_within(by->deny_query, g->deny_query);
}

static int add_paths(struct grant_cover *c, const struct index_grant *g)
{
	struct rk_slice list = g->paths, item;
	int err = 0;

	while (!err && record_list_next(&list, &item))
		err = glob_cover_add(c->globs, item);
	return err;
}

static int check_paths(struct grant_cover *c, const struct index_grant *g,
                       struct rk_slice method, struct rk_fault *fault)
{
	struct rk_slice list = g->paths, item;
	int covered = 1;

	while (covered == 1 && record_list_next(&list, &item)) {
		covered = glob_cover_check(c->globs, item, c->witness);
		if (covered == 0)
			rk_fail(fault, 0, "%.*s goes beyond it with the path \"%.300s\"",
			        RK_FMT(method), c->witness);
	}
	return covered;
}

static int check_method(struct grant_cover *c, const struct index_grant *g,
                        struct rk_slice method, const struct index_grant *const *by, unsigned n,
                        struct rk_fault *fault)
{
	bool any = false;
	int err = 0;

	glob_cover_clear(c->globs);
	for (unsigned i = 0; i < n && !err; i++) {
		if (!serves(by[i], g, method))
			continue;
		any = true;
		err = add_paths(c, by[i]);
	}
	if (err)
		return err;
	if (!any && g->paths.n)
		return rk_fail(fault, 0, "%.*s on %s goes beyond it", RK_FMT(method),
		               g->conn ? g->conn->name : "no connection");
	return check_paths(c, g, method, fault);
}

int grant_cover_check(struct grant_cover *c, const struct index_grant *g,
                      const struct index_grant *const *by, unsigned n, struct rk_fault *fault)
{
	struct rk_slice list = g->methods, method;
	int covered = 1;

	if (record_list_count(list) > GRANT_COVER_METHODS)
		return rk_fail(fault, RK_E_TOOBIG,
		               "a grant that is compared has at most %d "
		               "methods",
		               GRANT_COVER_METHODS);
	while (covered == 1 && record_list_next(&list, &method))
		covered = check_method(c, g, method, by, n, fault);
	if (covered < 0)
		rk_fail(fault, covered, "the paths are too many or too intricate to compare");
	return covered;
}
