/*
 * The console's HTTPS server: accepts, reads one request head after another, hands it to its
 * owner, writes the answer. Request bodies are not read: a request that has one is answered and
 * the connection ends.
 *
 * Limits: SERVER_MAX_CONNECTIONS at a time (more wait in the queue of the listener),
 * SERVER_MAX_HEAD bytes of head, 15 s for the handshake and for a head, 30 s between requests,
 * 5 s for the owner's answer (503 then).
 */
#ifndef CONSOLE_SERVER_H
#define CONSOLE_SERVER_H

#include "console/reply.h"
#include "http/h1.h"
#include "http/tls_ctx.h"
#include "ipc/loop.h"

enum { SERVER_MAX_CONNECTIONS = 64, SERVER_MAX_HEAD = 16384 };

struct server;

/*
 * One request; head borrows until the return. It must be answered with server_answer() and this
 * id, now or later.
 */
typedef void server_request_fn(uint64_t id, const struct h1_head *head, void *arg);

/* Takes listener and ctx, also on failure. */
RK_MUST_CHECK int server_new(struct loop *l, int listener, struct tls_ctx *ctx,
                             server_request_fn *request, void *arg, struct server **out);

/* For connections from now on; takes ctx. */
void server_set_tls(struct server *s, struct tls_ctx *ctx);

/* Nothing happens when the client has left meanwhile. */
void server_answer(struct server *s, uint64_t id, const struct reply *r);

/*
 * Takes no more connections and ends those between two requests; `empty` (which may free the
 * server) is called when the last one has ended, at the turn's end.
 */
void server_stop(struct server *s, void (*empty)(void *arg), void *arg);

/* Ends every connection at once; accepts NULL. */
void server_free(struct server *s);

#endif
