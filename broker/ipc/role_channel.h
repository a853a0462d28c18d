/*
 * A role's end of the supervisor's channel while its loop runs. One helper for all roles, so
 * that the supervisor's death and its messages mean the same everywhere:
 *
 *   end of file, broken frame   the process ends at once (nobody would restart or stop it)
 *   STOP                        ops->stop
 *   PEER                        ops->peer: a restarted neighbour, with the new descriptor
 *   TLS, TRUST                  ops->tls, ops->trust: material after a reload
 *   LOG_LEVEL                   handled here
 *
 * Takes descriptor 3 (ROLE_CHANNEL_FD). Called after role_env_ready() or before; sends nothing
 * by itself.
 */
#ifndef IPC_ROLE_CHANNEL_H
#define IPC_ROLE_CHANNEL_H

#include "ipc/loop.h"
#include "ipc/role_env.h"

/* Any of them may be NULL: the message is then dropped (a descriptor is closed). */
struct role_channel_ops {
	/*
	 * Stop cleanly: take nothing new, end what runs within grace_ms, then loop_stop() and
	 * return 0 from the role's main. Comes at most once.
	 */
	void (*stop)(uint32_t grace_ms, void *arg);
	/* The new channel to a neighbour replaces the old one to the same role and instance;
	 * the handler takes peer->fd. */
	void (*peer)(const struct role_peer *peer, void *arg);
	/* Server identity in PEM; both borrow until the return. The pair was checked by the
	 * supervisor. */
	void (*tls)(struct rk_slice certificate, struct rk_slice key, void *arg);
	/* The whole trust bundle in PEM; borrows until the return. */
	void (*trust)(struct rk_slice pem, void *arg);
};

struct role_channel;

/* `ops` and `arg` are borrowed until role_channel_free(). */
RK_MUST_CHECK int role_channel_open(struct loop *l, const struct role_env *env,
                                    const struct role_channel_ops *ops, void *arg,
                                    struct role_channel **out);

/* Closes the channel; accepts NULL. Before loop_free(). */
void role_channel_free(struct role_channel *c);

#endif
