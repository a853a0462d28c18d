/*
 * Going into the background: the process that was started waits until the broker says how its
 * start went, so that its exit status means something.
 */
#ifndef SUPERVISOR_DAEMON_H
#define SUPERVISOR_DAEMON_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Forks. In the new process: a session of its own, standard error appended to `log` (mode 0600,
 * given to the owner of its directory), the other streams to /dev/null, and *report the
 * descriptor for daemon_report(); returns 0.
 *
 * In the old process it does not return: it prints what was reported (success on standard
 * output, failure on standard error) and exits with 0 or 1. Before the fork, failure is
 * returned.
 */
RK_MUST_CHECK int daemon_start(const char *log, int *report, struct rk_fault *fault);

/* Tells the waiting process how it went, and closes *report. */
void daemon_report(int *report, bool success, const char *text);

#endif
