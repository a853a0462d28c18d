/*
 * The batch machine with a real journal, a counted token and a relay at the other end of a
 * socketpair: what is answered when, and what stands in the journal then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/peer.h"
#include "http/mask.h"
#include "keeper/pipeline.h"
#include "keeper/relay_link.h"
#include "tests/lib/identity.h"
#include "tests/lib/policy_sample.h"

enum { MAX_SEEN = 4096, PATIENCE_MS = 5000, RETRY_MS = 20 };

struct seen_decision {
	uint64_t id;
	uint8_t decision;
	uint16_t reason;
	uint32_t upstream_id;
	int64_t cut_at_ms;
	char headers[64];
	char key[64], proxy[64];    /* what it brought for a dial */
	bool dials;                 /* whether it brought anything */
	struct msg_decision limits; /* its numbers only */
	struct mask mask;
};

struct seen_row {
	uint64_t seq;
	uint8_t type, decision, outcome;
	uint16_t reason, status;
	uint8_t request_id[16];
	char detail[64], action[32], key_id[32];
};

struct world {
	char dir[64], path[96];
	struct loop *loop;
	struct event *tick;
	struct index *ix;
	struct index_conn *conn_a, *conn_b;
	struct sample_key key;
	struct journal *journal;
	struct rk_secret journal_key;
	struct worker_pool *journal_pool, *token_pool;
	struct pipeline *p;
	struct relay_links *links;
	uint64_t policy_version;
	size_t arena_at_rest;

	/* backend; shared with the workers */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold_append, hold_unwrap;
	unsigned held; /* calls that wait for hold_append to be over, or are about to return */
	unsigned unwraps_let; /* so many get past hold_unwrap */
	int append_err, unwrap_err, reconnect_err;
	unsigned appends, unwraps, reconnects;
	pthread_t appender; /* the thread of the last append */
	char last_place[96];

	/* the relay's end */
	struct ipc_peer *relay;
	struct seen_decision decision[MAX_SEEN];
	unsigned decisions, gates, cuts, expiries, upstreams, drops;
	uint64_t expiry_id; /* of the last EXPIRY */
	int64_t expiry_ms;
	unsigned discovered;
	uint16_t discovered_reason;
	char discovered_masked[32];
	size_t discovered_reaches;
	struct msg_gate gate;
	uint32_t last_upstream, last_replaces;
	uint16_t cut_reason;
	bool closed, unknown_upstream;

	struct pipeline_tail tail;
	struct seen_row row[MAX_SEEN];
	unsigned rows;
	uint8_t chain[32];
	bool chain_broken;
	int callback_err;
	unsigned callbacks, flushes;
};

/* ---- backend ---- */

static int enter(struct world *w, const bool *hold, unsigned *count, const int *err)
{
	int rc;

	pthread_mutex_lock(&w->lock);
	w->held++;
	while (*hold)
		pthread_cond_wait(&w->changed, &w->lock);
	w->held--;
	(*count)++;
	rc = *err;
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static int fake_append(void *arg, struct journal_entry *e, size_t n, struct rk_fault *fault)
{
	struct world *w = arg;
	int err = enter(w, &w->hold_append, &w->appends, &w->append_err);

	w->appender = pthread_self();
	if (err)
		return rk_fail(fault, err, "no space left");
	return journal_append(w->journal, e, n, fault);
}

static void fake_maintain(void *arg)
{
	journal_maintain(((struct world *)arg)->journal);
}

static int fake_unwrap(void *arg, struct rk_slice blob, struct rk_slice place,
                       struct rk_secret *out, struct rk_fault *fault)
{
	struct world *w = arg;
	int err;

	pthread_mutex_lock(&w->lock);
	while (w->hold_unwrap && !w->unwraps_let)
		pthread_cond_wait(&w->changed, &w->lock);
	w->unwraps_let -= w->unwraps_let > 0;
	w->unwraps++;
	err = w->unwrap_err;
	pthread_mutex_unlock(&w->lock);
	if (err)
		return rk_fail(fault, err, "unwrap failed");
	pthread_mutex_lock(&w->lock);
	if (!rk_slice_cstr(place, w->last_place, sizeof w->last_place))
		w->last_place[0] = '\0';
	pthread_mutex_unlock(&w->lock);
	err = rk_secret_alloc(out, 64);
	if (!err)
		err = rk_secret_add(out, "plain-", 6);
	return err ? err : rk_secret_add(out, blob.p, blob.n);
}

static int fake_reconnect(void *arg, struct rk_fault *fault)
{
	struct world *w = arg;
	static const bool never;
	int err = enter(w, &never, &w->reconnects, &w->reconnect_err);

	return err ? rk_fail(fault, err, "still away") : 0;
}

static unsigned held(struct world *w)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->held;
	pthread_mutex_unlock(&w->lock);
	return n;
}

static void set_hold(struct world *w, bool *hold, bool to)
{
	pthread_mutex_lock(&w->lock);
	*hold = to;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void let_unwraps(struct world *w, unsigned n)
{
	pthread_mutex_lock(&w->lock);
	w->unwraps_let = n;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void set_err(struct world *w, int *err, int to)
{
	pthread_mutex_lock(&w->lock);
	*err = to;
	pthread_mutex_unlock(&w->lock);
}

static unsigned read_count(struct world *w, const unsigned *count)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = *count;
	pthread_mutex_unlock(&w->lock);
	return n;
}

static void on_gate(bool unsealed, bool audit_ok, void *arg)
{
	relay_links_gate(((struct world *)arg)->links, unsealed, audit_ok);
}

/* ---- the relay ---- */

static void keep_dial(struct seen_decision *d, struct rk_slice encoded)
{
	struct msg_dial m;

	d->dials = encoded.n > 0;
	if (!d->dials)
		return;
	assert_int_equal(record_decode(&msg_dial_desc, encoded, &m), 0);
	assert_true(rk_slice_cstr(m.client_key, d->key, sizeof d->key));
	assert_true(rk_slice_cstr(m.proxy_secret, d->proxy, sizeof d->proxy));
}

static void relay_message(struct ipc_peer *peer, struct ipc_message *m, void *arg)
{
	struct world *w = arg;
	struct seen_decision *d;

	(void)peer;
	switch (m->type) {
	case MSG_DECISION:
		assert_true(w->decisions < MAX_SEEN);
		d = &w->decision[w->decisions++];
		d->id = m->id;
		d->decision = m->body.decision.decision;
		d->reason = m->body.decision.reason;
		d->upstream_id = m->body.decision.upstream_id;
		d->cut_at_ms = m->body.decision.cut_at_ms;
		d->limits = m->body.decision;
		assert_true(rk_slice_cstr(m->body.decision.inject_headers, d->headers,
		                          sizeof d->headers));
		assert_int_equal(mask_init(&d->mask, m->body.decision.masks), 0);
		keep_dial(d, m->body.decision.dial);
		if (d->reason == REASON_OK && d->upstream_id > w->last_upstream)
			w->unknown_upstream = true;
		break;
	case MSG_GATE:
		w->gate = m->body.gate;
		w->gates++;
		break;
	case MSG_UPSTREAM:
		w->upstreams++;
		w->last_upstream = m->body.upstream.upstream_id;
		w->last_replaces = m->body.upstream.replaces;
		break;
	case MSG_UPSTREAM_DROP:
		w->drops++;
		break;
	case MSG_CUT:
		w->cuts++;
		w->cut_reason = m->body.cut.reason;
		break;
	case MSG_DISCOVERED:
		w->discovered++;
		w->discovered_reason = m->body.discovered.reason;
		w->discovered_reaches = record_list_count(m->body.discovered.reaches);
		assert_true(rk_slice_cstr(m->body.discovered.masked, w->discovered_masked,
		                          sizeof w->discovered_masked));
		break;
	case MSG_EXPIRY:
		w->expiries++;
		w->expiry_id = m->id;
		w->expiry_ms = m->body.expiry.cut_at_ms;
		break;
	default:
		fail();
	}
}

static void relay_closed(struct ipc_peer *peer, int err, void *arg)
{
	(void)peer;
	(void)err;
	((struct world *)arg)->closed = true;
}

static const struct ipc_peer_ops relay_ops = {.message = relay_message, .closed = relay_closed};

static void attach_relay(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
	    ipc_peer_new(w->loop, pair[1], IPC_RELAY, IPC_KEEPER, &relay_ops, w, &w->relay), 0);
	assert_int_equal(relay_links_attach(w->links, 0, pair[0]), 0);
}

