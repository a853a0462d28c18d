/*
 * One request that the keeper was asked about: from AUTHORIZE to COMPLETE. It joins a client's
 * connection with an upstream's.
 *
 * Every allowed exchange is completed towards the keeper exactly once, whatever ends it. A
 * client that leaves before the decision leaves the exchange behind, which waits for it.
 *
 * The head with the upstream's secret is wiped once it is written. A request that may be sent a
 * second time is decided a second time: back to EXCHANGE_ASKED.
 */
#ifndef RELAY_EXCHANGE_H
#define RELAY_EXCHANGE_H

#include "policy/rate.h"
#include "relay/client.h"
#include "relay/flow.h"
#include "relay/request.h"
#include "relay/upstream.h"

enum exchange_state {
	EXCHANGE_ASKED,     /* waits for the decision, the first or the second */
	EXCHANGE_DIALLING,  /* waits for a connection to the upstream */
	EXCHANGE_SENDING,   /* the head is being written */
	EXCHANGE_WAITING,   /* no whole response head yet; the body may be under way */
	EXCHANGE_STREAMING, /* the response head is with the client, or on its way */
	EXCHANGE_TUNNEL,    /* switched to WebSocket: bytes both ways */
	EXCHANGE_ENDED,
};

struct exchange {
	struct grave grave;
	struct relay *relay;
	uint64_t id;
	struct client *client; /* NULL: it left before the decision */
	struct request *req;   /* owned */
	char *discovers;       /* owned; asks what its key may do (relay/discover.h), at this
	                          host; NULL: asks to be forwarded */
	struct upstream *upstream; /* counted; NULL before the decision */
	struct upstream_conn *conn;
	struct rk_secret head; /* with the upstream's secret; gone as soon as it is written */
	size_t head_off;
	struct span up_out;
	struct flow up, down;
	struct echo echo; /* of the secret, in the response */
	struct deadline deadline;
	enum exchange_state st;
	bool allowed;
	bool retried; /* goes, or is to go, over a second connection: a fresh one */
	bool upload_done, upload_failed;
	bool download_done; /* EXCHANGE_TUNNEL: the upstream has ended its side */
	bool got_byte;      /* of the response */
	bool client_keep;   /* the client's connection lives on after this response */
	bool upstream_keep; /* the upstream's does */
	bool client_blocks; /* the response waits for the client */
	uint8_t interim;    /* 1xx responses so far */
	unsigned keep_s;    /* Keep-Alive: timeout=, 0: none */
	uint64_t paced;     /* bytes of the request's body when the deadline was set */
	uint64_t acked;     /* of what the client was sent, when last looked at */
	size_t seen;        /* bytes of the response head that are no whole one */
	int status;         /* of the upstream, 0: none */
	int64_t cut_at_ms;  /* 0: never */
	int64_t started_us, sent_us;
	uint32_t upstream_us;
	struct rate_report limits;    /* of its key; retry_after_s: of a breaker, too */
	struct msg_complete complete; /* while it is in relay->unsaid */
	char said[64];                /* its detail */
	struct exchange *unsaid_next;
};

/* Takes req; the client becomes its client. NULL without memory (req stays the caller's). */
struct exchange *exchange_new(struct client *c, struct request *req);
uint64_t exchange_id(const struct exchange *ex);

/* It was never asked for: away with it. */
void exchange_forget(struct exchange *ex);

/* The exchange of an id, or NULL. */
struct exchange *exchange_find(struct relay *r, uint64_t id);

/* Asks for a second decision: the connection that the head went out on is dead, or to make one
 * takes a secret that the first did not bring. */
void exchange_ask_again(struct exchange *ex);

/* The keeper's answer; slices in m are used before this returns. */
void exchange_decided(struct exchange *ex, const struct msg_decision *m);

/* The key was revoked, the connection frozen, the key has expired: now. */
void exchange_cut(struct exchange *ex, unsigned reason);

/* Its key expires at another time; 0: never. */
void exchange_expiry(struct exchange *ex, int64_t cut_at_ms);

/* From the two sides. */
void exchange_on_client(struct exchange *ex, unsigned events);
void exchange_on_upstream(struct exchange *ex, unsigned events);
void exchange_connected(struct exchange *ex);
void exchange_dial_failed(struct exchange *ex, enum reason reason, const char *detail);

/* The client's connection is gone. */
void exchange_client_gone(struct exchange *ex);

/* Takes a connection (a fresh one if so wished), or waits for one. `dial`: what the decision
 * brought for that, encoded msg_dial or empty. */
void exchange_connect(struct exchange *ex, bool fresh, struct rk_slice dial);

/*
 * Ends it without a response of the upstream: the client gets a refusal, or a broken connection
 * when the response has begun.
 */
void exchange_fail(struct exchange *ex, enum audit_outcome outcome, enum reason reason,
                   const char *detail);

/* Ends it; the client is the caller's from here on. `detail` is a short text or NULL. */
void exchange_end(struct exchange *ex, enum audit_outcome outcome, enum reason reason,
                  const char *detail);

/* All of them, e.g. because the keeper is gone. */
void exchange_end_all(struct relay *r, enum audit_outcome outcome, enum reason reason);

/* Cuts those whose key has expired. */
void exchange_cut_expired(struct relay *r);

/* Tries again to send what did not fit into the keeper's channel. */
void exchange_say_unsaid(struct relay *r);

#endif
