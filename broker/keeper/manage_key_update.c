/*
 * Changing a relay key. A change that only takes away (a sooner end, fewer addresses, grants
 * within those it has, lower limits) is in force before its row and the store, as a revocation
 * is; any other one when it is stored. Either way requests in flight that the key would not get
 * any more are cut.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "keeper/grant_cover.h"
#include "keeper/manage_check.h"
#include "keeper/manage_int.h"

static const struct mutation mutation_key_update, mutation_key_tighten;

/* ---- what is asked for ---- */

static struct store_key wanted(const struct manage_op *op)
{
	const struct msg_key_update *b = &op->body.key_update;

	return (struct store_key){
	    .id = rk_str(op->key.id),
	    .name = b->name,
	    .env = b->env,
	    .cidrs = op->key.cidrs,
	    .grants = op->key.grants,
	    .expires_ms = op->key.expires_ms,
	    .limits = {.per_minute = b->rate_per_minute,
	               .per_day = b->rate_per_day,
	               .max_concurrent = b->max_concurrent},
	    .flags = op->key.flags,
	};
}

static int take_lists(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_key_update *b = &op->body.key_update;
	size_t used = 0;
	int err = 0;

	if (b->set & KEY_SET_GRANTS)
		err = manage_grants_resolve(op, b->grants, fault);
	if (err || !(b->set & KEY_SET_CIDRS))
		return err;
	if (!op->key.lists)
		op->key.lists = malloc(MSG_MAX_GRANTS + MSG_MAX_LIST);
	if (!op->key.lists)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = check_cidrs(b->cidrs, op->key.lists + MSG_MAX_GRANTS, &used, fault);
	op->key.cidrs = rk_slice(op->key.lists + MSG_MAX_GRANTS, used);
	return err;
}

static int take_members(struct manage_op *op, int64_t now_ms, struct rk_fault *fault)
{
	const struct msg_key_update *b = &op->body.key_update;
	const struct rate_limits limits = wanted(op).limits;
	int err;

	if (!b->set || b->set & ~(uint32_t)KEY_SET_ALL)
		return rk_fail(fault, RK_E_INVALID, "say what to change");
	if (b->set & KEY_SET_NAME && b->name.n &&
	    (err = check_name("a key's name", b->name, fault)))
		return err;
	if (b->set & KEY_SET_ENV && b->env.n &&
	    (err = check_name("an environment", b->env, fault)))
		return err;
	if (b->set & KEY_SET_EXPIRY &&
	    (err = check_expiry(now_ms, b->ttl_ms, b->expires_ms, &op->key.expires_ms, fault)))
		return err;
	if (b->set & KEY_SET_FLAGS && b->flags & ~(uint32_t)KEY_TRUSTED_ONLY)
		return rk_fail(fault, RK_E_INVALID, "the key has an unknown option");
	/* what else a key is stays */
	op->key.flags = (op->key.key->flags & ~(uint32_t)KEY_TRUSTED_ONLY) | b->flags;
	err = check_limits(&limits, fault);
	return err ? err : take_lists(op, fault);
}

/* For the audit row: what was set, and to what where that is short. */
static void note(struct manage_op *op)
{
	static const struct {
		uint32_t set;
		const char *name;
	} each[] = {
	    {KEY_SET_NAME, "name"},
	    {KEY_SET_ENV, "environment"},
	    {KEY_SET_EXPIRY, "expiry"},
	    {KEY_SET_CIDRS, "addresses"},
	    {KEY_SET_GRANTS, "grants"},
	    {KEY_SET_RATE_PER_MINUTE, "per_minute"},
	    {KEY_SET_RATE_PER_DAY, "per_day"},
	    {KEY_SET_MAX_CONCURRENT, "concurrent"},
	    {KEY_SET_FLAGS, "flags"},
	};
	const struct msg_key_update *b = &op->body.key_update;
	char text[sizeof op->detail] = "", until[RK_TIME_TEXT] = "never", grants[96] = "";
	size_t n = 0;

	snprintf(grants, sizeof grants, "%.95s", op->detail); /* of manage_grants_resolve() */
	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		if (b->set & each[i].set)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "," : "",
			                      each[i].name);
	}
	if (op->key.expires_ms)
		rk_time_format(op->key.expires_ms, until);
	manage_detail(op, "set=%s%s%s%s%s", text, b->set & KEY_SET_EXPIRY ? " expires=" : "",
	              b->set & KEY_SET_EXPIRY ? until : "", grants[0] ? " " : "", grants);
}

/* Everything that can be wrong is found here; what can be assumed lies in op->key.fresh. */
static int take(struct manage_op *op, int64_t now_ms, struct rk_fault *fault)
{
	const struct msg_key_update *b = &op->body.key_update;
	struct store_key k;
	int err = manage_key_take(op, b->ref, fault);

	if (err)
		return err;
	if (op->key.key->revoked_ms)
		return rk_fail(fault, RK_E_STATE,
		               "%s is revoked: issue a new key, a revoked one stays revoked",
		               op->key.id);
	op->detail[0] = '\0';
	index_key_drop(&op->key.fresh);
	err = take_members(op, now_ms, fault);
	if (err)
		return err;
	k = wanted(op);
	err = index_key_compile(op->k->index, &k, b->set, &op->key.fresh, fault);
	if (err == 0)
		note(op);
	return err;
}

/* ---- whether it only takes away ---- */

