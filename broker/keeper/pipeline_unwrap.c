#include "keeper/pipeline_int.h"

#include <stdio.h>

#include "base/clock.h"

enum { PING_MS = 1000 };

/* ---- credentials of a batch ---- */

static void unwrap_work(struct worker_job *job)
{
	struct pl_credential *c =
	    (struct pl_credential *)((char *)job - offsetof(struct pl_credential, job));
	const struct pipeline_backend *be = &c->p->params.backend;
	int64_t start = rk_mono_us();
	struct rk_secret plain = {0};
	struct rk_fault fault = {""};

	c->err = be->unwrap(be->arg, c->blob, c->place, &plain, &fault);
	/* the style of a connection never changes, so it may be read from here */
	if (!c->err)
		c->err = auth_style_render(&c->conn->auth, &plain, &c->headers, &c->query);
	rk_secret_free(&plain);
	if (c->err)
		snprintf(c->err_text, sizeof c->err_text, "%.*s", (int)sizeof c->err_text - 1,
		         fault.text[0] ? fault.text : rk_strerror(c->err));
	c->unwrap_us = (uint32_t)(rk_mono_us() - start);
}

static void token_lost(struct pipeline *p, const char *why);

static void unwrap_done(struct worker_job *job)
{
	struct pl_credential *c =
	    (struct pl_credential *)((char *)job - offsetof(struct pl_credential, job));
	struct pl_batch *b = c->batch;
	struct pipeline *p = c->p;

	c->finished = true;
	b->waiting--;
	p->unwrapping--;
	p->counters.unwraps++;
	pl_wake(p);
	if (c->err == RK_E_TOKEN)
		token_lost(p, c->err_text);
	if (b->settled)
		pl_credential_answer(c);
	pl_batch_release(b);
}

void pl_credential_attach(struct pipeline *p, struct pl_request *r, struct index_conn *conn)
{
	struct pl_batch *b = p->open;
	struct pl_credential *c = conn->fresh;

	if (!c || conn->fresh_batch != b->number || c->upstream_id != conn->upstream_id) {
		c = &b->credential[b->credentials++];
		*c = (struct pl_credential){
		    .job = {.work = unwrap_work, .done = unwrap_done},
		    .p = p,
		    .batch = b,
		    .conn = conn,
		    .upstream_id = conn->upstream_id,
		    .blob = rk_slice(b->mem + b->used, conn->blob.n),
		};
		c->tail = &c->first;
		if (conn->blob.n)
			memcpy(b->mem + b->used, conn->blob.p, conn->blob.n);
		b->used += conn->blob.n;
		c->place =
		    credential_place(rk_str(conn->id), conn->credential_version, c->place_mem);
		index_conn_ref(conn);
		conn->fresh = c;
		conn->fresh_batch = b->number;
	}
	r->credential = c;
	r->next = NULL;
	*c->tail = r;
	c->tail = &r->next;
}

void pl_credential_start(struct pl_credential *c)
{
	c->batch->waiting++;
	c->p->unwrapping++;
	worker_submit(c->p->params.token_pool, &c->job);
}

void pl_credential_drop(struct pl_credential *c)
{
	rk_secret_free(&c->headers);
	rk_secret_free(&c->query);
	if (c->conn)
		index_conn_unref(c->conn);
	c->conn = NULL;
}

/*
 * Answers what waits for it. A request may move on to a credential of the open batch, so it is
 * taken off the list first. A worker that still has the credential (its batch failed) keeps it
 * until it is done.
 */
void pl_credential_answer(struct pl_credential *c)
{
	struct pl_request *r;

	while ((r = c->first)) {
		c->first = r->next;
		if (c->batch->failed)
			pl_request_failed(r);
		else
			pl_request_ready(r);
	}
	if (c->finished || !c->batch->submitted)
		pl_credential_drop(c);
}

/* ---- the token ---- */

static void arm(struct pipeline *p, int ms)
{
	struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(p->token_timer, &wait);
}

static void token_lost(struct pipeline *p, const char *why)
{
	if (!p->unsealed)
		return;
	p->unsealed = false;
	pl_row_state(p, "token.lost", why);
	pl_gate(p);
	arm(p, p->params.retry_ms);
}

static void token_work(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, token_job));
	const struct pipeline_backend *be = &p->params.backend;

	p->token_fault.text[0] = '\0';
	p->token_err =
	    p->token_pinged ? be->ping(be->arg) : be->reconnect(be->arg, &p->token_fault);
}

static void token_done(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, token_job));

	p->token_busy = false;
	if (p->token_pinged) {
		if (p->token_err == RK_E_TOKEN)
			token_lost(p, "the token does not answer");
		else if (p->unsealed)
			arm(p, PING_MS);
		return;
	}
	if (p->token_err == RK_E_PIN) {
		/* trying again could lock the token: a person must look */
		pl_row_state(p, "token.pin-refused", p->token_fault.text);
		return;
	}
	if (p->token_err) {
		arm(p, p->params.retry_ms);
		return;
	}
	p->unsealed = true;
	pl_row_state(p, "token.back", "");
	pl_gate(p);
	if (p->params.backend.ping)
		arm(p, PING_MS);
}

static void on_token_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;

	(void)fd;
	(void)what;
	if (p->token_busy) {
		arm(p, p->params.retry_ms);
		return;
	}
	p->token_busy = true;
	p->token_pinged = p->unsealed;
	worker_submit(p->params.token_pool, &p->token_job);
}

int pl_token_watch(struct pipeline *p)
{
	p->token_job = (struct worker_job){.work = token_work, .done = token_done};
	p->token_timer = evtimer_new(loop_base(p->params.loop), on_token_timer, p);
	if (!p->token_timer)
		return RK_E_NOMEM;
	if (p->params.backend.ping)
		arm(p, PING_MS);
	return 0;
}
