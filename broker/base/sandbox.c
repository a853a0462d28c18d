#include "base/sandbox.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/sandbox_parts.h"

static char description[64];

const char *sandbox_description(void)
{
	const char *seccomp = sandbox_seccomp_active() ? "seccomp" : "no-seccomp";
	int abi;

	if (description[0]) /* from inside there is no probing */
		return description;
	abi = sandbox_landlock_abi();
	if (abi > 0)
		snprintf(description, sizeof description, "%s landlock:%d", seccomp, abi);
	else
		snprintf(description, sizeof description, "%s no-landlock", seccomp);
	return description;
}

static int lower_limit(int which, const char *name, rlim_t to, struct rk_fault *fault)
{
	struct rlimit lim;

	if (getrlimit(which, &lim))
		return rk_fail_errno(fault, RK_E_IO, "cannot read %s", name);
	if (to > lim.rlim_max)
		to = lim.rlim_max;
	lim = (struct rlimit){to, to};
	if (setrlimit(which, &lim))
		return rk_fail_errno(fault, RK_E_IO, "cannot set %s", name);
	return 0;
}

static int set_limits(const struct sandbox *s, struct rk_fault *fault)
{
	int err = lower_limit(RLIMIT_CORE, "RLIMIT_CORE", 0, fault);

	if (!err)
		err = lower_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", s->max_descriptors, fault);
	/* the leak checker of an ASan build makes a thread when the process ends */
	if (!err && !s->threads && sandbox_seccomp_active())
		err = lower_limit(RLIMIT_NPROC, "RLIMIT_NPROC", 0, fault);
	return err;
}

static unsigned count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	if (!dir)
		return 0;
	for (const struct dirent *d = readdir(dir); d; d = readdir(dir))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

int sandbox_enter(const struct sandbox *s, struct rk_fault *fault)
{
	unsigned threads = count_threads();
	int err;

	sandbox_description();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return rk_fail_errno(fault, RK_E_DENIED, "%s: cannot set no_new_privs",
		                     s->name);
	err = set_limits(s, fault);
	if (err)
		return err;
	if (sandbox_landlock_abi() <= 0)
		log_event(LOG_LEVEL_WARN, "sandbox-weak", "missing", "landlock in this kernel");
	else if (threads > 1)
		/* seccomp reaches threads that exist already, Landlock does not */
		log_event(LOG_LEVEL_WARN, "sandbox-weak", "missing",
		          "landlock in %u threads that ran before", threads - 1);
	err = sandbox_landlock_enter(s, fault);
	if (err)
		return err;
	if (!sandbox_seccomp_active())
		log_event(LOG_LEVEL_WARN, "sandbox-weak", "missing",
		          "seccomp: this is an AddressSanitizer build");
	return sandbox_seccomp_enter(s, fault);
}
