#include "keeper/pipeline_int.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
	SPARE_BATCHES = 3,      /* filling, committing, answering */
	MAINTAIN_PAGES = 256,   /* when there is nothing else to do */
	MAINTAIN_FORCED = 1024, /* between two commits */
	ROW_BYTES_A_PAGE = 3072,
	PAGES_A_COMMIT = 4,
};

/* ---- batches ---- */

struct pl_batch *pl_batch_new(struct pipeline *p)
{
	struct pl_batch *b = p->spare;

	if (b) {
		p->spare = b->next;
		p->spares--;
	} else {
		b = malloc(sizeof *b);
		if (!b)
			return NULL;
		b->mem = malloc(PIPELINE_BATCH_BYTES);
		if (!b->mem) {
			free(b);
			return NULL;
		}
	}
	b->next = NULL;
	b->p = p;
	b->number = ++p->batch_number;
	b->used = 0;
	b->rows = b->credentials = b->waiting = 0;
	b->unwraps = b->urgent = b->settled = b->failed = b->probe = false;
	b->err = 0;
	b->fault.text[0] = '\0';
	return b;
}

static void batch_free(struct pl_batch *b)
{
	free(b->mem);
	free(b);
}

void pl_batch_release(struct pl_batch *b)
{
	struct pipeline *p = b->p;

	if (!b->settled || b->waiting)
		return;
	if (p->spares == SPARE_BATCHES) {
		batch_free(b);
		return;
	}
	b->next = p->spare;
	p->spare = b;
	p->spares++;
}

static void queue_add(struct pipeline *p, struct pl_batch *b)
{
	b->next = NULL;
	*p->queue_tail = b;
	p->queue_tail = &b->next;
	p->queued++;
}

static struct pl_batch *queue_take(struct pipeline *p)
{
	struct pl_batch *b = p->queue_first;

	if (!b)
		return NULL;
	p->queue_first = b->next;
	if (!b->next)
		p->queue_tail = &p->queue_first;
	p->queued--;
	b->next = NULL;
	return b;
}

static bool batch_empty(const struct pl_batch *b)
{
	return !b->rows && !b->credentials;
}

struct pl_batch *pl_batch_room(struct pipeline *p, size_t extra)
{
	struct pl_batch *b = p->open;

	if (b && (b->rows == PIPELINE_BATCH_ROWS ||
	          (extra && b->credentials == PIPELINE_BATCH_ROWS) ||
	          b->used + AUDIT_MAX_ROW + extra > PIPELINE_BATCH_BYTES)) {
		queue_add(p, b);
		p->open = NULL;
		pl_wake(p);
	}
	if (!p->open)
		p->open = pl_batch_new(p);
	return p->open;
}

static void settle(struct pl_batch *b)
{
	b->settled = true;
	pl_credentials_settle(b);
	pl_batch_release(b);
}

static void batch_durable(struct pl_batch *b)
{
	struct pipeline *p = b->p;

	if (b->rows) {
		p->counters.batches++;
		pl_rows_tell_tails(b);
	}
	for (unsigned i = 0; i < b->rows; i++) {
		struct pl_row *row = &b->row[i];

		if (row->request && row->request->reason == REASON_OK)
			row->request->row_durable = true;
		else if (row->request)
			pl_request_refused(row->request);
		else if (row->done)
			row->done(0, row->arg);
	}
	settle(b);
}

void pl_batch_fail(struct pl_batch *b, int err)
{
	b->failed = true;
	for (unsigned i = 0; i < b->rows; i++) {
		struct pl_row *row = &b->row[i];

		if (row->keep)
			pl_keep(b->p, b->entry[i].body);
		else if (row->request)
			pl_request_failed(row->request);
		else if (row->done)
			row->done(err, row->arg);
	}
	settle(b);
}

/* ---- the journal worker ---- */

static void commit_work(struct worker_job *job)
{
	struct pl_batch *b = (struct pl_batch *)((char *)job - offsetof(struct pl_batch, job));
	const struct pipeline_backend *be = &b->p->params.backend;
	int64_t start = rk_mono_us();

	b->err = be->append(be->arg, b->entry, b->rows, &b->fault);
	b->commit_us = rk_mono_us() - start;
	if (!b->err && b->unwraps)
		pl_credentials_unwrap(b);
}

static void commit_done(struct worker_job *job)
{
	struct pl_batch *b = (struct pl_batch *)((char *)job - offsetof(struct pl_batch, job));
	struct pipeline *p = b->p;

	p->committing = NULL;
	gather_committed(&p->gather, rk_mono_us(), b->commit_us, b->credentials ? b->rows : 0);
	pl_wake(p);
	if (b->unwraps)
		pl_credentials_unwrapped(b);
	if (b->err) {
		pl_journal_failed(b);
		return;
	}
	p->wal_pages += PAGES_A_COMMIT + b->used / ROW_BYTES_A_PAGE;
	if (b->probe)
		pl_journal_recovered(p);
	batch_durable(b);
}

static void maintain_work(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, maintain_job));

	p->params.backend.maintain(p->params.backend.arg);
}

static void maintain_done(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, maintain_job));

	p->maintaining = false;
	pl_wake(p);
}

static void maintain(struct pipeline *p)
{
	p->wal_pages = 0;
	p->maintaining = true;
	worker_submit(p->params.journal_pool, &p->maintain_job);
}

