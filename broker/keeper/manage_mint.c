/*
 * Delegated credentials: a relay key that an automation mints for itself. A provisioner's lies
 * within the bounds of its management key, and then is issued as any other one; admins and
 * operators mint without bounds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "keeper/grant_cover.h"
#include "keeper/manage_check.h"
#include "keeper/manage_int.h"
#include "ipc/catalogue_manage.h"

/* What op->mgmt.mint holds. */
struct mint_room {
	char deny[MSG_MAX_LIST];
	char grant[MSG_MAX_GRANT];
	char grants[MSG_MAX_GRANT + 8];
};

/* One command on its way to being a msg_key_issue. */
struct mint {
	struct msg_key_mint b; /* the request */
	struct msg_mint_bounds bounds;
	struct index_conn *conn;
	struct msg_grant grant; /* that is minted */
	bool bounded;
};

/* ---- which keys a caller may see ---- */

bool manage_key_visible(const struct manage_op *op, const struct index_key *k)
{
	return op->role != ROLE_PROVISIONER || (k->minted_by && k->minted_by == op->mgmt_key);
}

/* A masked form would tell of others' keys that look alike: a provisioner has the ids. */
int manage_find_key(const struct manage_op *op, struct rk_slice ref, struct index_key **out,
                    struct rk_fault *fault)
{
	char hint[RELAY_KEY_HINT];
	enum holder_kind kind;
	struct index_key *k;

	if (op->role != ROLE_PROVISIONER)
		return index_key_resolve(op->k->index, ref, out, fault);
	if (!relay_key_parse_masked(ref, &kind, hint) ||
	    index_key_resolve(op->k->index, ref, &k, fault) || !manage_key_visible(op, k))
		return rk_fail(fault, RK_E_NOTFOUND, "no such key");
	*out = k;
	return 0;
}

/* ---- the bounds ---- */

static int outside(const char *bound, const char *why, struct rk_fault *fault)
{
	struct rk_fault text;

	/* `why` may lie in *fault */
	rk_fail(&text, 0, "outside the bounds of this management key: %s: %.360s", bound, why);
	*fault = text;
	return RK_E_DENIED;
}

static int bound_kind(struct mint *m, struct rk_fault *fault)
{
	uint32_t kinds = m->bounds.kinds;

	if (!(m->b.set & MINT_SET_KIND)) {
		m->b.kind = HOLDER_AGENT;
		if (kinds && !(kinds & (kinds - 1)))
			m->b.kind = (uint8_t)__builtin_ctz(kinds);
	}
	if (m->b.kind >= HOLDER_KINDS || !kinds || kinds & 1u << m->b.kind)
		return 0;
	return outside("kinds", holder_kind_name((enum holder_kind)m->b.kind), fault);
}

/* What the bounds fix is what a request that says nothing gets. */
static int bound_text(const char *what, struct rk_slice bound, struct rk_slice *asked,
                      struct rk_fault *fault)
{
	char only[MSG_MAX_NAME + 16];

	if (!asked->n)
		*asked = bound;
	if (!bound.n || rk_slice_eq(bound, *asked))
		return 0;
	snprintf(only, sizeof only, "only \"%.*s\"", RK_FMT(bound));
	return outside(what, only, fault);
}

static int bound_limit(const char *what, uint32_t bound, uint32_t *asked,
                       struct rk_fault *fault)
{
	char most[32];

	if (!*asked)
		*asked = bound;
	if (!bound || *asked <= bound)
		return 0;
	snprintf(most, sizeof most, "at most %u", bound);
	return outside(what, most, fault);
}

static int bound_ttl(const struct mint *m, struct rk_fault *fault)
{
	char most[64];

	if (!m->bounds.max_ttl_ms || (m->b.ttl_ms > 0 && m->b.ttl_ms <= m->bounds.max_ttl_ms))
		return 0;
	snprintf(most, sizeof most, "ttl_seconds is needed, at most %lld",
	         (long long)(m->bounds.max_ttl_ms / 1000));
	return outside("max_ttl_seconds", most, fault);
}

