#include "courier/courier.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "ipc/peer.h"
#include "ipc/role_channel.h"

enum {
	ARENA_BYTES = 512 << 10,
	MAX_DESCRIPTORS = 256,
};

struct courier {
	struct loop *loop;
	struct role_channel *channel;
	struct ipc_peer *keeper; /* NULL while there is none */
};

static const int syscalls[] = {-1};

static const struct sandbox cage = {
    .name = "courier",
    .syscalls = syscalls,
    .max_descriptors = MAX_DESCRIPTORS,
    .connect = true,
};

/* ---- keeper ---- */

/* The keeper sends the courier nothing yet: the catalogue lets no message through. */
static void on_keeper_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	(void)p;
	(void)m;
	(void)arg;
}

static void on_keeper_closed(struct ipc_peer *p, int err, void *arg)
{
	struct courier *c = arg;

	log_event(LOG_LEVEL_WARN, "keeper-gone", "error", "%s", rk_strerror(err));
	ipc_peer_free(p);
	if (c->keeper == p)
		c->keeper = NULL;
}

static const struct ipc_peer_ops keeper_ops = {
    .message = on_keeper_message,
    .closed = on_keeper_closed,
};

static int connect_keeper(struct courier *c, int fd)
{
	ipc_peer_free(c->keeper);
	c->keeper = NULL;
	return ipc_peer_new(c->loop, fd, IPC_COURIER, IPC_KEEPER, &keeper_ops, c, &c->keeper);
}

/* ---- supervisor ---- */

static void on_stop(uint32_t grace_ms, void *arg)
{
	struct courier *c = arg;

	(void)grace_ms; /* nothing is under way */
	loop_stop(c->loop);
}

static void on_peer(const struct role_peer *peer, void *arg)
{
	int err = connect_keeper(arg, peer->fd);

	if (err)
		log_event(LOG_LEVEL_ERROR, "keeper-unreachable", "error", "%s",
		          rk_strerror(err));
}

static const struct role_channel_ops channel_ops = {.stop = on_stop, .peer = on_peer};

/* ---- life ---- */

static int start(struct courier *c, struct role_env *env, uint32_t instance,
                 struct rk_fault *fault)
{
	int err;

	err = role_env_receive(env, IPC_COURIER, instance, ARENA_BYTES, fault);
	if (!err)
		err = role_env_confine(env, fault);
	if (!err)
		err = sandbox_enter(&cage, fault);
	if (err)
		return err;
	err = loop_new(&c->loop);
	if (!err)
		err = role_channel_open(c->loop, env, &channel_ops, c, &c->channel);
	if (!err && env->peer_count) {
		err = connect_keeper(c, env->peers[0].fd);
		env->peers[0].fd = -1;
	}
	if (!err)
		err = role_env_ready(env);
	return err ? rk_fail(fault, err, "cannot start: %s", rk_strerror(err)) : 0;
}

int courier_main(uint32_t instance)
{
	struct courier c = {0};
	struct role_env env;
	struct rk_fault fault = {{0}};
	int err = start(&c, &env, instance, &fault);

	if (err)
		role_env_failed(&env, fault.text);
	else
		loop_run(c.loop);
	ipc_peer_free(c.keeper);
	role_channel_free(c.channel);
	loop_free(c.loop);
	role_env_free(&env);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
