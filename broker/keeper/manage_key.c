#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "ipc/catalogue_manage.h"
#include "keeper/manage_check.h"

/* Notes which key it is: in the audit row and for the store. */
static void key_note(struct manage_op *op, const char id[RELAY_KEY_ID])
{
	snprintf(op->key.id, sizeof op->key.id, "key_%.*s", RELAY_KEY_ID, id);
	snprintf(op->target, sizeof op->target, "%s", op->key.id);
	op->row.key_id = rk_str(op->key.id);
}

/* Finds the key; it stays where it is as long as the keeper runs. */
int manage_key_take(struct manage_op *op, struct rk_slice ref, struct rk_fault *fault)
{
	struct index_key *k;
	int err = manage_find_key(op, ref, &k, fault);

	if (err == 0)
		err = manage_check_revision(op, k->revision, fault);
	if (err)
		return err;
	op->key.key = k;
	key_note(op, k->id);
	op->row.holder_kind = k->kind;
	op->row.holder = rk_str(index_key_holder(k));
	op->row.env = rk_str(k->env);
	return 0;
}

static void key_answer(struct manage_op *op)
{
	manage_send_key(op, op->key.key, rk_str(NULL));
}

/* ---- key.issue ---- */

/* One grant with its connection's id in the place of the name. */
static int grant_resolve(struct manage_op *op, struct rk_slice encoded, size_t count,
                         size_t *used, struct rk_fault *fault)
{
	struct manage *m = op->m;
	struct index_conn *c;
	struct msg_grant g;
	ssize_t n;
	int err;

	if (record_decode(&msg_grant_desc, encoded, &g))
		return rk_fail(fault, RK_E_INVALID, "a grant does not decode");
	if ((err = manage_find_conn(op->k, g.conn, &c, fault)) ||
	    (err = check_grant(&g, fault)))
		return err;
	g.conn = rk_str(c->id);
	g.conn_name = rk_str(NULL);
	n = record_encode(&msg_grant_desc, &g, m->grant, sizeof m->grant);
	if (n < 0 ||
	    record_list_add(op->key.lists, MSG_MAX_GRANTS, used, rk_slice(m->grant, (size_t)n)))
		return rk_fail(fault, RK_E_TOOBIG, "the grants are too long");
	if (op->detail[0])
		manage_detail(op, "connections=%zu", count);
	else
		manage_detail(op, "connection=%s", c->name);
	return 0;
}

/* It may do nothing anyway, so it needs no grant. */
static bool is_honey(const struct manage_op *op)
{
	return op->cmd->type == MSG_KEY_ISSUE && (op->body.key_issue.flags & KEY_HONEY);
}

int manage_grants_resolve(struct manage_op *op, struct rk_slice list, struct rk_fault *fault)
{
	size_t count = record_list_count(list), used = 0;
	struct rk_slice item;
	int err = 0;

	if (!op->key.lists)
		op->key.lists = malloc(MSG_MAX_GRANTS + MSG_MAX_LIST);
	if (!op->key.lists)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	if (count == 0 && !is_honey(op))
		return rk_fail(fault, RK_E_INVALID, "a key needs a grant on a connection");
	if (count > CHECK_MAX_GRANTS)
		return rk_fail(fault, RK_E_TOOBIG, "a key has at most %d grants",
		               CHECK_MAX_GRANTS);
	while (err == 0 && record_list_next(&list, &item))
		err = grant_resolve(op, item, count, &used, fault);
	if (err)
		return err;
	/* when the key is shown, each grant has the connection's name beside the id */
	if (used + count * MSG_MAX_NAME > MSG_MAX_GRANTS)
		return rk_fail(fault, RK_E_TOOBIG, "the grants are too long");
	op->key.grants = rk_slice(op->key.lists, used);
	return 0;
}

