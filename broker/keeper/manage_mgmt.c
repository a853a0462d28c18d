#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "ipc/catalogue_manage.h"
#include "keeper/manage_check.h"

static const int64_t longest_ms = INT64_C(100) * 366 * 86400 * 1000;

void manage_mgmt_release(struct manage_op *op)
{
	free(op->mgmt.bounds);
	free(op->mgmt.mint);
	store_cascade_free(&op->mgmt.cascade);
}

/* Notes which key it is: in the audit row and for the store. */
static void mgmt_note(struct manage_op *op, const char *id)
{
	snprintf(op->target, sizeof op->target, "%s", id);
}

static int mgmt_take(struct manage_op *op, struct rk_slice ref, struct rk_fault *fault)
{
	struct mgmt_entry *e;
	int err = mgmt_keys_resolve(op->k->mgmt_keys, ref, &e, fault);

	if (err == 0)
		err = manage_check_revision(op, e->revision, fault);
	if (err)
		return err;
	op->mgmt.entry = e;
	op->mgmt.number = e->number;
	mgmt_note(op, e->id);
	return 0;
}

/* ---- showing ---- */

/* Stored with the connections' ids: their names come with them, as far as they are there. */
static struct rk_slice grants_shown(struct manage *m, struct rk_slice list)
{
	struct rk_slice item;
	size_t used = 0;

	while (record_list_next(&list, &item)) {
		const struct index_conn *c;
		struct msg_grant g;
		ssize_t n;

		if (record_decode_stored(&msg_grant_desc, item, &g))
			continue;
		c = index_conn_find(m->k->index, g.conn);
		g.conn = rk_str(c ? c->id : NULL);
		g.conn_name = rk_str(c ? c->name : NULL);
		n = record_encode(&msg_grant_desc, &g, m->grant, sizeof m->grant);
		if (n < 0 || record_list_add(m->grants, sizeof m->grants, &used,
		                             rk_slice(m->grant, (size_t)n)))
			break;
	}
	return rk_slice(m->grants, used);
}

static void put_bounds(struct manage *m, const struct mgmt_entry *e, struct msg_mgmt_info *info)
{
	struct msg_mint_bounds b;

	if (!e->bounds.n || record_decode_stored(&msg_mint_bounds_desc, e->bounds, &b))
		return;
	info->grants = grants_shown(m, b.grants);
	info->kinds = b.kinds;
	info->max_ttl_ms = b.max_ttl_ms;
	info->max_live_keys = b.max_live_keys;
	info->rate_per_minute = b.rate_per_minute;
	info->rate_per_day = b.rate_per_day;
	info->max_concurrent = b.max_concurrent;
	info->env = b.env;
	info->holder = b.holder;
}

static enum key_state mgmt_state(const struct mgmt_entry *e, int64_t now_ms)
{
	if (e->revoked_ms)
		return KEY_REVOKED;
	return mgmt_entry_live(e, now_ms) ? KEY_ACTIVE : KEY_EXPIRED;
}

/* `text`: the key itself, or empty. */
static void mgmt_send(struct manage_op *op, struct mgmt_entry *e, struct rk_slice text)
{
	char masked[MGMT_KEY_MASKED];
	int64_t now_ms = rk_wall_ms();
	struct msg_mgmt_info info;

	mgmt_key_mask((enum mgmt_role)e->role, e->hint, masked);
	info = (struct msg_mgmt_info){
	    .id = rk_str(e->id),
	    .key = text,
	    .masked = rk_str(masked),
	    .role = e->role,
	    .name = rk_str(e->name),
	    .state = (uint8_t)mgmt_state(e, now_ms),
	    .created_ms = e->created_ms,
	    .expires_ms = e->expires_ms,
	    .revoked_ms = e->revoked_ms,
	    .last_used_ms = e->last_used_ms,
	    .revision = e->revision,
	    .minted = (uint32_t)e->minted.keys,
	    .live_keys = minted_live(&e->minted, now_ms, true),
	};
	put_bounds(op->m, e, &info);
	manage_send(op, MSG_MGMT_INFO, &info);
}

