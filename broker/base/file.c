#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_PATH_MAX = 4096 };

void file_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/* What the current errno means to a caller. */
static int errno_to_err(void)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return RK_E_NOTFOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return RK_E_DENIED;
	case EEXIST:
		return RK_E_EXISTS;
	case ENOSPC:
	case EDQUOT:
		return RK_E_FULL;
	default:
		return RK_E_IO;
	}
}

static ssize_t read_retry(int fd, void *dst, size_t n)
{
	ssize_t got;

	do {
		got = read(fd, dst, n);
	} while (got < 0 && errno == EINTR);
	return got;
}

static int read_all(int fd, const char *path, size_t limit, struct rk_buf *buf,
                    struct rk_fault *fault)
{
	char probe;

	for (;;) {
		size_t room = 0;
		char *dst = &probe;
		ssize_t got;

		if (buf->len < limit) {
			dst = rk_buf_reserve(buf, 1, &room);
			if (!dst)
				return rk_fail(fault, RK_E_NOMEM, "%s: out of memory", path);
		}
		/* at the limit, one byte more tells a full file from one that is too big */
		got = read_retry(fd, dst, room ? room : 1);
		if (got < 0)
			return rk_fail_errno(fault, errno_to_err(), "cannot read %s", path);
		if (got == 0)
			return 0;
		if (!room)
			return rk_fail(fault, RK_E_TOOBIG, "%s: over the limit of %zu bytes",
			               path, limit);
		rk_buf_produced(buf, (size_t)got);
	}
}

int file_read(const char *path, size_t limit, struct rk_buf *buf, struct rk_fault *fault)
{
	struct stat st;
	RK_FD_AUTO fd = -1;
	int rc;

	rk_buf_init(buf, limit);
	/* O_NONBLOCK: a FIFO in the place of a file must not hang the start */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return rk_fail_errno(fault, errno_to_err(), "cannot open %s", path);
	if (fstat(fd, &st))
		return rk_fail_errno(fault, RK_E_IO, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return rk_fail(fault, RK_E_INVALID, "%s is not a regular file", path);
	rc = read_all(fd, path, limit, buf, fault);
	if (rc)
		rk_buf_free(buf);
	return rc;
}

/* Fills s up to its capacity; *more says that the input went on. */
static int fill_secret(int fd, struct rk_secret *s, size_t cap, bool *more)
{
	unsigned char probe;
	ssize_t got = 1;

	while (s->len < cap && got > 0) {
		got = read_retry(fd, s->p + s->len, cap - s->len);
		if (got > 0)
			s->len += (size_t)got;
	}
	*more = false;
	if (got > 0) {
		got = read_retry(fd, &probe, 1);
		*more = got > 0;
		rk_wipe(&probe, 1);
	}
	return got < 0 ? -1 : 0;
}

static void drop_newline(struct rk_secret *s)
{
	if (s->len == 0 || s->p[s->len - 1] != '\n')
		return;
	s->p[--s->len] = 0;
	if (s->len && s->p[s->len - 1] == '\r')
		s->p[--s->len] = 0;
}

static int open_secret(const char *path, bool private_only, int *fd, struct rk_fault *fault)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (*fd < 0)
		return rk_fail_errno(fault, errno_to_err(), "cannot open %s", path);
	if (fstat(*fd, &st))
		return rk_fail_errno(fault, RK_E_IO, "cannot stat %s", path);
	if (S_ISDIR(st.st_mode))
		return rk_fail(fault, RK_E_INVALID, "%s is a directory, not a file", path);
	if (private_only && S_ISREG(st.st_mode) && (st.st_mode & 077))
		return rk_fail(
		    fault, RK_E_DENIED,
		    "%s has mode %04o: others than its owner may use it; run chmod 600 on it",
		    path, (unsigned)(st.st_mode & 07777));
	return 0;
}

