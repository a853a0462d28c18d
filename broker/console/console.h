/*
 * The console role: an HTTPS server on a port of its own. It answers GET /healthz from the
 * keeper's status; everything else is 404 with a problem document (RFC 9457).
 *
 * Limits and deadlines are those of console/server.h: 64 connections, 15 s for a request head,
 * 30 s between requests.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <stdint.h>

/* Runs the role on ROLE_CHANNEL_FD; returns the exit status. */
int console_main(uint32_t instance);

#endif
