/*
 * The supervisor: reads the configuration, opens every socket, starts one process a role by
 * re-executing the program, and keeps them alive. It parses no network data, and its only
 * secret is the server's TLS key, which it holds to hand it on.
 *
 * Life: keeper, relays, console, courier are started in this order, each group when the one
 * before is READY. A role that cannot start ends the broker with its reason; after that, a role
 * that dies is started again (supervisor/restart.h) and gets new channels to its neighbours.
 *
 *   SIGTERM SIGINT  stop: relays, then console and courier, then the keeper, so that every
 *                   completion reaches the journal. A second one does not wait for the rest.
 *   SIGHUP          reload: TLS certificate and key, trust bundle, log level
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/config.h"

/* How the outcome of the start reaches who waits for it. Exactly one is called, once, unless
 * the broker was told to stop before it was up. */
struct supervisor_report {
	void (*ready)(const char *line, void *arg); /* without newline */
	void (*failed)(const char *reason, void *arg);
	void *arg;
};

/*
 * Runs the broker until it is stopped. Returns the exit status: 0 after a clean stop, 1 when it
 * could not start. Borrows both until the return. Uses the process's signal handlers.
 */
int supervisor_run(const struct rk_config *config, const struct supervisor_report *report);

#endif
