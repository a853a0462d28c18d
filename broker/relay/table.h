/*
 * The public table: what a relay knows of the connections without asking, pushed by the keeper.
 * No secrets. A request's destination does not come from here by name but by the
 * upstream_id of the keeper's decision; the name only gives the flags that reading the request
 * needs.
 *
 * Ownership: an entry is counted; whoever keeps a pointer holds a reference. An entry that was
 * replaced is not found by name any more, but by id until it is retired, because decisions for
 * it may be on their way.
 */
#ifndef RELAY_TABLE_H
#define RELAY_TABLE_H

#include "base/egress.h"
#include "base/ipaddr.h"
#include "base/secret.h"
#include "http/tls_ctx.h"
#include "http/tls_key.h"
#include "http/tls_session.h"
#include "ipc/messages.h"
#include "relay/addresses.h"
#include "relay/breaker.h"
#include "relay/deadline.h"

enum {
	TABLE_BUCKETS = 1024, /* power of two */
	UPSTREAM_MAX_ADDRS = ADDRESSES_MAX,
};

struct relay;
struct upstream_conn;

struct upstream {
	struct upstream *by_id_next, *by_conn_next, *by_name_next;
	uint32_t refs;
	uint32_t id;
	uint32_t flags; /* enum upstream_flags */
	uint16_t port;
	bool named;         /* found by conn_id and name */
	bool broken_ca;     /* its CA bundle could not be read: nothing is dialled */
	bool broken_egress; /* nor its client certificate or its proxy */
	struct rk_slice conn_id, name, base_path, set_headers; /* in `text` */
	char *host;                                            /* in `text`, with a NUL */
	char *authority; /* value of Host, in `text`, with a NUL */
	char *text;
	struct tls_ctx *ctx;           /* private CA; NULL: the system's */
	struct tls_identity *identity; /* client certificate; NULL: none */
	struct egress egress;          /* its own, before what the configuration says */

	/* for relay/upstream.c and relay/resolve.c */
	struct tls_session_slot session;
	struct upstream_conn *idle; /* last used first */
	unsigned idle_count, conn_count;
	struct rk_ip addrs[UPSTREAM_MAX_ADDRS];
	unsigned addr_count;
	int64_t addrs_until_us;
	struct address_faults faults;
	struct breaker breaker;
	struct rk_secret dial;         /* encoded msg_dial, while a dial holds it */
	unsigned dial_users;           /* how many do */
	struct upstream_conn *waiting; /* for the resolver */
	bool resolving;
	struct deadline retired;
	struct relay *owner; /* whose table it stands in */
};

struct table {
	struct upstream *by_id[TABLE_BUCKETS];
	struct upstream *by_conn[TABLE_BUCKETS];
	struct upstream *by_name[TABLE_BUCKETS];
	unsigned count; /* entries with a name */
};

/*
 * Adds an entry; *out borrows it until table_remove(). RK_E_PROTOCOL for an entry that no
 * keeper would send (empty host, port 0, NUL bytes), RK_E_EXISTS for an id that is there
 * already.
 */
RK_MUST_CHECK int table_add(struct table *t, const struct msg_upstream *m,
                            struct upstream **out);

/* By id or name of the connection, as it stands in a URL; NULL. */
struct upstream *table_find(const struct table *t, struct rk_slice conn);
struct upstream *table_by_id(const struct table *t, uint32_t id);

/* Takes the entry out of the names only. */
void table_unname(struct table *t, struct upstream *u);

/* Takes it out altogether and drops the table's reference. */
void table_remove(struct table *t, struct upstream *u);

/* Any entry, or NULL when the table is empty; for taking all of them out. */
struct upstream *table_any(const struct table *t);

void upstream_ref(struct upstream *u);
void upstream_unref(struct upstream *u); /* accepts NULL */

#endif
