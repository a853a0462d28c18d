/*
 * The batch machine of the keeper: from AUTHORIZE to DECISION, from COMPLETE to its row.
 *
 * Whatever arrives in a loop turn is decided at once and appended, encoded, to the open batch.
 * When the journal worker is idle, and has rested a little under load (keeper/gather.h), the
 * open batch is submitted to it (one commit), and its
 * credentials are unwrapped, each once: by the same worker behind the commit when the token is
 * quick, meanwhile and on the token pool when it is not. The next batch is decided while this
 * one commits. A request is answered when its row is durable and, if it is allowed, an unwrap
 * of its credential that somebody waited for has ended. Nothing unwrapped outlives that moment.
 *
 * While one request is all there is, its commit runs on the loop's thread (`commit_alone`): a
 * journal that hangs keeps nobody from being cut then, because nobody is in flight.
 *
 * Everything here runs on the loop's thread. Limits: a batch holds at most
 * PIPELINE_BATCH_ROWS rows and PIPELINE_BATCH_BYTES bytes; past PIPELINE_MAX_BATCHES waiting
 * batches requests are answered 503 (overloaded).
 *
 * When the journal fails, the requests of all waiting batches are answered 503 and the gate
 * closes; rows of exchanges that ended are kept, and a probe row is tried every second. When
 * the token fails, the gate closes and the token is tried again every second.
 */
#ifndef KEEPER_PIPELINE_H
#define KEEPER_PIPELINE_H

#include "ipc/loop.h"
#include "ipc/messages.h"
#include "keeper/index.h"
#include "keeper/journal.h"
#include "keeper/worker.h"
#include "policy/reason.h"

enum {
	PIPELINE_BATCH_ROWS = 512,
	PIPELINE_BATCH_BYTES = 1 << 20,
	PIPELINE_MAX_BATCHES = 16,
	PIPELINE_LAZY_MS = 20,   /* rows that nobody waits for are flushed after this */
	PIPELINE_RETRY_MS = 1000 /* journal probe, token reconnect */
};

struct pipeline;
struct relay_link;

/* What the pipeline waits for; called on worker threads, append also on the loop's. */
struct pipeline_backend {
	int (*append)(void *arg, struct journal_entry *entries, size_t count,
	              struct rk_fault *fault);
	void (*maintain)(void *arg);
	int (*unwrap)(void *arg, struct rk_slice blob, struct rk_slice place,
	              struct rk_secret *out, struct rk_fault *fault);
	int (*reconnect)(void *arg, struct rk_fault *fault); /* RK_E_PIN: not tried again */
	int (*ping)(void *arg); /* NULL: the token is not watched */
	void *arg;
};

/*
 * Who looks after the addresses of holders (keeper/trust.h); on the loop. All NULL: nobody is
 * trusted on the spot.
 */
struct pipeline_trust {
	/* Before each decision: brings the index up to date. */
	void (*ask)(void *arg);
	/* A holder's first address, for a request that is in order but for it: claims it, and
	 * pipeline_trust_settled() follows, not from inside. Negative: not possible now. */
	int (*first)(struct index_key *key, const struct index_conn *conn,
	             const struct msg_authorize *m, void *arg);
	/* Refused with REASON_IP_UNCONFIRMED. */
	void (*locked)(struct index_key *key, const struct index_conn *conn,
	               const struct msg_authorize *m, void *arg);
	void *arg;
};

struct pipeline_params {
	struct loop *loop;
	struct index *index;
	struct worker_pool *journal_pool; /* one thread */
	struct worker_pool *token_pool;
	unsigned token_threads; /* of token_pool: unwraps of one connection at once */
	bool commit_alone;      /* commit for a single request on the loop's thread */
	unsigned quick_us;      /* a token whose last unwrap took less is quick; 0: none is */
	struct pipeline_backend backend;
	struct pipeline_trust trust;
	struct journal_head head;       /* where the chain stands now */
	const uint64_t *policy_version; /* written into rows; borrowed */
	/* The gate changed: whether requests can be served (may be NULL). */
	void (*gate)(bool unsealed, bool audit_ok, void *arg);
	void *gate_arg;
	/* Somebody presented a honey key (may be NULL). */
	void (*honey)(const struct index_key *key, const struct index_conn *conn,
	              const struct msg_authorize *m, void *arg);
	void *honey_arg;
	int retry_ms; /* 0: PIPELINE_RETRY_MS; tests set it */
};

/* The params are copied, what they point at is borrowed. */
RK_MUST_CHECK int pipeline_new(const struct pipeline_params *params, struct pipeline **out);

/* Jobs must be over: free the worker pools first. Accepts NULL. */
void pipeline_free(struct pipeline *p);