static void on_row(const struct msg_audit_entry *e, void *arg)
{
	struct world *w = arg;
	struct seen_row *s = &w->row[w->rows < MAX_SEEN ? w->rows++ : MAX_SEEN - 1];
	struct audit_row row;
	unsigned char covered[32 + 8 + AUDIT_MAX_ROW];
	uint8_t hash[32];

	assert_int_equal(record_unpack(&audit_row_desc, e->row, &row), 0);
	*s = (struct seen_row){.seq = e->seq,
	                       .type = row.type,
	                       .decision = row.decision,
	                       .outcome = row.outcome,
	                       .reason = row.reason,
	                       .status = row.status};
	memcpy(s->request_id, row.request_id, sizeof s->request_id);
	assert_true(rk_slice_cstr(row.detail, s->detail, sizeof s->detail));
	assert_true(rk_slice_cstr(row.action, s->action, sizeof s->action));
	assert_true(rk_slice_cstr(row.key_id, s->key_id, sizeof s->key_id));

	memcpy(covered, e->prev_hash, 32);
	for (unsigned i = 0; i < 8; i++)
		covered[32 + i] = (unsigned char)(e->seq >> (8 * i));
	memcpy(covered + 40, e->row.p, e->row.n);
	rk_sha256(rk_slice(covered, 40 + e->row.n), hash);
	if (memcmp(hash, e->hash, 32) != 0 || memcmp(e->prev_hash, w->chain, 32) != 0)
		w->chain_broken = true;
	memcpy(w->chain, e->hash, 32);
}

/* ---- driving the loop ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* One turn. The loop was stopped at set-up, so loop_run() runs the hooks and returns. */
static void turn(struct world *w)
{
	event_base_loop(loop_base(w->loop), EVLOOP_ONCE);
	loop_run(w->loop);
}

#define WAIT_FOR(w, cond)                                                                      \
	do {                                                                                   \
		int64_t until = rk_mono_us() + PATIENCE_MS * 1000;                             \
		while (!(cond) && rk_mono_us() < until)                                        \
			turn(w);                                                               \
		assert_true(cond);                                                             \
	} while (0)

static void some_turns(struct world *w)
{
	for (int i = 0; i < 30; i++)
		turn(w);
}

/* ---- the world ---- */

/* of the next world */
static unsigned quick_us;
static bool commit_alone;

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct timeval tick = {0, 2000};
	struct sample_grants g = {.used = 0};
	struct pipeline_params params;

	if (!w)
		return -1;
	strcpy(w->dir, "/tmp/relaykey-pipeline-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/journal.db", w->dir);
	w->arena_at_rest = secret_arena_in_use();
	assert_int_equal(rk_secret_alloc(&w->journal_key, 32), 0);
	assert_int_equal(rk_secret_add(&w->journal_key, "0123456789abcdef0123456789abcdef", 32),
	                 0);
	assert_int_equal(journal_open(w->path, &w->journal_key, false, true, &w->journal, NULL),
	                 0);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	assert_int_equal(loop_new(&w->loop), 0);
	loop_stop(w->loop);
	w->tick = event_new(loop_base(w->loop), -1, EV_PERSIST, on_tick, w);
	event_add(w->tick, &tick);
	assert_int_equal(worker_pool_new(w->loop, "journal", 1, &w->journal_pool), 0);
	assert_int_equal(worker_pool_new(w->loop, "token", 2, &w->token_pool), 0);

	assert_int_equal(index_new(&w->ix), 0);
	w->conn_a = sample_conn(w->ix, "conn_a", "openai", "https://api.openai.com/v1", 0);
	w->conn_b = sample_conn(w->ix, "conn_b", "other", "https://other.example", 0);
	sample_grant(&g, "conn_a", "GET", "/v1/**", "");
	sample_grant(&g, "conn_b", "GET", "/**", "");
	sample_key(w->ix, &g, "", 0, &w->key);

	w->policy_version = 7;
	params = (struct pipeline_params){
	    .loop = w->loop,
	    .index = w->ix,
	    .journal_pool = w->journal_pool,
	    .token_pool = w->token_pool,
	    .token_threads = 2,
	    .quick_us = quick_us,
	    .commit_alone = commit_alone,
	    .backend = {.append = fake_append,
	                .maintain = fake_maintain,
	                .unwrap = fake_unwrap,
	                .reconnect = fake_reconnect,
	                .arg = w},
	    .policy_version = &w->policy_version,
	    .gate = on_gate,
	    .gate_arg = w,
	    .retry_ms = RETRY_MS,
	};
	assert_int_equal(relay_links_new(w->loop, &w->links), 0);
	assert_int_equal(pipeline_new(&params, &w->p), 0);
	relay_links_open(w->links, w->ix, w->p);
	attach_relay(w);
	w->tail = (struct pipeline_tail){.row = on_row, .arg = w};
	pipeline_tail_add(w->p, &w->tail);
	WAIT_FOR(w, w->gates == 2);
	*state = w;
	return 0;
}

static int setup_quick(void **state)
{
	int rc;

	quick_us = 1000000;
	rc = setup(state);
	quick_us = 0;
	return rc;
}

static int setup_alone(void **state)
{
	int rc;

	commit_alone = true;
	rc = setup_quick(state);
	commit_alone = false;
	return rc;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char other[128];
	bool chain_broken = w->chain_broken, unknown = w->unknown_upstream;
	size_t left;

	set_hold(w, &w->hold_append, false);
	set_hold(w, &w->hold_unwrap, false);
	worker_pool_free(w->journal_pool);
	worker_pool_free(w->token_pool);
	relay_links_free(w->links);
	ipc_peer_free(w->relay);
	pipeline_free(w->p);
	loop_run(w->loop); /* frees the peers */
	index_free(w->ix);
	journal_close(w->journal);
	rk_secret_free(&w->journal_key);
	left = secret_arena_in_use() - w->arena_at_rest;
	event_free(w->tick);
	loop_free(w->loop);
	unlink(w->path);
	snprintf(other, sizeof other, "%s-wal", w->path);
	unlink(other);
	snprintf(other, sizeof other, "%s-shm", w->path);
	unlink(other);
	rmdir(w->dir);
	free(w);
	assert_int_equal(left, 0);
	assert_false(chain_broken);
	assert_false(unknown);
	return 0;
}

static void ask_dial(struct world *w, uint64_t id, const char *conn, bool dial)
{
	struct msg_authorize m = {
	    .dial = dial,
	    .request_id = {(uint8_t)id, (uint8_t)(id >> 8)},
	    .key = rk_slice(w->key.text, w->key.len),
	    .conn = rk_str(conn),
	    .method = rk_str("GET"),
	    .rest = rk_str("/models"),
	};

	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, id, &m), 0);
}

static void ask(struct world *w, uint64_t id, const char *conn)
{
	ask_dial(w, id, conn, false);
}

static void complete(struct world *w, uint64_t id)
{
	struct msg_complete m = {
	    .status = 200, .outcome = OUTCOME_COMPLETE, .bytes_out = 12, .total_us = 99};

	assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, id, &m), 0);
}

static void send_again(struct world *w, uint64_t id)
{
	const struct msg_again m = {.sent = 1};

	assert_int_equal(ipc_peer_send(w->relay, MSG_AGAIN, id, &m), 0);
}

static struct pipeline_counters counters(struct world *w)
{
	struct pipeline_counters c;

	pipeline_counters(w->p, &c);
	return c;
}

/* The newest durable row of a type that fits a request id, or NULL. */
static const struct seen_row *find_row(const struct world *w, uint8_t type, uint64_t id)
{
	for (unsigned i = w->rows; i-- > 0;) {
		if (w->row[i].type == type && w->row[i].request_id[0] == (uint8_t)id &&
		    w->row[i].request_id[1] == (uint8_t)(id >> 8))
			return &w->row[i];
	}
	return NULL;
}

static const struct seen_row *find_action(const struct world *w, const char *action)
{
	for (unsigned i = w->rows; i-- > 0;) {
		if (strcmp(w->row[i].action, action) == 0)
			return &w->row[i];
	}
	return NULL;
}

static void run_one(struct world *w, uint64_t id)
{
	unsigned before = w->decisions;

	ask(w, id, "openai");
	WAIT_FOR(w, w->decisions == before + 1);
	assert_int_equal(w->decision[before].reason, REASON_OK);
}

/* ---- what is promised ---- */

