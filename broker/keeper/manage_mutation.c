#include "keeper/manage_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

/*
 * One change at a time:
 *
 *   at_once -> (waits for its turn) -> begin -> prepare -> audit row -> store -> apply ->
 * answer loop    token      journal      store    loop
 *
 * Because nothing else changes the index meanwhile, what `begin` found still holds in `apply`;
 * only what `at_once` of a later change did can differ.
 */

static void pump(struct manage *m);

/* ---- changes that are in force but not stored ---- */

bool manage_is_undurable(const struct manage *m, const char *id)
{
	for (const struct manage_undurable *u = m->undurable; u; u = u->next) {
		if (strcmp(u->id, id) == 0)
			return true;
	}
	return false;
}

void manage_add_undurable(struct manage *m, const char *id)
{
	struct manage_undurable *u;

	if (manage_is_undurable(m, id))
		return;
	u = calloc(1, sizeof *u);
	if (!u)
		return; /* then a second attempt finds nothing to do; the answer told of the
		           first */
	snprintf(u->id, sizeof u->id, "%s", id);
	u->next = m->undurable;
	m->undurable = u;
}

void manage_drop_undurable(struct manage *m, const char *id)
{
	for (struct manage_undurable **at = &m->undurable; *at; at = &(*at)->next) {
		if (strcmp((*at)->id, id) == 0) {
			struct manage_undurable *u = *at;

			*at = u->next;
			free(u);
			return;
		}
	}
}

/* ---- the audit row ---- */

void manage_detail(struct manage_op *op, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(op->detail, sizeof op->detail, fmt, ap);
	va_end(ap);
	for (char *c = op->detail; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	}
}

int manage_check_revision(const struct manage_op *op, uint32_t revision, struct rk_fault *fault)
{
	if (!op->if_revision || op->if_revision == revision)
		return 0;
	return rk_fail(fault, RK_E_STALE,
	               "the object was changed meanwhile: it is of revision %u, not %llu",
	               revision, (unsigned long long)op->if_revision);
}

/* Why a row was not taken, in the journal's own words where it has some. */
static const char *audit_why(const struct manage_op *op, int err)
{
	const char *text = pipeline_audit_error(op->k->pipeline);

	return text[0] ? text : rk_strerror(err);
}

static void fill_row(struct manage_op *op, const char *action)
{
	op->row.type = AUDIT_MANAGE;
	op->row.time_ms = 0;
	op->row.actor = rk_str(op->actor);
	op->row.action = rk_str(action);
	op->row.target = rk_str(op->target);
	op->row.detail = rk_str(op->detail);
}

static int append_row(struct manage_op *op, const char *outcome, pipeline_row_done *done)
{
	char action[MUTATION_ACTION_MAX];

	snprintf(action, sizeof action, "%s%s", op->mutation->action, outcome);
	fill_row(op, action);
	return pipeline_append_row(op->k->pipeline, &op->row, done, op);
}

/* ---- the end of a change ---- */

static bool is_urgent(const struct manage_op *op)
{
	return op->mutation->at_once != NULL;
}

static void leave(struct manage_op *op)
{
	struct manage *m = op->m;

	if (m->running == op)
		m->running = NULL;
}

static void end_ok(struct manage_op *op)
{
	struct manage *m = op->m;

	leave(op);
	manage_idem_remember(op);
	op->mutation->answer(op);
	manage_finish(op);
	pump(m);
}

static void end_error(struct manage_op *op, int err, const struct rk_fault *fault)
{
	struct manage *m = op->m;

	leave(op);
	manage_end(op, err, fault->text);
	pump(m);
}

/* The manager went away while this one waited for a thread: nothing more is begun. */
static bool cut_short(struct manage_op *op)
{
	if (!op->m->dying)
		return false;
	leave(op);
	manage_op_free(op);
	return true;
}

/* In force in memory, but a restart would forget it: the answer has to say so. */
static void end_undurable(struct manage_op *op, int err, const char *why)
{
	struct rk_fault fault;

	manage_add_undurable(op->m, op->target);
	log_event(LOG_LEVEL_ERROR, "change-not-durable", op->mutation->action, "%s: %s",
	          op->target, why);
	rk_fail(&fault, err,
	        "in force now, but not stored, so a restart would undo it: try again (%.380s)",
	        why);
	end_error(op, err, &fault);
}

/* ---- steps ---- */

static void store_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct rk_fault fault = op->fault;
	int err = op->err;

	if (err) {
		if (cut_short(op))
			return;
		manage_detail(op, "%s", fault.text);
		if (append_row(op, ".failed", NULL))
			log_event(LOG_LEVEL_ERROR, "change-failed", op->mutation->action,
			          "%s: %s", op->target, fault.text);
		if (is_urgent(op))
			end_undurable(op, err, fault.text);
		else
			end_error(op, err, &fault);
		return;
	}
	op->k->policy_version++;
	err = op->mutation->apply(op, &op->fault);
	if (cut_short(op))
		return;
	if (err) {
		rk_fail(&fault, err, "stored, but in force only after a restart: %.400s",
		        op->fault.text);
		log_event(LOG_LEVEL_ERROR, "change-not-in-force", op->mutation->action,
		          "%s: %s", op->target, op->fault.text);
		end_error(op, err, &fault);
	} else if (op->row_err) {
		rk_fail(&fault, op->row_err,
		        "in force and stored; its audit row waits for the journal: %.380s",
		        audit_why(op, op->row_err));
		log_event(LOG_LEVEL_ERROR, "change-not-audited", op->mutation->action, "%s: %s",
		          op->target, audit_why(op, op->row_err));
		end_error(op, op->row_err, &fault);
	} else {
		end_ok(op);
	}
}

