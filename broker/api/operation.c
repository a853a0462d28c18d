#include "api/operation.h"

#include <stdio.h>

static const struct api_ops *const subjects[] = {
    &api_ops_status, &api_ops_conn,     &api_ops_care, &api_ops_key,     &api_ops_trust,
    &api_ops_audit,  &api_ops_settings, &api_ops_hook, &api_ops_contain, &api_ops_access,
};

enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

const struct api_op *api_op_next(const struct api_op *op)
{
	bool found = op == NULL;

	for (unsigned s = 0; s < SUBJECTS; s++) {
		for (unsigned i = 0; i < subjects[s]->count; i++) {
			if (found)
				return &subjects[s]->op[i];
			found = &subjects[s]->op[i] == op;
		}
	}
	return NULL;
}

const struct api_op *api_op_named(const char *id)
{
	const struct api_op *op = api_op_next(NULL);

	while (op && strcmp(op->id, id) != 0)
		op = api_op_next(op);
	return op;
}

/* Takes a segment with its leading slash off *path. */
static bool segment(struct rk_slice *path, struct rk_slice *out)
{
	const char *end;

	if (path->n == 0 || path->p[0] != '/')
		return false;
	*path = rk_slice_skip(*path, 1);
	end = path->n ? memchr(path->p, '/', path->n) : NULL;
	*out = rk_slice(path->p, end ? (size_t)(end - path->p) : path->n);
	*path = rk_slice_skip(*path, out->n);
	return true;
}

static bool path_matches(const char *form, struct rk_slice path, struct api_path_values *out)
{
	struct rk_slice rest = rk_str(form), want, have;
	unsigned values = 0;

	while (segment(&rest, &want)) {
		if (!segment(&path, &have))
			return false;
		if (want.n && want.p[0] == '{') {
			if (have.n == 0)
				return false;
			out->at[values++] = have;
		} else if (!rk_slice_eq(want, have)) {
			return false;
		}
	}
	return path.n == 0;
}

/* HEAD is GET without its body. */
static bool method_matches(const char *form, struct rk_slice method)
{
	return rk_slice_is(method, form) ||
	       (strcmp(form, "GET") == 0 && rk_slice_is(method, "HEAD"));
}

const struct api_op *api_op_match(struct rk_slice method, struct rk_slice path,
                                  struct api_path_values *out)
{
	const struct api_op *op = api_op_next(NULL);

	while (op && !(method_matches(op->method, method) && path_matches(op->path, path, out)))
		op = api_op_next(op);
	return op;
}

void api_op_methods(struct rk_slice path, char out[API_ALLOW_MAX])
{
	struct api_path_values values;
	size_t used = 0;

	out[0] = '\0';
	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		int n;

		if (!path_matches(op->path, path, &values))
			continue;
		n = snprintf(out + used, API_ALLOW_MAX - used, "%s%s%s", used ? ", " : "",
		             op->method, strcmp(op->method, "GET") == 0 ? ", HEAD" : "");
		if (n > 0 && used + (size_t)n < API_ALLOW_MAX)
			used += (size_t)n;
	}
}

static void add_status(uint16_t out[API_STATUSES_MAX], uint16_t status)
{
	unsigned i = 0, n = 0;

	while (out[n])
		n++;
	while (out[i] && out[i] < status)
		i++;
	if (out[i] == status || n + 1 >= API_STATUSES_MAX)
		return;
	memmove(&out[i + 1], &out[i], (n - i + 1) * sizeof out[0]);
	out[i] = status;
}

void api_op_statuses(const struct api_op *op, uint16_t out[API_STATUSES_MAX])
{
	memset(out, 0, API_STATUSES_MAX * sizeof out[0]);
	add_status(out, op->success);
	add_status(out, 400); /* not HTTP, not JSON, a parameter that is not known */
	add_status(out, 503); /* sealed, stopping, or too much to do */
	if (!(op->may & MAY_ANYONE)) {
		add_status(out, 401);
		add_status(out, 429); /* too many wrong keys, or still busy with the same */
		if ((op->may & MAY_EVERY_ROLE) != MAY_EVERY_ROLE)
			add_status(out, 403);
	}
	if (op->path_count)
		add_status(out, 404);
	if (op->body) {
		add_status(out, 413);
		add_status(out, 415);
	}
	if (op->body || op->query_count || op->shape == API_LIST)
		add_status(out, 422);
	if (op->traits & API_MATCH)
		add_status(out, 412);
	if (op->traits & API_KEYED) /* the key was another command's; or not possible now */
		add_status(out, 409);
	for (unsigned i = 0; i < sizeof op->also / sizeof op->also[0] && op->also[i]; i++)
		add_status(out, op->also[i]);
}
