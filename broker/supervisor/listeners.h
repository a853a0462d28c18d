/*
 * The sockets that the broker is reached at, opened by the supervisor before anything drops
 * privileges, and kept open by it: a role that is started again gets the same socket, so that
 * clients wait for it instead of being refused.
 *
 * Descriptors are returned owned, close-on-exec, -1 where there is none.
 */
#ifndef SUPERVISOR_LISTENERS_H
#define SUPERVISOR_LISTENERS_H

#include <sys/types.h>

#include "base/err.h"

/*
 * `count` sockets listening on "addr:port" (more than one: SO_REUSEPORT, the kernel spreads
 * connections over them). RK_E_EXISTS when somebody listens there already: not even a process
 * of the same user can join the group unnoticed.
 */
RK_MUST_CHECK int listeners_tcp(const char *address, const char *what, unsigned count, int *fds,
                                struct rk_fault *fault);

/*
 * The control socket: SOCK_SEQPACKET, mode 0600, owned by uid and gid (left alone when the
 * process is not root). A socket left behind by a dead broker is replaced; one that answers is
 * RK_E_EXISTS, and so is any other kind of file.
 */
RK_MUST_CHECK int listeners_control(const char *path, uid_t uid, gid_t gid, int *fd,
                                    struct rk_fault *fault);

/*
 * One broker a state directory: an flock on `state_dir`/relaykeyd.lock, held as long as *fd is
 * open. RK_E_EXISTS when another one holds it.
 */
RK_MUST_CHECK int listeners_lock(const char *state_dir, uid_t uid, gid_t gid, int *fd,
                                 struct rk_fault *fault);

#endif
