#include "relay/relay.h"

#include <limits.h>
#include <malloc.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "http/tls_key.h"
#include "ipc/role_channel.h"

enum {
	ARENA_BYTES = 4 << 20, /* heads in flight, and what waits in the channels */
	MAP_FROM_BYTES = 16 << 10,
};

static void on_stop(uint32_t grace_ms, void *arg)
{
	relay_stop(arg, grace_ms);
}

static void on_peer(const struct role_peer *peer, void *arg)
{
	relay_set_keeper(arg, peer->fd);
}

static void on_tls(struct rk_slice certificate, struct rk_slice key, void *arg)
{
	struct rk_fault fault = {0};

	if (relay_set_identity(arg, certificate, key, &fault) < 0)
		log_event(LOG_LEVEL_ERROR, "certificate_not_taken", "why", "%s", fault.text);
	else
		log_event(LOG_LEVEL_INFO, "certificate_taken", NULL, " ");
}

static void on_trust(struct rk_slice pem, void *arg)
{
	struct rk_fault fault = {0};

	if (relay_set_trust(arg, pem, &fault) < 0)
		log_event(LOG_LEVEL_ERROR, "trust_not_taken", "why", "%s", fault.text);
}

static const struct role_channel_ops channel_ops = {
    .stop = on_stop,
    .peer = on_peer,
    .tls = on_tls,
    .trust = on_trust,
};

static int keeper_socket(struct role_env *env)
{
	for (unsigned i = 0; i < env->peer_count; i++) {
		int fd = env->peers[i].fd;

		if (env->peers[i].role != IPC_KEEPER)
			continue;
		env->peers[i].fd = -1;
		return fd;
	}
	return -1;
}

/* As many descriptors as the system grants: every client takes one, and often two. */
static void raise_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	lim.rlim_cur = relay_sandbox()->max_descriptors;
	if (lim.rlim_max != RLIM_INFINITY && lim.rlim_cur > lim.rlim_max)
		lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/*
 * TLS record buffers are mappings of their own: only the pages that a connection touches are
 * there, and what ten thousand quiet connections give back goes to the system instead of
 * leaving holes between the small objects of the heap.
 */
static void map_large_blocks(void)
{
	mallopt(M_MMAP_THRESHOLD, MAP_FROM_BYTES);
	mallopt(M_MMAP_MAX, INT_MAX);
}

static int start(struct role_env *env, struct loop *loop, struct relay **out,
                 struct rk_fault *fault)
{
	struct relay_params params = {
	    .loop = loop,
	    .certificate = rk_secret_slice(&env->tls_certificate),
	    .key = rk_secret_slice(&env->tls_key),
	    .trust = rk_buf_slice(&env->trust),
	    .listener = env->listener,
	    .keeper = keeper_socket(env),
	    .proxy_protocol = env->proxy_protocol,
	    .trusted_proxies = env->trusted_proxies,
	    .max_clients = env->max_connections,
	    .max_per_client = env->max_connections_per_client,
	    .egress = env->egress,
	};
	int err = role_env_confine(env, fault);

	if (err)
		return err;
	raise_descriptors();
	map_large_blocks();
	env->listener = -1; /* relay_new() takes it */
	err = relay_new(&params, out, fault);
	if (err)
		return err;
	rk_secret_free(&env->tls_certificate);
	rk_secret_free(&env->tls_key);
	rk_buf_free(&env->trust);
	return sandbox_enter(relay_sandbox(), fault);
}

int relay_main(uint32_t instance)
{
	struct role_channel *channel = NULL;
	struct role_env env;
	struct rk_fault fault = {0};
	struct relay *relay = NULL;
	struct loop *loop = NULL;
	int err = tls_key_init(&fault);

	if (!err)
		err = role_env_receive(&env, IPC_RELAY, instance, ARENA_BYTES, &fault);
	if (err) {
		log_event(LOG_LEVEL_ERROR, "start_failed", "why", "%s", fault.text);
		return 1;
	}
	err = loop_new(&loop);
	if (!err)
		err = start(&env, loop, &relay, &fault);
	if (!err)
		err = role_channel_open(loop, &env, &channel_ops, relay, &channel);
	if (!err)
		err = role_env_ready(&env);
	if (err) {
		role_env_failed(&env, fault.text[0] ? fault.text : rk_strerror(err));
		return 1;
	}
	log_event(LOG_LEVEL_INFO, "ready", "sandbox", "%s", sandbox_description());
	loop_run(loop);
	role_channel_free(channel);
	relay_free(relay);
	role_env_free(&env);
	loop_free(loop);
	return 0;
}
