#include "keeper/pipeline_int.h"

#include <stdio.h>

#include "base/base62.h"
#include "base/clock.h"

enum {
	QUICK_A_BATCH = 4, /* of them behind one commit; more are better off in parallel */
};

/* ---- who waits ---- */

static void wait_in(struct pl_request *r, struct index_lane *lane)
{
	r->lane = lane;
	r->wait_next = NULL;
	r->wait_prev = lane->waiting ? lane->waiting_last : NULL;
	if (r->wait_prev)
		r->wait_prev->wait_next = r;
	else
		lane->waiting = r;
	lane->waiting_last = r;
}

void pl_request_waits_no_more(struct pl_request *r)
{
	struct index_lane *lane = r->lane;

	if (!lane)
		return;
	r->lane = NULL;
	if (r->wait_prev)
		r->wait_prev->wait_next = r->wait_next;
	else
		lane->waiting = r->wait_next;
	if (r->wait_next)
		r->wait_next->wait_prev = r->wait_prev;
	else
		lane->waiting_last = r->wait_prev;
}

static struct rk_slice put_blob(char **mem, struct rk_slice blob)
{
	struct rk_slice copy = rk_slice(*mem, blob.n);

	if (blob.n)
		memcpy(*mem, blob.p, blob.n);
	*mem += blob.n;
	return copy;
}

void pl_credential_take(struct pl_credential *c, struct pipeline *p, struct index_conn *conn,
                        bool dial, char **mem)
{
	*c = (struct pl_credential){
	    .p = p,
	    .conn = conn,
	    .upstream_id = conn->upstream_id,
	    .auth = index_auth_ref(conn->auth),
	    .blob = put_blob(mem, conn->blob),
	    .dial = dial,
	};
	c->place = credential_place(rk_str(conn->id), conn->credential_version, c->place_mem);
	if (dial) {
		c->key_blob = put_blob(mem, conn->identity.blob);
		c->key_version = conn->identity.version;
		c->proxy_blob = put_blob(mem, conn->proxy.blob);
		c->proxy_version = conn->proxy.version;
	}
	index_conn_ref(conn);
}

void pl_credential_attach(struct pipeline *p, struct pl_request *r, struct index_conn *conn)
{
	bool dial = r->dial && index_conn_dials_secretly(conn);
	struct index_lane *lane = &conn->lane[dial];
	struct pl_batch *b = p->open;
	struct pl_credential *c = lane->fresh;
	char *mem = b->mem + b->used;

	wait_in(r, lane);
	if (c && lane->fresh_batch == b->number && c->upstream_id == conn->upstream_id)
		return;
	c = &b->credential[b->credentials++];
	pl_credential_take(c, p, conn, dial, &mem);
	b->used = (size_t)(mem - b->mem);
	c->batch = b;
	c->lane = lane;
	lane->fresh = c;
	lane->fresh_batch = b->number;
}

/*
 * Answers those who wait for such a credential and whose row is durable. One may be sent back
 * to wait, at the end of the list (its credential was rotated): not a second time now.
 */
