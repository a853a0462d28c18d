/*
 * When a dead role comes back: at once the first time, then later and later, up to
 * RESTART_MAX_MS; a role that lived RESTART_STEADY_MS starts over. Pure: time is an argument
 * (monotonic milliseconds).
 */
#ifndef SUPERVISOR_RESTART_H
#define SUPERVISOR_RESTART_H

#include <stdint.h>

enum { RESTART_FIRST_MS = 100, RESTART_MAX_MS = 5000, RESTART_STEADY_MS = 60000 };

struct restart { /* zeroed: never started */
	int64_t started_ms;
	unsigned deaths; /* in a row */
};

void restart_started(struct restart *r, int64_t now_ms);

/* The role died: how many milliseconds to wait before it is started again. */
int64_t restart_delay_ms(struct restart *r, int64_t now_ms);

#endif
