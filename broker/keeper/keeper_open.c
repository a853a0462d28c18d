/*
 * From a token to an open keeper. The steps block and may be far from quick (a login, a million
 * keys), so they run before the loop at start, and on a worker when the token comes later.
 *
 * What only a person can put right (no module, no KEK, a foreign database) ends the role with a
 * text. What may heal by itself (no token yet, no PIN file yet, a full disk) leaves it sealed,
 * and is tried again every second. A refused PIN is neither: it is never tried twice.
 */
#include "keeper/keeper_int.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "keeper/hooks.h"
#include "keeper/index_holder.h"
#include "keeper/row_encode.h"
#include "keeper/settings.h"
#include "keeper/store_contain.h"
#include "keeper/store_keys.h"
#include "keeper/trust.h"

enum {
	PIN_MAX = 255,
	CHUNK_ROWS = 64,
	CHUNK_BYTES = CHUNK_ROWS * 512,
};

struct keeper_opening {
	struct worker_job job;
	struct keeper *k;
	struct event *timer;
	struct rk_fault fault;
	int err;
	bool sealed; /* it may heal, or a PIN is needed */
	bool retry;

	/* what is open so far; the keeper's once all is */
	struct token *token;
	struct token_details details;
	struct store *store;
	struct journal *journal;
	struct index *index;
	struct settings_box *settings;
	struct hooks *hooks;
	struct mgmt_keys *mgmt_keys;
	struct users *users;
	struct rk_secret journal_key;
	uint64_t policy_version;
	struct panic panic;
};

/* ---- the token ---- */

/* Loaded for good, so that the module can be initialised anew inside the sandbox, where nothing
 * new becomes executable. */
