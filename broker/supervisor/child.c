#include "supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/role_env.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { EXEC_FAILED = 127 };

void child_name(const struct child *c, char out[CHILD_NAME_MAX])
{
	snprintf(out, CHILD_NAME_MAX, "%s.%u", ipc_role_name(c->role), c->instance);
}

/* What of the caller's environment roles may see: nothing that could hold a secret. */
static char **role_environment(void)
{
	static const char *const names[] = {
	    "LANG",         "TZ",           "LD_LIBRARY_PATH", "LD_PRELOAD",
	    "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS",
	};
	static char *env[sizeof names / sizeof names[0] + 1];
	size_t n = 0;

	for (char **e = environ; *e; e++) {
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			size_t len = strlen(names[i]);

			if (strncmp(*e, names[i], len) == 0 && (*e)[len] == '=' &&
			    n < sizeof names / sizeof names[0])
				env[n++] = *e;
		}
	}
	env[n] = NULL;
	return env;
}

/*
 * In the child, all signals blocked. Only the supervisor's STOP ends a role: the signals that a
 * terminal or a service manager sends to the whole group are ignored.
 */
static void prepare_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_on_exec_from(unsigned first)
{
	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (long fd = first; fd < sysconf(_SC_OPEN_MAX); fd++)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

/* dup2() onto itself would leave close-on-exec set. */
static int make_channel(int sock)
{
	if (sock == ROLE_CHANNEL_FD)
		return fcntl(sock, F_SETFD, 0);
	return dup2(sock, ROLE_CHANNEL_FD);
}

/* What a role has to say goes to standard error; the other streams are somebody else's. */
static int close_streams(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ? -1 : 0;
}

static _Noreturn void become_role(enum ipc_role role, uint32_t instance, int sock, pid_t parent)
{
	char title[64], number[16], option_role[] = "--role", option_instance[] = "--instance";
	char name[16];
	char *argv[] = {title, option_role, name, option_instance, number, NULL};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent)
		_exit(EXEC_FAILED);
	if (make_channel(sock) < 0 || close_streams())
		_exit(EXEC_FAILED);
	close_on_exec_from(ROLE_CHANNEL_FD + 1);
	snprintf(name, sizeof name, "%s", ipc_role_name(role));
	snprintf(number, sizeof number, "%u", instance);
	if (role == IPC_RELAY)
		snprintf(title, sizeof title, "relaykeyd: %s %u", name, instance);
	else
		snprintf(title, sizeof title, "relaykeyd: %s", name);
	prepare_signals();
	execve("/proc/self/exe", argv, role_environment());
	_exit(EXEC_FAILED);
}

int child_exec(enum ipc_role role, uint32_t instance, int sock, pid_t *out,
               struct rk_fault *fault)
{
	sigset_t all, before;
	pid_t parent = getpid(), pid;

	/* a signal between fork and exec would run the supervisor's handler in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become_role(role, instance, sock, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot start a process");
	*out = pid;
	return 0;
}

void child_death(int status, char out[CHILD_DEATH_MAX])
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(
		    out, CHILD_DEATH_MAX,
		    "killed by SIGSYS: it made a system call that its sandbox forbids (the "
		    "kernel's audit log has its number)");
	else if (WIFSIGNALED(status))
		snprintf(out, CHILD_DEATH_MAX, "killed by SIG%s",
		         sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
		snprintf(out, CHILD_DEATH_MAX, "the program could not be executed again");
	else
		snprintf(out, CHILD_DEATH_MAX, "exit status %d", WEXITSTATUS(status));
}