/*
 * One request, and nothing else under way that would have to wait with it: no stream that may
 * have to be cut, nobody else to answer. Two turns of other threads are more than half of what
 * such a commit takes.
 */
static bool alone(const struct pl_batch *b)
{
	const struct pipeline *p = b->p;

	return p->params.commit_alone && p->requests <= 1 && !p->queued &&
	       b->credentials <= 1 && (b->unwraps || !b->credentials);
}

void pl_batch_submit(struct pl_batch *b)
{
	struct pipeline *p = b->p;

	pl_credentials_submit(b);
	if (!b->rows) { /* only credentials, for rows that are durable already */
		batch_durable(b);
		return;
	}
	b->job = (struct worker_job){.work = commit_work, .done = commit_done};
	p->committing = b;
	if (alone(b)) {
		commit_work(&b->job);
		commit_done(&b->job);
	} else {
		worker_submit(p->params.journal_pool, &b->job);
	}
}

static struct pl_batch *next_batch(struct pipeline *p)
{
	struct pl_batch *b = queue_take(p);

	if (b || !p->open || batch_empty(p->open) || !(p->open->urgent || p->flushed))
		return b;
	if (!p->flushed && gather_more(&p->gather, rk_mono_us(), p->open->rows))
		return NULL;
	b = p->open;
	p->open = NULL;
	return b;
}

static bool at_rest(const struct pipeline *p)
{
	return !p->committing && !p->maintaining && !p->queue_first && !p->unwrapping &&
	       (!p->open || batch_empty(p->open));
}

static void on_turn_end(void *arg)
{
	struct pipeline *p = arg;
	struct pl_batch *b;

	while (!p->committing && !p->maintaining) {
		if (p->wal_pages >= MAINTAIN_FORCED) {
			maintain(p);
			break;
		}
		b = next_batch(p);
		if (!b)
			break;
		pl_batch_submit(b);
	}
	if (at_rest(p) && p->wal_pages >= MAINTAIN_PAGES)
		maintain(p);
	if (p->flushed && at_rest(p)) {
		void (*flushed)(void *) = p->flushed;

		p->flushed = NULL;
		flushed(p->flushed_arg);
	}
}

void pl_wake(struct pipeline *p)
{
	loop_at_turn_end(p->params.loop, &p->turn_end);
}

static void on_lazy(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;

	(void)fd;
	(void)what;
	if (p->open && !batch_empty(p->open)) {
		p->open->urgent = true;
		pl_wake(p);
	}
}

static void on_gathered(void *arg)
{
	pl_wake(arg);
}

void pipeline_flush(struct pipeline *p, void (*done)(void *arg), void *arg)
{
	p->flushed = done;
	p->flushed_arg = arg;
	pl_wake(p);
}

/* ---- the whole ---- */

void pl_gate(struct pipeline *p)
{
	if (p->params.gate)
		p->params.gate(p->unsealed, p->audit_ok, p->params.gate_arg);
}

int pipeline_new(const struct pipeline_params *params, struct pipeline **out)
{
	struct pipeline *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return RK_E_NOMEM;
	p->params = *params;
	if (!p->params.retry_ms)
		p->params.retry_ms = PIPELINE_RETRY_MS;
	p->head = params->head;
	p->queue_tail = &p->queue_first;
	p->turn_end = (struct loop_hook){.run = on_turn_end, .arg = p};
	p->maintain_job = (struct worker_job){.work = maintain_work, .done = maintain_done};
	p->audit_ok = true;
	p->unsealed = true;
	p->gather.fd = -1;
	p->lazy_timer = evtimer_new(loop_base(params->loop), on_lazy, p);
	err =
	    p->lazy_timer ? gather_init(&p->gather, params->loop, on_gathered, p) : RK_E_NOMEM;
	if (!err)
		err = flights_init(&p->flights);
	if (!err)
		err = pl_recover_init(p);
	if (!err)
		err = pl_token_watch(p);
	if (err) {
		pipeline_free(p);
		return err;
	}
	*out = p;
	return 0;
}

static void batches_free(struct pl_batch *b)
{
	while (b) {
		struct pl_batch *next = b->next;

		for (unsigned i = 0; i < b->credentials && !b->settled; i++)
			pl_credential_drop(&b->credential[i]);
		batch_free(b);
		b = next;
	}
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	loop_unhook(p->params.loop, &p->turn_end);
	gather_free(&p->gather);
	if (p->lazy_timer)
		event_free(p->lazy_timer);
	if (p->probe_timer)
		event_free(p->probe_timer);
	if (p->token_timer)
		event_free(p->token_timer);
	batches_free(p->open);
	batches_free(p->queue_first);
	for (struct pl_batch *b = p->spare, *next; b; b = next) {
		next = b->next;
		batch_free(b);
	}
	pl_probes_free(p);
	pl_kept_free(p);
	pl_discoveries_free(p);
	pl_parked_free(p);
	pl_requests_free(p);
	flights_free(&p->flights);
	free(p);
}

bool pipeline_unsealed(const struct pipeline *p)
{
	return p->unsealed;
}

bool pipeline_audit_ok(const struct pipeline *p)
{
	return p->audit_ok;
}

const char *pipeline_audit_error(const struct pipeline *p)
{
	return p->audit_ok ? "" : p->audit_error;
}

void pipeline_counters(const struct pipeline *p, struct pipeline_counters *out)
{
	*out = p->counters;
}