static int load_module(const struct role_env *env, struct rk_fault *fault)
{
	if (!dlopen(env->token_module, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
		return rk_fail(fault, RK_E_NOTFOUND, "cannot load the PKCS#11 module: %s",
		               dlerror());
	return 0;
}

static int set_environment(const struct role_env *env, struct rk_fault *fault)
{
	struct rk_slice list = rk_buf_slice(&env->token_env), item;

	while (record_list_next(&list, &item)) {
		char pair[MSG_MAX_URL + MSG_MAX_NAME];
		char *eq;

		if (!rk_slice_cstr(item, pair, sizeof pair) || !(eq = strchr(pair, '=')))
			return rk_fail(fault, RK_E_INVALID,
			               "token_env holds something that is not NAME=VALUE");
		*eq = '\0';
		if (setenv(pair, eq + 1, 1))
			return rk_fail(fault, RK_E_INVALID, "token_env: bad name %s", pair);
	}
	return 0;
}

static int open_token(struct keeper_opening *o)
{
	const struct role_env *env = &o->k->env;
	const struct token_params params = {
	    .module = env->token_module,
	    .init_args = env->token_init_args[0] ? env->token_init_args : NULL,
	    .token = env->token,
	};
	int err;

	if (o->token)
		return 0;
	err = token_open(&params, &o->token, &o->fault);
	o->sealed = o->retry = err == RK_E_NOTFOUND || err == RK_E_TOKEN;
	return err;
}

static int log_in(struct keeper_opening *o)
{
	RK_SECRET_AUTO pin = {0};
	int err;

	o->sealed = o->retry = true;
	err = file_read_secret(o->k->env.token_pin_file, PIN_MAX, true, &pin, &o->fault);
	if (!err)
		err = token_login(o->token, &pin, &o->fault);
	o->retry = err != RK_E_PIN;
	return err;
}

static int check_kek(struct keeper_opening *o)
{
	int err = token_kek_load(o->token, &o->fault);

	if (!err)
		err = token_details(o->token, &o->details);
	o->sealed = o->retry = err == RK_E_TOKEN;
	return err;
}

/* ---- the stores ---- */

static int load_conn(const struct store_conn *c, void *arg)
{
	struct keeper_opening *o = arg;

	return index_add_conn(o->index, c, NULL, &o->fault);
}

static int load_key(const struct store_key *key, void *arg)
{
	struct keeper_opening *o = arg;

	return index_add_key(o->index, key, NULL, &o->fault);
}

static int load_holder(const struct store_holder *h, void *arg)
{
	struct keeper_opening *o = arg;

	return index_add_holder(o->index, h, &o->fault);
}

static int load_trust(const struct store_trust *t, void *arg)
{
	struct keeper_opening *o = arg;

	return index_add_trust(o->index, t, &o->fault);
}

static void load_trust_last(uint32_t number, void *arg)
{
	struct keeper_opening *o = arg;

	index_trust_last(o->index, number);
}

static int open_policy(struct keeper_opening *o)
{
	const struct store_loader loader = {.conn = load_conn,
	                                    .key = load_key,
	                                    .holder = load_holder,
	                                    .trust = load_trust,
	                                    .trust_last = load_trust_last,
	                                    .arg = o};
	RK_SECRET_AUTO key = {0};
	struct keeper *k = o->k;
	int err = store_key_load(o->token, k->env.state_dir, "policy", &key, &o->fault);

	if (!err)
		err = store_open(k->policy_path, &key, false, &o->store, &o->fault);
	if (!err && index_new(&o->index))
		err = rk_fail(&o->fault, RK_E_NOMEM, "out of memory");
	if (!err)
		err = store_load(o->store, &loader, &o->policy_version, &o->fault);
	if (!err)
		err = settings_load(o->store, o->token, &o->settings, &o->fault);
	if (!err)
		err = hooks_load(o->store, o->token, &o->hooks, &o->fault);
	if (!err)
		err = store_panic_get(o->store, &o->panic, &o->fault);
	return err;
}

static int open_managers(struct keeper_opening *o)
{
	int err = 0;

	if (mgmt_keys_new(&o->mgmt_keys) || users_new(&o->users))
		err = rk_fail(&o->fault, RK_E_NOMEM, "out of memory");
	if (!err)
		err = mgmt_keys_load(o->mgmt_keys, o->store, o->index, rk_wall_ms(), &o->fault);
	return err ? err : users_load(o->users, o->store, &o->fault);
}

/* Rows of the start, appended in pieces. */
struct first_rows {
	struct keeper_opening *o;
	struct journal_entry entry[CHUNK_ROWS];
	unsigned count;
	size_t used;
	uint64_t closed;
	char mem[CHUNK_BYTES];
};

static int first_rows_flush(struct first_rows *f)
{
	int err = 0;

	if (f->count)
		err = journal_append(f->o->journal, f->entry, f->count, &f->o->fault);
	f->count = 0;
	f->used = 0;
	return err;
}

static int first_rows_add(struct first_rows *f, const struct audit_row *row)
{
	ssize_t n;
	int err;

	if (f->count == CHUNK_ROWS || AUDIT_MAX_ROW > sizeof f->mem - f->used) {
		err = first_rows_flush(f);
		if (err)
			return err;
	}
	n = row_encode(row, f->mem + f->used, sizeof f->mem - f->used);
	if (n < 0)
		return rk_fail(&f->o->fault, (int)n, "a start row does not encode");
	f->entry[f->count++].body = rk_slice(f->mem + f->used, (size_t)n);
	f->used += (size_t)n;
	return 0;
}

/* The request was running when the broker died: nobody knows how it ended. */
static int close_request(const struct audit_row *request, void *arg)
{
	struct first_rows *f = arg;
	struct audit_row row = {
	    .type = AUDIT_RESPONSE,
	    .time_ms = rk_wall_ms(),
	    .policy_version = f->o->policy_version,
	    .outcome = OUTCOME_BROKER,
	    .detail = rk_str("closed at the next start"),
	};

	memcpy(row.request_id, request->request_id, sizeof row.request_id);
	f->closed++;
	return first_rows_add(f, &row);
}

static int write_first_rows(struct keeper_opening *o)
{
	struct first_rows *f = calloc(1, sizeof *f);
	struct audit_row start = {
	    .type = AUDIT_START,
	    .policy_version = o->policy_version,
	    .action = rk_str("keeper.start"),
	};
	char detail[96];
	int err;

	if (!f)
		return rk_fail(&o->fault, RK_E_NOMEM, "out of memory");
	f->o = o;
	err = journal_each_open(o->journal, close_request, f, &o->fault);
	if (!err) {
		snprintf(detail, sizeof detail, "relaykeyd %s, %llu open requests closed",
		         RELAYKEY_VERSION, (unsigned long long)f->closed);
		start.time_ms = rk_wall_ms();
		start.detail = rk_str(detail);
		err = first_rows_add(f, &start);
	}
	if (!err)
		err = first_rows_flush(f);
	free(f);
	return err;
}

static int open_journal(struct keeper_opening *o)
{
	struct keeper *k = o->k;
	int err =
	    store_key_load(o->token, k->env.state_dir, "journal", &o->journal_key, &o->fault);

	if (!err)
		err = journal_open(k->journal_path, &o->journal_key, !k->env.journal_normal,
		                   false, &o->journal, &o->fault);
	return err ? err : write_first_rows(o);
}

static void stores_close(struct keeper_opening *o)
{
	mgmt_keys_free(o->mgmt_keys);
	users_free(o->users);
	index_free(o->index);
	settings_box_free(o->settings);
	hooks_free(o->hooks);
	journal_close(o->journal);
	store_close(o->store);
	rk_secret_free(&o->journal_key);
	o->mgmt_keys = NULL;
	o->users = NULL;
	o->index = NULL;
	o->settings = NULL;
	o->hooks = NULL;
	o->journal = NULL;
	o->store = NULL;
}

static int open_stores(struct keeper_opening *o)
{
	int err = open_policy(o);

	if (!err)
		err = open_managers(o);
	if (!err)
		err = open_journal(o);
	o->sealed = o->retry = err == RK_E_TOKEN || err == RK_E_FULL || err == RK_E_AGAIN;
	if (err)
		stores_close(o);
	return err;
}

/* All of it, from wherever the last attempt got to. */
static int open_all(struct keeper_opening *o)
{
	int err;

	o->sealed = o->retry = false;
	o->fault.text[0] = '\0';
	err = open_token(o);
	if (!err && token_state(o->token) == TOKEN_LOST) {
		err = token_reconnect(o->token, &o->fault);
		o->sealed = true;
		o->retry = err != RK_E_PIN;
	} else if (!err && token_state(o->token) != TOKEN_READY) {
		err = log_in(o);
	}
	if (!err)
		err = check_kek(o);
	else if (o->token && token_details(o->token, &o->details))
		o->details = (struct token_details){0}; /* only for the status */
	if (!err)
		err = open_stores(o);
	if (err && !o->fault.text[0])
		rk_fail(&o->fault, err, "%s", rk_strerror(err));
	return err;
}

/* ---- on the loop ---- */

/* What was opened becomes the keeper's. */
static void take_over(struct keeper_opening *o)
{
	struct keeper *k = o->k;

	k->store = o->store;
	k->journal = o->journal;
	k->index = o->index;
	k->settings = o->settings;
	k->hooks = o->hooks;
	k->mgmt_keys = o->mgmt_keys;
	k->users = o->users;
	k->policy_version = o->policy_version;
	k->panic = o->panic;
	rk_secret_move(&k->journal_key, &o->journal_key);
	o->store = NULL;
	o->journal = NULL;
	o->index = NULL;
	o->settings = NULL;
	o->hooks = NULL;
	o->mgmt_keys = NULL;
	o->users = NULL;
}

/* The token is shown in the status even while it cannot be used. */
static void note_outcome(struct keeper_opening *o)
{
	struct keeper *k = o->k;

	k->token = o->token;
	k->token_details = o->details;
	if (!o->err) {
		take_over(o);
		return;
	}
	if (strncmp(k->seal_reason, o->fault.text, sizeof k->seal_reason - 1) != 0)
		log_event(LOG_LEVEL_WARN, "sealed", "reason", "%s", o->fault.text);
	snprintf(k->seal_reason, sizeof k->seal_reason, "%.*s", (int)sizeof k->seal_reason - 1,
	         o->fault.text);
}

static void arm(struct keeper_opening *o)
{
	static const struct timeval wait = {KEEPER_RETRY_MS / 1000,
	                                    KEEPER_RETRY_MS % 1000 * 1000};

	evtimer_add(o->timer, &wait);
}

static void open_work(struct worker_job *job)
{
	struct keeper_opening *o = (struct keeper_opening *)job;

	o->err = open_all(o);
}

static void open_done(struct worker_job *job)
{
	struct keeper_opening *o = (struct keeper_opening *)job;
	struct keeper *k = o->k;
	struct rk_fault fault = o->fault;
	int err = o->err;

	if (k->state == KEEPER_STOPPING)
		return;
	note_outcome(o);
	if (!err && (err = keeper_start(k)))
		rk_fail(&fault, err, "cannot start: %s", rk_strerror(err));
	if (!err)
		return;
	if (o->sealed && o->retry) {
		arm(o);
	} else if (!o->sealed) {
		log_event(LOG_LEVEL_ERROR, "cannot-open", "reason", "%s", fault.text);
		role_env_failed(&k->env, fault.text);
		k->exit_status = EXIT_FAILURE;
		loop_stop(k->loop);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keeper_opening *o = arg;

	(void)fd;
	(void)what;
	if (o->k->state == KEEPER_SEALED)
		worker_submit(o->k->token_pool, &o->job);
}

int keeper_open_first(struct keeper *k, struct rk_fault *fault)
{
	struct keeper_opening *o = calloc(1, sizeof *o);
	int err;

	if (!o)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	k->opening = o;
	o->k = k;
	o->job = (struct worker_job){.work = open_work, .done = open_done};
	if (file_join(k->env.state_dir, "policy.db", k->policy_path, sizeof k->policy_path) ||
	    file_join(k->env.state_dir, "journal.db", k->journal_path, sizeof k->journal_path))
		return rk_fail(fault, RK_E_TOOBIG, "the state directory's path is too long");
	err = set_environment(&k->env, fault);
	if (!err)
		err = load_module(&k->env, fault);
	if (err)
		return err;
	o->err = open_all(o);
	note_outcome(o);
	if (o->err && !o->sealed)
		return rk_fail(fault, o->err, "%s", o->fault.text);
	return 0;
}

int keeper_open_go(struct keeper *k, struct rk_fault *fault)
{
	struct keeper_opening *o = k->opening;
	int err;

	o->timer = evtimer_new(loop_base(k->loop), on_timer, o);
	if (!o->timer)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	if (o->err) {
		if (o->retry)
			arm(o);
		return 0;
	}
	err = keeper_start(k);
	return err ? rk_fail(fault, err, "cannot start: %s", rk_strerror(err)) : 0;
}

void keeper_open_free(struct keeper *k)
{
	struct keeper_opening *o = k->opening;

	if (!o)
		return;
	if (o->timer)
		event_free(o->timer);
	stores_close(o);
	if (!k->token)
		k->token = o->token;
	free(o);
	k->opening = NULL;
}
