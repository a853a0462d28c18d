#include "supervisor/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/slice.h"

enum { REPORT_MAX = 2048 };

static int open_log(const char *path, int *out, struct rk_fault *fault)
{
	RK_FD_AUTO fd = -1;
	char dir[4096];
	const char *slash = strrchr(path, '/');
	struct stat st;

	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	fd =
	    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot open the log %s", path);
	if (geteuid() == 0 && (stat(dir, &st) || fchown(fd, st.st_uid, st.st_gid)))
		return rk_fail_errno(fault, RK_E_IO, "cannot give the log %s to its owner",
		                     path);
	*out = fd;
	fd = -1;
	return 0;
}

/* The old process: first byte of the report says which stream and status it is. */
static _Noreturn void wait_for_report(int fd)
{
	char text[REPORT_MAX];
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, text + n, sizeof text - 1 - n);
		if (got > 0)
			n += (size_t)got;
	} while ((got > 0 && n < sizeof text - 1) || (got < 0 && errno == EINTR));
	text[n] = '\0';
	if (n && text[0] == '+') {
		puts(text + 1);
		exit(fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	fprintf(stderr, "relaykeyd: %s\n",
	        n ? text + 1 : "it ended during its start; its log says more");
	exit(EXIT_FAILURE);
}

static int detach(int log)
{
	RK_FD_AUTO null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || setsid() < 0 || chdir("/") || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return -1;
	return 0;
}

int daemon_start(const char *log_path, int *report, struct rk_fault *fault)
{
	RK_FD_AUTO log = -1;
	int ends[2];
	int err = open_log(log_path, &log, fault);
	pid_t pid;

	if (err)
		return err;
	if (pipe2(ends, O_CLOEXEC))
		return rk_fail_errno(fault, RK_E_IO, "cannot make a pipe");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return rk_fail_errno(fault, RK_E_IO, "cannot start a process");
	}
	if (pid > 0) {
		close(ends[1]);
		wait_for_report(ends[0]);
	}
	close(ends[0]);
	if (detach(log)) {
		daemon_report(&ends[1], false, "cannot go into the background");
		_exit(EXIT_FAILURE);
	}
	*report = ends[1];
	return 0;
}

void daemon_report(int *report, bool success, const char *text)
{
	if (*report < 0)
		return;
	dprintf(*report, "%c%s", success ? '+' : '-', text);
	file_close(report);
}
