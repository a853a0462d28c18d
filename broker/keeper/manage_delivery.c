/*
 * What was and is to be sent, as management shows it. The outbox is not in memory: the store's
 * worker reads a piece of it at a time, and the answer waits for its reader between two.
 */
#include "keeper/manage_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "keeper/hooks.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"

enum { PIECE = 100 };

static const char prefix[] = "dlv_";

/* One row without its notice. */
struct delivery {
	int64_t n;
	uint8_t kind, event, state;
	uint8_t notice_id[16];
	uint32_t attempts;
	uint16_t status;
	int64_t created_ms, next_ms, done_ms;
	char target[MAIL_TARGET_MAX + 1], error[OUTBOX_ERROR_MAX + 1];
};

struct delivery_read {
	struct outbox_filter filter;
	char hook[HOOK_ID_TEXT];
	bool limited;
	uint32_t left; /* how many may still be sent, of a limited list */
	bool running;  /* a job has it */
	bool last;     /* there is nothing behind this piece */
	int64_t n;     /* of one that is asked for, or sent again */
	unsigned count, sent;
	struct delivery row[PIECE + 1];
};

static int parse_id(struct rk_slice ref, int64_t *n, struct rk_fault *fault)
{
	uint64_t number;

	if (!rk_slice_starts(ref, rk_str(prefix)) ||
	    !rk_slice_u64(rk_slice_skip(ref, sizeof prefix - 1), &number) || !number ||
	    number > INT64_MAX)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no delivery %.*s", RK_FMT(ref));
	*n = (int64_t)number;
	return 0;
}

static int keep(const struct outbox_row *r, void *arg)
{
	struct delivery_read *d = arg;
	struct delivery *to = &d->row[d->count++];
	struct msg_notice n = {0};

	/* one that does not decode is shown as of an unknown kind */
	(void)!record_decode_stored(&msg_notice_desc, r->notice, &n);
	*to = (struct delivery){
	    .n = r->n,
	    .kind = r->kind,
	    .event = n.kind,
	    .state = r->state,
	    .attempts = r->attempts,
	    .status = r->status,
	    .created_ms = r->created_ms,
	    .next_ms = r->state == OUTBOX_WAITING ? r->next_ms : 0,
	    .done_ms = r->done_ms,
	};
	memcpy(to->notice_id, n.id, sizeof to->notice_id);
	(void)!rk_slice_cstr(r->target, to->target, sizeof to->target);
	snprintf(to->error, sizeof to->error, "%.*s", RK_FMT(r->error));
	return 0;
}

static void send_row(struct manage_op *op, const struct delivery *d)
{
	char id[sizeof prefix + 20];
	struct msg_delivery_info m = {
	    .kind = d->kind,
	    .target = rk_str(d->target),
	    .event = d->event,
	    .state = d->state,
	    .attempts = d->attempts,
	    .status = d->status,
	    .error = rk_str(d->error),
	    .created_ms = d->created_ms,
	    .next_ms = d->next_ms,
	    .done_ms = d->done_ms,
	};

	snprintf(id, sizeof id, "%s%" PRId64, prefix, d->n);
	m.id = rk_str(id);
	memcpy(m.notice_id, d->notice_id, sizeof m.notice_id);
	manage_send(op, MSG_DELIVERY_INFO, &m);
}

static int read_new(struct manage_op *op)
{
	op->deliveries = calloc(1, sizeof *op->deliveries);
	if (op->deliveries)
		return 0;
	manage_end(op, RK_E_NOMEM, "out of memory");
	return RK_E_NOMEM;
}

/* ---- delivery.list ---- */

static void list_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct delivery_read *d = op->deliveries;

	d->count = 0;
	op->err = store_outbox_list(op->k->store, &d->filter, keep, d, &op->fault);
}

static void list_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct delivery_read *d = op->deliveries;

	d->running = false;
	if (!op->caller) {
		manage_op_free(op);
		return;
	}
	if (op->err) {
		manage_end(op, op->err, op->fault.text);
		return;
	}
	d->sent = 0;
	d->last = d->count <= PIECE;
	if (!d->last)
		d->count = PIECE;
	manage_delivery_resume(op);
}

static void next_piece(struct manage_op *op)
{
	struct delivery_read *d = op->deliveries;

	d->running = true;
	d->filter.limit = PIECE + 1;
	op->job.work = list_work;
	op->job.done = list_done;
	worker_submit(op->k->store_pool, &op->job);
}

