#include "supervisor/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))

static const uint64_t KEPT = BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |
                             BIT(CAP_KILL) | BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
                             BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_IPC_LOCK);

static int bound_capabilities(struct rk_fault *fault)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		bool keep = cap < 64 && (KEPT & BIT(cap));

		/* a container may have taken SETPCAP away: then the sets below must do */
		if (!keep && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return rk_fail_errno(fault, RK_E_DENIED, "cannot bound capabilities");
	}
	return 0;
}

/* KEPT, as far as it was there. */
static int reduce_capabilities(struct rk_fault *fault)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return rk_fail_errno(fault, RK_E_DENIED, "cannot read capabilities");
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(KEPT >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data))
		return rk_fail_errno(fault, RK_E_DENIED, "cannot reduce capabilities");
	return 0;
}

int privilege_reduce(unsigned descriptors, struct rk_fault *fault)
{
	struct rlimit lim;
	int err;

	if (geteuid() != 0)
		return 0;
	/* roles take their own share and cannot raise it; where root may not, it stays */
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_max < descriptors) {
		lim.rlim_max = descriptors;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
	err = bound_capabilities(fault);
	return err ? err : reduce_capabilities(fault);
}

int privilege_lookup(const char *user, uint32_t *uid, uint32_t *gid, struct rk_fault *fault)
{
	const char *name = user[0] ? user : "nobody";
	const struct passwd *pw;

	*uid = *gid = UINT32_MAX;
	if (geteuid() != 0)
		return 0;
	pw = getpwnam(name);
	if (!pw)
		return rk_fail(fault, RK_E_NOTFOUND, "user %s: there is no such user", name);
	if (pw->pw_uid == 0)
		return rk_fail(fault, RK_E_INVALID, "user %s: roles do not run as root", name);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}
