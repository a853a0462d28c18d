/*
 * The panic switch: while it is on, nothing is proxied for anybody. In force at once and in the
 * store, so that neither a restart nor a kill lets traffic on again. Loop thread, but for the
 * store's own copy.
 */
#ifndef KEEPER_PANIC_H
#define KEEPER_PANIC_H

#include "base/err.h"
#include "base/slice.h"

enum { PANIC_REASON_MAX = 256 };

struct panic {
	bool on;
	int64_t since_ms; /* of the last change; 0: there was none */
	char by[64];      /* who, as in the audit log */
	char reason[PANIC_REASON_MAX + 1];
};

#endif
