/*
 * The supervisor's state, shared by supervisor.c (start, stop, signals), children.c (processes
 * and their deaths), setup.c (what a role is sent) and reload.c. Nobody else includes this.
 */
#ifndef SUPERVISOR_SUPERVISOR_INT_H
#define SUPERVISOR_SUPERVISOR_INT_H

#include "ipc/loop.h"
#include "supervisor/child.h"
#include "supervisor/material.h"
#include "supervisor/supervisor.h"

enum {
	KEEPER_CHILD = 0, /* index into children */
	FIRST_RELAY = 1,
	MAX_CHILDREN = CONFIG_MAX_RELAYS + 3,
	STOP_GRACE_MS = 10000,
};

enum phase {
	PHASE_STARTING,
	PHASE_SERVING,
	PHASE_STOPPING,
};

struct supervisor {
	struct rk_config config; /* as started; a reload changes TLS paths and log level */
	const struct supervisor_report *report;
	struct loop *loop;
	enum phase phase;
	int exit_status;

	int lock;
	int control;
	int console;
	int proxy[CONFIG_MAX_RELAYS];  /* one a relay */
	bool control_made;             /* the socket's name is ours to remove */
	uint32_t owner_uid, owner_gid; /* of the state directory */
	uint32_t drop_uid, drop_gid;   /* UINT32_MAX: not root */

	struct identity identity;
	struct rk_buf trust;
	struct loop_hook identity_hook; /* sends the new identity to one role after another */

	struct child children[MAX_CHILDREN]; /* keeper, relays, console, courier */
	unsigned child_count;

	struct event *signals[4];
	struct event *stop_timer;
	unsigned stop_stage;
};

/* children.c */
RK_MUST_CHECK int children_make(struct supervisor *sv);
void children_free(struct supervisor *sv);
void child_start(struct child *c);
void child_kill(struct child *c);
bool child_alive(const struct child *c);
void children_reap(struct supervisor *sv);

/* supervisor.c: what follows */
void supervisor_child_ready(struct child *c);
void supervisor_child_died(struct child *c);

/* setup.c: everything up to START, on a blocking socket. */
RK_MUST_CHECK int setup_send(struct supervisor *sv, struct child *c, int sock,
                             struct rk_fault *fault);

/* reload.c */
void supervisor_reload(struct supervisor *sv);
void reload_init(struct supervisor *sv);
void reload_drained(struct child *c);

#endif
