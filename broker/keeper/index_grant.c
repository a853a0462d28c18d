#include "keeper/index_int.h"

#include "ipc/catalogue_manage.h"
#include "policy/glob.h"

static int lists_check(const struct msg_grant *g, struct rk_fault *fault)
{
	struct rk_slice list, item;

	for (list = g->methods; record_list_next(&list, &item);) {
		bool ok = item.n > 0;

		for (size_t i = 0; i < item.n; i++)
			ok = ok && item.p[i] > ' ' && item.p[i] < 0x7f &&
			     !(item.p[i] >= 'a' && item.p[i] <= 'z');
		if (!ok)
			return rk_fail(fault, RK_E_INVALID, "\"%.*s\" is not a method",
			               RK_FMT(item));
	}
	for (list = g->paths; record_list_next(&list, &item);) {
		int err = glob_check(item, fault);

		if (err)
			return err;
	}
	for (list = g->deny_query; record_list_next(&list, &item);) {
		if (!item.n)
			return rk_fail(fault, RK_E_INVALID,
			               "a denied query parameter has no name");
	}
	return 0;
}

/* The same list has the same address from here on, so equal grants have equal bytes. */
static int list_intern(struct index *ix, struct rk_slice *s)
{
	void *p;

	if (!s->n) {
		*s = rk_slice(NULL, 0);
		return 0;
	}
	p = intern_put(ix->texts, s->p, s->n, 0, NULL);
	if (!p)
		return RK_E_NOMEM;
	*s = rk_slice(p, s->n);
	return 0;
}

static int grant_compile(struct index *ix, struct rk_slice encoded,
                         const struct index_grant **out, struct rk_fault *fault)
{
	enum { TAIL = sizeof(struct index_grant_node) - sizeof(struct index_grant) };
	struct index_grant_node *node;
	struct index_grant g;
	struct msg_grant m;
	bool fresh;
	int err;

	if (record_decode_stored(&msg_grant_desc, encoded, &m))
		return rk_fail(fault, RK_E_INVALID, "a grant does not decode");
	if ((err = lists_check(&m, fault)))
		return err;
	memset(&g, 0, sizeof g);
	g.conn = index_conn_find(ix, m.conn);
	g.methods = m.methods;
	g.paths = m.paths;
	g.deny_query = m.deny_query;
	if (list_intern(ix, &g.methods) || list_intern(ix, &g.paths) ||
	    list_intern(ix, &g.deny_query) ||
	    !(node = intern_put(ix->grants, &g, sizeof g, TAIL, &fresh)))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	if (fresh && g.conn) {
		node->next = g.conn->grants;
		g.conn->grants = node;
	}
	*out = &node->grant;
	return 0;
}

int index_compile_grants(struct index *ix, struct rk_slice list,
                         const struct index_grant *const **out, uint8_t *count,
                         struct rk_fault *fault)
{
	const struct index_grant *set[INDEX_MAX_GRANTS];
	struct rk_slice item;
	unsigned n = 0;
	void *stored;

	while (record_list_next(&list, &item)) {
		int err;

		if (n == INDEX_MAX_GRANTS)
			return rk_fail(fault, RK_E_TOOBIG, "a key has at most %d grants",
			               INDEX_MAX_GRANTS);
		err = grant_compile(ix, item, &set[n], fault);
		if (err)
			return err;
		n++;
	}
	stored = intern_put(ix->sets, set, n * sizeof set[0], 0, NULL);
	if (!stored)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	*out = stored;
	*count = (uint8_t)n;
	return 0;
}

/*
 * A dead grant stays where it is: sets point at it. Its bytes no longer have the hash that it
 * was entered under, so the intern table finds it for nobody, which is right.
 */
void index_kill_grants(struct index_conn *c)
{
	for (struct index_grant_node *n = c->grants; n; n = n->next)
		n->grant.conn = NULL;
	c->grants = NULL;
}