static void a_request_is_answered_only_when_its_row_is_durable(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).unwraps == 1);
	some_turns(w);
	assert_int_equal(w->decisions, 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].decision, DECISION_ALLOWED);
	assert_int_equal(w->decision[0].upstream_id, w->conn_a->upstream_id);
	assert_string_equal(w->decision[0].headers, "Authorization: Bearer plain-wrapped\r\n");
	assert_string_equal(w->last_place, "cred|conn_a|1");
	assert_non_null(find_row(w, AUDIT_REQUEST, 1));
	assert_string_equal(find_row(w, AUDIT_REQUEST, 1)->key_id, w->key.id);
	assert_int_equal(counters(w).in_flight, 1);
}

static void a_request_is_answered_only_when_its_credential_is_there(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_unwrap, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, find_row(w, AUDIT_REQUEST, 1));
	some_turns(w);
	assert_int_equal(w->decisions, 0);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].reason, REASON_OK);
}

static void a_decision_brings_the_fingerprint_of_what_it_injects(void **state)
{
	struct world *w = *state;
	char echo[] = "Authorization: Bearer plain-wrapped";

	run_one(w, 1);
	ask(w, 2, "nowhere");
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[0].mask.count, 1);
	assert_int_equal(w->decision[1].mask.count, 0);
	assert_int_equal(mask_scan(&w->decision[0].mask, echo, sizeof echo - 1, true),
	                 sizeof echo - 1);
	assert_string_equal(echo, "Authorization: Bearer *************");
	run_one(w, 3); /* another batch */
	assert_memory_not_equal(w->decision[2].mask.print[0].key,
	                        w->decision[0].mask.print[0].key, MASK_KEY);
}

static void a_refusal_is_answered_after_its_row_without_an_unwrap(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "nowhere");
	some_turns(w);
	assert_int_equal(w->decisions, 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].reason, REASON_NO_CONN);
	assert_string_equal(w->decision[0].headers, "");
	assert_int_equal(find_row(w, AUDIT_REQUEST, 1)->status, 404);
	assert_int_equal(counters(w).unwraps, 0);
	assert_int_equal(counters(w).in_flight, 0);
	assert_int_equal(counters(w).refused, 1);
}

/* Gives the world's key limits, as if it had been issued with them. */
static void limit_key(struct world *w, struct rate_limits limits)
{
	w->key.key->rate = calloc(1, sizeof *w->key.key->rate);
	assert_non_null(w->key.key->rate);
	w->key.key->rate->limits = limits;
}

static void a_request_over_the_rate_is_429_and_on_record_as_limited(void **state)
{
	struct world *w = *state;
	const struct seen_decision *d = w->decision;

	limit_key(w, (struct rate_limits){.per_minute = 2, .per_day = 10});
	for (uint64_t i = 0; i < 3; i++) {
		ask(w, i, "openai");
		WAIT_FOR(w, w->decisions == i + 1);
	}
	assert_int_equal(d[0].reason, REASON_OK);
	assert_int_equal(d[0].limits.minute_limit, 2);
	assert_int_equal(d[0].limits.minute_left, 1);
	assert_int_equal(d[1].reason, REASON_OK);
	assert_int_equal(d[1].limits.minute_left, 0);
	assert_int_equal(d[1].limits.retry_after_s, 0);
	assert_int_equal(d[1].limits.day_left, 8);
	assert_int_equal(d[2].decision, DECISION_LIMITED);
	assert_int_equal(d[2].reason, REASON_RATE_LIMITED);
	assert_string_equal(d[2].headers, "");
	assert_in_range(d[2].limits.retry_after_s, 50, 62);
	assert_int_equal(d[2].limits.minute_limit, 2);
	assert_int_equal(d[2].limits.day_left, 8);
	assert_int_equal(find_row(w, AUDIT_REQUEST, 2)->decision, DECISION_LIMITED);
	assert_int_equal(find_row(w, AUDIT_REQUEST, 2)->status, 429);
	assert_string_equal(find_row(w, AUDIT_REQUEST, 2)->detail, "per_minute");
	assert_string_equal(find_row(w, AUDIT_REQUEST, 2)->key_id, w->key.id);
	assert_int_equal(counters(w).in_flight, 2);
	assert_int_equal(counters(w).refused, 1);
}

static void requests_that_come_in_one_batch_are_counted_one_by_one(void **state)
{
	struct world *w = *state;
	unsigned allowed = 0;

	limit_key(w, (struct rate_limits){.per_minute = 7});
	for (uint64_t i = 0; i < 40; i++)
		ask(w, i, "openai");
	WAIT_FOR(w, w->decisions == 40);
	for (unsigned i = 0; i < 40; i++)
		allowed += w->decision[i].reason == REASON_OK;
	assert_int_equal(allowed, 7);
}

static void a_request_counts_as_open_until_it_is_complete(void **state)
{
	struct world *w = *state;

	limit_key(w, (struct rate_limits){.max_concurrent = 2});
	run_one(w, 1);
	run_one(w, 2);
	ask(w, 3, "other");
	WAIT_FOR(w, w->decisions == 3);
	assert_int_equal(w->decision[2].reason, REASON_CONCURRENCY_LIMITED);
	assert_int_equal(w->decision[2].decision, DECISION_LIMITED);
	assert_int_equal(w->decision[2].limits.retry_after_s, 1);
	assert_string_equal(find_row(w, AUDIT_REQUEST, 3)->detail, "concurrent");
	complete(w, 1);
	WAIT_FOR(w, counters(w).in_flight == 1);
	run_one(w, 4);
	assert_int_equal(w->decision[3].limits.concurrent_left, 0);
}

static void a_second_try_of_a_request_is_not_counted_again(void **state)
{
	struct world *w = *state;

	limit_key(w, (struct rate_limits){.per_minute = 5, .max_concurrent = 1});
	run_one(w, 1);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].reason, REASON_OK);
	assert_int_equal(w->decision[1].limits.minute_left, 4);
	assert_int_equal(w->key.key->rate->in_window, 1);
}

static void a_request_to_nowhere_uses_up_no_quota(void **state)
{
	struct world *w = *state;
	const struct rate *rate;

	limit_key(w, (struct rate_limits){.per_day = 1});
	rate = w->key.key->rate;
	ask(w, 1, "nowhere");
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(rate->day_used, 0);
	run_one(w, 2);
	assert_int_equal(rate->day_used, 1);
}

static void a_batch_unwraps_each_credential_once_and_the_next_one_again(void **state)
{
	struct world *w = *state;

	for (uint64_t i = 0; i < 40; i++)
		ask(w, i, i % 2 ? "openai" : "other");
	WAIT_FOR(w, w->decisions == 40);
	assert_int_equal(counters(w).batches, 1);
	assert_int_equal(counters(w).unwraps, 2);
	ask(w, 100, "openai");
	WAIT_FOR(w, w->decisions == 41);
	assert_int_equal(counters(w).unwraps, 3);
	assert_int_equal(counters(w).in_flight, 41);
}

static void a_quick_token_is_asked_behind_the_commit(void **state)
{
	struct world *w = *state;

	run_one(w, 1); /* shows that it is quick */
	set_hold(w, &w->hold_append, true);
	ask(w, 2, "openai");
	some_turns(w);
	assert_int_equal(read_count(w, &w->unwraps), 1);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].reason, REASON_OK);
	assert_string_equal(w->decision[1].headers, "Authorization: Bearer plain-wrapped\r\n");
	assert_int_equal(counters(w).unwraps, 2);
}

static void a_quick_token_is_not_asked_when_the_commit_failed(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_err(w, &w->append_err, RK_E_FULL);
	ask(w, 2, "openai");
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].reason, REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(read_count(w, &w->unwraps), 1);
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, w->gate.audit_ok);
	run_one(w, 3);
}

static void a_quick_token_that_is_lost_closes_the_gate(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_err(w, &w->reconnect_err, RK_E_TOKEN);
	set_err(w, &w->unwrap_err, RK_E_TOKEN);
	ask(w, 2, "openai");
	WAIT_FOR(w, w->decisions == 2 && !w->gate.unsealed);
	assert_int_equal(w->decision[1].reason, REASON_SEALED);
	set_err(w, &w->unwrap_err, 0);
	set_err(w, &w->reconnect_err, 0);
	WAIT_FOR(w, w->gate.unsealed);
	run_one(w, 3);
}

static bool loop_committed(const struct world *w)
{
	return pthread_equal(w->appender, pthread_self());
}