void manage_mgmt_get(struct manage_op *op)
{
	struct rk_fault fault;
	struct mgmt_entry *e;
	int err = mgmt_keys_resolve(op->k->mgmt_keys, op->body.ref.ref, &e, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	mgmt_send(op, e, rk_str(NULL));
	manage_finish(op);
}

void manage_mgmt_list(struct manage_op *op)
{
	struct rk_slice after = op->body.list.after;

	if (after.n && !(op->mgmt.entry = mgmt_keys_by_id(op->k->mgmt_keys, after)))
		manage_end(op, RK_E_NOTFOUND, "the key to go on after does not exist");
	else
		manage_mgmt_list_resume(op);
}

void manage_mgmt_list_resume(struct manage_op *op)
{
	struct mgmt_entry *e;

	while (manage_room(op)) {
		e = mgmt_keys_next(op->k->mgmt_keys, op->mgmt.entry);
		if (!e) {
			manage_end(op, 0, NULL);
			return;
		}
		if (op->body.list.live_only && !mgmt_entry_live(e, rk_wall_ms())) {
			op->mgmt.entry = e;
			continue;
		}
		if (op->body.list.limit && op->mgmt.sent == op->body.list.limit) {
			manage_end_list(op, true);
			return;
		}
		op->mgmt.entry = e;
		op->mgmt.sent++;
		mgmt_send(op, e, rk_str(NULL));
	}
}

/* The answer to a change: of the object as it is then. */
static void mgmt_answer(struct manage_op *op)
{
	mgmt_send(op, op->mgmt.entry, rk_secret_slice(&op->key.text));
}

static int mgmt_recall(struct manage_op *op, struct rk_fault *fault)
{
	op->mgmt.entry = mgmt_keys_by_id(op->k->mgmt_keys, rk_str(op->target));
	return op->mgmt.entry ? 0 : rk_fail(fault, RK_E_NOTFOUND, "no such management key");
}

/* ---- management_key.issue ---- */

static bool has_bounds(const struct msg_mgmt_issue *b)
{
	return b->grants.n || b->kinds || b->max_ttl_ms || b->max_live_keys ||
	       b->rate_per_minute || b->rate_per_day || b->max_concurrent || b->env.n ||
	       b->holder.n;
}

static int bounds_check(const struct msg_mgmt_issue *b, struct rk_fault *fault)
{
	const struct rate_limits limits = {.per_minute = b->rate_per_minute,
	                                   .per_day = b->rate_per_day,
	                                   .max_concurrent = b->max_concurrent};
	int err;

	if (b->kinds >> HOLDER_KINDS)
		return rk_fail(fault, RK_E_INVALID,
		               "a holder is an app, an agent, a person or a vendor");
	if (b->max_ttl_ms < 0 || b->max_ttl_ms > longest_ms)
		return rk_fail(fault, RK_E_INVALID, "the longest time to live is 100 years");
	if ((b->env.n && (err = check_name("an environment", b->env, fault))) ||
	    (b->holder.n && (err = check_name("a holder's name", b->holder, fault))))
		return err;
	return check_limits(&limits, fault);
}

/* What a provisioner's key may mint, as it is stored. */
static int bounds_make(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_mgmt_issue *b = &op->body.mgmt_issue;
	struct msg_mint_bounds bounds = {
	    .kinds = b->kinds,
	    .max_ttl_ms = b->max_ttl_ms,
	    .max_live_keys = b->max_live_keys,
	    .rate_per_minute = b->rate_per_minute,
	    .rate_per_day = b->rate_per_day,
	    .max_concurrent = b->max_concurrent,
	    .env = b->env,
	    .holder = b->holder,
	};
	int err = bounds_check(b, fault);
	ssize_t n;

	if (!err && !b->grants.n)
		err = rk_fail(fault, RK_E_INVALID,
		              "say what a provisioner's key may mint: a grant at least");
	if (!err)
		err = manage_grants_resolve(op, b->grants, fault);
	if (err)
		return err;
	bounds.grants = op->key.grants;
	n = (ssize_t)record_size(&msg_mint_bounds_desc, &bounds);
	op->mgmt.bounds = malloc((size_t)n + 1);
	if (!op->mgmt.bounds)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	n = record_encode(&msg_mint_bounds_desc, &bounds, op->mgmt.bounds, (size_t)n);
	if (n < 0)
		return rk_fail(fault, (int)n, "the bounds are too long");
	op->mgmt.bounds_n = (size_t)n;
	return 0;
}

/* As of relay keys: in secret memory from its first byte on. */
static int mgmt_make(struct manage_op *op, struct rk_fault *fault)
{
	struct rk_secret *text = &op->key.text;
	char id[MGMT_KEY_ID_TEXT];
	struct mgmt_key made;

	if (rk_secret_alloc(text, MGMT_KEY_MAX))
		return rk_fail(fault, RK_E_NOMEM, "there is no secret memory left for a key");
	do {
		text->len = mgmt_key_generate((enum mgmt_role)op->body.mgmt_issue.role,
		                              (char *)text->p, &made);
		rk_sha256(rk_secret_slice(text), op->key.digest);
		snprintf(id, sizeof id, "mkey_%.*s", RELAY_KEY_ID, made.id);
	} while (mgmt_keys_by_id(op->k->mgmt_keys, rk_str(id)) ||
	         mgmt_keys_by_digest(op->k->mgmt_keys, op->key.digest));
	memcpy(op->key.hint, text->p + text->len - RELAY_KEY_HINT, RELAY_KEY_HINT);
	mgmt_note(op, id);
	return 0;
}

static int issue_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_mgmt_issue *b = &op->body.mgmt_issue;
	int err;

	if (b->role <= ROLE_NOBODY || b->role >= ROLE_COUNT)
		return rk_fail(fault, RK_E_INVALID,
		               "a role is admin, operator, auditor or provisioner");
	if ((err = check_name("a management key's name", b->name, fault)) ||
	    (err = check_expiry(op->now_ms, b->ttl_ms, b->expires_ms, &op->key.expires_ms,
	                        fault)))
		return err;
	if (mgmt_keys_room(op->k->mgmt_keys))
		return rk_fail(fault, RK_E_FULL, "there are %d management keys already",
		               MGMT_MAX_KEYS);
	if (b->role == ROLE_PROVISIONER)
		err = bounds_make(op, fault);
	else if (has_bounds(b))
		err = rk_fail(fault, RK_E_INVALID,
		              "bounds are for the role provisioner, which mints within them");
	if (!err)
		err = mgmt_make(op, fault);
	if (err)
		return err;
	manage_detail(op, "role=%s name=%.*s max_ttl_s=%lld max_live_keys=%u",
	              mgmt_role_name(b->role), RK_FMT(b->name),
	              (long long)(b->max_ttl_ms / 1000), b->max_live_keys);
	return 0;
}

