/*
 * A keeper for tests of management: a real SoftHSM token, store, journal, index and pipeline in
 * a directory of its own, a relay at the other end of a socketpair, and a caller that keeps
 * every answer. The journal and the store can be held back or made to fail.
 */
#ifndef TESTS_LIB_MANAGE_WORLD_H
#define TESTS_LIB_MANAGE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/hooks.h"
#include "keeper/alarm.h"
#include "keeper/keeper_int.h"
#include "keeper/manage.h"
#include "keeper/notice.h"
#include "keeper/settings.h"
#include "keeper/store_schema.h"
#include "keeper/trust.h"
#include "tests/lib/policy_sample.h"
#include "tests/lib/store_fixture.h"

enum { WORLD_PATIENCE_MS = 10000, WORLD_ROWS = 256, WORLD_ANSWERS = 4096 };

struct world_row {
	char action[48], actor[64], target[64], detail[256], key_id[32], conn_id[64];
};

struct world_caller {
	struct manage_caller caller;
	struct {
		enum ipc_type type;
		size_t at, n;
	} answer[WORLD_ANSWERS];
	unsigned answers;
	char *bytes; /* all encoded answers */
	size_t used, cap;
	unsigned done;
	unsigned room; /* how many more answers it takes before it says that it is full */
	union ipc_body body;
};

struct world {
	struct keeper k;
	struct store_dir home;
	struct rk_secret policy_key;
	struct event *tick;
	struct manage *m;
	struct world_caller a, b;
	size_t arena_at_rest;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold_append;
	int append_err;
	struct worker_job blocker; /* on the store pool, while held */
	bool hold_store, store_held;

	struct ipc_peer *relay;
	unsigned upstreams, drops, cuts, expiries;
	int64_t expiry_ms;
	uint16_t cut_reason;
	uint32_t last_replaces;
	uint64_t next_id;
	struct msg_decision decision;
	unsigned decisions;
	/* of the last PROBE */
	unsigned probes;
	uint64_t probe_id;
	bool probe_head;
	char probe_rest[128], probe_headers[256];
	bool dial, dialled; /* asked for with world_ask(); came with the decision */
	unsigned char dial_key[MSG_MAX_CLIENT_KEY];
	size_t dial_key_n;
	char dial_proxy[MSG_MAX_PROXY_SECRET + 1];
	/* of the last UPSTREAM */
	char upstream_egress[MSG_MAX_EGRESS + 1];
	uint32_t upstream_flags;
	size_t upstream_chain_n;

	struct trust_terms terms; /* about new addresses */
	const char *from;         /* where world_ask() comes from; NULL: 192.0.2.1 */

	struct pipeline_tail tail;
	struct world_row row[WORLD_ROWS];
	unsigned rows;
};

static struct rk_fault world_fault;

