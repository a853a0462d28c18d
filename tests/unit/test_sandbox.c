/*
 * The cage of a role. It can only be entered, so each test is a child process that enters and
 * then tries something; each refusal has a twin that is allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/sandbox_parts.h"
#include "base/secret.h"

enum { DONE = 0, NOT_ENTERED = 90, CRASHED = 91 };

static const int no_calls[] = {-1};

static char inside[64], outside[64]; /* directories, made once */

static const struct sandbox_path *paths_of_test(unsigned access)
{
	static struct sandbox_path paths[3];

	paths[0] = (struct sandbox_path){inside, access};
	paths[1] = (struct sandbox_path){"/nonexistent/relaykey", SANDBOX_READ};
	paths[2] = (struct sandbox_path){0};
	return paths;
}

/* What the child did: its exit code, or minus the signal that ended it. */
static int caged(const struct sandbox *s, int (*attempt)(void))
{
	struct sandbox cage = *s;
	int status = -1;
	pid_t pid;

	if (!cage.syscalls)
		cage.syscalls = no_calls;
	if (!cage.max_descriptors)
		cage.max_descriptors = 64;
	cage.name = "test";
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rk_fault fault = {{0}};

		if (!freopen("/dev/null", "w", stderr))
			_exit(CRASHED);
		if (sandbox_enter(&cage, &fault)) {
			printf("sandbox_enter: %s\n", fault.text);
			fflush(stdout);
			_exit(NOT_ENTERED);
		}
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The exit code of an attempt: 0, or the errno it met. */
static int outcome(long rc)
{
	return rc < 0 ? errno : DONE;
}

static void need_seccomp(void)
{
	if (!sandbox_seccomp_active())
		skip();
}

static void need_landlock(int abi)
{
	if (sandbox_landlock_abi() < abi)
		skip();
}

/* ---- files ---- */

static int open_in(const char *dir, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return outcome(open(path, flags, 0600));
}

static int read_inside(void)
{
	return open_in(inside, "file", O_RDONLY);
}

static int read_outside(void)
{
	return open_in(outside, "file", O_RDONLY);
}

static int create_inside(void)
{
	return open_in(inside, "new", O_WRONLY | O_CREAT);
}

static int write_inside(void)
{
	return open_in(inside, "file", O_WRONLY);
}

static int rename_inside(void)
{
	char from[128], to[128];

	snprintf(from, sizeof from, "%s/new", inside);
	snprintf(to, sizeof to, "%s/sub/renamed", inside);
	if (rename(from, to))
		return errno;
	return outcome(unlink(to));
}

static void a_file_below_a_listed_path_opens(void **state)
{
	(void)state;
	assert_int_equal(
	    caged(&(struct sandbox){.paths = paths_of_test(SANDBOX_READ)}, read_inside), DONE);
}

static void a_file_outside_the_listed_paths_is_refused(void **state)
{
	(void)state;
	need_landlock(1);
	assert_int_equal(
	    caged(&(struct sandbox){.paths = paths_of_test(SANDBOX_READ)}, read_outside),
	    EACCES);
}

static void a_read_only_path_is_not_written(void **state)
{
	(void)state;
	need_landlock(1);
	assert_int_equal(
	    caged(&(struct sandbox){.paths = paths_of_test(SANDBOX_READ)}, write_inside),
	    EACCES);
	assert_int_equal(
	    caged(&(struct sandbox){.paths = paths_of_test(SANDBOX_READ)}, create_inside),
	    EACCES);
}

static void a_writable_path_takes_new_files_and_renames(void **state)
{
	const struct sandbox s = {.paths = paths_of_test(SANDBOX_READ | SANDBOX_WRITE)};

	(void)state;
	assert_int_equal(caged(&s, write_inside), DONE);
	assert_int_equal(caged(&s, create_inside), DONE);
	if (sandbox_landlock_abi() != 1) /* ABI 1 has no rename between directories */
		assert_int_equal(caged(&s, rename_inside), DONE);
}

static void without_paths_every_open_is_refused(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, read_inside), EACCES);
}

