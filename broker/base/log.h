/*
 * The operational log: one logfmt line an event on standard error,
 *   ts=2026-05-01T14:22:18.123Z level=info role=relay.0 event=listening addr=127.0.0.1:8443
 * Values are quoted and escaped when they need it, so an attacker's bytes cannot
 * forge a line. Roles log at the edge; library code returns errors instead.
 * Never pass a secret, relay key, cookie or query value: the audit journal names
 * requests by id.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Role name in every line ("supervisor", "relay.0"); copied. Default level: info. */
void log_init(const char *role, enum log_level lowest);

/* The lowest level from now on; at any time, from any thread. */
void log_set_level(enum log_level lowest);

/*
 * log_event(LOG_LEVEL_INFO, "listening", "addr", "%s:%d", host, port): one event name and one
 * detail (key, printf-formatted value); key may be NULL for no detail.
 */
void log_event(enum log_level level, const char *event, const char *key, const char *fmt, ...)
    RK_PRINTF(4, 5);

#endif
