#include "keeper/manage_int.h"

#include <stdlib.h>

#include "base/clock.h"

/*
 * Lists are walked a stretch at a time: other work of the loop comes between, and the walk
 * waits when the caller reads slowly. Keys never go away; connections may, so their place is
 * kept by number.
 */
enum { KEYS_A_TURN = 4096 };

struct manage_list {
	uint32_t left; /* how many may still be sent */
	bool limited;
	int64_t now_ms;
	/* keys */
	const struct index_key *key; /* the last one looked at */
	struct index_conn *conn;     /* only with a grant on it; held */
	bool by_holder;
	enum holder_kind kind;
	struct rk_slice holder; /* empty: any of that kind */
	/* connections */
	uint32_t next;         /* number of the next one */
	uint32_t *live;        /* live keys by number of the connection */
	uint32_t live_numbers; /* connections from here on came after the counting */
	bool counted;
};

static int list_new(struct manage_op *op)
{
	const struct msg_list *b = &op->body.list;

	op->list = calloc(1, sizeof *op->list);
	if (!op->list) {
		manage_end(op, RK_E_NOMEM, "out of memory");
		return RK_E_NOMEM;
	}
	op->list->left = b->limit;
	op->list->limited = b->limit > 0;
	op->list->now_ms = rk_wall_ms();
	return 0;
}

void manage_list_release(struct manage_op *op)
{
	if (!op->list)
		return;
	if (op->list->conn)
		index_conn_unref(op->list->conn);
	free(op->list->live);
	free(op->list);
}

/* One was sent; true when the list is complete with it. */
static bool list_sent(struct manage_list *l)
{
	return l->limited && --l->left == 0;
}

static bool key_is_live(const struct manage_list *l, const struct index_key *k)
{
	return !k->revoked_ms && (!k->expires_ms || l->now_ms < k->expires_ms);
}

/* ---- keys ---- */

static bool key_has_conn(const struct index_key *k, const struct index_conn *c)
{
	for (unsigned i = 0; i < k->grant_count; i++) {
		if (k->grants[i]->conn == c)
			return true;
	}
	return false;
}

static bool key_matches(const struct manage_op *op, const struct index_key *k)
{
	const struct manage_list *l = op->list;

	if ((op->body.list.live_only && !key_is_live(l, k)) || !manage_key_visible(op, k))
		return false;
	if (l->by_holder && (k->kind != l->kind ||
	                     (l->holder.n && !rk_slice_is(l->holder, index_key_holder(k)))))
		return false;
	return !l->conn || key_has_conn(k, l->conn);
}

static int key_filters(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_list *b = &op->body.list;
	struct manage_list *l = op->list;
	const char *colon;
	int err;

	if (b->conn.n) {
		err = manage_find_conn(op->k, b->conn, &l->conn, fault);
		if (err)
			return err;
		index_conn_ref(l->conn);
	}
	if (b->holder.n) {
		colon = memchr(b->holder.p, ':', b->holder.n);
		l->by_holder = true;
		if (!colon ||
		    holder_kind_parse(rk_slice(b->holder.p, (size_t)(colon - b->holder.p)),
		                      &l->kind))
			return rk_fail(fault, RK_E_INVALID,
			               "a holder is written KIND:NAME or KIND:, with the kind "
			               "app, agent, person or vendor");
		l->holder = rk_slice_skip(b->holder, (size_t)(colon - b->holder.p) + 1);
	}
	if (b->after.n) {
		l->key = index_key_by_id(op->k->index, b->after);
		if (!l->key || !manage_key_visible(op, l->key))
			return rk_fail(fault, RK_E_NOTFOUND,
			               "the key to go on after does not exist");
	}
	return 0;
}

void manage_key_list(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	if (list_new(op))
		return;
	err = key_filters(op, &fault);
	if (err)
		manage_end(op, err, fault.text);
	else
		manage_key_list_resume(op);
}

void manage_key_list_resume(struct manage_op *op)
{
	struct manage_list *l = op->list;
	struct index_key *k;

	for (unsigned i = 0; i < KEYS_A_TURN; i++) {
		if (!manage_room(op))
			return;
		k = index_key_next(op->k->index, l->key);
		if (!k) {
			manage_end(op, 0, NULL);
			return;
		}
		l->key = k;
		if (!key_matches(op, k))
			continue;
		manage_send_key(op, k, rk_str(NULL));
		if (list_sent(l)) {
			manage_end(op, 0, NULL);
			return;
		}
	}
	manage_again(op);
}

/* ---- connections ---- */

/* Counts the live keys of all connections in one walk over the keys; false: not yet done. */
static bool count_live(struct manage_op *op)
{
	struct manage_list *l = op->list;

	for (unsigned n = 0; n < KEYS_A_TURN; n++) {
		const struct index_key *k = index_key_next(op->k->index, l->key);

		if (!k)
			return true;
		l->key = k;
		if (!key_is_live(l, k))
			continue;
		for (unsigned i = 0; i < k->grant_count; i++) {
			const struct index_conn *c = k->grants[i]->conn;
			unsigned first = 0;

			while (first < i && k->grants[first]->conn != c)
				first++;
			if (first == i && c && c->number < l->live_numbers)
				l->live[c->number]++;
		}
	}
	return false;
}

static struct index_conn *conn_from(struct index *ix, uint32_t number)
{
	/* connections are few, so a walk from the start is nothing */
	struct index_conn *c = index_conn_next(ix, NULL);

	while (c && c->number < number)
		c = index_conn_next(ix, c);
	return c;
}

void manage_conn_list(struct manage_op *op)
{
	struct index *ix = op->k->index;
	struct manage_list *l;
	struct rk_fault fault;
	struct index_conn *c = NULL;
	int err = 0;

	if (list_new(op))
		return;
	l = op->list;
	if (op->body.list.after.n)
		err = manage_find_conn(op->k, op->body.list.after, &c, &fault);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	l->next = c ? c->number + 1 : 0;
	for (c = index_conn_next(ix, NULL); c; c = index_conn_next(ix, c))
		l->live_numbers = c->number + 1;
	l->live = calloc(l->live_numbers + 1, sizeof *l->live);
	if (!l->live)
		manage_end(op, RK_E_NOMEM, "out of memory");
	else
		manage_conn_list_resume(op);
}

void manage_conn_list_resume(struct manage_op *op)
{
	struct manage_list *l = op->list;
	struct index_conn *c;

	if (!l->counted) {
		l->counted = count_live(op);
		if (!l->counted) {
			manage_again(op);
			return;
		}
	}
	c = conn_from(op->k->index, l->next);
	while (c && manage_room(op)) {
		manage_send_conn(op, c, c->number < l->live_numbers ? l->live[c->number] : 0);
		l->next = c->number + 1;
		if (list_sent(l))
			break;
		c = index_conn_next(op->k->index, c);
		if (!c)
			break;
	}
	if (c && !(l->limited && l->left == 0))
		return; /* no room: manage_drained() comes */
	manage_end(op, 0, NULL);
}
