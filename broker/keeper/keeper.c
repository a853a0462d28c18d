#include "keeper/keeper.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/tls_key.h"
#include "keeper/audit_indexer.h"
#include "keeper/alarm.h"
#include "keeper/control.h"
#include "keeper/expiry.h"
#include "keeper/hooks.h"
#include "keeper/keeper_int.h"
#include "keeper/notice.h"
#include "keeper/settings.h"
#include "keeper/trust.h"

enum {
	ARENA_BYTES = 6 << 20, /* mostly buffers of channels; fits the usual RLIMIT_MEMLOCK */
	READER_THREADS = 2,
};

/* ---- peers ---- */

/* Takes the descriptor. A peer that cannot be served is closed: it will be started anew. */
static void attach(struct keeper *k, const struct role_peer *peer)
{
	int err;

	switch (peer->role) {
	case IPC_RELAY:
		err = relay_links_attach(k->relays, peer->instance, peer->fd);
		break;
	case IPC_CONSOLE:
	case IPC_COURIER:
		err = side_peers_attach(k->sides, peer->role, peer->fd);
		break;
	default:
		close(peer->fd);
		err = RK_E_PROTOCOL;
		break;
	}
	if (err)
		log_event(LOG_LEVEL_ERROR, "peer-refused", "role", "%s: %s",
		          ipc_role_name(peer->role), rk_strerror(err));
}

/* ---- stopping ---- */

static void on_flushed(void *arg)
{
	struct keeper *k = arg;

	loop_stop(k->loop);
}

static void on_stop_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_event(LOG_LEVEL_WARN, "slow-stop", "lost", "rows that nobody waited for");
	on_flushed(arg);
}

static void stop(uint32_t grace_ms, void *arg)
{
	struct keeper *k = arg;
	const struct timeval limit = {.tv_sec = grace_ms / 1000,
	                              .tv_usec = grace_ms % 1000 * 1000};
	const struct audit_row row = {.type = AUDIT_STOP, .action = rk_str("keeper.stop")};

	k->state = KEEPER_STOPPING;
	control_free(k->control);
	k->control = NULL;
	if (!k->pipeline) {
		loop_stop(k->loop);
		return;
	}
	if (pipeline_append_row(k->pipeline, &row, NULL, NULL))
		log_event(LOG_LEVEL_WARN, "stop-unrecorded", "reason", "%s",
		          pipeline_audit_error(k->pipeline));
	evtimer_add(k->stop_deadline, &limit);
	pipeline_flush(k->pipeline, on_flushed, k);
}

static void on_peer(const struct role_peer *peer, void *arg)
{
	attach(arg, peer);
}

static const struct role_channel_ops channel_ops = {.stop = stop, .peer = on_peer};

/* ---- life ---- */

/* Threads come after the sandbox, so that all of it holds for them. */
static int start_threads(struct keeper *k)
{
	int err = worker_pool_new(k->loop, "token", KEEPER_TOKEN_THREADS, &k->token_pool);

	if (!err)
		err = worker_pool_new(k->loop, "store", 1, &k->store_pool);
	if (!err)
		err = worker_pool_new(k->loop, "journal", 1, &k->journal_pool);
	if (!err)
		err = worker_pool_new(k->loop, "reader", READER_THREADS, &k->reader_pool);
	return err;
}

static int take_control_socket(struct keeper *k)
{
	int fd = k->env.listener;

	k->env.listener = -1;
	return fd < 0 ? 0 : control_new(k, fd, &k->control);
}

static int start_loop(struct keeper *k, struct rk_fault *fault)
{
	int err = loop_new(&k->loop);

	if (!err)
		err = start_threads(k);
	if (!err)
		err = relay_links_new(k->loop, &k->relays);
	if (!err)
		err = notices_new(k, &k->notices);
	if (!err)
		err = dispatch_new(k, &k->dispatch);
	if (!err)
		err = expiry_new(k, &k->expiry);
	if (!err)
		err = side_peers_new(k, &k->sides);
	if (!err)
		err = mgmt_auth_new(&k->mgmt_auth);
	if (!err && !(k->stop_deadline = evtimer_new(loop_base(k->loop), on_stop_deadline, k)))
		err = RK_E_NOMEM;
	if (!err)
		err = take_control_socket(k);
	if (!err)
		err = role_channel_open(k->loop, &k->env, &channel_ops, k, &k->channel);
	if (err)
		return rk_fail(fault, err, "cannot start: %s", rk_strerror(err));
	err = keeper_open_go(k, fault);
	if (err)
		return err;
	for (unsigned i = 0; i < k->env.peer_count; i++) {
		attach(k, &k->env.peers[i]);
		k->env.peers[i].fd = -1;
	}
	return 0;
}

static int start(struct keeper *k, uint32_t instance, struct rk_fault *fault)
{
	int err = tls_key_init(fault);

	if (!err)
		err = role_env_receive(&k->env, IPC_KEEPER, instance, ARENA_BYTES, fault);
	if (!err)
		err = role_env_confine(&k->env, fault);
	if (!err)
		err = keeper_open_first(k, fault);
	if (!err)
		err = keeper_sandbox_enter(&k->env, fault);
	if (!err)
		err = start_loop(k, fault);
	if (!err && (err = role_env_ready(&k->env)))
		rk_fail(fault, err, "the supervisor does not listen");
	return err;
}

static void close_journal(struct keeper *k)
{
	audit_indexer_free(k->audit_indexer);
	audit_index_free(k->audit_index);
	if (k->journal)
		journal_maintain(k->journal);
	journal_close(k->journal);
	store_close(k->store);
	rk_secret_free(&k->journal_key);
}

/* Users before what they use: threads, then those they report to, then the state. */
static void keeper_free(struct keeper *k)
{
	control_free(k->control);
	trust_stop(k->trust);
	worker_pool_free(k->token_pool);
	worker_pool_free(k->store_pool);
	worker_pool_free(k->journal_pool);
	worker_pool_free(k->reader_pool);
	relay_links_free(k->relays);
	side_peers_free(k->sides);
	trust_free(k->trust);
	pipeline_free(k->pipeline);
	notices_free(k->notices);
	dispatch_free(k->dispatch);
	expiry_free(k->expiry);
	hooks_free(k->hooks);
	settings_box_free(k->settings);
	mgmt_auth_free(k->mgmt_auth);
	mgmt_keys_free(k->mgmt_keys);
	users_free(k->users);
	alarm_free(k->alarm);
	index_free(k->index);
	close_journal(k);
	keeper_open_free(k);
	token_close(k->token);
	if (k->stop_deadline)
		event_free(k->stop_deadline);
	role_channel_free(k->channel);
	loop_free(k->loop);
	role_env_free(&k->env);
}

int keeper_main(uint32_t instance)
{
	struct keeper k = {.state = KEEPER_SEALED, .exit_status = EXIT_SUCCESS};
	struct rk_fault fault = {""};

	k.started_ms = rk_wall_ms();
	if (start(&k, instance, &fault)) {
		role_env_failed(&k.env, fault.text);
		k.exit_status = EXIT_FAILURE;
	} else {
		loop_run(k.loop);
	}
	keeper_free(&k);
	return k.exit_status;
}
