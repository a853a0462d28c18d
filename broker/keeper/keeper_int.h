/*
 * What the parts of the keeper share: the role itself (keeper.c), its start (keeper_open.c),
 * and management (control.c, manage*.c). Loop thread only, except where a member says so.
 *
 * State and what exists in it:
 *   SEALED   no stores: the token is not there yet. token may be NULL (module could not reach
 *            its token), pipeline, index, store and journal are NULL; requests get 503.
 *   OPEN     everything is there. The token may be lost again: pipeline_unsealed() tells.
 *   STOPPING the last rows are being written; nothing new is taken.
 */
#ifndef KEEPER_KEEPER_INT_H
#define KEEPER_KEEPER_INT_H

#include "ipc/role_channel.h"
#include "ipc/role_env.h"
#include "keeper/dispatch.h"
#include "keeper/index.h"
#include "keeper/journal.h"
#include "keeper/mgmt_auth.h"
#include "keeper/mgmt_keys.h"
#include "keeper/panic.h"
#include "keeper/pipeline.h"
#include "keeper/relay_link.h"
#include "keeper/side_peer.h"
#include "keeper/store.h"
#include "keeper/users.h"
#include "keeper/worker.h"
#include "pkcs11/token.h"

enum {
	KEEPER_RETRY_MS = 1000,
	KEEPER_PATH_MAX = MSG_MAX_URL + 32,
	KEEPER_TOKEN_THREADS = 7, /* a session each, and one for the journal's thread */
};

enum keeper_state { KEEPER_SEALED, KEEPER_OPEN, KEEPER_STOPPING };

struct audit_index;
struct audit_indexer;
struct alarm;
struct control;
struct expiry;
struct hooks;
struct keeper_opening;
struct notices;
struct settings_box;
struct trust;

struct keeper {
	enum keeper_state state;
	struct role_env env;
	struct loop *loop;
	struct role_channel *channel; /* to the supervisor */
	int64_t started_ms;

	struct token *token; /* any thread: token_wrap(), token_unwrap(), token_random() */
	struct token_details token_details; /* as of the last opening */
	struct worker_pool *token_pool;     /* wrap, unwrap, reconnect */
	struct worker_pool *store_pool;     /* one thread: all calls on `store` */
	struct worker_pool *journal_pool;   /* one thread: the pipeline's */
	struct worker_pool *reader_pool;    /* two threads: audit_reader_open() and reads */

	struct store *store;     /* store pool only */
	struct journal *journal; /* journal pool; journal_head() from any thread */
	struct index *index;
	struct mgmt_keys *mgmt_keys;
	struct mgmt_auth *mgmt_auth; /* from the start, also while sealed */
	struct users *users;
	struct pipeline *pipeline;
	struct trust *trust; /* with the pipeline */
	struct relay_links *relays;
	struct side_peers *sides; /* console and courier */
	struct control *control;
	struct alarm *alarm; /* NULL until the pipeline is there */

	struct audit_index *audit_index; /* any thread; NULL: none, so the journal is read */
	struct audit_indexer *audit_indexer; /* the thread that fills it */
	struct settings_box *settings;       /* NULL: the defaults; see keeper_settings() */
	struct hooks *hooks;                 /* NULL until the store is open */
	struct notices *notices;
	struct dispatch *dispatch;
	struct expiry *expiry;
	bool token_told; /* that the token is lost */

	char policy_path[KEEPER_PATH_MAX];
	char journal_path[KEEPER_PATH_MAX];
	struct rk_secret journal_key; /* for readers; constant once OPEN, so any thread */

	/* Of the policy as loaded; raise by one after each store mutation that returned 0. */
	uint64_t policy_version;
	struct panic panic; /* likewise as loaded */

	char seal_reason[256]; /* why SEALED; "" otherwise */
	struct keeper_opening *opening;
	struct event *stop_deadline;
	size_t live_keys; /* as of live_keys_ms */
	int64_t live_keys_ms;
	int exit_status;
};

/* Fills what the keeper itself knows of it, from any state; slices borrow from k and static
 * text until the next loop turn. The number of live keys is counted at most once a second. */
void keeper_status(struct keeper *k, struct msg_status *out);

/* ---- keeper_open.c: from a token to stores and index ---- */

/*
 * Before the sandbox: loads the module for good and tries to open everything, blocking. 0 also
 * when the token is not there: seal_reason tells. Negative: nothing will help but a person.
 */
RK_MUST_CHECK int keeper_open_first(struct keeper *k, struct rk_fault *fault);

/* With loop and pools: starts the pipeline on what is open, or retries while sealed. */
RK_MUST_CHECK int keeper_open_go(struct keeper *k, struct rk_fault *fault);

/* After the pools are gone. */
void keeper_open_free(struct keeper *k);

/* ---- keeper_start.c: the pipeline on what is open ---- */

RK_MUST_CHECK int keeper_start(struct keeper *k);

/* ---- keeper_sandbox.c ---- */

RK_MUST_CHECK int keeper_sandbox_enter(const struct role_env *env, struct rk_fault *fault);

#endif