#define WORLD_OK(call)                                                                         \
	do {                                                                                   \
		if ((call) != 0)                                                               \
			fail_msg("%s: %s", #call, world_fault.text);                           \
	} while (0)

/* ---- token ---- */

static const char *world_module(void)
{
	static const char *const paths[] = {
	    "/usr/lib/softhsm/libsofthsm2.so",
	    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	}
	return NULL;
}

static void world_secret(struct rk_secret *s, const char *text)
{
	assert_int_equal(rk_secret_alloc(s, strlen(text)), 0);
	assert_int_equal(rk_secret_add(s, text, strlen(text)), 0);
}

static struct token *world_token(void)
{
	struct token_params p = {.module = world_module(),
	                         .token = "relaykey",
	                         .kek_label = "relaykey-kek",
	                         .max_sessions = 2};
	RK_SECRET_AUTO so = {0};
	RK_SECRET_AUTO pin = {0};
	struct token *t = NULL;
	uint32_t generation;

	world_secret(&so, "so-1122334455");
	world_secret(&pin, "user-7392");
	WORLD_OK(token_init(&p, &so, &pin, &world_fault));
	WORLD_OK(token_open(&p, &t, &world_fault));
	WORLD_OK(token_login(t, &pin, &world_fault));
	WORLD_OK(token_kek_generate(t, &generation, &world_fault));
	return t;
}

/* ---- what the pipeline works on ---- */

static int world_append(void *arg, struct journal_entry *e, size_t n, struct rk_fault *fault)
{
	struct world *w = arg;
	int err;

	pthread_mutex_lock(&w->lock);
	while (w->hold_append)
		pthread_cond_wait(&w->changed, &w->lock);
	err = w->append_err;
	pthread_mutex_unlock(&w->lock);
	if (err)
		return rk_fail(fault, err, "no space left");
	return journal_append(w->k.journal, e, n, fault);
}

static void world_maintain(void *arg)
{
	journal_maintain(((struct world *)arg)->k.journal);
}

static int world_unwrap(void *arg, struct rk_slice blob, struct rk_slice place,
                        struct rk_secret *out, struct rk_fault *fault)
{
	return token_unwrap(((struct world *)arg)->k.token, blob, place, out, fault);
}

static int world_reconnect(void *arg, struct rk_fault *fault)
{
	return token_reconnect(((struct world *)arg)->k.token, fault);
}

static inline void world_set(struct world *w, bool *flag, bool to)
{
	pthread_mutex_lock(&w->lock);
	*flag = to;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static inline void world_append_fails(struct world *w, int err)
{
	pthread_mutex_lock(&w->lock);
	w->append_err = err;
	pthread_mutex_unlock(&w->lock);
}

static void world_block(struct worker_job *job)
{
	struct world *w = (struct world *)((char *)job - offsetof(struct world, blocker));

	pthread_mutex_lock(&w->lock);
	while (w->hold_store)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void world_unblocked(struct worker_job *job)
{
	struct world *w = (struct world *)((char *)job - offsetof(struct world, blocker));

	w->store_held = false;
}

/* The store's thread does nothing until world_set(w, &w->hold_store, false). */
static inline void world_hold_store(struct world *w)
{
	w->hold_store = true;
	w->store_held = true;
	w->blocker.work = world_block;
	w->blocker.done = world_unblocked;
	worker_submit(w->k.store_pool, &w->blocker);
}

/* ---- the relay ---- */

/* A test may hold secrets where it likes. */
static void world_keep_dial(struct world *w, struct rk_slice encoded)
{
	struct msg_dial m;

	assert_int_equal(record_decode(&msg_dial_desc, encoded, &m), 0);
	assert_true(m.client_key.n <= sizeof w->dial_key);
	memcpy(w->dial_key, m.client_key.p, m.client_key.n);
	w->dial_key_n = m.client_key.n;
	assert_true(rk_slice_cstr(m.proxy_secret, w->dial_proxy, sizeof w->dial_proxy));
}

static void world_relay_message(struct ipc_peer *peer, struct ipc_message *m, void *arg)
{
	struct world *w = arg;

	(void)peer;
	if (m->type == MSG_UPSTREAM) {
		w->upstreams++;
		w->last_replaces = m->body.upstream.replaces;
		w->upstream_flags = m->body.upstream.flags;
		w->upstream_chain_n = m->body.upstream.client_chain.n;
		assert_true(rk_slice_cstr(m->body.upstream.egress, w->upstream_egress,
		                          sizeof w->upstream_egress));
	} else if (m->type == MSG_UPSTREAM_DROP) {
		w->drops++;
	} else if (m->type == MSG_CUT) {
		w->cuts++;
		w->cut_reason = m->body.cut.reason;
	} else if (m->type == MSG_EXPIRY) {
		w->expiries++;
		w->expiry_ms = m->body.expiry.cut_at_ms;
	} else if (m->type == MSG_PROBE) {
		w->probes++;
		w->probe_id = m->id;
		w->probe_head = m->body.probe.head != 0;
		assert_true(
		    rk_slice_cstr(m->body.probe.rest, w->probe_rest, sizeof w->probe_rest));
		assert_true(rk_slice_cstr(m->body.probe.inject_headers, w->probe_headers,
		                          sizeof w->probe_headers));
	} else if (m->type == MSG_DECISION) {
		w->decisions++;
		w->decision = m->body.decision;
		w->dialled = m->body.decision.dial.n > 0;
		if (w->dialled)
			world_keep_dial(w, m->body.decision.dial);
	}
}

static void world_relay_closed(struct ipc_peer *peer, int err, void *arg)
{
	(void)peer;
	(void)err;
	(void)arg;
	fail_msg("the relay's channel was closed");
}

static const struct ipc_peer_ops world_relay_ops = {.message = world_relay_message,
                                                    .closed = world_relay_closed};

static void world_attach_relay(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_peer_new(w->k.loop, pair[1], IPC_RELAY, IPC_KEEPER,
	                              &world_relay_ops, w, &w->relay),
	                 0);
	assert_int_equal(relay_links_attach(w->k.relays, 0, pair[0]), 0);
}

static void world_row(const struct msg_audit_entry *e, void *arg)
{
	struct world *w = arg;
	struct audit_row row;
	struct world_row *s;

	assert_int_equal(record_unpack(&audit_row_desc, e->row, &row), 0);
	if (row.type != AUDIT_MANAGE || w->rows == WORLD_ROWS)
		return;
	s = &w->row[w->rows++];
	assert_true(rk_slice_cstr(row.action, s->action, sizeof s->action));
	assert_true(rk_slice_cstr(row.actor, s->actor, sizeof s->actor));
	assert_true(rk_slice_cstr(row.target, s->target, sizeof s->target));
	assert_true(rk_slice_cstr(row.detail, s->detail, sizeof s->detail));
	assert_true(rk_slice_cstr(row.key_id, s->key_id, sizeof s->key_id));
	assert_true(rk_slice_cstr(row.conn_id, s->conn_id, sizeof s->conn_id));
}

/* ---- the caller ---- */

static struct world_caller *world_caller_of(struct manage_caller *c)
{
	return (struct world_caller *)((char *)c - offsetof(struct world_caller, caller));
}

static int world_send(struct manage_caller *caller, enum ipc_type type, const void *body)
{
	struct world_caller *c = world_caller_of(caller);
	const struct record_desc *d = ipc_row(type)->body;
	size_t n = record_size(d, body);

	assert_true(c->answers < WORLD_ANSWERS);
	assert_true(ipc_permitted(type, IPC_KEEPER, IPC_CONTROL, IPC_PHASE_SERVE));
	if (c->used + n > c->cap) {
		c->cap = 2 * c->cap + n + 65536;
		c->bytes = realloc(c->bytes, c->cap);
		assert_non_null(c->bytes);
	}
	assert_int_equal(record_encode(d, body, c->bytes + c->used, n), n);
	c->answer[c->answers].type = type;
	c->answer[c->answers].at = c->used;
	c->answer[c->answers++].n = n;
	c->used += n;
	if (c->room)
		c->room--;
	return 0;
}

static bool world_room(struct manage_caller *caller)
{
	return world_caller_of(caller)->room > 0;
}

static void world_done(struct manage_caller *caller)
{
	world_caller_of(caller)->done++;
}

static const struct manage_caller_ops world_ops = {
    .send = world_send, .room = world_room, .done = world_done};

static void world_caller_init(struct world_caller *c, const char *actor)
{
	c->caller.ops = &world_ops;
	snprintf(c->caller.actor, sizeof c->caller.actor, "%s", actor);
	c->caller.role = ROLE_ADMIN;
	c->room = UINT32_MAX;
}

/* Answer i, decoded; its slices live until the next command. */
static inline const union ipc_body *world_answer(struct world_caller *c, unsigned i,
                                                 enum ipc_type type)
{
	assert_true(i < c->answers);
	if (c->answer[i].type != type && c->answer[i].type == MSG_DONE) {
		assert_int_equal(
		    record_decode(ipc_row(MSG_DONE)->body,
		                  rk_slice(c->bytes + c->answer[i].at, c->answer[i].n),
		                  &c->body),
		    0);
		fail_msg("%.*s", RK_FMT(c->body.done.text));
	}
	assert_int_equal(c->answer[i].type, type);
	assert_int_equal(record_decode(ipc_row(type)->body,
	                               rk_slice(c->bytes + c->answer[i].at, c->answer[i].n),
	                               &c->body),
	                 0);
	return &c->body;
}

/* ---- driving ---- */

static void world_on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* One turn. The loop was stopped at set-up, so loop_run() runs the hooks and returns. */
static void world_turn(struct world *w)
{
	event_base_loop(loop_base(w->k.loop), EVLOOP_ONCE);
	loop_run(w->k.loop);
}

#define WORLD_WAIT(w, cond)                                                                    \
	do {                                                                                   \
		int64_t world_until = rk_mono_us() + WORLD_PATIENCE_MS * 1000;                 \
		while (!(cond) && rk_mono_us() < world_until)                                  \
			world_turn(w);                                                         \
		if (!(cond))                                                                   \
			fail_msg("never came true: %s", #cond);                                \
	} while (0)

static inline void world_turns(struct world *w)
{
	for (int i = 0; i < 20; i++)
		world_turn(w);
}

/* Begins a command without waiting for its end. */
static inline void world_start(struct world *w, struct world_caller *c, enum ipc_type type,
                               const void *body)
{
	/* through the wire form, as a real one comes: the originals may go at once */
	static unsigned char wire[IPC_MAX_DATAGRAM];
	union ipc_body decoded;
	ssize_t n = record_encode(ipc_row(type)->body, body, wire, sizeof wire);

	assert_true(n >= 0);
	assert_int_equal(
	    record_decode(ipc_row(type)->body, rk_slice(wire, (size_t)n), &decoded), 0);
	c->answers = 0;
	c->used = 0;
	c->done = 0;
	manage_run(w->m, &c->caller, type, &decoded);
	memset(wire, 0x5a, (size_t)n);
}

static inline void world_run(struct world *w, struct world_caller *c, enum ipc_type type,
                             const void *body)
{
	world_start(w, c, type, body);
	WORLD_WAIT(w, c->done);
	assert_int_equal(c->done, 1);
}

/* The error of a command that is refused; world_fault holds the text. */
static inline int world_refusal(struct world *w, struct world_caller *c, enum ipc_type type,
                                const void *body)
{
	const struct msg_done *done;

	world_run(w, c, type, body);
	assert_int_equal(c->answers, 1);
	done = &world_answer(c, 0, MSG_DONE)->done;
	assert_true(done->err < 0);
	assert_true(done->text.n > 0);
	snprintf(world_fault.text, sizeof world_fault.text, "%.*s", RK_FMT(done->text));
	return (int)done->err;
}

static inline const struct world_row *world_last_row(struct world *w)
{
	assert_true(w->rows > 0);
	return &w->row[w->rows - 1];
}

static inline bool world_last_action(struct world *w, const char *action)
{
	return w->rows && strcmp(world_last_row(w)->action, action) == 0;
}

/* Somebody outside listens to everything: each notice is one row of the outbox. */
static inline void world_listen(struct world *w)
{
	WORLD_OK(
	    db_exec(w->k.store->db,
	            "INSERT INTO webhook(id, name, url, events, flags, ca_pem, blob, "
	            "secret_version, enabled, created_ms, updated_ms, revision) VALUES "
	            "('hook_test', 'test', 'https://hooks.example/', -1, 0, x'', x'', 1, 1, "
	            "1, 1, 1)",
	            &world_fault, "test"));
}

/* ---- the keeper ---- */

static void world_terms(struct keeper *k, struct trust_terms *out)
{
	*out = ((struct world *)((char *)k - offsetof(struct world, k)))->terms;
}

static void world_honey(const struct index_key *key, const struct index_conn *conn,
                        const struct msg_authorize *m, void *arg)
{
	struct world *w = arg;

	alarm_honey(w->k.alarm, key, conn, m->client_ip, m->user_agent);
}

static void world_pipeline(struct world *w)
{
	struct pipeline_params params = {
	    .loop = w->k.loop,
	    .index = w->k.index,
	    .journal_pool = w->k.journal_pool,
	    .token_pool = w->k.token_pool,
	    .token_threads = 2,
	    .backend = {.append = world_append,
	                .maintain = world_maintain,
	                .unwrap = world_unwrap,
	                .reconnect = world_reconnect,
	                .arg = w},
	    .trust = trust_hooks(&w->k),
	    .policy_version = &w->k.policy_version,
	    .honey = world_honey,
	    .honey_arg = w,
	    .retry_ms = 20,
	};

	w->terms = (struct trust_terms){
	    .first = true, .mails_per_key_day = 3, .confirm_ttl_ms = 86400000};
	assert_int_equal(trust_new(&w->k, world_terms, &w->k.trust), 0);
	journal_head(w->k.journal, &params.head);
	assert_int_equal(pipeline_new(&params, &w->k.pipeline), 0);
	relay_links_open(w->k.relays, w->k.index, w->k.pipeline);
	w->tail.row = world_row;
	w->tail.arg = w;
	pipeline_tail_add(w->k.pipeline, &w->tail);
}

static void world_stores(struct world *w)
{
	static const char key[] = "0123456789abcdef0123456789abcdef";

	world_secret(&w->k.journal_key, key);
	world_secret(&w->policy_key, key);
	snprintf(w->k.journal_path, sizeof w->k.journal_path, "%s/journal.db", w->home.dir);
	snprintf(w->k.policy_path, sizeof w->k.policy_path, "%s/policy.db", w->home.dir);
	WORLD_OK(journal_open(w->k.journal_path, &w->k.journal_key, false, true, &w->k.journal,
	                      &world_fault));
	WORLD_OK(store_open(w->k.policy_path, &w->policy_key, true, &w->k.store, &world_fault));
	WORLD_OK(settings_load(w->k.store, w->k.token, &w->k.settings, &world_fault));
	WORLD_OK(hooks_load(w->k.store, w->k.token, &w->k.hooks, &world_fault));
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct timeval tick = {0, 1000};
	char conf[128], text[192];

	if (!w)
		return -1;
	w->arena_at_rest = secret_arena_in_use();
	w->home = fixture_dir("policy.db");
	snprintf(conf, sizeof conf, "%s/softhsm2.conf", w->home.dir);
	snprintf(text, sizeof text, "directories.tokendir = %s\nlog.level = ERROR\n",
	         w->home.dir);
	fixture_write(conf, text, strlen(text));
	setenv("SOFTHSM2_CONF", conf, 1);
	w->k.token = world_token();
	world_stores(w);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	assert_int_equal(loop_new(&w->k.loop), 0);
	loop_stop(w->k.loop);
	w->tick = event_new(loop_base(w->k.loop), -1, EV_PERSIST, world_on_tick, w);
	event_add(w->tick, &tick);
	assert_int_equal(worker_pool_new(w->k.loop, "journal", 1, &w->k.journal_pool), 0);
	assert_int_equal(worker_pool_new(w->k.loop, "token", 2, &w->k.token_pool), 0);
	assert_int_equal(worker_pool_new(w->k.loop, "store", 1, &w->k.store_pool), 0);
	assert_int_equal(worker_pool_new(w->k.loop, "reader", 2, &w->k.reader_pool), 0);
	assert_int_equal(index_new(&w->k.index), 0);
	assert_int_equal(mgmt_keys_new(&w->k.mgmt_keys), 0);
	assert_int_equal(users_new(&w->k.users), 0);
	assert_int_equal(mgmt_auth_new(&w->k.mgmt_auth), 0);
	assert_int_equal(relay_links_new(w->k.loop, &w->k.relays), 0);
	assert_int_equal(notices_new(&w->k, &w->k.notices), 0);
	assert_int_equal(dispatch_new(&w->k, &w->k.dispatch), 0);
	world_pipeline(w);
	world_attach_relay(w);
	w->k.state = KEEPER_OPEN;
	w->k.started_ms = rk_wall_ms();
	assert_int_equal(manage_new(&w->k, &w->m), 0);
	world_caller_init(&w->a, "uid:1000");
	world_caller_init(&w->b, "uid:0");
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;
	size_t at_rest = w->arena_at_rest;

	world_set(w, &w->hold_append, false);
	world_set(w, &w->hold_store, false);
	manage_free(w->m);
	trust_stop(w->k.trust);
	/* requests that a failed test left open end while there are threads for their rows */
	ipc_peer_free(w->relay);
	world_turns(w);
	worker_pool_free(w->k.reader_pool);
	worker_pool_free(w->k.store_pool);
	worker_pool_free(w->k.token_pool);
	worker_pool_free(w->k.journal_pool);
	pipeline_tail_remove(w->k.pipeline, &w->tail);
	trust_free(w->k.trust);
	pipeline_free(w->k.pipeline);
	relay_links_free(w->k.relays);
	loop_run(w->k.loop);
	notices_free(w->k.notices);
	dispatch_free(w->k.dispatch);
	hooks_free(w->k.hooks);
	settings_box_free(w->k.settings);
	mgmt_auth_free(w->k.mgmt_auth);
	mgmt_keys_free(w->k.mgmt_keys);
	users_free(w->k.users);
	index_free(w->k.index);
	event_free(w->tick);
	loop_free(w->k.loop);
	store_close(w->k.store);
	journal_close(w->k.journal);
	token_close(w->k.token);
	rk_secret_free(&w->k.journal_key);
	rk_secret_free(&w->policy_key);
	fixture_remove(&w->home);
	free(w->a.bytes);
	free(w->b.bytes);
	free(w);
	return secret_arena_in_use() == at_rest ? 0 : -1;
}

static int world_arena(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR + 1);
	return secret_arena_init(4 << 20, SECRET_BACKING_LOCKED, &world_fault);
}

/* ---- commands that many tests need ---- */

#define WORLD_SECRET "sk_live_planted_4f9a0c7be1d25f81"

static inline void world_conn_add(struct world *w, const char *name, const char *url)
{
	struct sample_list auth;
	struct msg_conn_add add = {
	    .name = rk_str(name),
	    .provider = rk_str("openai"),
	    .base_url = rk_str(url),
	    .auth = sample_words(&auth, "bearer"),
	    .secret = rk_str(WORLD_SECRET),
	};

	world_run(w, &w->a, MSG_CONN_ADD, &add);
	world_answer(&w->a, 0, MSG_CONN_INFO);
}

struct world_key {
	char id[32], text[RELAY_KEY_MAX + 1], masked[32];
};

/* An agent's key that may GET everything on a connection. */
static inline void world_key_issue(struct world *w, const char *conn, int64_t ttl_ms,
                                   struct world_key *out)
{
	struct sample_grants g = {.used = 0};
	struct msg_key_issue issue = {
	    .kind = HOLDER_AGENT, .holder = rk_str("crawler"), .ttl_ms = ttl_ms};
	const struct msg_key_info *info;

	sample_grant(&g, conn, "GET", "/**", "");
	issue.grants = sample_grants_slice(&g);
	world_run(w, &w->a, MSG_KEY_ISSUE, &issue);
	info = &world_answer(&w->a, 0, MSG_KEY_INFO)->key_info;
	assert_true(rk_slice_cstr(info->id, out->id, sizeof out->id));
	assert_true(rk_slice_cstr(info->key, out->text, sizeof out->text));
	assert_true(rk_slice_cstr(info->masked, out->masked, sizeof out->masked));
}

/* The relay asks for GET <conn>/x with that key; waits for the decision's reason. */
static inline unsigned world_ask(struct world *w, const char *conn, const char *key)
{
	struct msg_authorize m = {
	    .key = rk_str(key),
	    .conn = rk_str(conn),
	    .method = rk_str("GET"),
	    .rest = rk_str("/x"),
	    .dial = w->dial,
	};
	unsigned before = w->decisions;

	rk_random(m.request_id, sizeof m.request_id);
	assert_int_equal(
	    rk_ip_parse(rk_str(w->from ? w->from : "192.0.2.1"), (struct rk_ip *)m.client_ip),
	    0);
	assert_int_equal(ipc_peer_send(w->relay, MSG_AUTHORIZE, ++w->next_id, &m), 0);
	WORLD_WAIT(w, w->decisions > before);
	return w->decision.reason;
}

/* The exchange asked for last ends. */
static inline void world_complete(struct world *w)
{
	struct msg_complete m = {.status = 200, .outcome = OUTCOME_COMPLETE};

	assert_int_equal(ipc_peer_send(w->relay, MSG_COMPLETE, w->next_id, &m), 0);
	world_turns(w);
}

#endif
