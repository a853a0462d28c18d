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

/* ---- credential versions ---- */

struct msg_credential_list {
	struct rk_slice ref; /* of the connection */
	uint32_t before;     /* version seen last; 0: from the newest */
	uint32_t limit;      /* 0: as many as one page has */
};

struct msg_credential_ref { /* restore it, or remove it for good */
	struct rk_slice ref;
	uint32_t version;
};

struct msg_credential_info {
	struct rk_slice conn_id;
	uint32_t version;
	uint8_t current;
	uint8_t restorable; /* it was given for the upstream that the connection has now */
	struct rk_slice hint;
	struct rk_slice mechanism;
	uint32_t kek_generation;
	int64_t created_ms;
};

#endif
