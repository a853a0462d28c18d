/*
 * Processes: started, heard, missed. A role is dead when its process was reaped and its channel
 * has ended; only then everything it said was read.
 */
#include "supervisor/supervisor_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { END_WITHIN_S = 2 };

bool child_alive(const struct child *c)
{
	return c->state == CHILD_STARTING || c->state == CHILD_UP;
}

void child_kill(struct child *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CHILD_ENDING)
		child_kill(c);
	else if (c->state == CHILD_DOWN && c->sv->phase != PHASE_STOPPING)
		child_start(c);
}

static int add_child(struct supervisor *sv, enum ipc_role role, uint32_t instance)
{
	struct child *c = &sv->children[sv->child_count++];

	*c = (struct child){.sv = sv, .role = role, .instance = instance};
	c->timer = evtimer_new(loop_base(sv->loop), on_timer, c);
	return c->timer ? 0 : RK_E_NOMEM;
}

int children_make(struct supervisor *sv)
{
	int err = add_child(sv, IPC_KEEPER, 0);

	for (unsigned i = 0; i < sv->config.relays && !err; i++)
		err = add_child(sv, IPC_RELAY, i);
	if (!err)
		err = add_child(sv, IPC_CONSOLE, 0);
	return err ? err : add_child(sv, IPC_COURIER, 0);
}

void children_free(struct supervisor *sv)
{
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];

		if (c->pid) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
		}
		ipc_peer_free(c->peer);
		if (c->timer)
			event_free(c->timer);
	}
	sv->child_count = 0;
}

static void dead_when_complete(struct child *c)
{
	/* without its channel a role must end by itself; when the broker stops, stop_timer
	 * waits */
	const struct timeval limit = {.tv_sec = END_WITHIN_S};

	if (c->pid || c->peer) {
		c->state = CHILD_ENDING;
		if (c->pid && c->sv->phase != PHASE_STOPPING)
			event_add(c->timer, &limit);
		return;
	}
	c->state = CHILD_DOWN;
	c->trust_due = false;
	supervisor_child_died(c);
}

static void on_message(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct child *c = arg;

	(void)p;
	if (m->type == MSG_FAILED) {
		snprintf(c->reason, sizeof c->reason, "%.*s", RK_FMT(m->body.text.text));
		return;
	}
	if (m->type == MSG_READY && c->state == CHILD_STARTING) {
		c->state = CHILD_UP;
		supervisor_child_ready(c);
	}
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	struct child *c = arg;

	ipc_peer_free(p);
	c->peer = NULL;
	if (err == RK_E_PROTOCOL && !c->reason[0])
		snprintf(c->reason, sizeof c->reason, "it broke the message protocol");
	dead_when_complete(c);
}

static void on_drained(struct ipc_peer *p, void *arg)
{
	(void)p;
	reload_drained(arg);
}

static const struct ipc_peer_ops peer_ops = {
    .message = on_message, .closed = on_closed, .drained = on_drained};

static int start(struct child *c, struct rk_fault *fault)
{
	struct supervisor *sv = c->sv;
	RK_FD_AUTO ours = -1;
	RK_FD_AUTO theirs = -1;
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return rk_fail_errno(fault, RK_E_IO, "cannot make a channel");
	ours = pair[0];
	theirs = pair[1];
	err = child_exec(c->role, c->instance, theirs, &c->pid, fault);
	if (err)
		return err;
	file_close(&theirs);
	c->state = CHILD_STARTING;
	c->reason[0] = '\0';
	c->identity_due = false;
	c->trust_due = false;
	restart_started(&c->restart, rk_mono_us() / 1000);
	/* a role that died meanwhile is noticed as any other death */
	if (setup_send(sv, c, ours, fault)) {
		snprintf(c->reason, sizeof c->reason, "%.*s", MSG_MAX_TEXT, fault->text);
		child_kill(c);
	}
	err = ipc_peer_new(sv->loop, ours, IPC_SUPERVISOR, c->role, &peer_ops, c, &c->peer);
	ours = -1; /* taken, also on failure */
	if (err) {
		child_kill(c);
		return rk_fail(fault, err, "cannot watch its channel: %s", rk_strerror(err));
	}
	return 0;
}

void child_start(struct child *c)
{
	struct rk_fault fault = {{0}};

	if (start(c, &fault) == 0)
		return;
	snprintf(c->reason, sizeof c->reason, "%.*s", MSG_MAX_TEXT, fault.text);
	if (c->pid) /* SIGCHLD follows */
		c->state = CHILD_ENDING;
	else
		dead_when_complete(c);
}

void children_reap(struct supervisor *sv)
{
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];
		pid_t got;

		if (!c->pid)
			continue;
		do {
			got = waitpid(c->pid, &c->status, WNOHANG);
		} while (got < 0 && errno == EINTR);
		if (got != c->pid)
			continue;
		c->pid = 0;
		dead_when_complete(c);
	}
}
