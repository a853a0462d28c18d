#include "ipc/role_env.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

static const uint32_t NO_ID = UINT32_MAX;

/* ---- receiving ---- */

bool role_env_has_channel(void)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	int type = 0;
	socklen_t type_len = sizeof type;

	return getsockopt(ROLE_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
	       type == SOCK_SEQPACKET &&
	       getsockopt(ROLE_CHANNEL_FD, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       cred.pid == getppid();
}

static int copy_text(struct rk_slice from, char *to, size_t cap)
{
	return rk_slice_cstr(from, to, cap) ? 0 : RK_E_PROTOCOL;
}

static int take_proxies(struct rk_slice list, struct rk_cidrs *out)
{
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		if (out->count == RK_CIDRS_MAX || rk_cidr_parse(item, &out->at[out->count]))
			return RK_E_PROTOCOL;
		out->count++;
	}
	return 0;
}

static int take_setup(struct role_env *env, const struct msg_setup *m)
{
	if (m->role != env->role || m->instance != env->instance ||
	    m->log_level > LOG_LEVEL_ERROR)
		return RK_E_PROTOCOL;
	if (copy_text(m->state_dir, env->state_dir, sizeof env->state_dir) ||
	    copy_text(m->token_module, env->token_module, sizeof env->token_module) ||
	    copy_text(m->token_init_args, env->token_init_args, sizeof env->token_init_args) ||
	    copy_text(m->token, env->token, sizeof env->token) ||
	    copy_text(m->token_pin_file, env->token_pin_file, sizeof env->token_pin_file) ||
	    take_proxies(m->trusted_proxies, &env->trusted_proxies) ||
	    egress_parse(m->egress, &env->egress, NULL))
		return RK_E_PROTOCOL;
	env->relays = m->relays;
	env->owner_uid = m->owner_uid;
	env->drop_uid = m->drop_uid;
	env->drop_gid = m->drop_gid;
	env->journal_normal = m->journal_normal != 0;
	env->secret_locked = m->secret_locked != 0;
	env->log_level = m->log_level;
	env->proxy_protocol = m->proxy_protocol != 0;
	env->max_connections = m->max_connections;
	env->max_connections_per_client = m->max_connections_per_client;
	rk_buf_init(&env->token_env, MSG_MAX_LIST);
	return rk_buf_add_slice(&env->token_env, m->token_env);
}

/* SETUP holds no secret, and says what kind of memory those that follow go into. */
static int receive_setup(struct role_env *env)
{
	unsigned char *buf = malloc(IPC_MAX_DATAGRAM);
	struct ipc_message m;
	struct rk_slice datagram;
	ssize_t n;
	int fd = -1, err;

	if (!buf)
		return RK_E_NOMEM;
	n = ipc_recv(ROLE_CHANNEL_FD, buf, IPC_MAX_DATAGRAM, &fd);
	if (n < 0) {
		free(buf);
		return (int)n;
	}
	datagram = rk_slice(buf, (size_t)n);
	err = ipc_frame_next(&datagram, IPC_SUPERVISOR, env->role, IPC_PHASE_SETUP, &m);
	if (err > 0 && m.type == MSG_SETUP && datagram.n == 0 && fd < 0)
		err = take_setup(env, &m.body.setup);
	else
		err = RK_E_PROTOCOL;
	if (fd >= 0)
		close(fd);
	free(buf);
	return err;
}

static int take_peer(struct role_env *env, const struct msg_peer *m, int fd)
{
	if (env->peer_count == ROLE_MAX_PEERS)
		return RK_E_PROTOCOL;
	env->peers[env->peer_count++] = (struct role_peer){
	    .role = (enum ipc_role)m->role, .instance = m->instance, .fd = fd};
	return 0;
}

static int take_secret(struct rk_secret *to, struct rk_slice from)
{
	int err = 0;

	rk_secret_free(to);
	if (from.n)
		err = rk_secret_alloc(to, from.n);
	return err ? err : rk_secret_add(to, from.p, from.n);
}

