/*
 * Bodies of the messages of containment and of the care of connections. Field tables:
 * ipc/catalogue_contain.c.
 */
#ifndef IPC_MESSAGES_CONTAIN_H
#define IPC_MESSAGES_CONTAIN_H

#include "base/slice.h"
#include "ipc/audit_row.h"

enum { MSG_MAX_REASON = 256 };

/* Stop all traffic, or let it go on. */
struct msg_panic {
	struct rk_slice reason;
};

#endif
