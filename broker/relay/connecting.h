/*
 * A connection to an egress proxy before its TLS: asks for a tunnel to the upstream
 * (http/connect.h) and reads the answer off the socket, no byte more. The dial's deadlines
 * cover it.
 */
#ifndef RELAY_CONNECTING_H
#define RELAY_CONNECTING_H

#include "relay/upstream.h"

/*
 * Takes fd (connect(2) under way), also on failure. `credential`: "user:password" or empty;
 * copied into secret memory until the request is written. Goes on with upstream_secure() or
 * upstream_attempt_failed(), later.
 */
RK_MUST_CHECK int connecting_start(struct upstream_conn *c, int fd, struct rk_slice credential);

/* Closes what connecting_start() took and has not handed on. Accepts a connection without. */
void connecting_end(struct upstream_conn *c);

#endif
