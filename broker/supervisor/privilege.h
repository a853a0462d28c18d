/*
 * What the supervisor keeps when it was started as root: it stays root, because it starts roles
 * anew and each of them becomes another user, but of root's capabilities only these:
 *
 *   SETUID SETGID      a role becomes its user
 *   SETPCAP            a role empties its bounding set
 *   KILL               roles run as other users
 *   CHOWN              the control socket, lock and log belong to the state directory's owner
 *   DAC_OVERRIDE       that directory and the keys in it may be closed to everyone else, root
 * too NET_BIND_SERVICE   ports below 1024 IPC_LOCK           secret memory, whatever
 * RLIMIT_MEMLOCK says
 *
 * What is not in its bounding set no role can have for a moment either.
 */
#ifndef SUPERVISOR_PRIVILEGE_H
#define SUPERVISOR_PRIVILEGE_H

#include <stdint.h>

#include "base/err.h"

/* Does nothing when not root. Raises the limit of descriptors to what `descriptors` asks first.
 */
RK_MUST_CHECK int privilege_reduce(unsigned descriptors, struct rk_fault *fault);

/* Ids of the user that network roles become; UINT32_MAX when not root. `user` empty: "nobody".
 */
RK_MUST_CHECK int privilege_lookup(const char *user, uint32_t *uid, uint32_t *gid,
                                   struct rk_fault *fault);

#endif