/* The key itself: in secret memory from its first byte on. */
static int key_make(struct manage_op *op, struct rk_fault *fault)
{
	struct rk_secret *text = &op->key.text;
	struct relay_key made;

	if (rk_secret_alloc(text, RELAY_KEY_MAX))
		return rk_fail(fault, RK_E_NOMEM, "there is no secret memory left for a key");
	do {
		text->len = relay_key_generate(op->body.key_issue.kind, (char *)text->p, &made);
		rk_sha256(rk_secret_slice(text), op->key.digest);
	} while (index_key_by_id(op->k->index, rk_slice(made.id, sizeof made.id)) ||
	         index_key_by_digest(op->k->index, op->key.digest));
	memcpy(op->key.hint, text->p + text->len - RELAY_KEY_HINT, RELAY_KEY_HINT);
	key_note(op, made.id);
	return 0;
}

static struct rate_limits issued_limits(const struct msg_key_issue *b)
{
	return (struct rate_limits){
	    .per_minute = b->rate_per_minute,
	    .per_day = b->rate_per_day,
	    .max_concurrent = b->max_concurrent,
	};
}

/* Behind the connections in the audit row. */
static void note_limits(struct manage_op *op, const struct rate_limits *l)
{
	char before[sizeof op->detail];

	if (!rate_limits_any(l))
		return;
	memcpy(before, op->detail, sizeof before);
	manage_detail(op, "%s per_minute=%u per_day=%u concurrent=%u", before, l->per_minute,
	              l->per_day, l->max_concurrent);
}

static void note_also(struct manage_op *op, const char *what)
{
	char before[sizeof op->detail];

	memcpy(before, op->detail, sizeof before);
	manage_detail(op, "%s%s%s", before, before[0] ? " " : "", what);
}

static void note_flags(struct manage_op *op)
{
	if (op->key.flags & KEY_TRUSTED_ONLY)
		note_also(op, "trusted_only");
	if (op->key.flags & KEY_HONEY)
		note_also(op, "honey");
}

int manage_issue_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_key_issue *b = &op->body.key_issue;
	const struct rate_limits limits = issued_limits(b);
	size_t used = 0;
	int err;

	if (b->kind >= HOLDER_KINDS)
		return rk_fail(fault, RK_E_INVALID,
		               "a holder is an app, an agent, a person or a vendor");
	if ((err = check_name("a holder's name", b->holder, fault)) ||
	    (b->name.n && (err = check_name("a key's name", b->name, fault))) ||
	    (b->env.n && (err = check_name("an environment", b->env, fault))) ||
	    (err = check_expiry(op->now_ms, b->ttl_ms, b->expires_ms, &op->key.expires_ms,
	                        fault)) ||
	    (err = check_limits(&limits, fault)) ||
	    (err = check_key_flags(b, &op->key.flags, fault)))
		return err;
	if ((err = manage_grants_resolve(op, b->grants, fault)) ||
	    (err = check_cidrs(b->cidrs, op->key.lists + MSG_MAX_GRANTS, &used, fault)) ||
	    (err = key_make(op, fault)))
		return err;
	op->key.cidrs = rk_slice(op->key.lists + MSG_MAX_GRANTS, used);
	note_limits(op, &limits);
	note_flags(op);
	op->row.holder_kind = b->kind;
	op->row.holder = b->holder;
	op->row.env = b->env;
	return 0;
}

static struct store_key issued(const struct manage_op *op)
{
	const struct msg_key_issue *b = &op->body.key_issue;
	struct store_key k = {
	    .id = rk_str(op->key.id),
	    .kind = b->kind,
	    .holder = b->holder,
	    .name = b->name,
	    .env = b->env,
	    .cidrs = op->key.cidrs,
	    .grants = op->key.grants,
	    .created_ms = op->now_ms,
	    .expires_ms = op->key.expires_ms,
	    .limits = issued_limits(b),
	    .flags = op->key.flags,
	    .minted_by = op->key.minted_by,
	};

	memcpy(k.digest, op->key.digest, sizeof k.digest);
	memcpy(k.hint, op->key.hint, sizeof k.hint);
	return k;
}

int manage_issue_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_key k = issued(op);

	return store_key_add(op->k->store, &k, fault);
}

