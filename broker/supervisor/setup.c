/*
 * What a new role is sent before START. Sending blocks: the role reads at once and does nothing
 * else; a limit of time keeps one that hangs from stopping the supervisor.
 */
#include "supervisor/supervisor_int.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

static int list_proxies(const struct rk_cidrs *from, char *dst, size_t cap, size_t *used)
{
	for (unsigned i = 0; i < from->count; i++) {
		char text[RK_CIDR_TEXT];
		int err;

		rk_cidr_format(&from->at[i], text);
		err = record_list_add(dst, cap, used, rk_str(text));
		if (err)
			return err;
	}
	return 0;
}

static int send_config(const struct supervisor *sv, const struct child *c, int sock)
{
	const struct rk_config *cfg = &sv->config;
	char env[MSG_MAX_LIST], proxies[RK_CIDRS_MAX * (RK_CIDR_TEXT + 4)];
	char egress[EGRESS_TEXT];
	size_t used = 0;
	struct msg_setup m = {
	    .role = (uint8_t)c->role,
	    .instance = c->instance,
	    .relays = cfg->relays,
	    .state_dir = rk_str(cfg->state_dir),
	    .owner_uid = sv->owner_uid,
	    .drop_uid = sv->drop_uid,
	    .drop_gid = sv->drop_gid,
	    .journal_normal = cfg->journal_sync_normal,
	    .secret_locked = cfg->secret_memory_locked,
	    .log_level = (uint8_t)cfg->log_level,
	};

	if (c->role == IPC_RELAY) {
		int err = list_proxies(&cfg->trusted_proxies, proxies, sizeof proxies, &used);

		if (err)
			return err;
		m.proxy_protocol = cfg->proxy_protocol;
		m.trusted_proxies = rk_slice(proxies, used);
		m.max_connections = cfg->max_connections;
		m.max_connections_per_client = cfg->max_connections_per_client;
		m.egress = rk_str(egress_format(&cfg->egress, egress));
	}
	if (c->role == IPC_COURIER)
		m.egress = rk_str(egress_format(&cfg->egress, egress));
	/* where the token is and how to log in is the keeper's alone */
	if (c->role == IPC_KEEPER) {
		for (unsigned i = 0; i < cfg->token_env_count; i++) {
			int err =
			    record_list_add(env, sizeof env, &used, rk_str(cfg->token_env[i]));

			if (err)
				return err;
		}
		m.token_module = rk_str(cfg->token_module);
		m.token_init_args = rk_str(cfg->token_init_args);
		m.token_env = rk_slice(env, used);
		m.token = rk_str(cfg->token);
		m.token_pin_file = rk_str(cfg->token_pin_file);
	}
	return ipc_send_blocking(sock, MSG_SETUP, 0, &m, -1);
}

static int send_listener(const struct supervisor *sv, const struct child *c, int sock)
{
	struct msg_listener m = {0};
	int fd;

	switch (c->role) {
	case IPC_KEEPER:
		m.kind = LISTENER_CONTROL;
		fd = sv->control;
		break;
	case IPC_RELAY:
		m.kind = LISTENER_PROXY;
		fd = sv->proxy[c->instance];
		break;
	case IPC_CONSOLE:
		m.kind = LISTENER_CONSOLE;
		fd = sv->console;
		break;
	default:
		return 0;
	}
	return ipc_send_blocking(sock, MSG_LISTENER, 0, &m, fd);
}

/*
 * A new channel between the role that starts (its end goes over `sock`) and a neighbour that
 * runs (its end goes over the neighbour's channel). A neighbour that does not run gets nothing:
 * the role that starts then finds its end closed, which is what a dead neighbour looks like.
 */
static int send_link(const struct child *c, int sock, const struct child *other)
{
	struct msg_peer to_new = {.role = (uint8_t)other->role, .instance = other->instance};
	struct msg_peer to_other = {.role = (uint8_t)c->role, .instance = c->instance};
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return RK_E_IO;
	if (child_alive(other) && other->peer)
		/* takes pair[1]; a neighbour that is dying will be linked when it is back */
		(void)!ipc_peer_send_fd(other->peer, MSG_PEER, 0, &to_other, pair[1]);
	else
		close(pair[1]);
	err = ipc_send_blocking(sock, MSG_PEER, 0, &to_new, pair[0]);
	close(pair[0]);
	return err;
}

/* Every channel has the keeper at one end. */
static int send_links(struct supervisor *sv, const struct child *c, int sock)
{
	int err = 0;

	if (c->role != IPC_KEEPER)
		return send_link(c, sock, &sv->children[KEEPER_CHILD]);
	for (unsigned i = FIRST_RELAY; i < sv->child_count && !err; i++) {
		if (child_alive(&sv->children[i]))
			err = send_link(c, sock, &sv->children[i]);
	}
	return err;
}

static int send_identity(const struct supervisor *sv, const struct child *c, int sock)
{
	struct msg_tls m = {.certificate = rk_secret_slice(&sv->identity.certificate),
	                    .key = rk_secret_slice(&sv->identity.key)};

	if (c->role != IPC_RELAY && c->role != IPC_CONSOLE)
		return 0;
	return ipc_send_blocking(sock, MSG_TLS, 0, &m, -1);
}

static int send_trust(const struct supervisor *sv, const struct child *c, int sock)
{
	struct rk_slice left = rk_buf_slice(&sv->trust);
	int err = 0;

	if (c->role != IPC_RELAY && c->role != IPC_COURIER)
		return 0;
	while (left.n && !err) {
		size_t n = left.n < MSG_MAX_PEM ? left.n : MSG_MAX_PEM;
		struct msg_trust m = {.pem = rk_slice(left.p, n), .last = n == left.n};

		err = ipc_send_blocking(sock, MSG_TRUST, 0, &m, -1);
		left = rk_slice_skip(left, n);
	}
	return err;
}

int setup_send(struct supervisor *sv, struct child *c, int sock, struct rk_fault *fault)
{
	const struct timeval limit = {.tv_sec = 10};
	struct msg_empty start = {0};
	int err = 0;

	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))
		err = RK_E_IO;
	if (!err)
		err = send_config(sv, c, sock);
	if (!err)
		err = send_listener(sv, c, sock);
	if (!err)
		err = send_links(sv, c, sock);
	if (!err)
		err = send_identity(sv, c, sock);
	if (!err)
		err = send_trust(sv, c, sock);
	if (!err)
		err = ipc_send_blocking(sock, MSG_START, 0, &start, -1);
	if (err)
		return rk_fail(fault, err, "cannot send its set-up: %s", rk_strerror(err));
	return 0;
}
