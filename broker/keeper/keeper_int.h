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

#include "ipc/peer.h"
#include "ipc/role_env.h"
#include "keeper/index.h"
#include "keeper/journal.h"
#include "keeper/pipeline.h"
#include "keeper/relay_link.h"
#include "keeper/store.h"
#include "keeper/worker.h"
#include "pkcs11/token.h"

enum keeper_state { KEEPER_SEALED, KEEPER_OPEN, KEEPER_STOPPING };

struct control;
struct keeper_opening;

struct keeper {
	enum keeper_state state;
	struct role_env env;
	struct loop *loop;
	struct ipc_peer *supervisor;
	int64_t started_ms;

	struct token *token; /* any thread: token_wrap(), token_unwrap(), token_random() */
	struct worker_pool *token_pool;   /* wrap, unwrap, reconnect */
	struct worker_pool *store_pool;   /* one thread: all calls on `store` */
	struct worker_pool *journal_pool; /* one thread: the pipeline's */
	struct worker_pool *reader_pool;  /* two threads: audit_reader_open() and reads */

	struct store *store;     /* store pool only */
	struct journal *journal; /* journal pool; journal_head() from any thread */
	struct index *index;
	struct pipeline *pipeline;
	struct relay_links *relays;
	struct control *control;

	char policy_path[MSG_MAX_URL + 32];
	char journal_path[MSG_MAX_URL + 32];
	struct rk_secret journal_key; /* for readers; constant once OPEN, so any thread */

	/* Of the policy as loaded; raise by one after each store mutation that returned 0. */
	uint64_t policy_version;

	char seal_reason[256]; /* why SEALED; "" otherwise */
	struct keeper_opening *opening;
	struct event *stop_deadline;
	int exit_status;
};

/* Fills what the keeper itself knows of it, from any state; slices borrow from k and static
 * text until the next loop turn. Costs O(keys). */
void keeper_status(struct keeper *k, struct msg_status *out);

#endif