static bool sooner(int64_t next, int64_t now)
{
	return next && (!now || next <= now);
}

static bool lower(uint32_t next, uint32_t now)
{
	return next && (!now || next <= now);
}

static bool within(const struct rk_cidr *c, const struct index_key *k)
{
	for (unsigned i = 0; i < k->cidr_count; i++) {
		if (c->bits >= k->cidrs[i].bits && rk_cidr_contains(&k->cidrs[i], &c->net))
			return true;
	}
	return k->cidr_count == 0;
}

static bool fewer_addresses(const struct index_key *next, const struct index_key *now)
{
	for (unsigned i = 0; i < next->cidr_count; i++) {
		if (!within(&next->cidrs[i], now))
			return false;
	}
	return next->cidr_count > 0;
}

static bool fewer_grants(const struct index_key *next, const struct index_key *now)
{
	struct grant_cover *c;
	struct rk_fault fault;
	int covered = 1;

	if (grant_cover_new(&c))
		return false;
	for (unsigned i = 0; i < next->grant_count && covered == 1; i++)
		covered = grant_cover_check(c, next->grants[i], now->grants, now->grant_count,
		                            &fault);
	grant_cover_free(c);
	return covered == 1;
}

static bool lower_limits(uint32_t set, const struct rate_limits *next,
                         const struct index_key *k)
{
	const struct rate_limits now = k->rate ? k->rate->limits : (struct rate_limits){0};

	return (!(set & KEY_SET_RATE_PER_MINUTE) || lower(next->per_minute, now.per_minute)) &&
	       (!(set & KEY_SET_RATE_PER_DAY) || lower(next->per_day, now.per_day)) &&
	       (!(set & KEY_SET_MAX_CONCURRENT) ||
	        lower(next->max_concurrent, now.max_concurrent));
}

/* A new name is neither: alone it can wait. */
static bool only_takes_away(const struct manage_op *op)
{
	const struct index_key *next = &op->key.fresh, *now = op->key.key;
	const struct rate_limits limits = wanted(op).limits;
	uint32_t set = op->body.key_update.set;

	return (set & ~(uint32_t)(KEY_SET_NAME | KEY_SET_ENV)) &&
	       (!(set & KEY_SET_EXPIRY) || sooner(next->expires_ms, now->expires_ms)) &&
	       (!(set & KEY_SET_FLAGS) || !(now->flags & ~next->flags)) &&
	       lower_limits(set, &limits, now) &&
	       (!(set & KEY_SET_CIDRS) || fewer_addresses(next, now)) &&
	       (!(set & KEY_SET_GRANTS) || fewer_grants(next, now));
}

/* ---- in force ---- */

static void assume(struct manage_op *op, uint32_t set)
{
	struct index_key *k = op->key.key;

	index_key_assume(op->k->index, k, &op->key.fresh, set);
	if (set & KEY_SET_EXPIRY) {
		mgmt_keys_extended(op->k->mgmt_keys, k, rk_wall_ms());
		pipeline_expiry_changed(op->k->pipeline, k);
	}
	if (set & (KEY_SET_CIDRS | KEY_SET_GRANTS | KEY_SET_FLAGS))
		pipeline_policy_changed(op->k->pipeline, k);
}

/* What is under way or waits must not give back what a later change took. */
static void overtake(struct manage_op *later)
{
	for (struct manage_op *op = later->m->ops; op; op = op->next) {
		struct index_key *k = op->key.key;
		struct rk_slice ref;

		if (op == later)
			continue;
		if (op->mutation == &mutation_key_update)
			ref = op->body.key_update.ref;
		else if (op->mutation == &mutation_key_extend)
			ref = op->body.key_extend.ref;
		else
			continue;
		if (!k && index_key_resolve(later->k->index, ref, &k, NULL))
			continue;
		if (k == later->key.key)
			op->key.overtaken |= later->body.key_update.set;
	}
}

void manage_key_update(struct manage_op *op)
{
	struct rk_fault fault;
	bool tightens = take(op, rk_wall_ms(), &fault) == 0 && only_takes_away(op);

	/* what is wrong is said in its turn */
	op->mutation = tightens ? &mutation_key_tighten : &mutation_key_update;
	mutation_start(op);
}

static int update_begin(struct manage_op *op, struct rk_fault *fault)
{
	return take(op, op->now_ms, fault);
}

static int update_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_key k = wanted(op);

	return store_key_update(op->k->store, &k, op->body.key_update.set, fault);
}

static int update_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	op->key.key->revision++;
	assume(op, op->body.key_update.set & ~op->key.overtaken);
	return 0;
}

static void update_answer(struct manage_op *op)
{
	manage_send_key(op, op->key.key, rk_str(NULL));
}

static const struct mutation mutation_key_update = {
    .action = "key.update",
    .begin = update_begin,
    .store = update_store,
    .apply = update_apply,
    .answer = update_answer,
    .recall = manage_key_recall,
};

/* Taken in the same turn of the loop. */
static int tighten_at_once(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	overtake(op);
	assume(op, op->body.key_update.set);
	return 0;
}

static int tighten_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

static int tighten_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	op->key.key->revision++;
	return 0;
}

static const struct mutation mutation_key_tighten = {
    .action = "key.update",
    .at_once = tighten_at_once,
    .begin = tighten_begin,
    .store = update_store,
    .apply = tighten_apply,
    .answer = update_answer,
};
