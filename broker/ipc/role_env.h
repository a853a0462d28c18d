/*
 * How a role comes to life: re-executed by the supervisor with its channel on descriptor 3, it
 * is told who it is, gets its descriptors and material, drops what it does not need, and says
 * READY.
 *
 *   1. role_env_receive()   SETUP, LISTENER, PEER, TLS, TRUST ... START (blocking)
 *   2. role_env_confine()   the user it runs as; no capabilities, no_new_privs
 *   3. the role opens what it needs (token, stores, TLS contexts, threads)
 *   4. sandbox_enter()      base/sandbox.h
 *   5. role_env_ready()     READY; then its loop with ipc/role_channel.h
 *
 * The user comes before the files, so that those a role creates belong to the user that will
 * open them again. Steps 2 and 3 may be swapped by a role that must read what only root can.
 *
 * A role takes a descriptor out of `listener` or `peers` by setting the field to -1; what is
 * left role_env_free() closes. SIGINT, SIGTERM, SIGHUP and SIGPIPE are ignored in a role: only
 * the supervisor's STOP ends it.
 *
 * The supervisor's channel stays open: STOP, PEER (a restarted peer), TLS (after a reload) come
 * over it. End of file on it means that the supervisor is gone: the role ends at once.
 */
#ifndef IPC_ROLE_ENV_H
#define IPC_ROLE_ENV_H

#include "base/buf.h"
#include "base/egress.h"
#include "base/ipaddr.h"
#include "base/secret.h"
#include "ipc/frame.h"

enum { ROLE_CHANNEL_FD = 3, ROLE_MAX_PEERS = 72, ROLE_MAX_TRUST = 4 << 20 };

struct role_peer {
	enum ipc_role role;
	uint32_t instance;
	int fd;
};

struct role_env {
	enum ipc_role role;
	uint32_t instance;
	uint32_t relays;
	char state_dir[MSG_MAX_URL + 1];
	char token_module[MSG_MAX_URL + 1];
	char token_init_args[MSG_MAX_TEXT + 1];
	char token[MSG_MAX_URL + 1];
	char token_pin_file[MSG_MAX_URL + 1];
	struct rk_buf token_env; /* LIST */
	uint32_t owner_uid, drop_uid, drop_gid;
	bool journal_normal, secret_locked, proxy_protocol;
	struct rk_cidrs trusted_proxies;
	uint32_t max_connections, max_connections_per_client; /* 0: not set */
	struct egress egress;
	int log_level;
	int listener; /* -1 when this role has none */
	struct role_peer peers[ROLE_MAX_PEERS];
	unsigned peer_count;
	struct rk_secret tls_certificate, tls_key; /* PEM; empty when not sent */
	struct rk_buf trust;                       /* PEM bundle */
};

/*
 * Whether descriptor 3 is a socketpair made by the process that started this one. Anything else
 * means that a person typed the internal options.
 */
bool role_env_has_channel(void);

/* Receives everything up to START. Also initialises the log and the secret arena
 * (`arena_bytes`). */
RK_MUST_CHECK int role_env_receive(struct role_env *env, enum ipc_role role, uint32_t instance,
                                   size_t arena_bytes, struct rk_fault *fault);

/*
 * Drops to drop_uid / drop_gid for network roles (never for the keeper, which owns the state
 * directory: it drops every capability and, started as root on a directory of another owner,
 * becomes that owner), sets no_new_privs. Irreversible.
 */
RK_MUST_CHECK int role_env_confine(const struct role_env *env, struct rk_fault *fault);

RK_MUST_CHECK int role_env_ready(const struct role_env *env);

/* Reports why the role cannot start; the supervisor logs it once. */
void role_env_failed(const struct role_env *env, const char *text);

void role_env_free(struct role_env *env);

#endif