/* ---- programs and processes ---- */

static int exec_true(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	execv("/bin/true", argv);
	return errno;
}

static int fork_once(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static void *nothing(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t t;
	int rc = pthread_create(&t, NULL, nothing, NULL);

	return rc ? rc : pthread_join(t, NULL);
}

static int trace_me(void)
{
	return outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int read_own_memory_as_another(void)
{
	return outcome(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
}

static int signal_parent(void)
{
	return outcome(kill(getppid(), 0));
}

static int die_by_abort(void)
{
	abort();
}

static int finish(void)
{
	return DONE;
}

static void a_role_that_does_nothing_forbidden_ends_by_itself(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){0}, finish), DONE);
}

static void execve_kills_the_process(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){.paths = paths_of_test(3)}, exec_true),
	                 -SIGSYS);
}

static void fork_kills_the_process_even_where_threads_are_allowed(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, fork_once), -SIGSYS);
	assert_int_equal(caged(&(struct sandbox){.threads = true}, fork_once), -SIGSYS);
}

static void threads_start_where_they_are_allowed(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){.threads = true}, start_thread), DONE);
}

static void threads_are_refused_where_they_are_not(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, start_thread), -SIGSYS);
}

static void ptrace_and_reading_of_other_memory_kill_the_process(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, trace_me), -SIGSYS);
	assert_int_equal(caged(&(struct sandbox){0}, read_own_memory_as_another), -SIGSYS);
}

static void other_processes_are_not_signalled(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, signal_parent), -SIGSYS);
}

static void abort_still_works(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){0}, die_by_abort), -SIGABRT);
}

/* ---- sockets ---- */

static int socket_inet(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int socket_inet6_datagram(void)
{
	return outcome(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int socket_raw(void)
{
	return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int socket_unix(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int listen_on_a_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return CRASHED;
	return outcome(bind(fd, (struct sockaddr *)&sin, sizeof sin));
}

static void a_role_that_connects_opens_inet_sockets(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){.connect = true}, socket_inet), DONE);
	assert_int_equal(caged(&(struct sandbox){.connect = true}, socket_inet6_datagram),
	                 DONE);
}

static void a_role_that_does_not_connect_dies_of_a_socket(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, socket_inet), -SIGSYS);
	assert_int_equal(caged(&(struct sandbox){0}, socket_unix), -SIGSYS);
}

static void connecting_is_for_stream_and_datagram_inet_only(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){.connect = true}, socket_raw), -SIGSYS);
	assert_int_equal(caged(&(struct sandbox){.connect = true}, socket_unix), EAFNOSUPPORT);
}

static void no_role_binds_a_tcp_port(void **state)
{
	(void)state;
	need_landlock(4);
	assert_int_equal(caged(&(struct sandbox){.connect = true}, listen_on_a_port), EACCES);
}

/* ---- memory and limits ---- */

static int map(int prot)
{
	void *p = mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : DONE;
}

static int map_data(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static int map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static int protect(int prot)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? CRASHED : outcome(mprotect(p, 4096, prot));
}

static int make_read_only(void)
{
	return protect(PROT_READ);
}

static int make_executable(void)
{
	return protect(PROT_READ | PROT_EXEC);
}

static int make_memfd(void)
{
	return outcome(memfd_create("x", 0));
}

static int become_dumpable(void)
{
	return outcome(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int name_thread(void)
{
	return outcome(prctl(PR_SET_NAME, "x", 0, 0, 0));
}

static int open_many(void)
{
	for (int i = 0; i < 40; i++) {
		if (dup(STDIN_FILENO) < 0)
			return errno;
	}
	return DONE;
}

static void memory_is_mapped_and_protected_but_never_made_executable(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){0}, map_data), DONE);
	assert_int_equal(caged(&(struct sandbox){0}, make_read_only), DONE);
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, map_code), EACCES);
	assert_int_equal(caged(&(struct sandbox){0}, make_executable), EACCES);
	assert_int_equal(caged(&(struct sandbox){0}, make_memfd), -SIGSYS);
}