static void a_single_request_is_committed_by_the_loop(void **state)
{
	struct world *w = *state;

	run_one(w, 1); /* shows that the token is quick */
	assert_false(loop_committed(w));
	complete(w, 1);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	run_one(w, 2);
	assert_true(loop_committed(w));
	assert_string_equal(w->decision[1].headers, "Authorization: Bearer plain-wrapped\r\n");
	assert_non_null(find_row(w, AUDIT_REQUEST, 2));
	complete(w, 2);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 2));
	set_err(w, &w->append_err, RK_E_FULL);
	ask(w, 3, "openai");
	WAIT_FOR(w, w->decisions == 3 && !w->gate.audit_ok);
	assert_int_equal(w->decision[2].reason, REASON_AUDIT_UNAVAILABLE);
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, w->gate.audit_ok);
	run_one(w, 4);
}

static void beside_a_request_in_flight_the_loop_never_waits_for_the_journal(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	run_one(w, 2);
	assert_false(loop_committed(w));
	set_hold(w, &w->hold_append, true);
	ask(w, 3, "openai");
	some_turns(w);
	w->key.key->revoked_ms = 1;
	pipeline_cut_key(w->p, w->key.key, REASON_INVALID_KEY);
	WAIT_FOR(w, w->cuts == 2);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 3);
	assert_int_equal(w->decision[2].reason, REASON_INVALID_KEY);
}

/* With an unwrap of its own, that a worker has, for each of `n` requests. */
static void ask_while_unwraps_are_held(struct world *w, uint64_t n)
{
	set_hold(w, &w->hold_unwrap, true);
	for (uint64_t id = 1; id <= n; id++) {
		ask(w, id, "openai");
		WAIT_FOR(w, find_row(w, AUDIT_REQUEST, (uint8_t)id));
		some_turns(w);
	}
}

static void the_first_unwrap_that_ends_answers_everyone_who_waits(void **state)
{
	struct world *w = *state;

	ask_while_unwraps_are_held(w, 2);
	assert_int_equal(w->decisions, 0);
	let_unwraps(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[0].reason, REASON_OK);
	assert_int_equal(w->decision[1].reason, REASON_OK);
	some_turns(w);
	assert_int_equal(counters(w).unwraps, 1);
	/* the other one serves whoever comes meanwhile */
	ask(w, 3, "openai");
	WAIT_FOR(w, find_row(w, AUDIT_REQUEST, 3));
	let_unwraps(w, 1);
	WAIT_FOR(w, w->decisions == 3);
	assert_int_equal(w->decision[2].reason, REASON_OK);
	assert_int_equal(counters(w).unwraps, 2);
}

static void no_more_unwraps_of_one_credential_are_under_way_than_there_are_threads(void **state)
{
	struct world *w = *state;

	ask_while_unwraps_are_held(w, 6);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, w->decisions == 6);
	some_turns(w);
	assert_int_equal(counters(w).unwraps, 2);
}

static void an_unwrap_that_failed_refuses_only_those_who_relied_on_it(void **state)
{
	struct world *w = *state;

	ask_while_unwraps_are_held(w, 2);
	set_err(w, &w->unwrap_err, RK_E_CRYPTO);
	let_unwraps(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[0].reason, REASON_SEALED);
	assert_int_equal(w->decision[1].reason, REASON_SEALED);
	set_err(w, &w->unwrap_err, 0);
	set_hold(w, &w->hold_unwrap, false);
	run_one(w, 3);
	assert_true(w->gate.unsealed);
}

static void who_relied_on_an_unwrap_that_ended_before_the_commit_gets_one(void **state)
{
	struct world *w = *state;

	ask_while_unwraps_are_held(w, 2);
	set_hold(w, &w->hold_append, true);
	ask(w, 3, "openai");
	some_turns(w);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, w->decisions == 2 && counters(w).unwraps == 2);
	some_turns(w);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 3);
	assert_int_equal(w->decision[2].reason, REASON_OK);
	assert_int_equal(counters(w).unwraps, 3);
}

static void the_next_batch_is_decided_while_this_one_commits(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	some_turns(w);
	for (uint64_t i = 2; i < 12; i++) {
		ask(w, i, "openai");
		some_turns(w);
	}
	assert_int_equal(counters(w).in_flight, 11);
	assert_int_equal(w->decisions, 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 11);
	assert_int_equal(counters(w).batches, 2);
}

static void a_burst_larger_than_a_batch_is_answered_whole(void **state)
{
	enum { BURST = 1500 };
	struct world *w = *state;
	bool answered[BURST] = {false};

	for (uint64_t i = 0; i < BURST; i++)
		ask(w, i, "openai");
	WAIT_FOR(w, w->decisions == BURST);
	for (unsigned i = 0; i < BURST; i++) {
		assert_int_equal(w->decision[i].reason, REASON_OK);
		assert_false(answered[w->decision[i].id]);
		answered[w->decision[i].id] = true;
	}
	assert_true(counters(w).batches >= 3);
	for (uint64_t i = 0; i < BURST; i++) {
		complete(w, i);
		if (i % 100 == 0)
			turn(w);
	}
	WAIT_FOR(w, counters(w).in_flight == 0);
}

static void no_secret_is_kept_between_batches(void **state)
{
	struct world *w = *state;
	size_t before;

	run_one(w, 1);
	complete(w, 1);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	before = secret_arena_in_use();
	run_one(w, 2);
	some_turns(w);
	assert_int_equal(secret_arena_in_use(), before);
}

static void completion_becomes_a_row_soon_and_ends_the_flight(void **state)
{
	struct world *w = *state;
	int64_t start;

	run_one(w, 1);
	assert_int_equal(w->key.key->in_flight, 1);
	start = rk_mono_us();
	complete(w, 1);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_true(rk_mono_us() - start >= (PIPELINE_LAZY_MS - 5) * 1000);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_COMPLETE);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->status, 200);
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "");
	assert_int_equal(w->key.key->in_flight, 0);
	assert_null(w->conn_a->open);
	assert_true(w->key.key->last_used_ms > 0);
}

static void completion_rides_along_with_the_next_request(void **state)
{
	struct world *w = *state;
	uint64_t batches;

	run_one(w, 1);
	batches = counters(w).batches;
	complete(w, 1);
	ask(w, 2, "openai");
	WAIT_FOR(w, w->decisions == 2);
	assert_non_null(find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(counters(w).batches, batches + 1);
}

static void what_the_relay_refused_itself_is_on_record(void **state)
{
	struct world *w = *state;
	struct msg_refused m = {.request_id = {9},
	                        .reason = REASON_AMBIGUOUS_PATH,
	                        .detail = rk_str("dot\x1b segment"),
	                        .conn = rk_str("openai"),
	                        .path = rk_str("/a/../b")};

	assert_int_equal(ipc_peer_send(w->relay, MSG_REFUSED, 1, &m), 0);
	WAIT_FOR(w, find_row(w, AUDIT_REQUEST, 9));
	assert_int_equal(find_row(w, AUDIT_REQUEST, 9)->status, 400);
	assert_string_equal(find_row(w, AUDIT_REQUEST, 9)->detail, "dot? segment");
	assert_int_equal(counters(w).refused, 1);
}

static void a_key_revoked_between_decision_and_answer_gets_401(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).unwraps == 1);
	w->key.key->revoked_ms = rk_wall_ms();
	pipeline_cut_key(w->p, w->key.key, REASON_INVALID_KEY);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 1 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->decision[0].reason, REASON_INVALID_KEY);
	assert_string_equal(w->decision[0].headers, "");
	assert_int_equal(find_row(w, AUDIT_REQUEST, 1)->decision, DECISION_ALLOWED);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_NOT_SENT);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->reason, REASON_INVALID_KEY);
	assert_int_equal(w->cuts, 0);
	assert_int_equal(counters(w).in_flight, 0);
}

static void discover(struct world *w, uint64_t id, struct rk_slice key)
{
	struct msg_discover m = {
	    .request_id = {(uint8_t)id, (uint8_t)(id >> 8)},
	    .key = key,
	    .method = rk_str("GET"),
	};

	assert_int_equal(ipc_peer_send(w->relay, MSG_DISCOVER, id, &m), 0);
}

static struct rk_slice world_key(const struct world *w)
{
	return rk_slice(w->key.text, w->key.len);
}

static void what_a_key_may_do_is_told_when_the_row_is_durable_without_an_unwrap(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	discover(w, 1, world_key(w));
	some_turns(w);
	assert_int_equal(w->discovered, 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->discovered == 1 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->discovered_reason, REASON_OK);
	assert_true(w->discovered_reaches > 0);
	assert_true(strncmp(w->discovered_masked, "rk_", 3) == 0);
	assert_string_equal(find_row(w, AUDIT_REQUEST, 1)->key_id, w->key.id);
	assert_string_equal(find_row(w, AUDIT_REQUEST, 1)->detail, "discover");
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_COMPLETE);
	assert_int_equal(counters(w).unwraps, 0);
	assert_int_equal(counters(w).in_flight, 0);
	/* the twin: one byte of the key is another */
	discover(w, 2, rk_slice(w->key.text, w->key.len - 1));
	WAIT_FOR(w, w->discovered == 2);
	assert_int_equal(w->discovered_reason, REASON_INVALID_KEY);
	assert_string_equal(w->discovered_masked, "");
	assert_int_equal(w->discovered_reaches, 0);
	assert_int_equal(find_row(w, AUDIT_REQUEST, 2)->status, 401);
	assert_int_equal(counters(w).refused, 1);
}

