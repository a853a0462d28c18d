#include "keeper/pipeline_int.h"

#include <stdio.h>

#include "base/base62.h"
#include "base/clock.h"

enum {
	PING_MS = 1000,
	QUICK_A_BATCH = 4, /* of them behind one commit; more are better off in parallel */
};

/* ---- who waits ---- */

static void wait_at(struct pl_request *r, struct index_conn *conn)
{
	r->waits = true;
	r->wait_next = NULL;
	r->wait_prev = conn->waiting ? conn->waiting_last : NULL;
	if (r->wait_prev)
		r->wait_prev->wait_next = r;
	else
		conn->waiting = r;
	conn->waiting_last = r;
}

void pl_request_waits_no_more(struct pl_request *r)
{
	struct index_conn *conn = r->flight.conn;

	if (!r->waits)
		return;
	r->waits = false;
	if (r->wait_prev)
		r->wait_prev->wait_next = r->wait_next;
	else
		conn->waiting = r->wait_next;
	if (r->wait_next)
		r->wait_next->wait_prev = r->wait_prev;
	else
		conn->waiting_last = r->wait_prev;
}

void pl_credential_attach(struct pipeline *p, struct pl_request *r, struct index_conn *conn)
{
	struct pl_batch *b = p->open;
	struct pl_credential *c = conn->fresh;

	wait_at(r, conn);
	if (c && conn->fresh_batch == b->number && c->upstream_id == conn->upstream_id)
		return;
	c = &b->credential[b->credentials++];
	*c = (struct pl_credential){
	    .p = p,
	    .batch = b,
	    .conn = conn,
	    .upstream_id = conn->upstream_id,
	    .blob = rk_slice(b->mem + b->used, conn->blob.n),
	};
	if (conn->blob.n)
		memcpy(b->mem + b->used, conn->blob.p, conn->blob.n);
	b->used += conn->blob.n;
	c->place = credential_place(rk_str(conn->id), conn->credential_version, c->place_mem);
	index_conn_ref(conn);
	conn->fresh = c;
	conn->fresh_batch = b->number;
}

/*
 * Answers those who wait at the connection and whose row is durable. One may be sent back to
 * wait, at the end of the list (its credential was rotated): not a second time now.
 */
static void answer_waiting(const struct pl_credential *c)
{
	struct pl_request *last = c->conn->waiting_last, *next = c->conn->waiting, *r;

	while ((r = next)) {
		next = r == last ? NULL : r->wait_next;
		if (!r->row_durable)
			continue;
		pl_request_waits_no_more(r);
		pl_request_ready(r, c);
	}
}

/* ---- unwrapping ---- */

/* With a new key each time: guesses that were hashed for one are of no use for another. */
static int take_fingerprints(struct pl_credential *c, const struct rk_secret *plain)
{
	const struct auth_style *style = &c->conn->auth;
	const struct rk_secret *rendered = auth_style_is_query(style) ? &c->query : &c->headers;
	struct rk_slice form[AUTH_MAX_FORMS];
	unsigned count = auth_style_forms(style, plain, rendered, form);
	uint8_t key[MASK_KEY];
	int err = 0;

	rk_random(key, sizeof key);
	for (unsigned i = 0; i < count && !err; i++) {
		if (mask_covers(form[i].n))
			err =
			    mask_list_add(c->masks, sizeof c->masks, &c->masks_n, form[i], key);
	}
	return err;
}

static void unwrap(struct pl_credential *c)
{
	const struct pipeline_backend *be = &c->p->params.backend;
	int64_t start = rk_mono_us();
	struct rk_secret plain = {0};
	struct rk_fault fault = {""};

	c->err = be->unwrap(be->arg, c->blob, c->place, &plain, &fault);
	/* the style of a connection never changes, so it may be read from here */
	if (!c->err)
		c->err = auth_style_render(&c->conn->auth, &plain, &c->headers, &c->query);
	if (!c->err)
		c->err = take_fingerprints(c, &plain);
	rk_secret_free(&plain);
	if (c->err)
		snprintf(c->err_text, sizeof c->err_text, "%.*s", (int)sizeof c->err_text - 1,
		         fault.text[0] ? fault.text : rk_strerror(c->err));
	c->unwrap_us = (uint32_t)(rk_mono_us() - start);
}

static void token_lost(struct pipeline *p, const char *why);