static struct store_mgmt_key issued(const struct manage_op *op)
{
	const struct msg_mgmt_issue *b = &op->body.mgmt_issue;
	struct store_mgmt_key k = {
	    .number = op->mgmt.number,
	    .id = rk_str(op->target),
	    .role = b->role,
	    .name = b->name,
	    .bounds = rk_slice(op->mgmt.bounds, op->mgmt.bounds_n),
	    .created_ms = op->now_ms,
	    .expires_ms = op->key.expires_ms,
	};

	memcpy(k.digest, op->key.digest, sizeof k.digest);
	memcpy(k.hint, op->key.hint, sizeof k.hint);
	return k;
}

static int issue_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_mgmt_key k = issued(op);

	return store_mgmt_add(op->k->store, &k, &op->mgmt.number, fault);
}

static int issue_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct store_mgmt_key k = issued(op);

	return mgmt_keys_add(op->k->mgmt_keys, &k, &op->mgmt.entry, fault);
}

const struct mutation mutation_mgmt_issue = {
    .action = "management_key.issue",
    .begin = issue_begin,
    .store = issue_store,
    .apply = issue_apply,
    .answer = mgmt_answer,
    .recall = mgmt_recall,
};

/* ---- management_key.update ---- */

static int update_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_mgmt_update *b = &op->body.mgmt_update;
	char until[RK_TIME_TEXT] = "never";
	int err = mgmt_take(op, b->ref, fault);

	if (err)
		return err;
	if (op->mgmt.entry->revoked_ms)
		return rk_fail(fault, RK_E_STATE,
		               "%s is revoked: issue a new key, a revoked one stays revoked",
		               op->target);
	if (!b->set || b->set & ~(uint32_t)(MGMT_SET_NAME | MGMT_SET_EXPIRY))
		return rk_fail(fault, RK_E_INVALID, "say what to change: name or expiry");
	if (b->set & MGMT_SET_NAME &&
	    (err = check_name("a management key's name", b->name, fault)))
		return err;
	snprintf(op->mgmt.name, sizeof op->mgmt.name, "%s", op->mgmt.entry->name);
	if (b->set & MGMT_SET_NAME)
		snprintf(op->mgmt.name, sizeof op->mgmt.name, "%.*s", RK_FMT(b->name));
	op->key.expires_ms = op->mgmt.entry->expires_ms;
	if (b->set & MGMT_SET_EXPIRY &&
	    (err = check_expiry(op->now_ms, b->ttl_ms, b->expires_ms, &op->key.expires_ms,
	                        fault)))
		return err;
	if (op->key.expires_ms)
		rk_time_format(op->key.expires_ms, until);
	manage_detail(op, "name=%s expires=%s", op->mgmt.name, until);
	return 0;
}

