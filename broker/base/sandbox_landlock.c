/*
 * Landlock through its three system calls: glibc wraps none of them, and the headers of Debian
 * 12 stop at ABI 2, so the newer rights are named here
 * (Documentation/userspace-api/landlock.rst).
 */
#include "base/sandbox_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

enum {
	NR_CREATE_RULESET = 444,
	NR_ADD_RULE = 445,
	NR_RESTRICT_SELF = 446,
};

/* Rights that came after ABI 1, and since when. */
#define FS_REFER       (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE    (1ULL << 14) /* ABI 3 */
#define NET_BIND_TCP   (1ULL << 0)  /* ABI 4 */
#define NET_CONNECT    (1ULL << 1)  /* ABI 4 */
#define FS_IOCTL_DEV   (1ULL << 15) /* ABI 5 */
#define SCOPE_ABSTRACT (1ULL << 0)  /* ABI 6 */
#define SCOPE_SIGNAL   (1ULL << 1)  /* ABI 6 */

/* As the kernel has it since ABI 6; an older one accepts the longer struct while the rest is 0.
 */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

static const uint64_t FS_ABI1 = (1ULL << 13) - 1;
static const uint64_t FS_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t FS_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                 LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_REFER | FS_TRUNCATE;
/* What a rule on something that is not a directory may name. */
static const uint64_t FS_OF_A_FILE = LANDLOCK_ACCESS_FS_READ_FILE |
                                     LANDLOCK_ACCESS_FS_WRITE_FILE |
                                     LANDLOCK_ACCESS_FS_EXECUTE | FS_TRUNCATE | FS_IOCTL_DEV;

int sandbox_landlock_abi(void)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static uint64_t fs_rights(int abi)
{
	uint64_t rights = FS_ABI1;

	if (abi >= 2)
		rights |= FS_REFER;
	if (abi >= 3)
		rights |= FS_TRUNCATE;
	if (abi >= 5)
		rights |= FS_IOCTL_DEV;
	return rights;
}

static struct ruleset_attr ruleset_of(const struct sandbox *s, int abi)
{
	struct ruleset_attr attr = {.handled_access_fs = fs_rights(abi)};

	/* listeners are opened by the supervisor: nobody in a cage binds a TCP port */
	if (abi >= 4)
		attr.handled_access_net = NET_BIND_TCP | (s->connect ? 0 : NET_CONNECT);
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return attr;
}

static int add_path(int ruleset, const struct sandbox *s, const struct sandbox_path *path,
                    uint64_t handled, struct rk_fault *fault)
{
	struct landlock_path_beneath_attr rule = {0};
	RK_FD_AUTO fd = open(path->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot open %s for its sandbox",
		                     s->name, path->path);
	if (path->access & SANDBOX_READ)
		rule.allowed_access |= FS_READ;
	if (path->access & SANDBOX_WRITE)
		rule.allowed_access |= FS_WRITE;
	if (S_ISDIR(st.st_mode))
		rule.allowed_access &= handled;
	else
		rule.allowed_access &= handled & FS_OF_A_FILE;
	rule.parent_fd = fd;
	if (syscall(NR_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot allow %s", s->name,
		                     path->path);
	return 0;
}

int sandbox_landlock_enter(const struct sandbox *s, struct rk_fault *fault)
{
	int abi = sandbox_landlock_abi();
	struct ruleset_attr attr = ruleset_of(s, abi);
	RK_FD_AUTO ruleset = -1;
	int err;

	if (abi == 0)
		return 0;
	ruleset = (int)syscall(NR_CREATE_RULESET, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot make a Landlock ruleset",
		                     s->name);
	for (const struct sandbox_path *p = s->paths; p && p->path; p++) {
		err = add_path(ruleset, s, p, attr.handled_access_fs, fault);
		if (err)
			return err;
	}
	if (syscall(NR_RESTRICT_SELF, ruleset, 0))
		return rk_fail_errno(fault, RK_E_IO, "%s: cannot enter Landlock", s->name);
	return 0;
}
