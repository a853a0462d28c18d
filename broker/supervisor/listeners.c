#include "supervisor/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/config.h"
#include "base/file.h"
#include "base/ipaddr.h"

enum { BACKLOG = 4096 }; /* cut by net.core.somaxconn */

struct target {
	const char *text; /* as configured */
	const char *what; /* the configuration key */
	struct sockaddr_storage ss;
	socklen_t len;
};

static int parse_target(struct target *t, struct rk_fault *fault)
{
	char host[128];
	unsigned short port;
	struct rk_ip ip;

	if (config_split_listen(t->text, host, sizeof host, &port) ||
	    rk_ip_parse(rk_str(host), &ip))
		return rk_fail(fault, RK_E_INVALID, "%s: \"%s\" is not an address and a port",
		               t->what, t->text);
	t->len = (socklen_t)rk_ip_to_sockaddr(&ip, port, &t->ss);
	return 0;
}

static int fail_bind(const struct target *t, struct rk_fault *fault)
{
	switch (errno) {
	case EADDRINUSE:
		return rk_fail(fault, RK_E_EXISTS,
		               "%s %s is in use: another process listens there", t->what,
		               t->text);
	case EADDRNOTAVAIL:
		return rk_fail(fault, RK_E_INVALID, "%s %s: this machine has no such address",
		               t->what, t->text);
	case EACCES:
		return rk_fail(fault, RK_E_DENIED,
		               "%s %s: ports below 1024 need root or CAP_NET_BIND_SERVICE",
		               t->what, t->text);
	default:
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot listen on %s", t->what,
		                     t->text);
	}
}

static int bound_socket(const struct target *t, bool share, int *out, struct rk_fault *fault)
{
	const int on = 1, off = 0;
	RK_FD_AUTO fd = socket(t->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)))
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot make a socket for %s", t->what,
		                     t->text);
	/* [::] means every address, IPv4 too, whatever the system's default is */
	if (t->ss.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off))
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot make a socket for %s", t->what,
		                     t->text);
	if (bind(fd, (const struct sockaddr *)&t->ss, t->len))
		return fail_bind(t, fault);
	*out = fd;
	fd = -1;
	return 0;
}

/* SO_REUSEPORT lets in whoever has the same user; a socket without it does not. */
static int probe(const struct target *t, struct rk_fault *fault)
{
	RK_FD_AUTO fd = -1;
	int err = bound_socket(t, false, &fd, fault);

	if (!err && listen(fd, 1))
		return fail_bind(t, fault);
	return err;
}

int listeners_tcp(const char *address, const char *what, unsigned count, int *fds,
                  struct rk_fault *fault)
{
	struct target t = {.text = address, .what = what};
	int err = parse_target(&t, fault);

	for (unsigned i = 0; i < count; i++)
		fds[i] = -1;
	if (!err)
		err = probe(&t, fault);
	for (unsigned i = 0; i < count && !err; i++) {
		err = bound_socket(&t, count > 1, &fds[i], fault);
		if (!err && listen(fds[i], BACKLOG))
			err = fail_bind(&t, fault);
	}
	for (unsigned i = 0; i < count && err; i++)
		file_close(&fds[i]);
	return err;
}

/* ---- control socket ---- */

/* Only what nobody listens on is removed. */
static int remove_stale(const char *path, const struct sockaddr_un *sun, struct rk_fault *fault)
{
	RK_FD_AUTO fd = -1;
	struct stat st;

	if (lstat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		return rk_fail_errno(fault, RK_E_IO, "cannot look at %s", path);
	}
	if (!S_ISSOCK(st.st_mode))
		return rk_fail(fault, RK_E_EXISTS,
		               "control-socket %s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 ||
	    errno != ECONNREFUSED)
		return rk_fail(fault, RK_E_EXISTS,
		               "control-socket %s is in use by another process", path);
	if (unlink(path))
		return rk_fail_errno(fault, RK_E_IO, "cannot remove the stale socket %s", path);
	return 0;
}

int listeners_control(const char *path, uid_t uid, gid_t gid, int *out, struct rk_fault *fault)
{
	RK_FD_AUTO fd = -1;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t before;
	int err, rc;

	if (strlen(path) >= sizeof sun.sun_path)
		return rk_fail(fault, RK_E_TOOBIG,
		               "control-socket %s is too long: at most %zu bytes", path,
		               sizeof sun.sun_path - 1);
	memcpy(sun.sun_path, path, strlen(path));
	err = remove_stale(path, &sun, fault);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot make a socket");
	before = umask(0177); /* never open to others, not for a moment */
	rc = bind(fd, (const struct sockaddr *)&sun, sizeof sun);
	umask(before);
	if (rc)
		return rk_fail_errno(fault, RK_E_IO, "cannot make the control-socket %s", path);
	if ((geteuid() == 0 && lchown(path, uid, gid)) || listen(fd, 64)) {
		err =
		    rk_fail_errno(fault, RK_E_IO, "cannot set up the control-socket %s", path);
		unlink(path);
		return err;
	}
	*out = fd;
	fd = -1;
	return 0;
}

/* ---- lock ---- */

static long pid_in(int fd)
{
	char text[24] = {0};
	uint64_t pid = 0;
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	if (n > 0 && text[n - 1] == '\n')
		n--;
	return n > 0 && rk_slice_u64(rk_slice(text, (size_t)n), &pid) ? (long)pid : 0;
}

int listeners_lock(const char *state_dir, uid_t uid, gid_t gid, int *out,
                   struct rk_fault *fault)
{
	RK_FD_AUTO fd = -1;
	char path[CONFIG_PATH_MAX + 16];

	if (file_join(state_dir, "relaykeyd.lock", path, sizeof path))
		return rk_fail(fault, RK_E_TOOBIG, "state-dir is too long");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return rk_fail(fault, RK_E_EXISTS,
			               "another relaykeyd (pid %ld) uses %s already",
			               pid_in(fd), state_dir);
		return rk_fail_errno(fault, RK_E_IO, "cannot lock %s", path);
	}
	/* the number is for people; the lock is what counts */
	if ((geteuid() == 0 && fchown(fd, uid, gid)) || ftruncate(fd, 0) ||
	    dprintf(fd, "%ld\n", (long)getpid()) < 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot write %s", path);
	*out = fd;
	fd = -1;
	return 0;
}