static void store_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->fault.text[0] = '\0';
	op->err = manage_idem_store(op, &op->fault);
}

static void submit_store(struct manage_op *op)
{
	op->job.work = store_work;
	op->job.done = store_done;
	worker_submit(op->k->store_pool, &op->job);
}

static void row_done(int err, void *arg)
{
	struct manage_op *op = arg;
	struct rk_fault fault;

	if (cut_short(op))
		return;
	if (err && !is_urgent(op)) {
		rk_fail(&fault, err,
		        "nothing was changed, because the audit row could not be written: "
		        "%.380s",
		        audit_why(op, err));
		end_error(op, err, &fault);
		return;
	}
	/* containment must outlive a restart even while the journal is away, and be told of
	 * later */
	op->row_err = err;
	if (err) {
		fill_row(op, op->mutation->action);
		pipeline_keep_row(op->k->pipeline, &op->row);
	}
	submit_store(op);
}

static void write_row(struct manage_op *op)
{
	int err = append_row(op, "", row_done);

	if (err)
		row_done(err, op);
}

static void prepare_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct rk_fault fault = op->fault;

	if (cut_short(op))
		return;
	if (op->err)
		end_error(op, op->err, &fault);
	else
		write_row(op);
}

static void prepare_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->err = op->mutation->prepare(op, &op->fault);
}

/* The management key that brought it may have been revoked, or have expired, since. */
static int check_caller(const struct manage_op *op, struct rk_fault *fault)
{
	const struct mgmt_entry *e;

	if (!op->mgmt_key || is_urgent(op))
		return 0;
	e = mgmt_keys_by_number(op->k->mgmt_keys, op->mgmt_key);
	if (e && mgmt_entry_live(e, op->now_ms))
		return 0;
	return rk_fail(fault, RK_E_AUTH, "the management key is not valid any more");
}

static void begin_now(struct manage_op *op)
{
	struct rk_fault fault = {""};
	int err = op->mutation->begin(op, &fault);

	if (err < 0) {
		end_error(op, err, &fault);
	} else if (err > 0) {
		end_ok(op);
	} else if (op->mutation->prepare) {
		op->job.work = prepare_work;
		op->job.done = prepare_done;
		worker_submit(op->k->token_pool, &op->job);
	} else {
		write_row(op);
	}
}

static void looked(struct manage_op *op, int found, struct rk_fault *fault)
{
	if (cut_short(op))
		return;
	if (found > 0) {
		found = manage_idem_recall(op, fault);
		found = found ? found : 1;
	}
	if (found > 0)
		end_ok(op);
	else if (found < 0)
		end_error(op, found, fault);
	else
		begin_now(op);
}

static void begin(struct manage_op *op)
{
	struct rk_fault fault = {""};
	int err;

	op->now_ms = rk_wall_ms();
	err = check_caller(op, &fault);
	if (err)
		end_error(op, err, &fault);
	else if (manage_has_idem(op))
		manage_idem_look(op, looked);
	else
		begin_now(op);
}

static void pump(struct manage *m)
{
	if (m->pumping)
		return;
	m->pumping = true;
	while (!m->running && m->queue) {
		struct manage_op *op = m->queue;

		m->queue = op->queue_next;
		if (!m->queue)
			m->queue_tail = &m->queue;
		m->running = op;
		begin(op);
	}
	m->pumping = false;
}

void mutation_start(struct manage_op *op)
{
	struct rk_fault fault = {""};
	int err = 0;

	/* it may have gone, and one that nobody in particular brought has its own */
	if (op->caller && !op->actor[0])
		snprintf(op->actor, sizeof op->actor, "%s", op->caller->actor);
	/* containment does not wait to be looked up, and twice is as good as once */
	if (is_urgent(op))
		op->idempotency_key[0] = '\0';
	err = manage_idem_admit(op, &fault);
	if (!err && is_urgent(op))
		err = op->mutation->at_once(op, &fault);
	if (err < 0) {
		manage_end(op, err, fault.text);
		return;
	}
	op->queue_next = NULL;
	*op->m->queue_tail = op;
	op->m->queue_tail = &op->queue_next;
	pump(op->m);
}

void mutation_drop_queue(struct manage *m)
{
	while (m->queue) {
		struct manage_op *op = m->queue;

		m->queue = op->queue_next;
		if (op->caller)
			op->caller->op = NULL;
		op->caller = NULL;
		manage_op_free(op);
	}
	m->queue_tail = &m->queue;
}