bool pipeline_unsealed(const struct pipeline *p);
bool pipeline_audit_ok(const struct pipeline *p);
/* Why audit_ok is false; "" otherwise. Borrows until the next loop turn. */
const char *pipeline_audit_error(const struct pipeline *p);

struct pipeline_counters {
	uint64_t requests; /* AUTHORIZE and REFUSED messages */
	uint64_t refused;  /* of them, not allowed */
	uint64_t batches;  /* commits that were durable */
	uint64_t unwraps;
	uint64_t dropped; /* refusals without a row: journal away or overload */
	uint32_t in_flight;
};
void pipeline_counters(const struct pipeline *p, struct pipeline_counters *out);

/* ---- messages of a relay (keeper/relay_link.c) ---- */

/* RK_E_PROTOCOL: the relay broke the rules (an id that is open already, a COMPLETE for none);
 * its link must be closed. */
RK_MUST_CHECK int pipeline_authorize(struct pipeline *p, struct relay_link *link, uint64_t id,
                                     const struct msg_authorize *m);
/* A COMPLETE before the DECISION withdraws the request: no decision follows it. */
RK_MUST_CHECK int pipeline_complete(struct pipeline *p, struct relay_link *link, uint64_t id,
                                    const struct msg_complete *m);
/*
 * A second DECISION for an allowed request: judged and unwrapped anew. RK_E_PROTOCOL also when
 * the request was not answered yet, or was granted a second one before.
 */
RK_MUST_CHECK int pipeline_again(struct pipeline *p, struct relay_link *link, uint64_t id,
                                 const struct msg_again *m);
void pipeline_refused(struct pipeline *p, const struct msg_refused *m);

/* Answered with a DISCOVERED, whatever it is. */
void pipeline_discover(struct pipeline *p, struct relay_link *link, uint64_t id,
                       const struct msg_discover *m);

/* The relay is gone: its open requests end with outcome `broker`. */
void pipeline_link_gone(struct pipeline *p, struct relay_link *link);

/* ---- rows of others ---- */

/* err 0: the row is durable. Called on the loop, never from inside pipeline_append_row(). */
typedef void pipeline_row_done(int err, void *arg);

/*
 * Appends a row (packed here, `time_ms` and `policy_version` are filled in when 0). `done` may
 * be NULL. Negative: not accepted (journal away, row too large) and `done` is not called.
 */
RK_MUST_CHECK int pipeline_append_row(struct pipeline *p, const struct audit_row *row,
                                      pipeline_row_done *done, void *arg);

/*
 * A row that tells of something that did happen: appended like the others, but when the journal
 * is away it is kept in memory until it is back.
 */
void pipeline_keep_row(struct pipeline *p, const struct audit_row *row);

/*
 * Sends CUT for every request in flight of a key or through a connection, now. Requests that
 * are decided but not yet answered are judged again before their answer, from the index, so
 * change that first (key->revoked_ms, conn->enabled, index_conn_remove()).
 */
void pipeline_cut_key(struct pipeline *p, struct index_key *key, enum reason reason);
void pipeline_cut_conn(struct pipeline *p, struct index_conn *conn, enum reason reason);

/* The same for what is in flight from an address that is not trusted any more. */
void pipeline_cut_untrusted(struct pipeline *p);

/* The first address of the holder is stored, or was not: those who wait are judged again. */
struct index_holder;
void pipeline_trust_settled(struct pipeline *p, const struct index_holder *h);
/* The panic switch: while it is on, every request with a valid key is refused and everything in
 * flight is cut. */
void pipeline_stop_traffic(struct pipeline *p, bool stopped);

/* Tells the relays when what is in flight with the key ends now: key->expires_ms has changed.
 */
void pipeline_expiry_changed(struct pipeline *p, struct index_key *key);

/* Grants or addresses of a key have changed: CUT for each of its requests in flight that they
 * would not let pass any more. */
void pipeline_policy_changed(struct pipeline *p, struct index_key *key);

/* ---- live tail ---- */

/* Called for each durable row, in order; row borrows until the return. seq, prev_hash, hash and
 * row are set. A subscriber may remove itself (or be removed) in its own call. */
typedef void pipeline_tail_row(const struct msg_audit_entry *e, void *arg);

struct pipeline_tail {
	pipeline_tail_row *row;
	void *arg;
	struct pipeline_tail *next, **prev; /* the pipeline's */
};

/* The memory is the caller's, until pipeline_tail_remove(). */
void pipeline_tail_add(struct pipeline *p, struct pipeline_tail *t);
void pipeline_tail_remove(struct pipeline *p, struct pipeline_tail *t);

/* ---- the end ---- */

/* Submits what is open and calls `done` once nothing waits for the journal any more (at once
 * when it is away). */
void pipeline_flush(struct pipeline *p, void (*done)(void *arg), void *arg);

#endif
