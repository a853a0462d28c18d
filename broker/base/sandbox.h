/*
 * The cage of a role: seccomp-bpf allow-list, Landlock rules, resource limits. Entered once,
 * after everything was opened, before the first byte from outside is read. The lists stand
 * beside each role; this file knows only how.
 *
 * A system call outside the list kills the process (SECCOMP_RET_KILL_PROCESS); the supervisor
 * logs it and starts the role anew. Memory that is to be executable is refused (EACCES), so
 * nothing can be dlopen()ed after this: modules and resolvers are loaded before. A kernel
 * without Landlock gives a warning in the log, never a silent gap; an AddressSanitizer build
 * goes without seccomp and says so.
 *
 * seccomp covers threads that exist already, Landlock does not: start threads afterwards where
 * that is possible.
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
	const char *name; /* of the role, for messages */
	/*
	 * System call numbers (SYS_accept4 ...), ended by -1. Added to them: a common set
	 * (memory, clocks, futex, exit, epoll, read and write, send and receive on sockets that
	 * are open), with `paths` the calls on files, with `connect` socket and connect, with
	 * `threads` clone for threads. Refused in the list: those whose arguments are filtered
	 * (mmap, mprotect, prctl, ioctl, clone, socket) and those nobody gets (execve, ptrace
	 * ...).
	 */
	const int *syscalls;
	/* Ended by a NULL path; NULL: no file system at all (open gives EACCES). */
	const struct sandbox_path *paths;
	unsigned max_descriptors; /* RLIMIT_NOFILE */
	bool connect; /* may open IPv4 / IPv6 stream and datagram sockets (socket(2) is filtered
	                 by family) */
	bool threads; /* may create threads */
};

RK_MUST_CHECK int sandbox_enter(const struct sandbox *s, struct rk_fault *fault);

/* What this kernel gives: "seccomp landlock:5" and the like, for the log and status. */
const char *sandbox_description(void);

#endif