static void start(struct pl_credential *c)
{
	struct index_conn *conn = c->conn;

	c->started = true;
	c->batch->waiting++;
	c->p->unwrapping++;
	if (conn->unwrapping_id != c->upstream_id)
		conn->unwrapping = 0;
	conn->unwrapping_id = c->upstream_id;
	conn->unwrapping++;
}

static void finish(struct pl_credential *c)
{
	struct index_conn *conn = c->conn;
	struct pipeline *p = c->p;

	c->finished = true;
	c->batch->waiting--;
	p->unwrapping--;
	if (conn->unwrapping_id == c->upstream_id)
		conn->unwrapping--;
	if (conn->last == c)
		conn->last = NULL;
}

static void note_result(struct pl_credential *c)
{
	struct pipeline *p = c->p;

	p->counters.unwraps++;
	p->token_quick = !c->err && c->unwrap_us < p->params.quick_us;
	if (c->err == RK_E_TOKEN)
		token_lost(p, c->err_text);
}

static void unwrap_work(struct worker_job *job)
{
	struct pl_credential *c =
	    (struct pl_credential *)((char *)job - offsetof(struct pl_credential, job));

	atomic_store_explicit(&c->begun, true, memory_order_relaxed);
	unwrap(c);
}

static void unwrap_done(struct worker_job *job)
{
	struct pl_credential *c =
	    (struct pl_credential *)((char *)job - offsetof(struct pl_credential, job));
	struct pl_batch *b = c->batch;

	finish(c);
	pl_wake(c->p);
	note_result(c);
	answer_waiting(c);
	if (b->settled) /* else those of its own batch may have it, as soon as that is durable
	                 */
		pl_credential_drop(c);
	pl_batch_release(b);
}

static void start_on_pool(struct pl_credential *c)
{
	start(c);
	c->conn->last = c;
	c->job = (struct worker_job){.work = unwrap_work, .done = unwrap_done};
	worker_submit(c->p->params.token_pool, &c->job);
}

/* Whether an unwrap that serves the credential's requests will end, without another one. */
static bool is_coming(const struct pl_credential *c)
{
	const struct index_conn *conn = c->conn;

	return conn->unwrapping && conn->unwrapping_id == c->upstream_id;
}

/* As many at once as there are threads, but only one of them in the queue: others want some. */
static bool is_enough(const struct pl_credential *c)
{
	const struct pl_credential *last = c->conn->last;

	if (!is_coming(c))
		return false;
	return c->conn->unwrapping >= c->p->params.token_threads ||
	       (last && !atomic_load_explicit(&last->begun, memory_order_relaxed));
}

void pl_credentials_submit(struct pl_batch *b)
{
	b->unwraps =
	    b->rows && b->p->token_quick && b->credentials && b->credentials <= QUICK_A_BATCH;
	for (unsigned i = 0; i < b->credentials; i++) {
		struct pl_credential *c = &b->credential[i];

		if (b->unwraps)
			start(c);
		else if (!is_enough(c))
			start_on_pool(c);
	}
}

void pl_credentials_unwrap(struct pl_batch *b)
{
	for (unsigned i = 0; i < b->credentials; i++)
		unwrap(&b->credential[i]);
}

void pl_credentials_unwrapped(struct pl_batch *b)
{
	for (unsigned i = 0; i < b->credentials; i++) {
		finish(&b->credential[i]);
		if (!b->err)
			note_result(&b->credential[i]);
	}
}

/* Who waits with a durable row for a second try: the journal went away under it. */
static void fail_second_tries(const struct index_conn *conn)
{
	struct pl_request *r, *next;

	for (r = conn->waiting; r; r = next) {
		next = r->wait_next;
		if (r->again)
			pl_request_failed(r);
	}
}

static bool anyone_ready(const struct index_conn *conn)
{
	const struct pl_request *r = conn->waiting;

	while (r && !r->row_durable)
		r = r->wait_next;
	return r != NULL;
}

void pl_credentials_settle(struct pl_batch *b)
{
	for (unsigned i = 0; i < b->credentials; i++) {
		struct pl_credential *c = &b->credential[i];

		if (b->failed)
			fail_second_tries(c->conn);
		else if (c->finished)
			answer_waiting(c);
		else if (!c->started && !is_coming(c) && anyone_ready(c->conn))
			start_on_pool(c); /* the one it relied on has ended before the commit */
		if (c->finished || !c->started)
			pl_credential_drop(c);
	}
}

void pl_credential_drop(struct pl_credential *c)
{
	rk_secret_free(&c->headers);
	rk_secret_free(&c->query);
	if (c->conn)
		index_conn_unref(c->conn);
	c->conn = NULL;
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