static int take_tls(struct role_env *env, const struct msg_tls *m)
{
	int err = take_secret(&env->tls_certificate, m->certificate);

	return err ? err : take_secret(&env->tls_key, m->key);
}

/* 1: that was START. A descriptor is taken or left in m->fd. */
static int take_message(struct role_env *env, struct ipc_message *m)
{
	int err;

	switch (m->type) {
	case MSG_LISTENER:
		if (env->listener >= 0)
			return RK_E_PROTOCOL;
		env->listener = m->fd;
		m->fd = -1;
		return 0;
	case MSG_PEER:
		err = take_peer(env, &m->body.peer, m->fd);
		if (!err)
			m->fd = -1;
		return err;
	case MSG_TLS:
		return take_tls(env, &m->body.tls);
	case MSG_TRUST:
		return rk_buf_add_slice(&env->trust, m->body.trust.pem);
	case MSG_START:
		return 1;
	case MSG_STOP: /* before there was anything to stop */
		return RK_E_CLOSED;
	default:
		return RK_E_PROTOCOL;
	}
}

static int take_datagram(struct role_env *env, struct rk_slice datagram, int fd)
{
	struct ipc_message m;
	int got, rc = 0;

	while (rc == 0) {
		got = ipc_frame_next(&datagram, IPC_SUPERVISOR, env->role, IPC_PHASE_SETUP, &m);
		if (got <= 0) {
			rc = got;
			break;
		}
		if (ipc_row(m.type)->fd != (fd >= 0)) {
			rc = RK_E_PROTOCOL;
			break;
		}
		m.fd = fd;
		rc = take_message(env, &m);
		fd = m.fd;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int receive_rest(struct role_env *env)
{
	RK_SECRET_AUTO rx = {0};
	int rc = rk_secret_alloc(&rx, IPC_MAX_DATAGRAM);

	while (rc == 0) {
		int fd = -1;
		ssize_t n = ipc_recv(ROLE_CHANNEL_FD, rx.p, rx.cap, &fd);

		if (n < 0)
			return (int)n;
		rx.len = (size_t)n;
		rc = take_datagram(env, rk_secret_slice(&rx), fd);
		rk_secret_wipe(&rx);
	}
	return rc < 0 ? rc : 0;
}

int role_env_receive(struct role_env *env, enum ipc_role role, uint32_t instance,
                     size_t arena_bytes, struct rk_fault *fault)
{
	char name[32];
	int err;

	*env = (struct role_env){.role = role, .instance = instance, .listener = -1};
	rk_buf_init(&env->trust, ROLE_MAX_TRUST);
	if (!role_env_has_channel())
		return rk_fail(fault, RK_E_STATE,
		               "descriptor %d is not a supervisor's channel: roles are started "
		               "by relaykeyd itself",
		               ROLE_CHANNEL_FD);
	err = receive_setup(env);
	if (err)
		return rk_fail(fault, err, "no valid set-up from the supervisor: %s",
		               rk_strerror(err));
	snprintf(name, sizeof name, "%s.%u", ipc_role_name(role), instance);
	log_init(name, (enum log_level)env->log_level);
	err = secret_arena_init(
	    arena_bytes, env->secret_locked ? SECRET_BACKING_LOCKED : SECRET_BACKING_BEST,
	    fault);
	if (err)
		return err;
	err = receive_rest(env);
	if (err)
		return rk_fail(fault, err, "the supervisor's material did not arrive: %s",
		               rk_strerror(err));
	return 0;
}

/* ---- privileges ---- */

/* Needs CAP_SETPCAP, so it comes while a root process is still root; for others nothing
 * changes. */
static int empty_bounding_set(struct rk_fault *fault)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return rk_fail_errno(fault, RK_E_DENIED, "cannot bound capabilities");
	}
	return 0;
}