static void a_key_revoked_before_it_is_told_what_it_may_do_is_told_nothing(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	discover(w, 1, world_key(w));
	some_turns(w);
	w->key.key->revoked_ms = rk_wall_ms();
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->discovered == 1 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->discovered_reason, REASON_INVALID_KEY);
	assert_int_equal(w->discovered_reaches, 0);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_NOT_SENT);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->reason, REASON_INVALID_KEY);
}

static void without_a_row_nobody_is_told_what_a_key_may_do(void **state)
{
	struct world *w = *state;

	set_err(w, &w->append_err, RK_E_FULL);
	discover(w, 1, world_key(w));
	WAIT_FOR(w, w->discovered == 1);
	assert_int_equal(w->discovered_reason, REASON_AUDIT_UNAVAILABLE);
	discover(w, 2, world_key(w));
	WAIT_FOR(w, w->discovered == 2);
	assert_int_equal(w->discovered_reason, REASON_AUDIT_UNAVAILABLE);
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, w->gate.audit_ok);
	discover(w, 3, world_key(w));
	WAIT_FOR(w, w->discovered == 3);
	assert_int_equal(w->discovered_reason, REASON_OK);
}

static void a_relay_that_dies_leaves_no_discovery_behind(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	for (uint64_t id = 1; id <= 20; id++)
		discover(w, id, world_key(w));
	some_turns(w);
	ipc_peer_free(w->relay);
	w->relay = NULL;
	WAIT_FOR(w, relay_links_count(w->links) == 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 20));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 20)->outcome, OUTCOME_CLIENT_GONE);
	attach_relay(w);
	run_one(w, 30);
}

static void more_discoveries_at_once_than_there_may_be_are_turned_away(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	for (uint64_t id = 1; id <= 300; id++)
		discover(w, id, world_key(w));
	WAIT_FOR(w, w->discovered == 300 - 256);
	assert_int_equal(w->discovered_reason, REASON_OVERLOADED);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->discovered == 300);
	assert_int_equal(w->discovered_reason, REASON_OK);
}

static void a_connection_removed_between_decision_and_answer_gets_404(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).unwraps == 1);
	relay_links_conn_removed(w->links, w->conn_a);
	index_conn_remove(w->ix, w->conn_a);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].reason, REASON_NO_CONN);
	assert_int_equal(w->drops, 1);
}

static void requests_in_flight_of_a_revoked_key_are_cut_once(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	run_one(w, 2);
	w->key.key->revoked_ms = rk_wall_ms();
	pipeline_cut_key(w->p, w->key.key, REASON_INVALID_KEY);
	pipeline_cut_key(w->p, w->key.key, REASON_INVALID_KEY);
	WAIT_FOR(w, w->cuts == 2);
	some_turns(w);
	assert_int_equal(w->cuts, 2);
	assert_int_equal(w->cut_reason, REASON_INVALID_KEY);
	complete(w, 1);
	complete(w, 2);
	WAIT_FOR(w, counters(w).in_flight == 0);
}

static void requests_through_a_frozen_connection_are_cut_and_no_others(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	ask(w, 2, "other");
	WAIT_FOR(w, w->decisions == 2);
	index_conn_set_enabled(w->ix, w->conn_b, false, 1);
	pipeline_cut_conn(w->p, w->conn_b, REASON_CONN_DISABLED);
	WAIT_FOR(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_CONN_DISABLED);
}

static void who_waits_for_a_rotated_credential_is_refused_when_the_journal_goes(void **state)
{
	struct world *w = *state;
	struct store_credential next = {
	    .version = 2, .blob = rk_str("newer"), .hint = rk_str("")};
	uint32_t old = w->conn_a->upstream_id;

	ask_while_unwraps_are_held(w, 1);
	assert_int_equal(index_conn_rotate(w->ix, w->conn_a, &next, 1), 0);
	relay_links_conn_changed(w->links, w->conn_a, old);
	set_hold(w, &w->hold_append, true);
	ask(w, 2, "nowhere"); /* not one that takes an unwrap, which could be the one let go */
	WAIT_FOR(w, held(w) == 1);
	let_unwraps(w, 1); /* of the old one: the new one is wanted by the next batch */
	WAIT_FOR(w, counters(w).unwraps == 1);
	set_err(w, &w->append_err, RK_E_FULL);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[0].reason, REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(w->decision[1].reason, REASON_AUDIT_UNAVAILABLE);
	set_hold(w, &w->hold_unwrap, false);
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_NOT_SENT);
	WAIT_FOR(w, counters(w).in_flight == 0);
}

static void a_credential_rotated_meanwhile_is_used_in_its_new_version(void **state)
{
	struct world *w = *state;
	struct store_credential next = {
	    .version = 2, .blob = rk_str("newer"), .hint = rk_str("")};
	uint32_t old = w->conn_a->upstream_id;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).unwraps == 1);
	assert_int_equal(index_conn_rotate(w->ix, w->conn_a, &next, 1), 0);
	relay_links_conn_changed(w->links, w->conn_a, old);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].upstream_id, w->conn_a->upstream_id);
	assert_string_equal(w->decision[0].headers, "Authorization: Bearer plain-newer\r\n");
	assert_string_equal(w->last_place, "cred|conn_a|2");
	assert_int_equal(w->last_replaces, old);
}

static void a_failing_journal_refuses_everything_and_recovers_by_itself(void **state)
{
	struct world *w = *state;
	unsigned before;

	run_one(w, 1);
	set_err(w, &w->append_err, RK_E_FULL);
	ask(w, 2, "openai");
	ask(w, 3, "nowhere");
	WAIT_FOR(w, w->decisions == 3 && w->gates == 3);
	assert_int_equal(w->decision[1].reason, REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(w->decision[2].reason, REASON_AUDIT_UNAVAILABLE);
	assert_string_equal(w->decision[1].headers, "");
	assert_false(w->gate.audit_ok);
	assert_true(w->gate.unsealed);
	assert_string_equal(pipeline_audit_error(w->p), "no space left");
	assert_int_equal(counters(w).in_flight, 1); /* the first one still runs */
	complete(w, 1);
	ask(w, 4, "openai"); /* a relay that does not heed the gate */
	WAIT_FOR(w, w->decisions == 4);
	assert_int_equal(w->decision[3].reason, REASON_AUDIT_UNAVAILABLE);
	before = read_count(w, &w->appends);
	WAIT_FOR(w, read_count(w, &w->appends) >= before + 2); /* probes */
	assert_false(w->gate.audit_ok);

	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, w->gate.audit_ok);
	assert_non_null(find_action(w, "audit.recovered"));
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_null(find_row(w, AUDIT_REQUEST, 2));
	assert_string_equal(pipeline_audit_error(w->p), "");
	run_one(w, 5);
}

static void completions_in_the_failing_batch_are_kept(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_hold(w, &w->hold_append, true);
	ask(w, 2, "openai");
	complete(w, 1);
	some_turns(w);
	set_err(w, &w->append_err, RK_E_IO);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].reason, REASON_AUDIT_UNAVAILABLE);
	assert_null(find_row(w, AUDIT_RESPONSE, 1));
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_COMPLETE);
}

static void a_lost_token_seals_and_comes_back_by_itself(void **state)
{
	struct world *w = *state;

	set_err(w, &w->unwrap_err, RK_E_TOKEN);
	set_err(w, &w->reconnect_err, RK_E_TOKEN);
	ask(w, 1, "openai");
	WAIT_FOR(w, w->decisions == 1 && w->gates == 3);
	assert_int_equal(w->decision[0].reason, REASON_SEALED);
	assert_false(w->gate.unsealed);
	assert_true(w->gate.audit_ok);
	ask(w, 2, "openai");
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].reason, REASON_SEALED);
	assert_int_equal(find_row(w, AUDIT_REQUEST, 2)->status, 503);
	WAIT_FOR(w, read_count(w, &w->reconnects) >= 2);
	set_err(w, &w->unwrap_err, 0);
	set_err(w, &w->reconnect_err, 0);
	WAIT_FOR(w, w->gate.unsealed && find_action(w, "token.back"));
	assert_non_null(find_action(w, "token.lost"));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_NOT_SENT);
	run_one(w, 3);
}

