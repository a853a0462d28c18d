#include "courier/courier.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "courier/post.h"
#include "ipc/peer.h"
#include "ipc/role_channel.h"

enum {
	ARENA_BYTES = 3 << 20, /* libcurl's small pieces, and what waits in the channel */
	MAX_DESCRIPTORS = 256,
};

struct courier {
	struct loop *loop;
	struct role_channel *channel;
	struct ipc_peer *keeper; /* NULL while there is none */
	struct post *post;
	struct event *stop_limit;
	bool stopping;
};

static const int syscalls[] = {-1};

static const struct sandbox cage = {
    .name = "courier",
    .syscalls = syscalls,
    .max_descriptors = MAX_DESCRIPTORS,
    .connect = true,
};

/* ---- keeper ---- */

static void on_keeper_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct courier *c = arg;

	(void)p;
	/* the catalogue lets nothing else through */
	if (m->type == MSG_DELIVER && !c->stopping)
		post_deliver(c->post, m->id, &m->body.deliver);
}

/* What nobody waits for any more is given up: the next keeper asks for it again. */
static void on_keeper_closed(struct ipc_peer *p, int err, void *arg)
{
	struct courier *c = arg;

	log_event(LOG_LEVEL_WARN, "keeper-gone", "error", "%s", rk_strerror(err));
	ipc_peer_free(p);
	if (c->keeper != p)
		return;
	c->keeper = NULL;
	post_forget_all(c->post);
}

static const struct ipc_peer_ops keeper_ops = {
    .message = on_keeper_message,
    .closed = on_keeper_closed,
};

static int connect_keeper(struct courier *c, int fd)
{
	ipc_peer_free(c->keeper);
	c->keeper = NULL;
	post_forget_all(c->post);
	return ipc_peer_new(c->loop, fd, IPC_COURIER, IPC_KEEPER, &keeper_ops, c, &c->keeper);
}

static void on_ended(uint64_t id, const struct msg_delivered *m, void *arg)
{
	struct courier *c = arg;

	/* an answer that is lost costs a second delivery */
	if (c->keeper && ipc_peer_send(c->keeper, MSG_DELIVERED, id, m))
		log_event(LOG_LEVEL_WARN, "answer-lost", NULL, NULL);
	if (c->stopping && post_count(c->post) <= 1) /* the one that is told of */
		loop_stop(c->loop);
}

/* ---- supervisor ---- */

static void on_stop_limit(evutil_socket_t fd, short what, void *arg)
{
	struct courier *c = arg;

	(void)fd;
	(void)what;
	loop_stop(c->loop);
}

static void on_stop(uint32_t grace_ms, void *arg)
{
	struct courier *c = arg;
	const struct timeval limit = {.tv_sec = grace_ms / 1000,
	                              .tv_usec = grace_ms % 1000 * 1000};

	c->stopping = true;
	if (post_count(c->post) == 0)
		loop_stop(c->loop);
	else
		event_add(c->stop_limit, &limit);
}

static void on_peer(const struct role_peer *peer, void *arg)
{
	int err = connect_keeper(arg, peer->fd);

	if (err)
		log_event(LOG_LEVEL_ERROR, "keeper-unreachable", "error", "%s",
		          rk_strerror(err));
}

static void on_trust(struct rk_slice pem, void *arg)
{
	struct courier *c = arg;
	struct rk_fault fault = {{0}};

	if (post_set_trust(c->post, pem, &fault))
		log_event(LOG_LEVEL_ERROR, "trust-not-taken", "why", "%s", fault.text);
}

static const struct role_channel_ops channel_ops = {
    .stop = on_stop,
    .peer = on_peer,
    .trust = on_trust,
};

/* ---- life ---- */

static int open_post(struct courier *c, struct role_env *env, struct rk_fault *fault)
{
	const struct post_params params = {
	    .loop = c->loop,
	    .trust = rk_buf_slice(&env->trust),
	    .egress = env->egress,
	    .ended = on_ended,
	    .arg = c,
	};
	int err = post_new(&params, &c->post, fault);

	rk_buf_free(&env->trust);
	return err;
}

static int start(struct courier *c, struct role_env *env, uint32_t instance,
                 struct rk_fault *fault)
{
	int err;

	err = role_env_receive(env, IPC_COURIER, instance, ARENA_BYTES, fault);
	if (!err)
		err = role_env_confine(env, fault);
	if (err)
		return err;
	err = loop_new(&c->loop);
	if (!err && !(c->stop_limit = evtimer_new(loop_base(c->loop), on_stop_limit, c)))
		err = RK_E_NOMEM;
	if (err)
		return rk_fail(fault, err, "cannot start: %s", rk_strerror(err));
	err = open_post(c, env, fault);
	if (!err)
		err = sandbox_enter(&cage, fault);
	if (err)
		return err;
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
	post_free(c.post);
	role_channel_free(c.channel);
	if (c.stop_limit)
		event_free(c.stop_limit);
	loop_free(c.loop);
	role_env_free(&env);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
