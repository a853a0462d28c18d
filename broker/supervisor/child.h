/*
 * One role's process as the supervisor sees it, and the pieces that bring it to life. What
 * follows from its death is decided in supervisor.c.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include <sys/types.h>

#include "ipc/peer.h"
#include "supervisor/restart.h"

enum child_state {
	CHILD_DOWN,     /* no process */
	CHILD_STARTING, /* forked, not READY */
	CHILD_UP,
	CHILD_ENDING, /* process or channel is gone, the other not yet */
};

struct supervisor;

struct child {
	struct supervisor *sv;
	enum ipc_role role;
	uint32_t instance;
	enum child_state state;
	pid_t pid;             /* 0: none or reaped */
	int status;            /* of waitpid, once reaped */
	struct ipc_peer *peer; /* NULL once closed */
	struct restart restart;
	struct event *timer;           /* DOWN: start again; ENDING: do not wait any longer */
	char reason[MSG_MAX_TEXT + 1]; /* what FAILED said */
	bool identity_due;             /* a reload's TLS message is still to be sent */
	bool trust_due;                /* and its trust bundle, of which */
	size_t trust_sent;             /* so much was */
};

enum { CHILD_NAME_MAX = 24, CHILD_DEATH_MAX = 160 };

/* "relay.0" */
void child_name(const struct child *c, char out[CHILD_NAME_MAX]);

/*
 * Forks and re-executes this program as the role, with `sock` as descriptor 3 and nothing else
 * but standard streams. Returns the pid, or RK_E_IO with the reason.
 */
RK_MUST_CHECK int child_exec(enum ipc_role role, uint32_t instance, int sock, pid_t *pid,
                             struct rk_fault *fault);

/* How a process ended, for the log: "exit status 1", "killed by SIGSYS: ..." */
void child_death(int status, char out[CHILD_DEATH_MAX]);

#endif