static void prctl_gives_a_name_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){0}, name_thread), DONE);
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, become_dumpable), -SIGSYS);
}

static void descriptors_are_limited(void **state)
{
	(void)state;
	assert_int_equal(caged(&(struct sandbox){.max_descriptors = 16}, open_many), EMFILE);
	assert_int_equal(caged(&(struct sandbox){.max_descriptors = 64}, open_many), DONE);
}

/* ---- lists ---- */

static int ask_group(void)
{
	return outcome(syscall(SYS_getpgid, 0));
}

static void a_call_is_allowed_by_being_listed(void **state)
{
	static const int with[] = {SYS_getpgid, -1};

	(void)state;
	need_seccomp();
	assert_int_equal(caged(&(struct sandbox){0}, ask_group), -SIGSYS);
	assert_int_equal(caged(&(struct sandbox){.syscalls = with}, ask_group), DONE);
}

static void a_list_cannot_give_what_is_filtered_by_argument(void **state)
{
	static const int forbidden[][2] = {{SYS_mmap, -1}, {SYS_socket, -1}, {SYS_execve, -1}};

	(void)state;
	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		assert_int_equal(caged(&(struct sandbox){.syscalls = forbidden[i]}, finish),
		                 NOT_ENTERED);
}

static void the_description_names_what_holds(void **state)
{
	(void)state;
	if (sandbox_seccomp_active())
		assert_int_equal(strncmp(sandbox_description(), "seccomp ", 8), 0);
	if (sandbox_landlock_abi() > 0)
		assert_non_null(strstr(sandbox_description(), " landlock:"));
}

/* ---- fixture ---- */

static void make_dir(char *dir, size_t cap)
{
	char path[128];
	int fd;

	snprintf(dir, cap, "/tmp/rk-sandbox-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sub", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/file", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void remove_dir(const char *dir)
{
	static const char *const names[] = {"file", "new", "sub/renamed", "sub"};
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		remove(path);
	}
	rmdir(dir);
}

static int make_dirs(void **state)
{
	(void)state;
	make_dir(inside, sizeof inside);
	make_dir(outside, sizeof outside);
	return 0;
}

static int remove_dirs(void **state)
{
	(void)state;
	remove_dir(inside);
	remove_dir(outside);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_below_a_listed_path_opens),
	    cmocka_unit_test(a_file_outside_the_listed_paths_is_refused),
	    cmocka_unit_test(a_read_only_path_is_not_written),
	    cmocka_unit_test(a_writable_path_takes_new_files_and_renames),
	    cmocka_unit_test(without_paths_every_open_is_refused),
	    cmocka_unit_test(a_role_that_does_nothing_forbidden_ends_by_itself),
	    cmocka_unit_test(execve_kills_the_process),
	    cmocka_unit_test(fork_kills_the_process_even_where_threads_are_allowed),
	    cmocka_unit_test(threads_start_where_they_are_allowed),
	    cmocka_unit_test(threads_are_refused_where_they_are_not),
	    cmocka_unit_test(ptrace_and_reading_of_other_memory_kill_the_process),
	    cmocka_unit_test(other_processes_are_not_signalled),
	    cmocka_unit_test(abort_still_works),
	    cmocka_unit_test(a_role_that_connects_opens_inet_sockets),
	    cmocka_unit_test(a_role_that_does_not_connect_dies_of_a_socket),
	    cmocka_unit_test(connecting_is_for_stream_and_datagram_inet_only),
	    cmocka_unit_test(no_role_binds_a_tcp_port),
	    cmocka_unit_test(memory_is_mapped_and_protected_but_never_made_executable),
	    cmocka_unit_test(prctl_gives_a_name_and_nothing_else),
	    cmocka_unit_test(descriptors_are_limited),
	    cmocka_unit_test(a_call_is_allowed_by_being_listed),
	    cmocka_unit_test(a_list_cannot_give_what_is_filtered_by_argument),
	    cmocka_unit_test(the_description_names_what_holds),
	};

	return cmocka_run_group_tests(tests, make_dirs, remove_dirs);
}
