/*
 * Connections to upstreams. A pool for each entry of the table, so never shared between
 * credentials; a dialled connection goes only to an address that was resolved and checked here.
 *
 * What a dial takes beyond the public table (a client certificate's key, an egress proxy's
 * credential) comes with the decision that dials. It is the same for all dials of an entry, so
 * one copy lies in secret memory while any of them is under way.
 *
 * upstream_open() gives an exchange a connection: at once from the pool, else later through
 * exchange_connected() or exchange_dial_failed(). The exchange gives it back with
 * upstream_pool() or ends it with upstream_close().
 */
#ifndef RELAY_UPSTREAM_H
#define RELAY_UPSTREAM_H

#include "policy/reason.h"
#include "relay/engine.h"

enum {
	POOL_MAX_IDLE = 512,       /* connections kept for one entry */
	UPSTREAM_MAX_CONNS = 4096, /* in all, for one entry */
};

enum upstream_conn_state {
	UPSTREAM_RESOLVING,
	UPSTREAM_DIALLING,
	UPSTREAM_BUSY, /* belongs to an exchange */
	UPSTREAM_IDLE, /* in the pool */
	UPSTREAM_ENDED,
};

struct upstream_conn {
	struct grave grave;
	struct relay *relay;
	struct upstream *upstream; /* counted */
	struct exchange *exchange; /* whose it is; NULL in the pool */
	struct probing *probing;   /* or a test's, which never gets into the pool */
	struct tls *tls;
	struct upstream_conn *next, **prev; /* pool, or those waiting for the resolver */
	struct span in;
	struct deadline deadline;
	int64_t usable_until_us; /* what the upstream said of its own patience; 0: nothing */
	enum upstream_conn_state st;
	bool reused;
	bool probe; /* of the upstream's breaker, as long as it has no result */
	/* while dialling */
	bool dials_secretly;           /* holds upstream->dial */
	struct connecting *connecting; /* owned; while an egress proxy is asked */
	struct rk_ip addrs[UPSTREAM_MAX_ADDRS];
	uint8_t addr_count, addr_next;
	const struct rk_ip *trying; /* of them; NULL once it has answered or failed */
	enum reason failed;         /* the gravest reason so far */
	const char *detail;
};

enum upstream_open_result {
	UPSTREAM_OPENED,
	UPSTREAM_COMING,
	UPSTREAM_REFUSED,
	UPSTREAM_RESTING, /* the breaker is open: ex->limits.retry_after_s is set */
};

/*
 * A connection to `u` for `ex`; *out is set unless it is refused (no memory, too many) or
 * resting.
 * `fresh`: not from the pool.
 */
enum upstream_open_result upstream_open(struct relay *r, struct upstream *u,
                                        struct exchange *ex, bool fresh,
                                        struct upstream_conn **out);

/* One for a test: fresh, and whatever the breaker says. UPSTREAM_COMING or UPSTREAM_REFUSED. */
enum upstream_open_result upstream_open_probing(struct relay *r, struct upstream *u,
                                                struct probing *p, struct upstream_conn **out);

/* Whether a connection in the pool of `u` could be taken now. */
bool upstream_has_idle(struct relay *r, struct upstream *u);

/* Whether dialling `u` takes a secret. */
static inline bool upstream_dials_secretly(const struct upstream *u)
{
	return u->identity || (u->flags & UPSTREAM_PROXY_SECRET);
}

/* What the dial of c takes, an encoded msg_dial, before resolve_start(); copied. RK_E_NOMEM,
 * RK_E_PROTOCOL. */
RK_MUST_CHECK int upstream_take_dial(struct upstream_conn *c, struct rk_slice dial);

/* Back into the pool, or closed when it cannot be used again. keep_s: how long the upstream
 * keeps it; 0: not said. */
void upstream_pool(struct upstream_conn *c, unsigned keep_s);

/* The address that is being tried is good, whatever comes of the dial: a proxy has spoken. */
void upstream_address_answers(struct upstream_conn *c);

/* The exchange waited for the dial as long as it may; it ends the connection afterwards. */
void upstream_dial_timed_out(struct upstream_conn *c);

/* Ends it. Accepts NULL. */
void upstream_close(struct upstream_conn *c);

/* Closes what the pool of `u` holds. */
void upstream_drain(struct relay *r, struct upstream *u);

/* ---- with connecting.c ---- */

/* Starts TLS on fd (taken), which ends at the upstream. */
void upstream_secure(struct upstream_conn *c, int fd);

/* This address did not do: the next one. */
void upstream_attempt_failed(struct upstream_conn *c, enum reason reason, const char *detail);

/* The proxy that `u` is reached through, or NULL. */
const struct egress *upstream_proxy(const struct relay *r, const struct upstream *u);

/* ---- with resolve.c ---- */

/*
 * Looks the host of c up, or takes the addresses found before; checks every one against what
 * the connection allows. Calls upstream_resolved(), perhaps at once.
 */
void resolve_start(struct upstream_conn *c);
void upstream_resolved(struct upstream_conn *c, const struct rk_ip *addrs, unsigned count,
                       enum reason failed, const char *detail);

/* Whether an address may be dialled for a connection with these flags (PRODUCT section 2). */
bool resolve_address_allowed(const struct rk_ip *ip, uint32_t flags);

#endif
