/*
 * The console's HTTPS server: accepts, reads one request after another, hands it to its owner,
 * writes the answer, whole or as a stream.
 *
 * Whatever comes in may hold a secret: heads and bodies are read into secret memory, and wiped
 * when the owner has had them. Out go answers from the heap, and those with secrets from blocks
 * of secret memory.
 *
 * Limits: SERVER_MAX_CONNECTIONS at a time (more wait in the queue of the listener),
 * SERVER_MAX_PER_CLIENT of one address (of IPv6: one /64; more are closed), SERVER_MAX_HEAD
 * bytes of head (431), SERVER_MAX_BODY of body (413), SERVER_MAX_OUT of a stream that the
 * client does not read. 15 s for the handshake and for a head, 30 s for a body (408) and
 * between requests, 60 s without progress of an answer, 5 s for the owner's answer (503)
 * unless it asked for more. All bodies
 * together take SERVER_ALL_BODIES, so that those of strangers leave room for heads. Without
 * secret memory for a head or body: 503.
 */
#ifndef CONSOLE_SERVER_H
#define CONSOLE_SERVER_H

#include "base/ipaddr.h"
#include "console/reply.h"
#include "http/h1.h"
#include "http/tls_ctx.h"
#include "ipc/loop.h"

enum {
	SERVER_MAX_CONNECTIONS = 256,
	SERVER_MAX_PER_CLIENT = 64,
	SERVER_MAX_HEAD = 16384,
	SERVER_MAX_BODY = SECRET_MAX_BYTES,
	SERVER_ALL_BODIES = 2 << 20,
	SERVER_MAX_OUT = 2 << 20,
};

struct server;

struct server_request {
	uint64_t id; /* never 0; its lowest byte is no other request's at the same time */
	const struct h1_head *head;
	struct rk_slice body; /* secret memory; empty before it was read */
	struct rk_ip client;
	const char *request_id; /* "req_..." */
};

/* All slices borrow until the return. */
struct server_ops {
	/*
	 * A head has come, and a body is to come. True: read it. False: the owner has answered,
	 * and the body is not wanted.
	 */
	bool (*head)(const struct server_request *r, void *arg);
	/* A whole request: it must be answered with its id, now or later. */
	void (*request)(const struct server_request *r, void *arg);
	/* What was written of the stream is with the client's side. */
	void (*drained)(uint64_t id, void *arg);
	/* Nobody waits for the rest of the answer any more; the id is worth nothing now. */
	void (*gone)(uint64_t id, void *arg);
};

/* Takes listener and ctx, also on failure. Borrows ops. */
RK_MUST_CHECK int server_new(struct loop *l, int listener, struct tls_ctx *ctx,
                             const struct server_ops *ops, void *arg, struct server **out);

/* For connections from now on; takes ctx. */
void server_set_tls(struct server *s, struct tls_ctx *ctx);

/* ---- answers: each does nothing when the client has left meanwhile ---- */

/* A whole answer. Takes the vault's blocks in any case. */
void server_answer(struct server *s, uint64_t id, struct reply *r);

/* So many seconds for the owner's answer. */
void server_patience(struct server *s, uint64_t id, unsigned seconds);

/* The head of a stream. False: nobody wants a body (HEAD), and the answer is complete. */
RK_MUST_CHECK bool server_stream(struct server *s, uint64_t id, const struct reply *head);

/* More of it. RK_E_TOOBIG: the client reads too slowly; RK_E_CLOSED: it has left. */
RK_MUST_CHECK int server_write(struct server *s, uint64_t id, struct rk_slice bytes);

/* Bytes of the stream that are not written yet. */
size_t server_queued(struct server *s, uint64_t id);

/* The stream is complete. */
void server_end(struct server *s, uint64_t id);

/* The stream ends before its end: the client sees that something is missing. */
void server_abort(struct server *s, uint64_t id);

/* ---- the end ---- */

/*
 * Takes no more connections and ends those between two requests, and streams; `empty` (which
 * may free the server) is called when the last one has ended, at the turn's end.
 */
void server_stop(struct server *s, void (*empty)(void *arg), void *arg);

/* Ends every connection at once; accepts NULL. */
void server_free(struct server *s);

#endif
