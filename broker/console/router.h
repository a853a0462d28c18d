/*
 * What the console answers to which request: the operations of broker/api, and pages
 * (console/pages.c). An operation becomes one command to the keeper, under the request's id,
 * behind MSG_CALLER with the credential as it was presented; the keeper says who that is and
 * what it may do. Answers go on to the client as they come: lists and streams without being
 * held as a whole.
 */
#ifndef CONSOLE_ROUTER_H
#define CONSOLE_ROUTER_H

#include "console/server.h"
#include "ipc/peer.h"

struct router;

/* Before the sandbox. */
RK_MUST_CHECK int router_new(struct loop *l, struct router **out);
/* Accepts NULL. After the server is gone. */
void router_free(struct router *r);

/* The server that has router_ops and the router as its argument. */
void router_serve(struct router *r, struct server *s);
extern const struct server_ops router_ops;

/* The channel to the keeper; NULL: there is none, and what waits for an answer gets 503. */
void router_set_keeper(struct router *r, struct ipc_peer *keeper);
void router_message(struct router *r, const struct ipc_message *m);

#endif