static void a_refused_pin_is_not_tried_again(void **state)
{
	struct world *w = *state;

	set_err(w, &w->unwrap_err, RK_E_TOKEN);
	set_err(w, &w->reconnect_err, RK_E_PIN);
	ask(w, 1, "openai");
	WAIT_FOR(w, find_action(w, "token.pin-refused"));
	for (int i = 0; i < 5; i++)
		some_turns(w);
	assert_int_equal(read_count(w, &w->reconnects), 1);
	assert_false(pipeline_unsealed(w->p));
}

static void a_credential_that_does_not_verify_is_503_and_seals_nothing(void **state)
{
	struct world *w = *state;

	set_err(w, &w->unwrap_err, RK_E_CORRUPT);
	ask(w, 1, "openai");
	WAIT_FOR(w, w->decisions == 1 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->decision[0].decision, DECISION_FAILED);
	assert_int_equal(reason_info(w->decision[0].reason)->status, 503);
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "unwrap failed");
	assert_true(pipeline_unsealed(w->p));
	set_err(w, &w->unwrap_err, 0);
	run_one(w, 2);
}

static void an_id_that_is_open_already_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	ask(w, 1, "openai");
	WAIT_FOR(w, w->closed);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_BROKER);
	assert_int_equal(relay_links_count(w->links), 0);
}

static void an_id_may_be_used_again_after_its_completion(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	complete(w, 1);
	run_one(w, 1);
	assert_false(w->closed);
}

static void a_completion_of_nothing_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	complete(w, 5);
	WAIT_FOR(w, w->closed);
	assert_int_equal(relay_links_count(w->links), 0);
}

/* ---- another expiry ---- */

static void set_expiry(struct world *w, int64_t expires_ms)
{
	w->key.key->expires_ms = expires_ms;
	pipeline_expiry_changed(w->p, w->key.key);
}

static void what_is_in_flight_learns_when_its_key_expires_now(void **state)
{
	struct world *w = *state;
	int64_t soon = rk_wall_ms() + 60000;

	run_one(w, 1);
	assert_int_equal(w->decision[0].cut_at_ms, 0);
	set_expiry(w, soon);
	WAIT_FOR(w, w->expiries == 1);
	assert_int_equal(w->expiry_id, 1);
	assert_int_equal(w->expiry_ms, soon);
	set_expiry(w, 0);
	WAIT_FOR(w, w->expiries == 2);
	assert_int_equal(w->expiry_ms, 0);
	complete(w, 1);
	WAIT_FOR(w, counters(w).in_flight == 0);
	set_expiry(w, soon);
	some_turns(w);
	assert_int_equal(w->expiries, 2);
}

static void what_waits_for_its_decision_learns_of_an_expiry_with_it(void **state)
{
	struct world *w = *state;
	int64_t soon = rk_wall_ms() + 60000;

	set_hold(w, &w->hold_unwrap, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).in_flight == 1);
	set_expiry(w, soon);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].cut_at_ms, soon);
	assert_int_equal(w->expiries, 0);
}

static void what_was_cut_hears_of_no_expiry(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	pipeline_cut_conn(w->p, w->conn_a, REASON_CONN_DISABLED);
	set_expiry(w, rk_wall_ms() + 60000);
	WAIT_FOR(w, w->cuts == 1);
	some_turns(w);
	assert_int_equal(w->expiries, 0);
}

/* ---- what a dial takes ---- */

static void set_egress(struct world *w, enum store_egress_kind kind, uint32_t version,
                       const char *public, const char *blob)
{
	struct store_egress e = {
	    .version = version, .public = rk_str(public), .blob = rk_str(blob)};
	uint32_t old = w->conn_a->upstream_id;

	assert_int_equal(index_conn_set_egress(w->ix, w->conn_a, kind, &e, 1), 0);
	assert_int_not_equal(w->conn_a->upstream_id, old);
	relay_links_conn_changed(w->links, w->conn_a, old);
}

static struct identity identity;

static void the_secrets_of_a_dial_come_only_with_one(void **state)
{
	struct world *w = *state;

	identity_make(&identity, "broker", 1);
	set_egress(w, STORE_IDENTITY, 3, identity.certificate, "key");
	set_egress(w, STORE_PROXY, 1, "http://proxy:1", "proxy");
	ask_dial(w, 1, "openai", false);
	WAIT_FOR(w, w->decisions == 1);
	assert_false(w->decision[0].dials);
	assert_int_equal(counters(w).unwraps, 1);
	assert_int_equal(w->unwraps, 1);
	ask_dial(w, 2, "openai", true);
	WAIT_FOR(w, w->decisions == 2);
	assert_string_equal(w->decision[1].headers, "Authorization: Bearer plain-wrapped\r\n");
	assert_string_equal(w->decision[1].key, "plain-key");
	assert_string_equal(w->decision[1].proxy, "plain-proxy");
	assert_int_equal(w->unwraps, 4);
	assert_string_equal(w->last_place, "proxy|conn_a|1");
	/* the other connection has none: it costs nothing to ask */
	ask_dial(w, 3, "other", true);
	WAIT_FOR(w, w->decisions == 3);
	assert_false(w->decision[2].dials);
	assert_int_equal(w->unwraps, 5);
	/* nor has one whose proxy asks for nothing */
	set_egress(w, STORE_PROXY, 2, "http://proxy:1", "");
	ask_dial(w, 4, "openai", true);
	WAIT_FOR(w, w->decisions == 4);
	assert_string_equal(w->decision[3].key, "plain-key");
	assert_string_equal(w->decision[3].proxy, "");
	assert_string_equal(w->last_place, "identity|conn_a|3");
}

static void a_batch_unwraps_for_those_that_dial_and_those_that_do_not(void **state)
{
	struct world *w = *state;

	set_egress(w, STORE_PROXY, 1, "http://proxy:1", "proxy");
	for (uint64_t i = 0; i < 40; i++)
		ask_dial(w, i, "openai", i % 4 == 0);
	WAIT_FOR(w, w->decisions == 40);
	assert_int_equal(counters(w).batches, 1);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(w->decision[i].dials, w->decision[i].id % 4 == 0);
	/* the credential twice, the proxy's once */
	assert_int_equal(w->unwraps, 3);
}

static void a_dial_s_secret_that_does_not_open_refuses_the_request(void **state)
{
	struct world *w = *state;

	set_egress(w, STORE_PROXY, 1, "http://proxy:1", "proxy");
	set_err(w, &w->unwrap_err, RK_E_CORRUPT);
	ask_dial(w, 1, "openai", true);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].reason, REASON_SEALED);
	assert_false(w->decision[0].dials);
}

static void who_asks_again_without_having_sent_gets_the_dial_and_no_mark(void **state)
{
	const struct msg_again unsent = {.sent = 0};
	struct world *w = *state;

	set_egress(w, STORE_PROXY, 1, "http://proxy:1", "proxy");
	run_one(w, 1);
	assert_false(w->decision[0].dials);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AGAIN, 1, &unsent), 0);
	WAIT_FOR(w, w->decisions == 2);
	assert_string_equal(w->decision[1].proxy, "plain-proxy");
	complete(w, 1);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "");
	/* refused then, it was never sent */
	run_one(w, 2);
	w->key.key->revoked_ms = 1;
	assert_int_equal(ipc_peer_send(w->relay, MSG_AGAIN, 2, &unsent), 0);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 2));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 2)->outcome, OUTCOME_NOT_SENT);
}

static void a_request_that_meets_a_new_identity_dials_with_it(void **state)
{
	struct world *w = *state;

	set_egress(w, STORE_PROXY, 1, "http://proxy:1", "old");
	set_hold(w, &w->hold_unwrap, true);
	ask_dial(w, 1, "openai", false);
	some_turns(w);
	set_egress(w, STORE_PROXY, 2, "http://proxy:2", "new");
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, w->decisions == 1);
	assert_int_equal(w->decision[0].upstream_id, w->conn_a->upstream_id);
	assert_string_equal(w->decision[0].proxy, "plain-new");
}

/* ---- a second try ---- */

static unsigned count_rows(const struct world *w, uint64_t id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->rows; i++)
		n += w->row[i].request_id[0] == (uint8_t)id;
	return n;
}

