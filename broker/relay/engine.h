/*
 * What the parts of a relay share: the loop, the contexts, the keeper's channel, the table, and
 * the lists of what is open. One struct, handed down; private to broker/relay.
 *
 *   arrival.c   a connection of a trusted proxy before its TLS: the PROXY header
 *   client.c    a client's connection: reads heads, hands requests over, writes answers
 *   walk.c      from a head to the question to the keeper
 *   exchange.c  one allowed request from the decision to COMPLETE
 *   transfer.c  its bytes, both ways; tunnel.c  the same once it is a WebSocket
 *   upstream.c  connections to upstreams: pool, dial;  resolve.c their addresses
 *   breaker.c   whether to dial at all;  addresses.c in which order
 *   connecting.c  one through an egress proxy before its TLS: CONNECT
 *   probing.c   the test of a connection, without a client
 *   engine.c    all of it together: accepting, the keeper's messages, stopping
 *
 * Whatever a callback of the loop may still see is freed at the end of the turn: relay_bury().
 */
#ifndef RELAY_ENGINE_H
#define RELAY_ENGINE_H

#include "base/secret.h"
#include "http/h1.h"
#include "http/tls.h"
#include "ipc/peer.h"
#include "policy/reason.h"
#include "relay/block.h"
#include "relay/census.h"
#include "relay/deadline.h"
#include "relay/relay.h"
#include "relay/table.h"

struct client;
struct exchange;
struct probing;
struct evdns_base;

/* First member of everything that relay_bury() takes. */
struct grave {
	struct grave *next;
};

struct exchange_slot {
	struct exchange *exchange; /* NULL: free */
	uint32_t generation;       /* upper half of the id, so that an old id finds nothing */
	uint32_t next_free;
};

enum { RANDOM_POOL = 4096 };

struct relay {
	struct loop *loop;
	struct tls_base *tls;
	struct tls_ctx *identity; /* server side, for new connections */
	struct tls_ctx *trust; /* client side, the system's bundle; NULL: none could be read */
	struct evdns_base *dns;
	struct ipc_peer *keeper; /* NULL while there is none */
	struct table table;
	struct deadlines deadlines;
	struct blocks blocks;

	/* the gate, as the keeper last said */
	bool gate_known, unsealed, audit_ok;

	/* listening */
	int listener;
	struct event *acceptable;
	struct client *clients;
	unsigned client_count, max_clients;
	unsigned crowd; /* the most there were since memory was given back */
	unsigned max_per_client;
	struct census *census; /* of the clients that are counted */
	unsigned turned_away;  /* since that was last said */
	int64_t turned_away_said_us;
	bool accepting;
	bool proxy_protocol;
	struct rk_cidrs trusted_proxies;
	struct egress egress; /* of upstreams that say nothing else */

	/* exchanges, by the lower half of their id */
	struct exchange_slot *slots;
	uint32_t slot_count, free_slot;
	uint32_t exchange_count;
	struct exchange *unsaid; /* COMPLETE did not fit into the channel yet */
	int64_t next_cut_ms;     /* no exchange has to be cut before this */

	/* tests of connections */
	struct probing *probings;
	unsigned probing_count;

	/* scratch for one head at a time */
	struct h1_head head;
	struct rk_secret key; /* the key as presented, until AUTHORIZE has been queued */
	unsigned char random[RANDOM_POOL];
	size_t random_left;

	/* stopping */
	bool stopping;
	struct event *grace;

	struct grave *graves;
	struct loop_hook bury;
	int64_t log_second; /* of the counter below */
	unsigned log_count;
};

/* Frees `dead` at the end of this turn. */
void relay_bury(struct relay *r, struct grave *dead);

/* Why nothing can be forwarded now: REASON_OK, REASON_SEALED or REASON_AUDIT_UNAVAILABLE. */
enum reason relay_gate(const struct relay *r);

/* "ok", "starting", "sealed" or "audit_unavailable". */
const char *relay_gate_name(const struct relay *r);

/* 16 random bytes: a request's id. */
void relay_random_id(struct relay *r, uint8_t id[16]);

/*
 * Whether one more connection of this address is let in. *counted: it was entered in the
 * census, and has to leave it. A trusted proxy's own are not, because they are many clients'.
 */
RK_MUST_CHECK bool relay_lets_in(struct relay *r, const struct rk_ip *ip, bool *counted);

/* A client has gone: accepting may go on, stopping may be done. */
void relay_client_ended(struct relay *r);

/* The last client or exchange has gone, perhaps: then a relay that is stopping stops. */
void relay_may_be_done(struct relay *r);

/* At most a few of these a second reach the log. Never give it bytes of a head or body. */
void relay_log(struct relay *r, const char *event, const char *key, const char *value);

#endif
