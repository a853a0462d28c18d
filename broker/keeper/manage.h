/*
 * Management: the commands of ipc/messages.h (connections, keys, status, audit), for whoever
 * brings them: the control socket, later the console. Nothing here knows how an answer travels.
 *
 * Changes are made one at a time, the others wait: validated against the index, written as an
 * audit row, stored, put into the index and pushed to the relays, answered. Revoking a key and
 * disabling a connection are in force at once, before the row and the store; when one of these
 * fails, the answer says so.
 *
 * Loop thread only. A command's slices are copied before manage_run() returns.
 */
#ifndef KEEPER_MANAGE_H
#define KEEPER_MANAGE_H

#include "ipc/catalogue.h"
#include "policy/mgmt_role.h"

struct keeper;
struct manage;
struct manage_caller;
struct manage_op;

struct manage_caller_ops {
	/* One message of the answer; slices borrow until the return. An error means that the
	 * caller is gone: manage_forget() follows, now or later. */
	int (*send)(struct manage_caller *c, enum ipc_type type, const void *body);
	/* Whether more of a long answer may be sent now; after `false`, manage_drained() must
	 * come. */
	bool (*room)(struct manage_caller *c);
	/* The answer is complete; called once a command, maybe from inside manage_run(). The
	 * caller may start the next one. */
	void (*done)(struct manage_caller *c);
};

struct manage_caller {
	char actor[64]; /* for the audit log: "uid:1000", or id of a management key */
	enum mgmt_role role;
	uint32_t mgmt_key;     /* number of the management key; 0: none */
	uint8_t client_ip[16]; /* of the HTTP client; zero: none */
	/* the terms of its next command (struct msg_caller) */
	char idempotency_key[MSG_MAX_IDEMPOTENCY_KEY + 1]; /* "": none */
	uint64_t if_revision;                              /* 0: any */
	const struct manage_caller_ops *ops;
	struct manage_op *op; /* the command that runs; NULL: none. Management's. */
};

RK_MUST_CHECK int manage_new(struct keeper *k, struct manage **out);

/*
 * Drops all callers without an answer. Memory that jobs or audit rows still need is freed when
 * these end. Call before the pools, the pipeline and the index are freed. Accepts NULL.
 */
void manage_free(struct manage *m);

/* Starts a command; c->op must be NULL. */
void manage_run(struct manage *m, struct manage_caller *c, enum ipc_type type,
                const union ipc_body *body);

/* There is room again. */
void manage_drained(struct manage_caller *c);

/* The caller goes away. A change that it began is completed, everything else stops. */
void manage_forget(struct manage_caller *c);

#endif
