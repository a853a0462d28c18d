#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "keeper/manage_trust.h"
#include "policy/mail_address.h"

/* ---- what all commands here share ---- */

bool manage_trust_open(struct manage_op *op)
{
	op->trust = calloc(1, sizeof *op->trust);
	if (!op->trust) {
		manage_end(op, RK_E_NOMEM, "out of memory");
		return false;
	}
	op->trust->if_revision = op->caller->if_revision;
	memcpy(op->trust->client_ip, op->caller->client_ip, sizeof op->trust->client_ip);
	return true;
}

void manage_trust_change(struct manage_op *op)
{
	if (!manage_trust_open(op))
		return;
	op->mutation = op->cmd->mutation;
	mutation_start(op);
}

/* Which holder it is about: in the audit row and for the store. */
void manage_trust_note(struct manage_op *op, const struct index_holder *h)
{
	struct manage_trust *t = op->trust;

	snprintf(t->holder_name, sizeof t->holder_name, "%s", h->name);
	op->row.holder_kind = h->kind;
	op->row.holder = rk_str(t->holder_name);
	memcpy(op->row.client_ip, t->client_ip, sizeof op->row.client_ip);
}

static int holder_take(struct manage_op *op, struct rk_slice ref, struct rk_fault *fault)
{
	int err = index_holder_resolve(op->k->index, ref, &op->trust->holder, fault);
	const struct index_holder *h = op->trust->holder;

	if (err)
		return err;
	snprintf(op->target, sizeof op->target, "%s:%s",
	         holder_kind_name((enum holder_kind)h->kind), h->name);
	manage_trust_note(op, h);
	return 0;
}

static int check_revision(const struct manage_op *op, struct rk_fault *fault)
{
	const struct manage_trust *t = op->trust;

	if (!t->if_revision || t->if_revision == t->holder->revision)
		return 0;
	return rk_fail(fault, RK_E_STALE, "the holder has changed: it is at revision %u",
	               t->holder->revision);
}

/* ---- showing ---- */

static bool key_is_live(const struct index_key *k, int64_t now_ms)
{
	return !k->revoked_ms && (!k->expires_ms || now_ms < k->expires_ms);
}

static uint32_t count_live(const struct index *ix, const struct index_holder *h)
{
	const struct index_key *k = NULL;
	int64_t now_ms = rk_wall_ms();
	uint32_t n = 0;

	while ((k = index_holder_key(ix, h, k)))
		n += key_is_live(k, now_ms);
	return n;
}

void manage_send_holder(struct manage_op *op, const struct index_holder *h, uint32_t live,
                        uint32_t revoked)
{
	char ref[MSG_MAX_HOLDER + 1];
	struct msg_holder_info info = {
	    .kind = h->kind,
	    .name = rk_str(h->name),
	    .email = rk_str(h->email),
	    .keys = h->keys,
	    .live_keys = live == UINT32_MAX ? count_live(op->k->index, h) : live,
	    .trusted_ips = index_trust_count(h, TRUST_TRUSTED),
	    .pending_ips = index_trust_count(h, TRUST_PENDING),
	    .revoked = revoked,
	    .revision = h->revision,
	};

	snprintf(ref, sizeof ref, "%s:%s", holder_kind_name((enum holder_kind)h->kind),
	         h->name);
	info.ref = rk_str(ref);
	manage_send(op, MSG_HOLDER_INFO, &info);
}

void manage_holder_get(struct manage_op *op)
{
	struct index_holder *h;
	struct rk_fault fault;
	int err = index_holder_resolve(op->k->index, op->body.ref.ref, &h, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	manage_send_holder(op, h, UINT32_MAX, 0);
	manage_finish(op);
}

/* ---- holder.set ---- */

static int set_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_holder_set *b = &op->body.holder_set;
	const char *had;
	int err = holder_take(op, b->ref, fault);

	if (!err)
		err = check_revision(op, fault);
	if (err)
		return err;
	if (b->set & ~(uint32_t)HOLDER_SET_EMAIL)
		return rk_fail(fault, RK_E_INVALID, "a holder has nothing else to set");
	err = b->email.n ? mail_address_check(b->email, fault) : 0;
	if (err)
		return err;
	had = op->trust->holder->email;
	if (!b->set || rk_slice_is(b->email, had ? had : ""))
		return 1;
	/* links that let in go there from now on: both belong into the log */
	manage_detail(op, "email=%.*s was=%s", RK_FMT(b->email), had ? had : "");
	return 0;
}

static int set_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_holder_set_email(op->k->store, op->row.holder_kind,
	                              rk_str(op->trust->holder_name), op->body.holder_set.email,
	                              fault);
}

static int set_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct index_holder *h = op->trust->holder;

	h->revision++;
	for (unsigned i = 0; i < h->trusts; i++)
		h->trust[i]->code_expires_ms = 0;
	if (index_holder_set_email(op->k->index, h, op->body.holder_set.email))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	return 0;
}

static void holder_answer(struct manage_op *op)
{
	manage_send_holder(op, op->trust->holder, UINT32_MAX, op->trust->revoked);
}

const struct mutation mutation_holder_set = {
    .action = "holder.set",
    .begin = set_begin,
    .store = set_store,
    .apply = set_apply,
    .answer = holder_answer,
};

/* ---- holder.revoke ---- */

/* Every key that is not revoked yet. */
static void revoke_keys(struct manage_op *op)
{
	struct manage_trust *t = op->trust;

	struct index_key *k = NULL;

	while ((k = index_holder_key(op->k->index, t->holder, k))) {
		if (k->revoked_ms)
			continue;
		k->revoked_ms = t->revoked_ms;
		k->revision++;
		t->revoked++;
		pipeline_cut_key(op->k->pipeline, k, REASON_INVALID_KEY);
	}
}

static int revoke_at_once(struct manage_op *op, struct rk_fault *fault)
{
	int err = holder_take(op, op->body.ref.ref, fault);

	if (!err)
		err = check_revision(op, fault);
	if (err)
		return err;
	op->trust->revoked_ms = rk_wall_ms();
	revoke_keys(op);
	return 0;
}

/* A key that was being issued meanwhile is in the index now. */
static int revoke_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	revoke_keys(op);
	manage_detail(op, "keys=%u", op->trust->revoked);
	return !op->trust->revoked && !manage_is_undurable(op->m, op->target);
}

static int revoke_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_holder_revoke(op->k->store, op->row.holder_kind,
	                           rk_str(op->trust->holder_name), op->trust->revoked_ms,
	                           fault);
}

static int revoke_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	manage_drop_undurable(op->m, op->target);
	return 0;
}

const struct mutation mutation_holder_revoke = {
    .action = "holder.revoke",
    .at_once = revoke_at_once,
    .begin = revoke_begin,
    .store = revoke_store,
    .apply = revoke_apply,
    .answer = holder_answer,
};
