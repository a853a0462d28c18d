#include "ipc/role_channel.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/peer.h"

struct role_channel {
	struct ipc_peer *peer;
	const struct role_channel_ops *ops;
	void *arg;
	struct rk_buf trust; /* pieces so far */
	bool trust_bad;      /* a piece did not fit: the rest of the bundle is dropped too */
	bool stopping;
};

static void on_stop(struct role_channel *c, const struct msg_stop *m)
{
	if (c->stopping || !c->ops->stop)
		return;
	c->stopping = true;
	c->ops->stop(m->grace_ms, c->arg);
}

static void on_peer(struct role_channel *c, const struct msg_peer *m, int fd)
{
	struct role_peer peer = {
	    .role = (enum ipc_role)m->role, .instance = m->instance, .fd = fd};

	if (c->ops->peer)
		c->ops->peer(&peer, c->arg);
	else
		close(fd);
}

static void on_trust(struct role_channel *c, const struct msg_trust *m)
{
	int err = c->trust_bad ? 0 : rk_buf_add_slice(&c->trust, m->pem);

	if (err) {
		c->trust_bad = true;
		log_event(LOG_LEVEL_ERROR, "trust-refused", "error", "%s", rk_strerror(err));
	}
	if (!m->last)
		return;
	if (!c->trust_bad && c->ops->trust)
		c->ops->trust(rk_buf_slice(&c->trust), c->arg);
	c->trust_bad = false;
	rk_buf_free(&c->trust);
	rk_buf_init(&c->trust, ROLE_MAX_TRUST);
}

static void on_log_level(const struct role_channel *c, const struct msg_log_level *m)
{
	(void)c;
	if (m->level <= LOG_LEVEL_ERROR)
		log_set_level((enum log_level)m->level);
}

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct role_channel *c = arg;

	(void)p;
	switch (m->type) {
	case MSG_STOP:
		on_stop(c, &m->body.stop);
		break;
	case MSG_PEER:
		on_peer(c, &m->body.peer, m->fd);
		break;
	case MSG_TLS:
		if (c->ops->tls)
			c->ops->tls(m->body.tls.certificate, m->body.tls.key, c->arg);
		break;
	case MSG_TRUST:
		on_trust(c, &m->body.trust);
		break;
	case MSG_LOG_LEVEL:
		on_log_level(c, &m->body.log_level);
		break;
	default:
		break;
	}
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	(void)p;
	(void)arg;
	log_event(LOG_LEVEL_WARN, "supervisor-gone", "error", "%s", rk_strerror(err));
	_exit(EXIT_FAILURE);
}

static const struct ipc_peer_ops peer_ops = {.message = on_message, .closed = on_closed};

int role_channel_open(struct loop *l, const struct role_env *env,
                      const struct role_channel_ops *ops, void *arg, struct role_channel **out)
{
	struct role_channel *c = calloc(1, sizeof *c);
	int err;

	if (!c)
		return RK_E_NOMEM;
	c->ops = ops;
	c->arg = arg;
	rk_buf_init(&c->trust, ROLE_MAX_TRUST);
	err =
	    ipc_peer_new(l, ROLE_CHANNEL_FD, env->role, IPC_SUPERVISOR, &peer_ops, c, &c->peer);
	if (err) {
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void role_channel_free(struct role_channel *c)
{
	if (!c)
		return;
	ipc_peer_free(c->peer);
	rk_buf_free(&c->trust);
	free(c);
}
