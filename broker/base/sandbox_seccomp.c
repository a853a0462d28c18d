/*
 * The system call filter: an allow-list, and for the few calls that are useful and dangerous at
 * once a rule on their arguments. A role cannot list those by number, it gets them through the
 * flags of struct sandbox.
 */
#include "base/sandbox_parts.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SYS(name)    SCMP_SYS(name)
#define LIST_END     (-1)
#define REFUSE(code) SCMP_ACT_ERRNO(code)

/* Memory, time, threads' locks, the event loop and descriptors that are open already. */
static const int common[] = {
    SYS(brk),
    SYS(munmap),
    SYS(mremap),
    SYS(madvise),
    SYS(mlock),
    SYS(munlock),
    SYS(futex),
    SYS(set_robust_list),
    SYS(rseq),
    SYS(sched_yield),
    SYS(sched_getaffinity),
    SYS(membarrier),
    SYS(exit),
    SYS(exit_group),
    SYS(restart_syscall),
    SYS(rt_sigaction),
    SYS(rt_sigprocmask),
    SYS(rt_sigreturn),
    SYS(sigaltstack),
    SYS(clock_gettime),
    SYS(clock_getres),
    SYS(clock_nanosleep),
    SYS(nanosleep),
    SYS(gettimeofday),
    SYS(time),
    SYS(getrandom),
    SYS(getpid),
    SYS(getppid),
    SYS(gettid),
    SYS(getuid),
    SYS(geteuid),
    SYS(getgid),
    SYS(getegid),
    SYS(getrusage),
    SYS(times),
    SYS(uname),
    SYS(sysinfo),
    SYS(read),
    SYS(readv),
    SYS(write),
    SYS(writev),
    SYS(close),
    SYS(dup),
    SYS(fcntl),
    SYS(fstat),
    SYS(lseek),
    SYS(poll),
    SYS(ppoll),
    SYS(select),
    SYS(pselect6),
    SYS(epoll_create1),
    SYS(epoll_ctl),
    SYS(epoll_wait),
    SYS(epoll_pwait),
    SYS(epoll_pwait2),
    SYS(eventfd2),
    SYS(timerfd_create),
    SYS(timerfd_settime),
    SYS(pipe2),
    SYS(sendto),
    SYS(sendmsg),
    SYS(sendmmsg),
    SYS(recvfrom),
    SYS(recvmsg),
    SYS(recvmmsg),
    SYS(shutdown),
    SYS(getsockopt),
    SYS(setsockopt),
    SYS(getsockname),
    SYS(getpeername),
    LIST_END,
};

/* Which files is Landlock's and the user's business. */
static const int on_files[] = {
    SYS(open),       SYS(openat),    SYS(stat),       SYS(lstat),      SYS(newfstatat),
    SYS(statx),      SYS(access),    SYS(faccessat),  SYS(faccessat2), SYS(readlink),
    SYS(readlinkat), SYS(getcwd),    SYS(getdents64), SYS(pread64),    SYS(pwrite64),
    SYS(preadv),     SYS(pwritev),   SYS(fsync),      SYS(fdatasync),  SYS(sync_file_range),
    SYS(ftruncate),  SYS(fallocate), SYS(fadvise64),  SYS(flock),      SYS(fchmod),
    SYS(fchown),     SYS(umask),     SYS(mkdir),      SYS(mkdirat),    SYS(rmdir),
    SYS(unlink),     SYS(unlinkat),  SYS(rename),     SYS(renameat),   SYS(renameat2),
    SYS(link),       SYS(linkat),    SYS(utimensat),  SYS(statfs),     SYS(fstatfs),
    SYS(msync),      LIST_END,
};

/* Libraries look for optional files: they are told no, and live with it. */
static const int on_files_refused[] = {
    SYS(open),       SYS(openat), SYS(stat),      SYS(lstat),      SYS(newfstatat),
    SYS(statx),      SYS(access), SYS(faccessat), SYS(faccessat2), SYS(readlink),
    SYS(readlinkat), SYS(statfs), LIST_END,
};

static const int on_connecting[] = {SYS(connect), SYS(bind), LIST_END};

/* Decided by their arguments below, or never given. */
static const int by_flag_only[] = {
    SYS(mmap),
    SYS(ioctl),
    SYS(mprotect),
    SYS(pkey_mprotect),
    SYS(prctl),
    SYS(clone),
    SYS(clone3),
    SYS(fork),
    SYS(vfork),
    SYS(execve),
    SYS(execveat),
    SYS(ptrace),
    SYS(socket),
    SYS(tgkill),
    SYS(kill),
    SYS(process_vm_readv),
    SYS(process_vm_writev),
    SYS(memfd_create),
    SYS(bpf),
    SYS(seccomp),
    LIST_END,
};

bool sandbox_seccomp_active(void)
{
	return !SANITIZED;
}

static bool listed(const int *list, int nr)
{
	for (; *list != LIST_END; list++) {
		if (*list == nr)
			return true;
	}
	return false;
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned n,
                    const struct scmp_arg_cmp *args)
{
	int rc;

	/* libseccomp gives calls that this architecture does not have negative numbers */
	if (nr < 0)
		return 0;
	rc = seccomp_rule_add_array(ctx, action, nr, n, args);
	return rc == -EEXIST ? 0 : rc;
}