int manage_issue_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct store_key k = issued(op);

	return index_add_key(op->k->index, &k, &op->key.key, fault);
}

void manage_issue_answer(struct manage_op *op)
{
	manage_send_key(op, op->key.key, rk_secret_slice(&op->key.text));
}

int manage_key_recall(struct manage_op *op, struct rk_fault *fault)
{
	op->key.key = index_key_by_id(op->k->index, rk_str(op->target));
	return op->key.key ? 0 : rk_fail(fault, RK_E_NOTFOUND, "no such key");
}

const struct mutation mutation_key_issue = {
    .action = "key.issue",
    .begin = manage_issue_begin,
    .store = manage_issue_store,
    .apply = manage_issue_apply,
    .answer = manage_issue_answer,
    .recall = manage_key_recall,
};

/* ---- key.revoke ---- */

static int revoke_at_once(struct manage_op *op, struct rk_fault *fault)
{
	struct index_key *k;
	int err = manage_key_take(op, op->body.ref.ref, fault);

	if (err)
		return err;
	k = op->key.key;
	op->key.changed = k->revoked_ms == 0;
	if (op->key.changed)
		k->revoked_ms = rk_wall_ms();
	op->key.revoked_ms = k->revoked_ms;
	pipeline_cut_key(op->k->pipeline, k, REASON_INVALID_KEY);
	return 0;
}

/* Also with the management key that minted it. */
static bool is_undurable(const struct manage_op *op)
{
	const struct index_key *k = op->key.key;
	const struct mgmt_entry *minter =
	    k->minted_by ? mgmt_keys_by_number(op->k->mgmt_keys, k->minted_by) : NULL;

	return manage_is_undurable(op->m, op->key.id) ||
	       (minter && manage_is_undurable(op->m, minter->id));
}

static int revoke_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	return !op->key.changed && !is_undurable(op);
}

static int revoke_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_key_set_revoked(op->k->store, rk_str(op->key.id), op->key.revoked_ms,
	                             fault);
}

static int revoke_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	op->key.key->revision++;
	manage_drop_undurable(op->m, op->key.id);
	return 0;
}

const struct mutation mutation_key_revoke = {
    .action = "key.revoke",
    .at_once = revoke_at_once,
    .begin = revoke_begin,
    .store = revoke_store,
    .apply = revoke_apply,
    .answer = key_answer,
};

/* ---- key.extend ---- */

static int extend_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_key_extend *b = &op->body.key_extend;
	char text[RK_TIME_TEXT];
	int err = manage_key_take(op, b->ref, fault);

	if (err)
		return err;
	if (op->key.key->revoked_ms)
		return rk_fail(fault, RK_E_STATE,
		               "%s is revoked: issue a new key, a revoked one stays revoked",
		               op->key.id);
	if (!b->ttl_ms && !b->expires_ms)
		return rk_fail(fault, RK_E_INVALID, "say until when: a time to live or a date");
	err = check_expiry(op->now_ms, b->ttl_ms, b->expires_ms, &op->key.expires_ms, fault);
	if (err)
		return err;
	rk_time_format(op->key.expires_ms, text);
	manage_detail(op, "expires=%s", text);
	return 0;
}

static int extend_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_key_set_expires(op->k->store, rk_str(op->key.id), op->key.expires_ms,
	                             fault);
}

static int extend_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct index_key *k = op->key.key;

	(void)fault;
	k->revision++;
	if (op->key.overtaken & KEY_SET_EXPIRY)
		return 0;
	k->expires_ms = op->key.expires_ms;
	mgmt_keys_extended(op->k->mgmt_keys, k, op->now_ms);
	pipeline_expiry_changed(op->k->pipeline, k);
	return 0;
}

const struct mutation mutation_key_extend = {
    .action = "key.extend",
    .begin = extend_begin,
    .store = extend_store,
    .apply = extend_apply,
    .answer = key_answer,
    .recall = manage_key_recall,
};