int file_read_secret(const char *path, size_t limit, bool private_only, struct rk_secret *out,
                     struct rk_fault *fault)
{
	RK_FD_AUTO opened = -1;
	RK_SECRET_AUTO s = {0};
	int fd = STDIN_FILENO, rc;
	const char *name = "standard input";
	size_t cap;
	bool more;

	if (strcmp(path, "-") != 0) {
		rc = open_secret(path, private_only, &opened, fault);
		if (rc)
			return rc;
		fd = opened;
		name = path;
	}
	if (limit > SECRET_MAX_BYTES)
		limit = SECRET_MAX_BYTES;
	cap = limit + 2 > SECRET_MAX_BYTES ? SECRET_MAX_BYTES : limit + 2; /* CR LF */
	rc = rk_secret_alloc(&s, cap);
	if (rc)
		return rk_fail(fault, rc, "%s: no secret memory left", name);
	if (fill_secret(fd, &s, cap, &more))
		return rk_fail_errno(fault, errno_to_err(), "cannot read %s", name);
	drop_newline(&s);
	if (more || s.len > limit)
		return rk_fail(fault, RK_E_TOOBIG, "%s: a secret has at most %zu bytes", name,
		               limit);
	if (s.len == 0)
		return rk_fail(fault, RK_E_INVALID, "%s is empty, a secret was expected", name);
	if (memchr(s.p, 0, s.len))
		return rk_fail(fault, RK_E_INVALID, "%s holds a NUL byte, text was expected",
		               name);
	rk_secret_move(out, &s);
	return 0;
}

static int write_all(int fd, struct rk_slice data)
{
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data = rk_slice_skip(data, (size_t)n);
	}
	return 0;
}

/* The directory of path ("." when it has none) into dir[cap]; cap is that of path. */
static void dir_of(const char *path, char *dir, size_t cap)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(dir, cap, ".");
	else
		snprintf(dir, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int sync_dir(const char *path)
{
	char dir[FILE_PATH_MAX];
	RK_FD_AUTO fd = -1;

	dir_of(path, dir, sizeof dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? -1 : 0;
}

/* link(2) is the rename that never replaces. */
static int publish(const char *tmp, const char *path, bool exclusive)
{
	if (!exclusive)
		return rename(tmp, path);
	if (link(tmp, path))
		return -1;
	unlink(tmp);
	return 0;
}

int file_write(const char *path, struct rk_slice data, unsigned mode, bool exclusive,
               struct rk_fault *fault)
{
	char tmp[FILE_PATH_MAX];
	RK_FD_AUTO fd = -1;
	int n, rc;

	n = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof tmp)
		return rk_fail(fault, RK_E_TOOBIG, "path is too long");
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return rk_fail_errno(fault, errno_to_err(), "cannot create a file beside %s",
		                     path);
	if (fchmod(fd, (mode_t)mode) || write_all(fd, data) || fsync(fd)) {
		rc = rk_fail_errno(fault, errno_to_err(), "cannot write %s", path);
		unlink(tmp);
		return rc;
	}
	if (publish(tmp, path, exclusive)) {
		rc = rk_fail_errno(fault, errno_to_err(), "cannot create %s", path);
		unlink(tmp);
		return rc;
	}
	if (sync_dir(path))
		return rk_fail_errno(fault, errno_to_err(), "cannot sync the directory of %s",
		                     path);
	return 0;
}

int file_join(const char *dir, const char *name, char *out, size_t cap)
{
	bool absolute = name[0] == '/';
	bool root = dir[0] == '/' && dir[1] == '\0';
	int n;

	n = snprintf(NULL, 0, "%s%s%s", absolute || root ? "" : dir, absolute ? "" : "/", name);
	if (n < 0 || (size_t)n >= cap)
		return RK_E_TOOBIG;
	snprintf(out, cap, "%s%s%s", absolute || root ? "" : dir, absolute ? "" : "/", name);
	return 0;
}