static int add_list(scmp_filter_ctx ctx, uint32_t action, const int *list)
{
	int rc = 0;

	for (; rc == 0 && *list != LIST_END; list++)
		rc = add_rule(ctx, action, *list, 0, NULL);
	return rc;
}

/* No page ever becomes executable: code is what was loaded before the cage. */
static int add_memory(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp plain = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC);
	int rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(mmap), 1, &plain);

	if (!rc)
		rc = add_rule(ctx, REFUSE(EACCES), SYS(mmap), 1, &exec);
	if (!rc)
		rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(mprotect), 1, &plain);
	if (!rc)
		rc = add_rule(ctx, REFUSE(EACCES), SYS(mprotect), 1, &exec);
	return rc;
}

/* What libevent and libc ask of a socket; no other device request. */
static int add_ioctl(scmp_filter_ctx ctx)
{
	static const scmp_datum_t requests[] = {FIONREAD, FIONBIO};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		const struct scmp_arg_cmp what = SCMP_A1(SCMP_CMP_EQ, requests[i]);

		rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(ioctl), 1, &what);
	}
	return rc;
}

/* abort() and raise() signal the process itself; nobody else is signalled. */
static int add_own_process(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(tgkill), 1, &self);

	for (int i = 0; rc == 0 && i < 2; i++) {
		const struct scmp_arg_cmp what =
		    SCMP_A0(SCMP_CMP_EQ, i ? PR_SET_NAME : PR_GET_NAME);

		rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(prctl), 1, &what);
	}
	return rc;
}

/*
 * A thread shares everything with its process, a new process does not. The flags of clone3
 * stand in memory, where a filter cannot see them: glibc uses clone when it is told that there
 * is none.
 */
static int add_threads(scmp_filter_ctx ctx)
{
	const scmp_datum_t flags = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
	const struct scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, flags, flags);
	int rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(clone), 1, &thread);

	return rc ? rc : add_rule(ctx, REFUSE(ENOSYS), SYS(clone3), 0, NULL);
}

static int add_connect(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	const scmp_datum_t type_bits = 0xf; /* the rest are SOCK_CLOEXEC and SOCK_NONBLOCK */
	int rc = add_list(ctx, SCMP_ACT_ALLOW, on_connecting);

	for (unsigned i = 0; rc == 0 && i < 4; i++) {
		const struct scmp_arg_cmp args[] = {
		    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i / 2]),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, type_bits, (scmp_datum_t)types[i % 2]),
		};

		rc = add_rule(ctx, SCMP_ACT_ALLOW, SYS(socket), 2, args);
	}
	/* resolvers try the name service's local socket and netlink: told no, they go on */
	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		const struct scmp_arg_cmp family =
		    SCMP_A0(SCMP_CMP_EQ, i ? AF_NETLINK : AF_UNIX);

		rc = add_rule(ctx, REFUSE(EAFNOSUPPORT), SYS(socket), 1, &family);
	}
	return rc;
}

static int add_all(scmp_filter_ctx ctx, const struct sandbox *s)
{
	int rc = add_list(ctx, SCMP_ACT_ALLOW, common);

	if (!rc)
		rc = add_list(ctx, SCMP_ACT_ALLOW, s->syscalls);
	if (!rc)
		rc = add_memory(ctx);
	if (!rc)
		rc = add_ioctl(ctx);
	if (!rc)
		rc = add_own_process(ctx);
	if (!rc && s->paths)
		rc = add_list(ctx, SCMP_ACT_ALLOW, on_files);
	if (!rc && !s->paths)
		rc = add_list(ctx, REFUSE(EACCES), on_files_refused);
	if (!rc && s->connect)
		rc = add_connect(ctx);
	/* a token module may report through syslog(3), which lives without its socket */
	if (!rc && !s->connect && s->paths)
		rc = add_rule(ctx, REFUSE(EACCES), SYS(socket), 0, NULL);
	if (!rc && s->threads)
		rc = add_threads(ctx);
	return rc;
}

static int set_attributes(scmp_filter_ctx ctx)
{
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!rc) /* the kernel's audit log then says which call it was */
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (!rc) /* a binary tree: the list is long and every call goes through it */
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return rc;
}

static int check_list(const struct sandbox *s, struct rk_fault *fault)
{
	for (const int *nr = s->syscalls; *nr != LIST_END; nr++) {
		if (listed(by_flag_only, *nr))
			return rk_fail(fault, RK_E_INVALID,
			               "%s: system call %d is given by a flag or not at all",
			               s->name, *nr);
	}
	return 0;
}

int sandbox_seccomp_enter(const struct sandbox *s, struct rk_fault *fault)
{
	scmp_filter_ctx ctx;
	int rc = check_list(s, fault);

	if (rc || SANITIZED)
		return rc;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return rk_fail(fault, RK_E_NOMEM, "%s: no memory for the filter", s->name);
	rc = set_attributes(ctx);
	if (!rc)
		rc = add_all(ctx, s);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc)
		return rk_fail(fault, RK_E_IO, "%s: cannot load the system call filter: %s",
		               s->name, strerror(-rc));
	return 0;
}
