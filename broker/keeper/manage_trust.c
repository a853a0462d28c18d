#include "keeper/manage_trust.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ipc/catalogue_trust.h"

/* ---- one address ---- */

void manage_send_trust(struct manage_op *op, const struct index_trust *t,
                       enum trust_state state)
{
	char id[TRUST_ID], key_id[RELAY_KEY_ID + 5] = "", masked[RELAY_KEY_MASKED] = "";
	const struct index_conn *c = index_conn_find(op->k->index, rk_str(t->conn_id));
	char address[RK_CIDR_TEXT];
	struct msg_trust_info info;

	trust_id(t->number, id);
	trust_address(t, address);
	if (t->key) {
		snprintf(key_id, sizeof key_id, "key_%.*s", RELAY_KEY_ID, t->key->id);
		relay_key_mask((enum holder_kind)t->key->kind, t->key->hint, masked);
	}
	info = (struct msg_trust_info){
	    .id = rk_str(id),
	    .holder_kind = t->holder->kind,
	    .holder = rk_str(t->holder->name),
	    .address = rk_str(address),
	    .state = (uint8_t)state,
	    .how = t->how,
	    .key_id = rk_str(key_id),
	    .key_masked = rk_str(masked),
	    .conn_id = rk_str(t->conn_id),
	    .conn_name = rk_str(c ? c->name : NULL),
	    .user_agent = rk_str(t->user_agent),
	    .first_ms = t->first_ms,
	    .decided_ms = t->decided_ms,
	    .code_expires_ms = t->code_expires_ms,
	    .revision = t->revision,
	};
	manage_send(op, MSG_TRUST_INFO, &info);
}

static void address_answer(struct manage_op *op)
{
	manage_send_trust(op, op->trust->rec, (enum trust_state)op->trust->rec->state);
}

void manage_trust_get(struct manage_op *op)
{
	struct index_trust *rec;
	struct rk_fault fault;
	int err = trust_find(op->k, op->body.ref.ref, &rec, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	manage_send_trust(op, rec, (enum trust_state)rec->state);
	manage_finish(op);
}

static void note_address(struct manage_op *op, const struct index_trust *rec)
{
	char text[RK_CIDR_TEXT];

	op->trust->number = rec->number;
	trust_id(rec->number, op->target);
	manage_trust_note(op, rec->holder);
	trust_address(rec, text);
	manage_detail(op, "address=%s", text);
}

/* Nobody else may change it until the command ends. */
static int take_address(struct manage_op *op, struct index_trust *rec, struct rk_fault *fault)
{
	struct manage_trust *t = op->trust;

	if (rec->busy)
		return rk_fail(fault, RK_E_AGAIN,
		               "this address is being stored: try again in a moment");
	if (t->if_revision && t->if_revision != rec->revision)
		return rk_fail(fault, RK_E_STALE,
		               "the address has changed: it is at revision %u", rec->revision);
	t->rec = rec;
	t->holder = rec->holder;
	note_address(op, rec);
	return 0;
}

static void hold_address(struct manage_op *op)
{
	op->trust->rec->busy = true;
	op->trust->busy = true;
}

void manage_trust_release(struct manage_op *op)
{
	struct manage_trust *t = op->trust;

	if (!t)
		return;
	if (t->busy) {
		t->rec->busy = false;
		if (t->made)
			index_trust_drop(op->k->index, t->rec);
	}
	free(t->gone);
	free(t);
	op->trust = NULL;
}

static int check_room(const struct index_holder *h, struct rk_fault *fault)
{
	if (index_trust_count(h, TRUST_TRUSTED) < HOLDER_MAX_TRUSTED)
		return 0;
	return rk_fail(fault, RK_E_TOOBIG, "a holder is trusted at %d addresses at most",
	               HOLDER_MAX_TRUSTED);
}

/* ---- from pending to trusted: by id, by code ---- */

static int decide_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_trust_decide(op->k->store, op->trust->number, op->trust->how, op->now_ms,
	                          fault);
}

static int decide_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct manage_trust *t = op->trust;

	(void)fault;
	t->rec->state = TRUST_TRUSTED;
	t->rec->how = t->how;
	t->rec->decided_ms = op->now_ms;
	t->rec->code_expires_ms = 0;
	t->rec->revision++;
	t->rec->busy = false;
	t->holder->settled = true;
	t->busy = false;
	return 0;
}

static int decide_begin(struct manage_op *op, struct index_trust *rec, enum trust_how how,
                        struct rk_fault *fault)
{
	int err = take_address(op, rec, fault);

	if (err)
		return err;
	if (rec->state == TRUST_TRUSTED)
		return 1;
	if (rec->state != TRUST_PENDING)
		return rk_fail(fault, RK_E_STATE, "the address is being removed");
	err = check_room(rec->holder, fault);
	if (err)
		return err;
	op->trust->how = (uint8_t)how;
	hold_address(op);
	return 0;
}

static int approve_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_trust *rec;
	int err = trust_find(op->k, op->body.ref.ref, &rec, fault);

	return err ? err : decide_begin(op, rec, TRUST_BY_MANAGER, fault);
}

const struct mutation mutation_trust_approve = {
    .action = "ip.approve",
    .begin = approve_begin,
    .store = decide_store,
    .apply = decide_apply,
    .answer = address_answer,
};

