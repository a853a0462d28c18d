/*
 * What a client is told about the limits of its relay key: RateLimit-Policy and RateLimit
 * (draft-ietf-httpapi-ratelimit-headers-09). The names of the policies begin with "relaykey-",
 * so that they stay apart from those of a provider that sends such fields itself. Pure.
 */
#ifndef RELAY_LIMITS_H
#define RELAY_LIMITS_H

#include "ipc/messages.h"
#include "policy/rate.h"

enum { LIMITS_TEXT = 384 };

struct rate_report limits_of(const struct msg_decision *m);

/* The two lines; "" when there are no limits or `l` is NULL. */
void limits_text(const struct rate_report *l, char out[LIMITS_TEXT]);

#endif
