/*
 * The console role: an HTTPS server on a port of its own, with the management interface
 * (console/router.h) and /healthz. It has no files, no token and no database: whatever it
 * knows, the keeper has told it for one request.
 *
 * Limits and deadlines are those of console/server.h.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <stdint.h>

/* Runs the role on ROLE_CHANNEL_FD; returns the exit status. */
int console_main(uint32_t instance);

#endif