static void answer_waiting(const struct pl_credential *c)
{
	struct pl_request *last = c->lane->waiting_last, *next = c->lane->waiting, *r;

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
	const struct auth_style *style = &c->auth->style;
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

static int unwrap_one(struct pl_credential *c, enum store_egress_kind kind,
                      struct rk_slice blob, uint32_t version, struct rk_secret *out,
                      struct rk_fault *fault)
{
	const struct pipeline_backend *be = &c->p->params.backend;
	char mem[CREDENTIAL_PLACE_MAX];

	if (!blob.n)
		return 0;
	return be->unwrap(be->arg, blob,
	                  credential_dial_place(kind, rk_str(c->conn->id), version, mem), out,
	                  fault);
}

/* What the relay needs to make a connection, as one record in secret memory. */
static int unwrap_dial(struct pl_credential *c, struct rk_fault *fault)
{
	RK_SECRET_AUTO key = {0};
	RK_SECRET_AUTO proxy = {0};
	struct msg_dial m;
	ssize_t n;
	int err;

	err = unwrap_one(c, STORE_IDENTITY, c->key_blob, c->key_version, &key, fault);
	if (!err)
		err =
		    unwrap_one(c, STORE_PROXY, c->proxy_blob, c->proxy_version, &proxy, fault);
	m = (struct msg_dial){.client_key = rk_secret_slice(&key),
	                      .proxy_secret = rk_secret_slice(&proxy)};
	if (!err)
		err = rk_secret_alloc(&c->dialling, record_size(&msg_dial_desc, &m));
	if (err)
		return err;
	n = record_encode(&msg_dial_desc, &m, c->dialling.p, c->dialling.cap);
	if (n < 0)
		return (int)n;
	c->dialling.len = (size_t)n;
	return 0;
}

void pl_credential_open(struct pl_credential *c)
{
	const struct pipeline_backend *be = &c->p->params.backend;
	int64_t start = rk_mono_us();
	struct rk_secret plain = {0};
	struct rk_fault fault = {""};

	c->err = be->unwrap(be->arg, c->blob, c->place, &plain, &fault);
	if (!c->err)
		c->err = auth_style_render(&c->auth->style, &plain, &c->headers, &c->query);
	if (!c->err)
		c->err = take_fingerprints(c, &plain);
	rk_secret_free(&plain);
	if (!c->err && c->dial)
		c->err = unwrap_dial(c, &fault);
	if (c->err)
		snprintf(c->err_text, sizeof c->err_text, "%.*s", (int)sizeof c->err_text - 1,
		         fault.text[0] ? fault.text : rk_strerror(c->err));
	c->unwrap_us = (uint32_t)(rk_mono_us() - start);
}

static void start(struct pl_credential *c)
{
	struct index_lane *lane = c->lane;

	c->started = true;
	c->batch->waiting++;
	c->p->unwrapping++;
	if (lane->unwrapping_id != c->upstream_id)
		lane->unwrapping = 0;
	lane->unwrapping_id = c->upstream_id;
	lane->unwrapping++;
}

static void finish(struct pl_credential *c)
{
	struct index_lane *lane = c->lane;

	c->finished = true;
	c->batch->waiting--;
	c->p->unwrapping--;
	if (lane->unwrapping_id == c->upstream_id)
		lane->unwrapping--;
	if (lane->last == c)
		lane->last = NULL;
}

static void note_result(struct pl_credential *c)
{
	struct pipeline *p = c->p;

	p->counters.unwraps++;
	p->token_quick = !c->err && c->unwrap_us < p->params.quick_us;
	if (c->err == RK_E_TOKEN)
		pl_token_lost(p, c->err_text);
}

static void unwrap_work(struct worker_job *job)
{
	struct pl_credential *c =
	    (struct pl_credential *)((char *)job - offsetof(struct pl_credential, job));

	atomic_store_explicit(&c->begun, true, memory_order_relaxed);
	pl_credential_open(c);
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
	c->lane->last = c;
	c->job = (struct worker_job){.work = unwrap_work, .done = unwrap_done};
	worker_submit(c->p->params.token_pool, &c->job);
}

/* Whether an unwrap that serves the credential's requests will end, without another one. */
static bool is_coming(const struct pl_credential *c)
{
	const struct index_lane *lane = c->lane;

	return lane->unwrapping && lane->unwrapping_id == c->upstream_id;
}

/* As many at once as there are threads, but only one of them in the queue: others want some. */
static bool is_enough(const struct pl_credential *c)
{
	const struct pl_credential *last = c->lane->last;

	if (!is_coming(c))
		return false;
	return c->lane->unwrapping >= c->p->params.token_threads ||
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
		pl_credential_open(&b->credential[i]);
}

void pl_credentials_unwrapped(struct pl_batch *b)
{
	for (unsigned i = 0; i < b->credentials; i++) {
		finish(&b->credential[i]);
		if (!b->err)
			note_result(&b->credential[i]);
	}
}

/* Who waits with a durable row (for a second try, or a rotated credential): the journal went
 * away under it. */
static void fail_waiting(const struct index_lane *lane)
{
	struct pl_request *r, *next;

	for (r = lane->waiting; r; r = next) {
		next = r->wait_next;
		if (r->row_durable)
			pl_request_failed(r);
	}
}

static bool anyone_ready(const struct index_lane *lane)
{
	const struct pl_request *r = lane->waiting;

	while (r && !r->row_durable)
		r = r->wait_next;
	return r != NULL;
}

void pl_credentials_settle(struct pl_batch *b)
{
	for (unsigned i = 0; i < b->credentials; i++) {
		struct pl_credential *c = &b->credential[i];

		if (b->failed)
			fail_waiting(c->lane);
		else if (c->finished)
			answer_waiting(c);
		else if (!c->started && !is_coming(c) && anyone_ready(c->lane))
			start_on_pool(c); /* the one it relied on has ended before the commit */
		if (c->finished || !c->started)
			pl_credential_drop(c);
	}
}

void pl_credential_drop(struct pl_credential *c)
{
	rk_secret_free(&c->headers);
	rk_secret_free(&c->query);
	rk_secret_free(&c->dialling);
	index_auth_unref(c->auth);
	if (c->conn)
		index_conn_unref(c->conn);
	c->auth = NULL;
	c->conn = NULL;
}
