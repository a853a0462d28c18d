/*
 * GET /_discover: what the presented relay key may do, as JSON. The keeper decides (DISCOVER,
 * DISCOVERED), as for any request: a key that is not valid is the one 401. Nothing secret comes
 * back, and nothing is forwarded.
 *
 * The question is an exchange without an upstream: the same id, the same deadline, the same
 * ends.
 */
#ifndef RELAY_DISCOVER_H
#define RELAY_DISCOVER_H

#include "relay/exchange.h"

/* Queues DISCOVER, or refuses. As walk_request() leaves the client. */
void discover_request(struct client *c, const struct h1_head *h);

/* The keeper's answer; slices in m are used before this returns. */
void discover_answered(struct exchange *ex, const struct msg_discovered *m);

/*
 * The document that a client gets, into *out (initialised here). `authority`: of its Host.
 * Pure. RK_E_NOMEM, RK_E_TOOBIG, RK_E_PROTOCOL: *out is empty.
 */
RK_MUST_CHECK int discover_render(const struct msg_discovered *m, struct rk_slice authority,
                                  struct rk_buf *out);

/*
 * A path glob of a grant as it stands behind the connection's name: without the base path.
 * False when there is no such pattern. Borrows from glob.
 */
bool discover_proxy_path(struct rk_slice glob, struct rk_slice base_path,
                         struct rk_slice *behind);

#endif