static int bound_live(struct manage_op *op, const struct mint *m, struct rk_fault *fault)
{
	struct minted *minted = &op->mgmt.entry->minted;
	uint32_t most = m->bounds.max_live_keys;
	char text[48];

	if (!most || minted_live(minted, op->now_ms, false) < most ||
	    minted_live(minted, op->now_ms, true) < most)
		return 0;
	snprintf(text, sizeof text, "there are %u live keys already", most);
	return outside("max_live_keys", text, fault);
}

/* The grants of the bounds on the connection that is asked for. */
struct bound_grants {
	struct index_grant grant[CHECK_MAX_GRANTS];
	const struct index_grant *at[CHECK_MAX_GRANTS];
	unsigned count;
};

static void bound_grants_of(const struct mint *m, struct bound_grants *out)
{
	struct rk_slice list = m->bounds.grants, item;
	struct msg_grant g;

	out->count = 0;
	while (out->count < CHECK_MAX_GRANTS && record_list_next(&list, &item)) {
		if (record_decode_stored(&msg_grant_desc, item, &g) ||
		    !rk_slice_is(g.conn, m->conn->id))
			continue;
		out->grant[out->count] = (struct index_grant){.conn = m->conn,
		                                              .methods = g.methods,
		                                              .paths = g.paths,
		                                              .deny_query = g.deny_query};
		out->at[out->count] = &out->grant[out->count];
		out->count++;
	}
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

/* What any of them denies is denied. */
static int deny_all(struct mint *m, const struct bound_grants *bound, struct mint_room *room,
                    struct rk_fault *fault)
{
	size_t used = m->b.deny_query.n;

	if (used)
		memcpy(room->deny, m->b.deny_query.p, used);
	for (unsigned i = 0; i < bound->count; i++) {
		struct rk_slice list = bound->grant[i].deny_query, item;

		while (record_list_next(&list, &item)) {
			if (list_has(rk_slice(room->deny, used), item))
				continue;
			if (record_list_add(room->deny, sizeof room->deny, &used, item))
				return rk_fail(fault, RK_E_TOOBIG,
				               "too many denied query parameters");
		}
	}
	m->grant.deny_query = rk_slice(room->deny, used);
	return 0;
}

static int bound_grant(struct mint *m, struct mint_room *room, struct rk_fault *fault)
{
	struct grant_cover *cover;
	struct bound_grants bound;
	struct index_grant g;
	int covered;

	bound_grants_of(m, &bound);
	if (!bound.count)
		return outside("grants", "not on this connection", fault);
	covered = deny_all(m, &bound, room, fault);
	if (covered < 0)
		return covered;
	if (grant_cover_new(&cover))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	g = (struct index_grant){.conn = m->conn,
	                         .methods = m->grant.methods,
	                         .paths = m->grant.paths,
	                         .deny_query = m->grant.deny_query};
	covered = grant_cover_check(cover, &g, bound.at, bound.count, fault);
	grant_cover_free(cover);
	if (covered == RK_E_NOMEM)
		return covered;
	return covered == 1 ? 0 : outside("grants", fault->text, fault);
}

static int bounds_hold(struct manage_op *op, struct mint *m, struct mint_room *room,
                       struct rk_fault *fault)
{
	int err;

	if ((err = bound_kind(m, fault)) ||
	    (err = bound_text("environment", m->bounds.env, &m->b.env, fault)) ||
	    (err = bound_text("holder", m->bounds.holder, &m->b.holder, fault)) ||
	    (err = bound_limit("per_minute", m->bounds.rate_per_minute, &m->b.rate_per_minute,
	                       fault)) ||
	    (err = bound_limit("per_day", m->bounds.rate_per_day, &m->b.rate_per_day, fault)) ||
	    (err = bound_limit("concurrent", m->bounds.max_concurrent, &m->b.max_concurrent,
	                       fault)) ||
	    (err = bound_ttl(m, fault)) || (err = bound_live(op, m, fault)))
		return err;
	return bound_grant(m, room, fault);
}

/* ---- key.mint ---- */

static int mint_read(struct manage_op *op, struct mint *m, struct rk_fault *fault)
{
	struct mgmt_entry *e = NULL;
	int err;

	*m = (struct mint){.b = op->body.key_mint, .bounded = op->role == ROLE_PROVISIONER};
	if (op->mgmt_key)
		e = mgmt_keys_by_number(op->k->mgmt_keys, op->mgmt_key);
	op->mgmt.entry = e;
	if (m->bounded && (!e || !e->bounds.n ||
	                   record_decode_stored(&msg_mint_bounds_desc, e->bounds, &m->bounds)))
		return rk_fail(fault, RK_E_DENIED, "this management key has no bounds");
	if (!m->b.methods.n || !m->b.paths.n)
		return rk_fail(fault, RK_E_INVALID,
		               "allowed_methods and allowed_paths are needed: without them the "
		               "key could do nothing");
	m->grant = (struct msg_grant){
	    .methods = m->b.methods, .paths = m->b.paths, .deny_query = m->b.deny_query};
	err = check_grant(&m->grant, fault);
	if (!err)
		err = manage_find_conn(op->k, m->b.conn, &m->conn, fault);
	if (!err)
		m->grant.conn = rk_str(m->conn->id);
	return err;
}

/* The request as an issue, whose texts lie in the request, the entry and the room. */
static int mint_translate(struct manage_op *op, struct mint *m, struct mint_room *room,
                          struct rk_fault *fault)
{
	size_t used = 0;
	ssize_t n = record_encode(&msg_grant_desc, &m->grant, room->grant, sizeof room->grant);

	if (m->b.flags & ~(uint32_t)(KEY_TRUSTED_ONLY | KEY_ANY_IP))
		return rk_fail(fault, RK_E_INVALID, "a minted key has no such flag");
	if (n < 0 || record_list_add(room->grants, sizeof room->grants, &used,
	                             rk_slice(room->grant, (size_t)n)))
		return rk_fail(fault, RK_E_TOOBIG, "the grant is too long");
	if (!m->b.holder.n && op->mgmt.entry) {
		/* a rename must not change what this operation has begun */
		snprintf(op->mgmt.name, sizeof op->mgmt.name, "%s", op->mgmt.entry->name);
		m->b.holder = rk_str(op->mgmt.name);
	}
	op->body.key_issue = (struct msg_key_issue){
	    .kind = m->b.kind,
	    .holder = m->b.holder,
	    .name = m->b.name,
	    .env = m->b.env,
	    .cidrs = m->b.cidrs,
	    .grants = rk_slice(room->grants, used),
	    .ttl_ms = m->b.ttl_ms,
	    .rate_per_minute = m->b.rate_per_minute,
	    .rate_per_day = m->b.rate_per_day,
	    .max_concurrent = m->b.max_concurrent,
	    .flags = m->b.flags,
	};
	return 0;
}

/* Who is refused for its bounds is written down, as who is for its role. */
static void note_outside(struct manage_op *op, const char *why)
{
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str(op->actor),
	    .action = rk_str("key.mint.denied"),
	    .target = rk_str(op->mgmt.entry ? op->mgmt.entry->id : NULL),
	};

	manage_detail(op, "%s", why);
	row.detail = rk_str(op->detail);
	/* without it nothing was done either */
	(void)!pipeline_append_row(op->k->pipeline, &row, NULL, NULL);
}

