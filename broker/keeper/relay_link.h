/*
 * The keeper's side of the channels to the relays: pushes the gate and the public table of
 * upstreams, passes requests to the pipeline.
 *
 * Order: an UPSTREAM is queued on the same channel before any DECISION that names its id. A new
 * link gets the closed gate, then the whole table (as fast as it reads), then the real gate.
 *
 * A relay that breaks the protocol or does not read what it is sent loses its channel (the
 * supervisor starts it anew); the keeper goes on.
 */
#ifndef KEEPER_RELAY_LINK_H
#define KEEPER_RELAY_LINK_H

#include "ipc/peer.h"
#include "keeper/index.h"

struct pipeline;
struct relay_links;
struct pl_request;

struct relay_link {
	struct relay_link *next, **prev;
	struct relay_links *links;
	struct ipc_peer *peer;
	bool lost; /* taken out at the end of the turn */
	uint32_t instance;
	bool synced;             /* the whole table was pushed */
	bool any_pushed;         /* `pushed` is valid */
	uint32_t pushed;         /* number of the last connection pushed while not synced */
	struct pl_request *open; /* the pipeline's: decided or running for this relay */
};

RK_MUST_CHECK int relay_links_new(struct loop *l, struct relay_links **out);
void relay_links_free(struct relay_links *r);

/* The stores are open: from now on requests go to the pipeline. Both are borrowed. */
void relay_links_open(struct relay_links *r, struct index *index, struct pipeline *pipeline);

/* Takes sock. */
RK_MUST_CHECK int relay_links_attach(struct relay_links *r, uint32_t instance, int sock);
/* One that has the whole table, in turn; NULL: there is none. */
struct relay_link *relay_links_any(struct relay_links *r);
unsigned relay_links_count(const struct relay_links *r);

/* Pushed to every relay when it changed. */
void relay_links_gate(struct relay_links *r, bool unsealed, bool audit_ok);

/* A connection was added, or got a new upstream_id (`replaces`: its former one, 0 for none). */
void relay_links_conn_changed(struct relay_links *r, const struct index_conn *conn,
                              uint32_t replaces);
/* Call before or after index_conn_remove(), while conn is still held. */
void relay_links_conn_removed(struct relay_links *r, const struct index_conn *conn);

/* For the pipeline: sends, and gives the channel up when it cannot. */
void relay_link_send(struct relay_link *link, enum ipc_type type, uint64_t id,
                     const void *body);
/* The same, but a failure is the caller's: the channel stays. */
RK_MUST_CHECK int relay_link_try_send(struct relay_link *link, enum ipc_type type, uint64_t id,
                                      const void *body);

#endif
