#include "console/console.h"

#include <stdlib.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "console/router.h"
#include "ipc/role_channel.h"

enum {
	ARENA_BYTES = 6 << 20, /* heads, bodies, and what is made of them */
	MAX_DESCRIPTORS = SERVER_MAX_CONNECTIONS + 64,
};

struct console {
	struct loop *loop;
	struct role_channel *channel;
	struct ipc_peer *keeper; /* NULL while there is none */
	struct router *router;
	struct server *server;
	struct event *stop_limit;
};

static const int syscalls[] = {SYS_accept4, -1};

static const struct sandbox cage = {
    .name = "console",
    .syscalls = syscalls,
    .max_descriptors = MAX_DESCRIPTORS,
};

/* ---- keeper ---- */

static void on_keeper_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct console *c = arg;

	(void)p;
	router_message(c->router, m);
}

static void on_keeper_closed(struct ipc_peer *p, int err, void *arg)
{
	struct console *c = arg;

	log_event(LOG_LEVEL_WARN, "keeper-gone", "error", "%s", rk_strerror(err));
	ipc_peer_free(p);
	if (c->keeper == p) {
		c->keeper = NULL;
		router_set_keeper(c->router, NULL);
	}
}

static const struct ipc_peer_ops keeper_ops = {
    .message = on_keeper_message,
    .closed = on_keeper_closed,
};

static int connect_keeper(struct console *c, int fd)
{
	int err;

	ipc_peer_free(c->keeper);
	c->keeper = NULL;
	err = ipc_peer_new(c->loop, fd, IPC_CONSOLE, IPC_KEEPER, &keeper_ops, c, &c->keeper);
	router_set_keeper(c->router, c->keeper);
	return err;
}

/* ---- supervisor ---- */

static void on_server_empty(void *arg)
{
	struct console *c = arg;

	loop_stop(c->loop);
}

static void on_stop_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	on_server_empty(arg);
}

static void on_stop(uint32_t grace_ms, void *arg)
{
	struct console *c = arg;
	const struct timeval limit = {.tv_sec = grace_ms / 1000,
	                              .tv_usec = grace_ms % 1000 * 1000};

	event_add(c->stop_limit, &limit);
	server_stop(c->server, on_server_empty, c);
}

static void on_peer(const struct role_peer *peer, void *arg)
{
	int err = connect_keeper(arg, peer->fd);

	if (err)
		log_event(LOG_LEVEL_ERROR, "keeper-unreachable", "error", "%s",
		          rk_strerror(err));
}

static void on_tls(struct rk_slice certificate, struct rk_slice key, void *arg)
{
	struct console *c = arg;
	struct rk_fault fault = {{0}};
	struct tls_ctx *ctx;

	if (tls_server_ctx_new(certificate, key, &ctx, &fault)) {
		log_event(LOG_LEVEL_ERROR, "certificate-refused", "reason", "%s", fault.text);
		return;
	}
	server_set_tls(c->server, ctx);
	log_event(LOG_LEVEL_INFO, "certificate-replaced", NULL, NULL);
}

static const struct role_channel_ops channel_ops = {
    .stop = on_stop,
    .peer = on_peer,
    .tls = on_tls,
};

/* ---- life ---- */

static int open_server(struct console *c, struct role_env *env, struct rk_fault *fault)
{
	struct tls_ctx *ctx;
	int err;

	err = tls_server_ctx_new(rk_secret_slice(&env->tls_certificate),
	                         rk_secret_slice(&env->tls_key), &ctx, fault);
	if (err)
		return err;
	rk_secret_free(&env->tls_key);
	err = router_new(c->loop, &c->router);
	if (!err) {
		err =
		    server_new(c->loop, env->listener, ctx, &router_ops, c->router, &c->server);
		env->listener = -1;
	} else {
		tls_ctx_free(ctx);
	}
	if (err)
		return rk_fail(fault, err, "cannot serve: %s", rk_strerror(err));
	router_serve(c->router, c->server);
	return 0;
}

static int open_channels(struct console *c, struct role_env *env)
{
	int err = role_channel_open(c->loop, env, &channel_ops, c, &c->channel);

	if (!err && env->peer_count) {
		err = connect_keeper(c, env->peers[0].fd);
		env->peers[0].fd = -1;
	}
	return err;
}

static int start(struct console *c, struct role_env *env, uint32_t instance,
                 struct rk_fault *fault)
{
	int err;

	err = role_env_receive(env, IPC_CONSOLE, instance, ARENA_BYTES, fault);
	if (!err)
		err = role_env_confine(env, fault);
	if (err)
		return err;
	err = loop_new(&c->loop);
	if (err)
		return rk_fail(fault, err, "cannot start: %s", rk_strerror(err));
	c->stop_limit = evtimer_new(loop_base(c->loop), on_stop_limit, c);
	if (!c->stop_limit)
		return rk_fail(fault, RK_E_NOMEM, "cannot start: out of memory");
	err = open_server(c, env, fault);
	if (!err)
		err = sandbox_enter(&cage, fault);
	if (err)
		return err;
	err = open_channels(c, env);
	if (!err)
		err = role_env_ready(env);
	return err ? rk_fail(fault, err, "cannot start: %s", rk_strerror(err)) : 0;
}

int console_main(uint32_t instance)
{
	struct console c = {0};
	struct role_env env;
	struct rk_fault fault = {{0}};
	int err = start(&c, &env, instance, &fault);

	if (err)
		role_env_failed(&env, fault.text);
	else
		loop_run(c.loop);
	server_free(c.server);
	router_free(c.router);
	if (c.stop_limit)
		event_free(c.stop_limit);
	ipc_peer_free(c.keeper);
	role_channel_free(c.channel);
	loop_free(c.loop);
	role_env_free(&env);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