static int mint_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct mint_room *room = malloc(sizeof *room);
	struct mint m;
	int err;

	op->mgmt.mint = (char *)room;
	if (!room)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = mint_read(op, &m, fault);
	if (!err && m.bounded)
		err = bounds_hold(op, &m, room, fault);
	else if (!err)
		err = bound_kind(&m, fault);
	if (err == RK_E_DENIED)
		note_outside(op, fault->text);
	if (!err && op->mgmt.entry && minted_reserve(&op->mgmt.entry->minted))
		err = rk_fail(fault, RK_E_NOMEM, "out of memory");
	if (!err)
		err = mint_translate(op, &m, room, fault);
	if (err)
		return err;
	op->key.minted_by = op->mgmt_key;
	return manage_issue_begin(op, fault);
}

static int mint_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct mgmt_entry *e = op->mgmt.entry;
	int err = manage_issue_apply(op, fault);

	if (!e)
		return err;
	/* it is stored: one that memory has no room for counts all the same */
	if (err || minted_enter(&e->minted, op->key.key, op->now_ms))
		e->minted.lost++;
	return err;
}

const struct mutation mutation_key_mint = {
    .action = "key.mint",
    .begin = mint_begin,
    .store = manage_issue_store,
    .apply = mint_apply,
    .answer = manage_issue_answer,
    .recall = manage_key_recall,
};