/* Also for a user who is not root but was started with capabilities. */
static int drop_capabilities(struct rk_fault *fault)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return rk_fail_errno(fault, RK_E_DENIED, "cannot clear ambient capabilities");
	if (syscall(SYS_capset, &head, none))
		return rk_fail_errno(fault, RK_E_DENIED, "cannot drop capabilities");
	return 0;
}

/* For good: real, effective and saved. */
static int become(uint32_t uid, uint32_t gid, struct rk_fault *fault)
{
	uid_t r, e, s;

	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return rk_fail_errno(fault, RK_E_DENIED, "cannot become user %u group %u", uid,
		                     gid);
	if (getresuid(&r, &e, &s) || r != uid || e != uid || s != uid ||
	    (uid != 0 && setuid(0) == 0))
		return rk_fail(fault, RK_E_DENIED, "user %u was not dropped for good", uid);
	return 0;
}

/* Whose process this shall be. Only asked when started as root. */
static int target_user(const struct role_env *env, uint32_t *uid, uint32_t *gid,
                       struct rk_fault *fault)
{
	struct stat st;

	if (env->role != IPC_KEEPER) {
		if (env->drop_uid == NO_ID || env->drop_uid == 0)
			return rk_fail(fault, RK_E_DENIED,
			               "started as root, but there is no user to become");
		*uid = env->drop_uid;
		*gid = env->drop_gid;
		return 0;
	}
	if (stat(env->state_dir, &st))
		return rk_fail_errno(fault, RK_E_IO, "cannot stat %s", env->state_dir);
	if (st.st_uid != env->owner_uid)
		return rk_fail(fault, RK_E_DENIED, "%s changed its owner during the start",
		               env->state_dir);
	*uid = st.st_uid;
	*gid = st.st_gid;
	return 0;
}

int role_env_confine(const struct role_env *env, struct rk_fault *fault)
{
	uint32_t uid = 0, gid = 0;
	int err;

	err = empty_bounding_set(fault);
	if (!err && geteuid() == 0) {
		err = target_user(env, &uid, &gid, fault);
		if (!err)
			err = become(uid, gid, fault);
	}
	if (!err)
		err = drop_capabilities(fault);
	if (err)
		return err;
	/* a change of user resets the first two */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return rk_fail_errno(fault, RK_E_DENIED, "cannot confine the process");
	return 0;
}

/* ---- reports ---- */

int role_env_ready(const struct role_env *env)
{
	struct msg_empty m = {0};

	(void)env;
	return ipc_send_blocking(ROLE_CHANNEL_FD, MSG_READY, 0, &m, -1);
}

void role_env_failed(const struct role_env *env, const char *text)
{
	/* not through the secret arena: that it could not be made may be the reason */
	unsigned char frame[IPC_FRAME_HEADER + sizeof(uint32_t) + MSG_MAX_TEXT];
	struct msg_text m = {.text = rk_str(text)};
	size_t n = 0;

	(void)env;
	if (m.text.n > MSG_MAX_TEXT)
		m.text.n = MSG_MAX_TEXT;
	if (ipc_frame_add(frame, sizeof frame, &n, MSG_FAILED, 0, &m) ||
	    send(ROLE_CHANNEL_FD, frame, n, MSG_NOSIGNAL) < 0)
		log_event(LOG_LEVEL_ERROR, "role-failed", "reason", "%s", text);
}

void role_env_free(struct role_env *env)
{
	if (!env)
		return;
	for (unsigned i = 0; i < env->peer_count; i++) {
		if (env->peers[i].fd >= 0)
			close(env->peers[i].fd);
	}
	if (env->listener >= 0)
		close(env->listener);
	rk_secret_free(&env->tls_certificate);
	rk_secret_free(&env->tls_key);
	rk_buf_free(&env->token_env);
	rk_buf_free(&env->trust);
	*env = (struct role_env){.listener = -1};
}
