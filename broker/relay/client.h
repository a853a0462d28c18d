/*
 * A client's connection: one enum of states, one step function, one deadline a state. Between
 * requests it holds no buffers.
 */
#ifndef RELAY_CLIENT_H
#define RELAY_CLIENT_H

#include "base/buf.h"
#include "base/ipaddr.h"
#include "policy/rate.h"
#include "relay/engine.h"

enum client_state {
	CLIENT_ARRIVAL, /* before TLS: a trusted proxy says whose connection it is */
	CLIENT_HANDSHAKE,
	CLIENT_IDLE,   /* no byte of a request */
	CLIENT_HEAD,   /* some bytes of a head */
	CLIENT_BUSY,   /* an exchange has it */
	CLIENT_FLUSH,  /* the broker's own answer is being written */
	CLIENT_LINGER, /* answered and shut for writing; what still comes is thrown away */
	CLIENT_CLOSED,
};

struct client {
	struct grave grave;
	struct relay *relay;
	struct arrival *arrival; /* owned; while CLIENT_ARRIVAL */
	struct tls *tls;         /* NULL while CLIENT_ARRIVAL */
	struct client *next, **prev;
	struct exchange *exchange; /* while CLIENT_BUSY */
	struct span in;            /* a head, a body's beginning, pipelined requests */
	struct span out;           /* to be written */
	struct rk_buf more;        /* of a client_text: what did not fit into `out` yet */
	struct deadline deadline;
	struct rk_ip ip;    /* the socket's, or what the PROXY header said */
	struct rk_ip asker; /* whose the request in hand is: `ip`, or by X-Forwarded-For */
	enum client_state st;
	bool counted;       /* `ip` is in the census for it */
	size_t seen;        /* bytes of `in` that were looked at and are no whole head */
	int64_t started_us; /* first byte of the head */
	/* of the request in hand */
	uint8_t request_id[16];
	bool head;          /* HEAD */
	bool keep_alive;    /* the client's wish, and possible so far */
	bool settled;       /* its body has been read to the end */
	bool sized;         /* its body has a length, and is coming without being asked for */
	uint64_t body_left; /* then: bytes of it that were not taken yet */
	bool http10;
};

/* Takes fd (accepted, non-blocking). `counted`: entered in the census. */
void client_new(struct relay *r, int fd, const struct rk_ip *ip, bool counted);

/* ---- with arrival.c ---- */

/* Whose connection it is. False: that client has too many. */
RK_MUST_CHECK bool client_is(struct client *c, const struct rk_ip *ip);

/* Starts TLS on fd (taken). */
void client_secure(struct client *c, int fd);

/* Goes on as far as possible. `readable`: bytes may have come. */
void client_step(struct client *c, bool readable);

/* Reads once into `in`: bytes, or RK_E_*. */
RK_MUST_CHECK ssize_t client_fill(struct client *c);

/* Writes `out`: 0 when all is out, or RK_E_*. */
RK_MUST_CHECK int client_flush(struct client *c);

/* Refuses the request in hand; who calls it makes a step afterwards. `limits`: its key's, or
 * NULL.
 */
void client_refuse(struct client *c, unsigned reason, const char *detail,
                   const struct rate_report *limits);

/* Answers /healthz; who calls it makes a step afterwards. */
void client_answer_health(struct client *c);

/* An answer of the broker's own with a body of any length. */
struct client_text {
	unsigned status;
	const char *type;   /* NULL: no body at all, e.g. 304 */
	const char *fields; /* complete lines: "Name: value" CR LF */
	bool decided;       /* the keeper allowed it: say so */
	struct rk_buf body;
};

/* Answers so; takes the body. Who calls it makes a step afterwards. */
void client_answer_text(struct client *c, struct client_text *t);

/* An exchange is over and its response written. */
void client_next(struct client *c, bool keep_alive);

void client_close(struct client *c); /* properly; accepts NULL */
void client_abort(struct client *c); /* so that the client sees that something is missing */

#endif
