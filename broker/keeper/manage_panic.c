/*
 * The panic switch. On is containment: in force before its row and the store. Off waits for
 * both, and an `on` that comes meanwhile wins.
 */
#include "keeper/manage_int.h"

#include <stdio.h>

#include "base/base62.h"
#include "base/clock.h"
#include "keeper/store_contain.h"

static const char target[] = "traffic"; /* what it is about, in the audit log */

/* Printable, for the audit log, the status and mails. */
static void take_reason(struct manage_op *op)
{
	struct rk_slice r = op->body.panic.reason;
	char *to = op->panic.reason;
	size_t n = r.n < PANIC_REASON_MAX ? r.n : PANIC_REASON_MAX;

	for (size_t i = 0; i < n; i++)
		to[i] = r.p[i] >= ' ' && r.p[i] < 0x7f ? r.p[i] : '?';
	to[n] = '\0';
	snprintf(op->target, sizeof op->target, "%s", target);
	manage_detail(op, "%s", to);
}

/* Under way or waiting, it must not undo an `on` that came later. */
static bool overtake(struct manage_op *on)
{
	bool any = false;

	for (struct manage_op *op = on->m->ops; op; op = op->next) {
		if (op->mutation != &mutation_panic_off || op->panic_overtaken)
			continue;
		op->panic_overtaken = true;
		any = true;
	}
	return any;
}

static struct msg_notice notice_of(const struct manage_op *op, char *text, size_t cap)
{
	struct msg_notice n = {
	    .kind = NOTICE_PANIC,
	    .time_ms = op->panic.since_ms,
	    .actor = rk_str(op->actor),
	};

	rk_random(n.id, sizeof n.id);
	snprintf(text, cap, "%s%s%s", op->panic.on ? "stopped" : "resumed",
	         op->panic.reason[0] ? ": " : "", op->panic.reason);
	n.detail = rk_str(text);
	return n;
}

static int panic_store(struct manage_op *op, struct rk_fault *fault)
{
	char text[PANIC_REASON_MAX + 16];
	struct msg_notice n = notice_of(op, text, sizeof text);

	return store_panic_set(op->k->store, &op->panic, &n, fault);
}

static void panic_answer(struct manage_op *op)
{
	struct msg_status status;

	keeper_status(op->k, &status);
	manage_send(op, MSG_STATUS, &status);
}

/* ---- on ---- */

static int on_at_once(struct manage_op *op, struct rk_fault *fault)
{
	struct keeper *k = op->k;
	bool overtook = overtake(op);

	(void)fault;
	take_reason(op);
	op->panic_changed = overtook || !k->panic.on;
	if (!k->panic.on) {
		op->panic.on = true;
		op->panic.since_ms = rk_wall_ms();
		snprintf(op->panic.by, sizeof op->panic.by, "%s", op->actor);
		k->panic = op->panic;
	}
	op->panic = k->panic; /* the first reason stays */
	pipeline_stop_traffic(k->pipeline, true);
	return 0;
}

static int on_begin(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	return !op->panic_changed && !manage_is_undurable(op->m, target);
}

static int on_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	manage_drop_undurable(op->m, target);
	return 0;
}

const struct mutation mutation_panic_on = {
    .action = "traffic.stop",
    .at_once = on_at_once,
    .begin = on_begin,
    .store = panic_store,
    .apply = on_apply,
    .answer = panic_answer,
};

/* ---- off ---- */

static int off_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct keeper *k = op->k;

	(void)fault;
	if (!k->panic.on && !manage_is_undurable(op->m, target))
		return 1;
	if (op->panic_overtaken)
		return rk_fail(fault, RK_E_STATE, "traffic was stopped again meanwhile");
	take_reason(op);
	op->panic.on = false;
	op->panic.since_ms = op->now_ms;
	snprintf(op->panic.by, sizeof op->panic.by, "%s", op->actor);
	return 0;
}

static int off_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	if (op->panic_overtaken)
		return 0; /* the answer tells */
	manage_drop_undurable(op->m, target);
	op->k->panic = op->panic;
	pipeline_stop_traffic(op->k->pipeline, false);
	return 0;
}

/* Sent again: how it is now. */
static int panic_recall(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

const struct mutation mutation_panic_off = {
    .action = "traffic.resume",
    .begin = off_begin,
    .store = panic_store,
    .apply = off_apply,
    .answer = panic_answer,
    .recall = panic_recall,
};
