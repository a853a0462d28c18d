#include "base/clock.h"
#include "ipc/catalogue_trust.h"
#include "keeper/manage_trust.h"

/* Walked a stretch at a time, like the other lists. Holders never go away; addresses do, so
 * their place is kept by number. */
enum { STEPS_A_TURN = 4096 };

static void end_more(struct manage_op *op, bool more)
{
	const struct msg_done done = {.more = more};

	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

static void set_limit(struct manage_trust *t, uint32_t limit)
{
	t->left = limit;
	t->limited = limit > 0;
}

/* ---- holders ---- */

static const struct index_holder *next_holder(const struct manage_op *op)
{
	const struct manage_trust *t = op->trust;
	const struct index_holder *h = index_holder_next(op->k->index, t->at);

	while (h && !t->any_kind && h->kind != t->kind)
		h = index_holder_next(op->k->index, h);
	return h;
}

static int holder_filters(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_holder_list *b = &op->body.holder_list;
	struct manage_trust *t = op->trust;
	struct index_holder *at;
	int err;

	t->any_kind = !b->kind.n;
	if (b->kind.n && holder_kind_parse(b->kind, &t->kind))
		return rk_fail(fault, RK_E_INVALID,
		               "the kind of a holder is app, agent, person or vendor");
	if (b->after.n) {
		err = index_holder_resolve(op->k->index, b->after, &at, fault);
		if (err)
			return err;
		t->at = at;
	}
	set_limit(t, b->limit);
	return 0;
}

void manage_holder_list(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	if (!manage_trust_open(op))
		return;
	err = holder_filters(op, &fault);
	if (err)
		manage_end(op, err, fault.text);
	else
		manage_holder_list_resume(op);
}

/* Counts the live keys of the next holder: a stretch of one that has very many. */
static bool count_some(const struct index *ix, struct manage_trust *t, unsigned *steps)
{
	int64_t now_ms = rk_wall_ms();

	for (; t->key && *steps; t->key = index_holder_key(ix, t->key->owner, t->key)) {
		t->live +=
		    !t->key->revoked_ms && (!t->key->expires_ms || now_ms < t->key->expires_ms);
		--*steps;
	}
	return !t->key;
}

void manage_holder_list_resume(struct manage_op *op)
{
	struct manage_trust *t = op->trust;
	unsigned steps = STEPS_A_TURN;

	while (steps) {
		const struct index_holder *h = next_holder(op);

		if (!h || (t->limited && !t->left)) {
			end_more(op, h != NULL);
			return;
		}
		if (!manage_room(op))
			return;
		if (!t->counting) {
			t->counting = true;
			t->key = h->first;
			t->live = 0;
		}
		steps--;
		if (!count_some(op->k->index, t, &steps))
			break;
		t->counting = false;
		t->at = h;
		t->left -= t->limited;
		manage_send_holder(op, h, t->live, 0);
	}
	manage_again(op);
}

/* ---- addresses ---- */

static int trust_filters(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_trust_list *b = &op->body.trust_list;
	struct manage_trust *t = op->trust;
	struct index_trust *after;
	struct index_key *key;
	int err = 0;

	if (b->state > TRUST_TRUSTED)
		return rk_fail(fault, RK_E_INVALID, "an address is pending or trusted");
	if (b->holder.n)
		err = index_holder_resolve(op->k->index, b->holder, &t->holder, fault);
	if (!err && b->key.n) {
		err = index_key_resolve(op->k->index, b->key, &key, fault);
		t->key = err ? NULL : key;
	}
	if (!err && b->after.n) {
		err = trust_find(op->k, b->after, &after, fault);
		t->after = err ? 0 : after->number;
	}
	set_limit(t, b->limit);
	return err;
}

void manage_trust_list(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	if (!manage_trust_open(op))
		return;
	err = trust_filters(op, &fault);
	if (err)
		manage_end(op, err, fault.text);
	else
		manage_trust_list_resume(op);
}

static bool matches(const struct manage_op *op, const struct index_trust *rec)
{
	const struct manage_trust *t = op->trust;

	if (rec->fresh || rec->state == TRUST_REMOVED || (t->key && rec->key != t->key))
		return false;
	return !op->body.trust_list.state || op->body.trust_list.state == rec->state;
}

void manage_trust_list_resume(struct manage_op *op)
{
	struct manage_trust *t = op->trust;

	for (unsigned i = 0; i < STEPS_A_TURN; i++) {
		const struct index_trust *rec =
		    index_trust_next(op->k->index, t->holder, t->after);
		bool hit = rec && matches(op, rec);

		if (!rec || (hit && t->limited && !t->left)) {
			end_more(op, rec != NULL);
			return;
		}
		if (!manage_room(op))
			return;
		t->after = rec->number;
		if (!hit)
			continue;
		t->left -= t->limited;
		manage_send_trust(op, rec, (enum trust_state)rec->state);
	}
	manage_again(op);
}
