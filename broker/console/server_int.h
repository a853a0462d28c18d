/* Inside the server: connections (conn*.c) and what they share (server.c). */
#ifndef CONSOLE_SERVER_INT_H
#define CONSOLE_SERVER_INT_H

#include "console/server.h"
#include "http/tls.h"

enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,   /* between requests */
	CONN_HEAD,   /* a request has begun */
	CONN_BODY,   /* its head is whole */
	CONN_ASKED,  /* the owner has it */
	CONN_STREAM, /* the owner writes the answer piece by piece */
	CONN_WRITE,  /* the answer is complete and on its way */
	CONN_LINGER, /* last answer written: waits for the client to leave */
};

struct conn {
	struct server *server;
	struct conn *next, **prev;
	uint64_t id; /* of the request in hand, or 0 */
	unsigned slot;
	struct rk_ip ip;
	struct tls *tls;
	struct event *deadline;
	struct rk_secret in;   /* not looked at yet */
	struct rk_secret head; /* of the request in hand */
	struct rk_secret body;
	struct h1_head *parsed; /* its slices lie in `head` */
	struct h1_chunked chunks;
	struct rk_buf out;
	struct rk_secret vault[REPLY_VAULT]; /* to be written behind `out` */
	size_t vault_done;                   /* bytes of the first of them */
	char request_id[REPLY_REQUEST_ID];
	enum conn_state state;
	unsigned patience_s;
	bool head_only; /* HEAD */
	bool http10;
	bool last;    /* no request after this one */
	bool doomed;  /* ends at the turn's end */
	bool kicked;  /* makes a step at the turn's end */
	bool stalled; /* the client does not take what was written */
};

struct server {
	struct loop *loop;
	struct tls_base *tls;
	struct tls_ctx *ctx;
	const struct server_ops *ops;
	void *arg;
	int listener;
	struct event *acceptable;
	struct event *pause;
	struct conn *conns;
	struct conn *slot[SERVER_MAX_CONNECTIONS];
	unsigned count;
	size_t bodies; /* bytes of all bodies' blocks */
	uint64_t next_id;
	bool stopping;
	void (*empty)(void *arg);
	void *empty_arg;
	struct loop_hook empty_hook;
	struct loop_hook kick_hook; /* connections that were kicked */
};

/* ---- server.c ---- */

/* Whether more may be accepted has changed. */
void server_watch(struct server *s);

/* Has the connection make a step at the turn's end, outside of all callbacks. */
void server_kick(struct conn *c);

/* ---- conn.c ---- */

/* Takes fd. */
void conn_new(struct server *s, unsigned slot, int fd, const struct rk_ip *ip);
void conn_free(struct conn *c);
void conn_set_state(struct conn *c, enum conn_state state);
/* Goes on as far as possible; the connection may be gone after it. */
void conn_step(struct conn *c);

/* ---- conn_request.c: each returns true when the next state may go on at once; after false
 * the connection may be gone ---- */

RK_MUST_CHECK bool conn_read_head(struct conn *c);
RK_MUST_CHECK bool conn_read_body(struct conn *c);

/* Gives the head, the body and what was found in them back. */
void conn_forget_request(struct conn *c);

/* Reads into `in`. False: there is nothing to read, or the connection is gone. */
RK_MUST_CHECK bool conn_fill(struct conn *c);

/* ---- conn_answer.c ---- */

/* Puts a whole answer into `out`; takes the vault's blocks. */
void conn_answer(struct conn *c, struct reply *r);
/* A problem document of the server's own, and the end of the connection. */
void conn_refuse(struct conn *c, int status, const char *code, const char *detail);
/* Writes: 0 when all is out, RK_E_AGAIN, or another error. */
RK_MUST_CHECK int conn_flush(struct conn *c);

#endif