static int update_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_mgmt_update(op->k->store, rk_str(op->target), rk_str(op->mgmt.name),
	                         op->key.expires_ms, fault);
}

static int update_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct mgmt_entry *e = op->mgmt.entry;

	(void)fault;
	snprintf(e->name, sizeof e->name, "%s", op->mgmt.name);
	e->expires_ms = op->key.expires_ms;
	e->revision++;
	return 0;
}

const struct mutation mutation_mgmt_update = {
    .action = "management_key.update",
    .begin = update_begin,
    .store = update_store,
    .apply = update_apply,
    .answer = mgmt_answer,
    .recall = mgmt_recall,
};

/* ---- management_key.revoke ---- */

static void cascade_at_once(struct manage_op *op)
{
	struct minted *m = &op->mgmt.entry->minted;

	for (size_t i = 0; i < m->keys; i++) {
		struct index_key *k = m->key[i];

		if (k->revoked_ms)
			continue;
		k->revoked_ms = op->key.revoked_ms;
		op->mgmt.cascaded++;
		pipeline_cut_key(op->k->pipeline, k, REASON_INVALID_KEY);
	}
}

static int revoke_at_once(struct manage_op *op, struct rk_fault *fault)
{
	int err = mgmt_take(op, op->body.mgmt_revoke.ref, fault);
	struct mgmt_entry *e = op->mgmt.entry;
	int64_t now_ms = rk_wall_ms();

	if (err)
		return err;
	op->key.changed = e->revoked_ms == 0;
	if (op->key.changed)
		e->revoked_ms = now_ms;
	manage_forget_key(op->m, e->number, op);
	op->key.revoked_ms = now_ms;
	if (op->body.mgmt_revoke.cascade)
		cascade_at_once(op);
	return 0;
}

static int revoke_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	if (op->body.mgmt_revoke.cascade)
		manage_detail(op, "cascade, relay_keys=%u", op->mgmt.cascaded);
	return !op->key.changed && !op->mgmt.cascaded &&
	       !manage_is_undurable(op->m, op->mgmt.entry->id);
}

static int revoke_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_mgmt_revoke(op->k->store, op->mgmt.number, op->key.revoked_ms,
	                         op->body.mgmt_revoke.cascade ? &op->mgmt.cascade : NULL,
	                         fault);
}

/* What was revoked in the store with it has the next revision there. */
static int revoke_apply(struct manage_op *op, struct rk_fault *fault)
{
	const struct store_cascade *c = &op->mgmt.cascade;
	char id[sizeof "key_" + RELAY_KEY_ID];

	(void)fault;
	op->mgmt.entry->revision++;
	manage_drop_undurable(op->m, op->mgmt.entry->id);
	for (size_t i = 0; i < c->count; i++) {
		struct rk_slice plain = rk_slice(c->ids + i * RELAY_KEY_ID, RELAY_KEY_ID);
		struct index_key *k = index_key_by_id(op->k->index, plain);

		if (!k)
			continue;
		k->revision++;
		snprintf(id, sizeof id, "key_%.*s", RK_FMT(plain));
		manage_drop_undurable(op->m, id);
	}
	return 0;
}

const struct mutation mutation_mgmt_revoke = {
    .action = "management_key.revoke",
    .at_once = revoke_at_once,
    .begin = revoke_begin,
    .store = revoke_store,
    .apply = revoke_apply,
    .answer = mgmt_answer,
};
