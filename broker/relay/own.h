/*
 * Paths that the proxy answers itself: the pages of relay/guide.h, and /_discover
 * (relay/discover.h). No connection can have such a name (keeper/manage_check.c).
 *
 * GET and HEAD; other methods are 405. The pages need no key, are not audited, and are answered
 * while the broker is sealed, too: they say nothing that is not the same for everybody.
 */
#ifndef RELAY_OWN_H
#define RELAY_OWN_H

#include "relay/client.h"

/*
 * Answers the request if its path is one of these. False: it is not. As walk_request() leaves
 * the client.
 */
bool own_request(struct client *c, const struct h1_head *h);

/* How the client calls this host: of h1_host_is_valid(). Borrows from h. */
struct rk_slice own_authority(const struct h1_head *h);

#endif
