/*
 * A role for the supervisor's tests. The supervisor re-executes its own program, which here is
 * the test: main() hands "--role" to fake_role_main(). What the role hears it appends to
 * STATE-DIR/events, one line each; what it shall do wrong is told by files in that directory:
 *
 *   fail-NAME    report FAILED instead of READY
 *   sigsys-NAME  die like a process that broke its sandbox, before READY
 *   deaf-NAME    take no notice of STOP
 */
#ifndef TESTS_LIB_FAKE_ROLE_H
#define TESTS_LIB_FAKE_ROLE_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/peer.h"
#include "ipc/role_channel.h"

struct fake_role {
	struct role_env env;
	struct loop *loop;
	struct role_channel *channel;
	char name[32];
};

static inline void fake_path(const struct fake_role *r, const char *what, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%s%s", r->env.state_dir, what, what[0] == 'e' ? "" : r->name);
}

static inline bool fake_told_to(const struct fake_role *r, const char *what)
{
	char path[1200];

	fake_path(r, what, path, sizeof path);
	return access(path, F_OK) == 0;
}

static inline void fake_event(const struct fake_role *r, const char *what, long number)
{
	char path[1200], line[128];
	int fd, n;

	fake_path(r, "events", path, sizeof path);
	n = snprintf(line, sizeof line, "%s %s %ld\n", what, r->name, number);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_exit(70);
	close(fd);
}

static inline void fake_stop(uint32_t grace_ms, void *arg)
{
	struct fake_role *r = arg;

	(void)grace_ms;
	fake_event(r, "stop", getpid());
	if (!fake_told_to(r, "deaf-"))
		loop_stop(r->loop);
}

static inline void fake_peer(const struct role_peer *peer, void *arg)
{
	fake_event(arg, ipc_role_name(peer->role), peer->instance);
	close(peer->fd);
}

static inline void fake_tls(struct rk_slice certificate, struct rk_slice key, void *arg)
{
	(void)key;
	fake_event(arg, "tls", (long)certificate.n);
}

static inline void fake_trust(struct rk_slice pem, void *arg)
{
	fake_event(arg, "trust", (long)pem.n);
}

static inline int fake_role_main(const char *role, const char *instance)
{
	static const struct role_channel_ops ops = {fake_stop, fake_peer, fake_tls, fake_trust};
	struct fake_role r = {0};
	struct rk_fault fault = {{0}};
	enum ipc_role self = IPC_KEEPER;

	while (self < IPC_ROLES && strcmp(ipc_role_name(self), role) != 0)
		self++;
	if (role_env_receive(&r.env, self, (uint32_t)atoi(instance), 512 << 10, &fault)) {
		role_env_failed(&r.env, fault.text);
		return 71;
	}
	snprintf(r.name, sizeof r.name, "%s.%s", role, instance);
	if (fake_told_to(&r, "fail-")) {
		role_env_failed(&r.env, "told to fail");
		return 72;
	}
	if (fake_told_to(&r, "sigsys-"))
		raise(SIGSYS);
	if (loop_new(&r.loop) || role_channel_open(r.loop, &r.env, &ops, &r, &r.channel))
		return 73;
	for (unsigned i = 0; i < r.env.peer_count; i++)
		fake_event(&r, ipc_role_name(r.env.peers[i].role), r.env.peers[i].instance);
	fake_event(&r, "up", getpid());
	if (role_env_ready(&r.env))
		return 74;
	loop_run(r.loop);
	role_channel_free(r.channel);
	loop_free(r.loop);
	role_env_free(&r.env);
	return 0;
}

#endif
