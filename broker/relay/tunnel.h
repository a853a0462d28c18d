/*
 * An exchange that has become a WebSocket: bytes as they are, both ways at once, each with
 * back-pressure. It ends when both sides have ended theirs, when one of them breaks off, when
 * nothing moves for DEADLINE_TUNNEL, or when it is cut.
 */
#ifndef RELAY_TUNNEL_H
#define RELAY_TUNNEL_H

#include "relay/exchange.h"

/*
 * The upstream's 101, `used` bytes in its buffer: passes it on and opens the tunnel, or ends
 * the exchange with 502 when nobody asked for it or it is not a proper one. False when the
 * exchange has ended.
 */
RK_MUST_CHECK bool tunnel_start(struct exchange *ex, const struct h1_head *h, size_t used);

void tunnel_on_client(struct exchange *ex, unsigned events);
void tunnel_on_upstream(struct exchange *ex, unsigned events);

/* What its deadline was for: static text. */
const char *tunnel_timeout_detail(const struct exchange *ex);

#endif
