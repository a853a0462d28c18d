/*
 * The cage of a role: seccomp-bpf allow-list, Landlock rules, resource limits. Entered once,
 * after everything was opened, before the first byte from outside is read. The lists stand
 * beside each role; this file knows only how.
 *
 * A system call outside the list kills the process (SECCOMP_RET_KILL_PROCESS); the supervisor
 * logs it and starts the role anew. A kernel without Landlock gives a warning in the log, never
 * a silent gap.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>

enum sandbox_access {
	SANDBOX_READ = 1,  /* read files and directories below */
	SANDBOX_WRITE = 2, /* create, write, rename, remove below */
};

struct sandbox_path {
	const char *path; /* a path that does not exist is skipped */
	unsigned access;
};

struct sandbox {
	const char *name;    /* of the role, for messages */
	const int *syscalls; /* system call numbers, ended by -1; a small common set (memory,
	                        futex, exit, clock ...) is added */
	const struct sandbox_path
	    *paths;               /* ended by a NULL path; NULL: no file system at all */
	unsigned max_descriptors; /* RLIMIT_NOFILE */
	bool connect; /* may open IPv4 / IPv6 stream and datagram sockets (socket(2) is filtered
	                 by family) */
	bool threads; /* may create threads */
};

RK_MUST_CHECK int sandbox_enter(const struct sandbox *s, struct rk_fault *fault);

/* What this kernel gives: "seccomp landlock:5" and the like, for the log and status. */
const char *sandbox_description(void);

#endif
