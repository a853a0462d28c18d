/*
 * A connection from a trusted proxy before its TLS: the PROXY header is read off the socket, no
 * byte more. Without a whole and proper one the connection is closed; the handshake's deadline
 * covers it.
 */
#ifndef RELAY_ARRIVAL_H
#define RELAY_ARRIVAL_H

#include "relay/client.h"

/* Takes fd, also on failure. Goes on with client_secure(), perhaps at once. */
RK_MUST_CHECK int arrival_start(struct client *c, int fd);

/* Closes what arrival_start() took and has not handed on. Accepts a client without. */
void arrival_end(struct client *c);

#endif