static int confirm_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_trust *rec;
	int err = trust_by_code(op->k, op->body.confirm.code, op->trust->client_ip, op->now_ms,
	                        &rec, fault);

	/* whoever clicks is known by the code alone */
	snprintf(op->actor, sizeof op->actor, "confirmation-link");
	return err ? err : decide_begin(op, rec, TRUST_BY_LINK, fault);
}

const struct mutation mutation_confirm = {
    .action = "ip.confirm",
    .begin = confirm_begin,
    .store = decide_store,
    .apply = decide_apply,
    .answer = address_answer,
};

void manage_confirm_get(struct manage_op *op)
{
	struct index_trust *rec;
	struct rk_fault fault;
	int err;

	err = trust_by_code(op->k, op->body.confirm.code, op->caller->client_ip, rk_wall_ms(),
	                    &rec, &fault);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	manage_send_trust(op, rec, (enum trust_state)rec->state);
	manage_finish(op);
}

/* ---- ip.add ---- */

/* One IPv6 address stands for its /64. */
static int parse_address(struct rk_slice text, struct rk_cidr *out, struct rk_fault *fault)
{
	bool v4;

	if (rk_cidr_parse(text, out))
		return rk_fail(fault, RK_E_INVALID,
		               "an address looks like 203.0.113.42 or 2001:db8::1, a prefix "
		               "like 10.0.0.0/8 with all host bits zero");
	v4 = rk_ip_is_v4(&out->net) && out->bits >= 96;
	if (out->bits == (v4 ? 96 : 0))
		return rk_fail(fault, RK_E_INVALID,
		               "that is every address: let the key be used from any instead");
	if (!v4 && out->bits == 128)
		*out = index_trust_net(out->net.b);
	return 0;
}

static int add_make(struct manage_op *op, const struct rk_cidr *net, struct rk_fault *fault)
{
	struct manage_trust *t = op->trust;
	int err = check_room(t->holder, fault);

	if (err)
		return err;
	err = index_trust_new(op->k->index, t->holder, net, rk_str(""), &t->rec);
	if (err)
		return rk_fail(fault, err, "there is no room for another address");
	t->rec->first_ms = op->now_ms;
	t->busy = true;
	t->made = true;
	note_address(op, t->rec);
	t->row = (struct store_trust){
	    .number = t->number,
	    .kind = t->holder->kind,
	    .holder = rk_str(t->holder_name),
	    .net = *net,
	    .state = TRUST_TRUSTED,
	    .how = TRUST_BY_MANAGER,
	    .first_ms = op->now_ms,
	    .decided_ms = op->now_ms,
	    .revision = 1,
	};
	return 0;
}

static int add_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_trust_add *b = &op->body.trust_add;
	struct manage_trust *t = op->trust;
	struct index_trust *rec;
	struct rk_cidr net;
	int err = index_holder_resolve(op->k->index, b->holder, &t->holder, fault);

	if (!err)
		err = parse_address(b->address, &net, fault);
	if (err)
		return err;
	rec = index_trust_at(t->holder, &net);
	if (rec)
		return decide_begin(op, rec, TRUST_BY_MANAGER, fault);
	return add_make(op, &net, fault);
}

static int add_store(struct manage_op *op, struct rk_fault *fault)
{
	static const struct store_mail none;

	if (!op->trust->made)
		return decide_store(op, fault);
	return store_trust_add(op->k->store, &op->trust->row, 0, &none, fault);
}

static int add_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct manage_trust *t = op->trust;

	if (!t->made)
		return decide_apply(op, fault);
	t->rec->state = TRUST_TRUSTED;
	t->rec->how = TRUST_BY_MANAGER;
	t->rec->decided_ms = op->now_ms;
	t->rec->busy = t->rec->fresh = false;
	t->holder->settled = true;
	t->busy = t->made = false;
	return 0;
}

const struct mutation mutation_trust_add = {
    .action = "ip.add",
    .begin = add_begin,
    .store = add_store,
    .apply = add_apply,
    .answer = address_answer,
};

/* ---- ip.remove ---- */

/* No longer trusted from here on. The record stays until the store has let it go. */
static int remove_at_once(struct manage_op *op, struct rk_fault *fault)
{
	struct index_trust *rec;
	int err = trust_find(op->k, op->body.ref.ref, &rec, fault);

	if (!err)
		err = take_address(op, rec, fault);
	if (err)
		return err;
	rec->state = TRUST_REMOVED;
	rec->code_expires_ms = 0;
	rec->how = TRUST_BY_NOBODY;
	pipeline_cut_untrusted(op->k->pipeline);
	hold_address(op);
	return 0;
}

static int remove_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

static int remove_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_trust_remove(op->k->store, op->trust->number, fault);
}

static int remove_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	manage_drop_undurable(op->m, op->target);
	return 0;
}

static void remove_answer(struct manage_op *op)
{
	struct manage_trust *t = op->trust;

	manage_send_trust(op, t->rec, TRUST_REMOVED);
	t->busy = false;
	index_trust_drop(op->k->index, t->rec);
}

const struct mutation mutation_trust_remove = {
    .action = "ip.remove",
    .at_once = remove_at_once,
    .begin = remove_begin,
    .store = remove_store,
    .apply = remove_apply,
    .answer = remove_answer,
};