static void a_second_try_gets_its_credential_anew_and_no_rows_of_its_own(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(w->decision[1].id, 1);
	assert_int_equal(w->decision[1].decision, DECISION_ALLOWED);
	assert_int_equal(w->decision[1].upstream_id, w->conn_a->upstream_id);
	assert_string_equal(w->decision[1].headers, "Authorization: Bearer plain-wrapped\r\n");
	assert_int_equal(counters(w).unwraps, 2);
	assert_int_equal(counters(w).in_flight, 1);
	complete(w, 1);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "retried");
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_COMPLETE);
	assert_int_equal(count_rows(w, 1), 2);
	assert_int_equal(counters(w).in_flight, 0);
}

static void what_a_relay_says_of_a_second_try_stands_behind_the_mark(void **state)
{
	struct world *w = *state;
	struct msg_complete m = {.status = 0,
	                         .reason = REASON_UPSTREAM_FAILED,
	                         .outcome = OUTCOME_UPSTREAM_GONE,
	                         .detail = rk_str("upstream\nclosed")};

	run_one(w, 1);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, 1, &m), 0);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "retried, upstream?closed");
}

static void a_second_try_uses_the_credential_of_now(void **state)
{
	struct world *w = *state;
	struct store_credential next = {
	    .version = 2, .blob = rk_str("newer"), .hint = rk_str("")};
	uint32_t old = w->conn_a->upstream_id;

	run_one(w, 1);
	assert_int_equal(index_conn_rotate(w->ix, w->conn_a, &next, 1), 0);
	relay_links_conn_changed(w->links, w->conn_a, old);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_int_not_equal(w->decision[1].upstream_id, old);
	assert_int_equal(w->decision[1].upstream_id, w->conn_a->upstream_id);
	assert_string_equal(w->decision[1].headers, "Authorization: Bearer plain-newer\r\n");
}

static void second_try_refused(struct world *w, enum reason reason)
{
	WAIT_FOR(w, w->decisions == 2 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->decision[1].id, 1);
	assert_int_equal(w->decision[1].decision, reason_info(reason)->decision);
	assert_int_equal(w->decision[1].reason, reason);
	assert_string_equal(w->decision[1].headers, "");
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_UPSTREAM_GONE);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->reason, reason);
	assert_null(strstr(find_row(w, AUDIT_RESPONSE, 1)->detail, "retried"));
	assert_int_equal(count_rows(w, 1), 2);
	assert_int_equal(counters(w).in_flight, 0);
	assert_false(w->closed);
}

static void a_key_revoked_before_the_second_try_gets_401(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	w->key.key->revoked_ms = rk_wall_ms();
	send_again(w, 1);
	second_try_refused(w, REASON_INVALID_KEY);
	assert_int_equal(counters(w).unwraps, 1);
}

static void a_key_revoked_while_the_second_try_is_prepared_gets_401(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_hold(w, &w->hold_unwrap, true);
	send_again(w, 1);
	some_turns(w);
	w->key.key->revoked_ms = rk_wall_ms();
	pipeline_cut_key(w->p, w->key.key, REASON_INVALID_KEY);
	set_hold(w, &w->hold_unwrap, false);
	second_try_refused(w, REASON_INVALID_KEY);
	assert_int_equal(w->cuts, 0);
}

static void a_cut_that_crosses_the_second_try_holds(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	index_conn_set_enabled(w->ix, w->conn_a, false, 1);
	pipeline_cut_conn(w->p, w->conn_a, REASON_CONN_DISABLED);
	index_conn_set_enabled(w->ix, w->conn_a, true, 1);
	send_again(w, 1);
	second_try_refused(w, REASON_CONN_DISABLED);
}

static void a_token_that_fails_at_the_second_try_is_503(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_err(w, &w->unwrap_err, RK_E_CORRUPT);
	send_again(w, 1);
	second_try_refused(w, REASON_SEALED);
}

static void without_a_token_there_is_no_second_try(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_err(w, &w->unwrap_err, RK_E_TOKEN);
	set_err(w, &w->reconnect_err, RK_E_TOKEN);
	ask(w, 2, "openai");
	WAIT_FOR(w, !w->gate.unsealed && w->decisions == 2);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 3 && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->decision[2].reason, REASON_SEALED);
	assert_int_equal(counters(w).unwraps, 2);
	assert_int_equal(counters(w).in_flight, 0);
}

static void without_a_journal_there_is_no_second_try_and_its_end_is_kept(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_err(w, &w->append_err, RK_E_FULL);
	ask(w, 2, "openai");
	WAIT_FOR(w, w->decisions == 2 && !w->gate.audit_ok);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 3);
	assert_int_equal(w->decision[2].id, 1);
	assert_int_equal(w->decision[2].reason, REASON_AUDIT_UNAVAILABLE);
	assert_int_equal(counters(w).in_flight, 0);
	assert_null(find_row(w, AUDIT_RESPONSE, 1));
	set_err(w, &w->append_err, 0);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->reason, REASON_AUDIT_UNAVAILABLE);
}

static void a_third_try_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	send_again(w, 1);
	WAIT_FOR(w, w->decisions == 2);
	assert_false(w->closed);
	send_again(w, 1);
	WAIT_FOR(w, w->closed && find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_BROKER);
	assert_int_equal(w->decisions, 2);
	assert_int_equal(relay_links_count(w->links), 0);
}

static void asking_again_twice_at_once_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_hold(w, &w->hold_unwrap, true);
	send_again(w, 1);
	send_again(w, 1);
	WAIT_FOR(w, w->closed);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_BROKER);
	assert_string_equal(find_row(w, AUDIT_RESPONSE, 1)->detail, "");
	assert_int_equal(w->decisions, 1);
	assert_int_equal(counters(w).in_flight, 0);
}

static void asking_again_for_nothing_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	send_again(w, 1);
	WAIT_FOR(w, w->closed);
	assert_int_equal(relay_links_count(w->links), 0);
}

static void asking_again_before_the_answer_costs_the_relay_its_channel(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).in_flight == 1);
	send_again(w, 1);
	WAIT_FOR(w, w->closed);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(w->decisions, 0);
}

static void a_second_try_withdrawn_before_its_answer_gets_none(void **state)
{
	struct world *w = *state;
	struct msg_complete m = {.outcome = OUTCOME_CLIENT_GONE};

	run_one(w, 1);
	set_hold(w, &w->hold_unwrap, true);
	send_again(w, 1);
	assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, 1, &m), 0);
	some_turns(w);
	set_hold(w, &w->hold_unwrap, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_CLIENT_GONE);
	assert_int_equal(w->decisions, 1);
	assert_int_equal(counters(w).in_flight, 0);
	assert_false(w->closed);
}

static void requests_of_a_dead_relay_end_with_outcome_broker(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	set_hold(w, &w->hold_append, true);
	ask(w, 2, "openai");
	WAIT_FOR(w, counters(w).unwraps == 2);
	ipc_peer_free(w->relay);
	w->relay = NULL;
	WAIT_FOR(w, relay_links_count(w->links) == 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1) && find_row(w, AUDIT_RESPONSE, 2));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_BROKER);
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 2)->outcome, OUTCOME_BROKER);
	assert_int_equal(counters(w).in_flight, 0);
	assert_int_equal(w->decisions, 1);
}

static void a_request_withdrawn_before_its_answer_gets_none(void **state)
{
	struct world *w = *state;

	set_hold(w, &w->hold_append, true);
	ask(w, 1, "openai");
	WAIT_FOR(w, counters(w).unwraps == 1);
	complete(w, 1);
	some_turns(w);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, find_row(w, AUDIT_RESPONSE, 1));
	assert_int_equal(find_row(w, AUDIT_RESPONSE, 1)->outcome, OUTCOME_NOT_SENT);
	assert_int_equal(w->decisions, 0);
	assert_int_equal(counters(w).in_flight, 0);
}

static void a_new_relay_gets_the_table_before_the_open_gate(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->upstreams, 2);
	assert_true(w->gate.unsealed && w->gate.audit_ok);
	sample_conn(w->ix, "conn_c", "third", "https://third.example", 0);
	relay_links_conn_changed(w->links, index_conn_find(w->ix, rk_str("third")), 0);
	WAIT_FOR(w, w->upstreams == 3);
	assert_int_equal(w->last_replaces, 0);
}

