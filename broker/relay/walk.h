/*
 * From a request's head to the question to the keeper: gate, target, credential, AUTHORIZE.
 * What the relay refuses by itself it reports, for the audit log.
 */
#ifndef RELAY_WALK_H
#define RELAY_WALK_H

#include "relay/client.h"

/*
 * Leaves the client CLIENT_BUSY with an exchange, or CLIENT_FLUSH with an answer. The head
 * borrows the client's buffer, which the caller wipes afterwards.
 */
void walk_request(struct client *c, const struct h1_head *h);

/* Refuses without asking the keeper, and tells it. `h`: as far as it was read. */
void walk_refuse(struct client *c, const struct h1_head *h, enum reason reason,
                 const char *detail);

/* ---- with discover.c ---- */

/* Whether the keeper may be asked for one thing more. */
bool walk_may_ask(const struct relay *r);

/* Its first User-Agent, as much as is written down. */
struct rk_slice walk_user_agent(const struct h1_head *h);

#endif