static void list_end(struct manage_op *op, bool more)
{
	const struct msg_done m = {.more = more};

	manage_send(op, MSG_DONE, &m);
	manage_finish(op);
}

void manage_delivery_resume(struct manage_op *op)
{
	struct delivery_read *d = op->deliveries;

	if (d->running)
		return;
	while (d->sent < d->count) {
		if (!manage_room(op))
			return;
		if (d->limited && !d->left) {
			list_end(op, true);
			return;
		}
		d->filter.before = d->row[d->sent].n;
		send_row(op, &d->row[d->sent++]);
		d->left -= d->limited;
	}
	if (d->last)
		list_end(op, false);
	else
		next_piece(op);
}

static int list_filter(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_delivery_list *b = &op->body.delivery_list;
	struct delivery_read *d = op->deliveries;
	const struct hook *h;

	if (b->kind > OUTBOX_WEBHOOK || b->state > OUTBOX_FAILED)
		return rk_fail(
		    fault, RK_E_INVALID,
		    "deliveries are of webhooks or mails, and waiting, sent or failed");
	d->filter.kind = b->kind;
	d->filter.state = b->state;
	d->limited = b->limit > 0;
	d->left = b->limit;
	if (b->hook.n) {
		h = hooks_find(op->k->hooks, b->hook);
		/* one that was removed still has deliveries */
		if (!h && !rk_slice_starts(b->hook, rk_str("hook_")))
			return rk_fail(fault, RK_E_NOTFOUND, "there is no webhook %.*s",
			               RK_FMT(b->hook));
		d->filter.target = b->hook;
		if (h) {
			snprintf(d->hook, sizeof d->hook, "%s", h->id);
			d->filter.target = rk_str(d->hook);
		}
	}
	return b->after.n ? parse_id(b->after, &d->filter.before, fault) : 0;
}

void manage_delivery_list(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	if (read_new(op))
		return;
	err = list_filter(op, &fault);
	if (err)
		manage_end(op, err, fault.text);
	else
		next_piece(op);
}

/* ---- delivery.get ---- */

static void get_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct delivery_read *d = op->deliveries;

	op->err = store_outbox_get(op->k->store, d->n, keep, d, &op->fault);
}

static void get_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->deliveries->running = false;
	if (!op->caller) {
		manage_op_free(op);
	} else if (op->err) {
		manage_end(op, op->err, op->fault.text);
	} else {
		send_row(op, &op->deliveries->row[0]);
		manage_finish(op);
	}
}

void manage_delivery_get(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	if (read_new(op))
		return;
	err = parse_id(op->body.ref.ref, &op->deliveries->n, &fault);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	op->deliveries->running = true;
	op->job.work = get_work;
	op->job.done = get_done;
	worker_submit(op->k->store_pool, &op->job);
}

void manage_delivery_forget(struct manage_op *op)
{
	if (!op->deliveries || !op->deliveries->running)
		manage_op_free(op);
}

void manage_delivery_release(struct manage_op *op)
{
	free(op->deliveries);
}

/* ---- delivery.replay ---- */

static int replay_begin(struct manage_op *op, struct rk_fault *fault)
{
	op->deliveries = calloc(1, sizeof *op->deliveries);
	if (!op->deliveries)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	snprintf(op->target, sizeof op->target, "%.*s", RK_FMT(op->body.ref.ref));
	return parse_id(op->body.ref.ref, &op->deliveries->n, fault);
}

/* Its target must still be there: checked by what is in the store now. */
static int replay_store(struct manage_op *op, struct rk_fault *fault)
{
	struct delivery_read *d = op->deliveries;
	struct store *s = op->k->store;
	int err = store_begin(s, fault);

	if (!err)
		err = store_outbox_replay(s, d->n, op->now_ms, fault);
	if (!err)
		err = store_outbox_get(s, d->n, keep, d, fault);
	return store_end(s, err, fault);
}

static int replay_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	dispatch_kick(op->k->dispatch);
	return 0;
}

static void replay_answer(struct manage_op *op)
{
	send_row(op, &op->deliveries->row[0]);
}

const struct mutation mutation_delivery_replay = {
    .action = "delivery.replay",
    .begin = replay_begin,
    .store = replay_store,
    .apply = replay_apply,
    .answer = replay_answer,
};