static void a_table_larger_than_the_queue_is_pushed_whole_before_the_gate_opens(void **state)
{
	enum { MANY = 300, PEM_BYTES = 30000 };
	static char pem[PEM_BYTES];
	struct world *w = *state;
	char id[32], name[32];

	memset(pem, 'x', sizeof pem);
	for (unsigned i = 0; i < MANY; i++) {
		struct store_conn c = {.base_url = rk_str("https://x.example"),
		                       .ca_pem = rk_slice(pem, sizeof pem)};

		snprintf(id, sizeof id, "conn_%u", i);
		snprintf(name, sizeof name, "name-%u", i);
		c.id = rk_str(id);
		c.name = rk_str(name);
		assert_int_equal(index_add_conn(w->ix, &c, NULL, NULL), 0);
	}
	ipc_peer_free(w->relay);
	w->upstreams = w->gates = 0;
	w->gate = (struct msg_gate){0};
	attach_relay(w);
	WAIT_FOR(w, w->gates == 1);
	assert_false(w->gate.unsealed);
	while (w->gates == 1) {
		turn(w);
	}
	assert_true(w->gate.unsealed);
	assert_int_equal(w->upstreams, MANY + 2);
}

static void note_callback(int err, void *arg)
{
	struct world *w = arg;

	w->callback_err = err;
	w->callbacks++;
}

static void a_row_of_others_calls_back_when_it_is_durable(void **state)
{
	struct world *w = *state;
	struct audit_row row = {
	    .type = AUDIT_MANAGE, .actor = rk_str("uid:0"), .action = rk_str("key.revoke")};

	assert_int_equal(pipeline_append_row(w->p, &row, note_callback, w), 0);
	assert_int_equal(w->callbacks, 0);
	WAIT_FOR(w, w->callbacks == 1);
	assert_int_equal(w->callback_err, 0);
	assert_non_null(find_action(w, "key.revoke"));
}

static void a_row_of_others_calls_back_when_it_failed(void **state)
{
	struct world *w = *state;
	struct audit_row row = {.type = AUDIT_MANAGE, .action = rk_str("key.revoke")};

	set_err(w, &w->append_err, RK_E_FULL);
	assert_int_equal(pipeline_append_row(w->p, &row, note_callback, w), 0);
	WAIT_FOR(w, w->callbacks == 1);
	assert_int_equal(w->callback_err, RK_E_FULL);
	assert_true(pipeline_append_row(w->p, &row, note_callback, w) < 0);
	some_turns(w);
	assert_int_equal(w->callbacks, 1);
	assert_null(find_action(w, "key.revoke"));
}

static void note_flush(void *arg)
{
	((struct world *)arg)->flushes++;
}

static void a_flush_waits_for_the_last_row(void **state)
{
	struct world *w = *state;

	run_one(w, 1);
	complete(w, 1);
	some_turns(w);
	set_hold(w, &w->hold_append, true);
	ask(w, 2, "openai");
	some_turns(w);
	pipeline_flush(w->p, note_flush, w);
	some_turns(w);
	assert_int_equal(w->flushes, 0);
	set_hold(w, &w->hold_append, false);
	WAIT_FOR(w, w->flushes == 1);
	assert_non_null(find_row(w, AUDIT_REQUEST, 2));
}

int main(void)
{
#define TEST(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define QUICK(f) cmocka_unit_test_setup_teardown(f, setup_quick, teardown)
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup_alone, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_request_is_answered_only_when_its_row_is_durable),
	    TEST(a_request_is_answered_only_when_its_credential_is_there),
	    TEST(a_decision_brings_the_fingerprint_of_what_it_injects),
	    TEST(a_refusal_is_answered_after_its_row_without_an_unwrap),
	    TEST(a_request_over_the_rate_is_429_and_on_record_as_limited),
	    TEST(requests_that_come_in_one_batch_are_counted_one_by_one),
	    TEST(a_request_counts_as_open_until_it_is_complete),
	    TEST(a_second_try_of_a_request_is_not_counted_again),
	    TEST(a_request_to_nowhere_uses_up_no_quota),
	    TEST(a_batch_unwraps_each_credential_once_and_the_next_one_again),
	    QUICK(a_quick_token_is_asked_behind_the_commit),
	    QUICK(a_quick_token_is_not_asked_when_the_commit_failed),
	    QUICK(a_quick_token_that_is_lost_closes_the_gate),
	    ALONE(a_single_request_is_committed_by_the_loop),
	    ALONE(beside_a_request_in_flight_the_loop_never_waits_for_the_journal),
	    TEST(the_first_unwrap_that_ends_answers_everyone_who_waits),
	    TEST(no_more_unwraps_of_one_credential_are_under_way_than_there_are_threads),
	    TEST(an_unwrap_that_failed_refuses_only_those_who_relied_on_it),
	    TEST(who_relied_on_an_unwrap_that_ended_before_the_commit_gets_one),
	    TEST(the_next_batch_is_decided_while_this_one_commits),
	    TEST(a_burst_larger_than_a_batch_is_answered_whole),
	    TEST(no_secret_is_kept_between_batches),
	    TEST(completion_becomes_a_row_soon_and_ends_the_flight),
	    TEST(completion_rides_along_with_the_next_request),
	    TEST(what_the_relay_refused_itself_is_on_record),
	    TEST(a_key_revoked_between_decision_and_answer_gets_401),
	    TEST(what_a_key_may_do_is_told_when_the_row_is_durable_without_an_unwrap),
	    TEST(a_key_revoked_before_it_is_told_what_it_may_do_is_told_nothing),
	    TEST(without_a_row_nobody_is_told_what_a_key_may_do),
	    TEST(a_relay_that_dies_leaves_no_discovery_behind),
	    TEST(more_discoveries_at_once_than_there_may_be_are_turned_away),
	    TEST(a_connection_removed_between_decision_and_answer_gets_404),
	    TEST(requests_in_flight_of_a_revoked_key_are_cut_once),
	    TEST(requests_through_a_frozen_connection_are_cut_and_no_others),
	    TEST(a_credential_rotated_meanwhile_is_used_in_its_new_version),
	    TEST(who_waits_for_a_rotated_credential_is_refused_when_the_journal_goes),
	    TEST(a_failing_journal_refuses_everything_and_recovers_by_itself),
	    TEST(completions_in_the_failing_batch_are_kept),
	    TEST(a_lost_token_seals_and_comes_back_by_itself),
	    TEST(a_refused_pin_is_not_tried_again),
	    TEST(a_credential_that_does_not_verify_is_503_and_seals_nothing),
	    TEST(an_id_that_is_open_already_costs_the_relay_its_channel),
	    TEST(an_id_may_be_used_again_after_its_completion),
	    TEST(a_completion_of_nothing_costs_the_relay_its_channel),
	    TEST(what_is_in_flight_learns_when_its_key_expires_now),
	    TEST(what_waits_for_its_decision_learns_of_an_expiry_with_it),
	    TEST(what_was_cut_hears_of_no_expiry),
	    TEST(the_secrets_of_a_dial_come_only_with_one),
	    TEST(a_batch_unwraps_for_those_that_dial_and_those_that_do_not),
	    TEST(a_dial_s_secret_that_does_not_open_refuses_the_request),
	    TEST(who_asks_again_without_having_sent_gets_the_dial_and_no_mark),
	    TEST(a_request_that_meets_a_new_identity_dials_with_it),
	    TEST(a_second_try_gets_its_credential_anew_and_no_rows_of_its_own),
	    TEST(what_a_relay_says_of_a_second_try_stands_behind_the_mark),
	    TEST(a_second_try_uses_the_credential_of_now),
	    TEST(a_key_revoked_before_the_second_try_gets_401),
	    TEST(a_key_revoked_while_the_second_try_is_prepared_gets_401),
	    TEST(a_cut_that_crosses_the_second_try_holds),
	    TEST(a_token_that_fails_at_the_second_try_is_503),
	    TEST(without_a_token_there_is_no_second_try),
	    TEST(without_a_journal_there_is_no_second_try_and_its_end_is_kept),
	    TEST(a_third_try_costs_the_relay_its_channel),
	    TEST(asking_again_twice_at_once_costs_the_relay_its_channel),
	    TEST(asking_again_for_nothing_costs_the_relay_its_channel),
	    TEST(asking_again_before_the_answer_costs_the_relay_its_channel),
	    TEST(a_second_try_withdrawn_before_its_answer_gets_none),
	    TEST(requests_of_a_dead_relay_end_with_outcome_broker),
	    TEST(a_request_withdrawn_before_its_answer_gets_none),
	    TEST(a_new_relay_gets_the_table_before_the_open_gate),
	    TEST(a_table_larger_than_the_queue_is_pushed_whole_before_the_gate_opens),
	    TEST(a_row_of_others_calls_back_when_it_is_durable),
	    TEST(a_row_of_others_calls_back_when_it_failed),
	    TEST(a_flush_waits_for_the_last_row),
	};
	struct rk_fault fault;

	if (secret_arena_init(16 << 20, SECRET_BACKING_BEST, &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
