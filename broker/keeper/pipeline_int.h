/*
 * Inside the pipeline: shared by pipeline*.c and flights.c only.
 *
 *   pipeline.c          batches: opening, submitting, what a commit brings
 *   pipeline_request.c  the life of a request
 *   pipeline_asked.c    what was asked for, judged again
 *   pipeline_unwrap.c   credentials of a batch, and who waits for them
 *   pipeline_token.c    the token lost and back
 *   pipeline_recover.c  the journal away and back
 *   pipeline_rows.c     rows: encoding, tail
 *   pipeline_discover.c what a key may do
 *   pipeline_trust.c    who waits for a first address, and addresses no longer trusted
 *   pipeline_contain.c  traffic stopped for all
 *   pipeline_probe.c    tests of connections
 *   pipeline_contain.c  traffic stopped for all, honey keys
 */
#ifndef KEEPER_PIPELINE_INT_H
#define KEEPER_PIPELINE_INT_H

#include <stdatomic.h>

#include "http/mask.h"
#include "keeper/authorize.h"
#include "keeper/credential.h"
#include "keeper/flights.h"
#include "keeper/gather.h"
#include "keeper/pipeline.h"
#include "keeper/probe.h"
#include "keeper/relay_link.h"

struct pl_batch;

enum pl_state {
	PL_WAITING, /* decided; for its row to be durable and its credential to be there */
	PL_RUNNING, /* DECISION allowed was sent */
};

enum { PL_ASKED = 208 };

/* What a request asked for: enough to judge it again when its key's grants change. */
struct pl_asked {
	uint8_t client_ip[16];
	uint16_t method_n, path_n, names_n; /* one behind the other in text, or in `more` */
	bool lost;                          /* there was no memory for it */
	char *more;                         /* owned; NULL: it fits into text */
	char text[PL_ASKED];
};

struct pl_request {
	struct pipeline *p;
	struct index_request flight; /* in the index while it is an allowed request */
	struct flight in_link;       /* by link and id, while the relay may name it */
	struct relay_link *link;     /* NULL: withdrawn, or the relay is gone */
	struct pl_request *link_next, **link_prev;
	struct index_lane *lane; /* of its connection, in which it waits for a credential */
	struct pl_request *wait_next, *wait_prev;
	struct pl_request *next; /* of the free list */
	/* of its key, when it was decided */
	struct rate_report limits;
	uint8_t request_id[16];
	uint8_t client_ip[16];
	uint32_t unwrap_us;
	uint32_t target;  /* of its connection, when it was decided */
	uint16_t reason;  /* of the decision */
	uint16_t cut;     /* of the CUT that was sent; REASON_OK: none was */
	uint8_t state;    /* enum pl_state */
	uint8_t outcome;  /* once withdrawn: for its RESPONSE row */
	bool row_durable; /* its REQUEST row is in the journal */
	bool again;       /* a second decision was asked for */
	bool resent;      /* after the request may have gone out */
	bool dial;        /* wants what making a connection takes */
	struct pl_asked asked;
};

/*
 * One unwrap of a connection's secret, wanted by a batch. Whoever waits at the connection and
 * has a durable row is answered by the first unwrap that ends, whichever batch wanted it: a
 * slow token has several of them under way, and nothing unwrapped is kept for anybody.
 */
struct pl_credential {
	struct worker_job job;
	struct pipeline *p;
	struct pl_batch *batch;
	struct index_conn *conn; /* held */
	struct index_lane *lane; /* of it */
	struct index_auth *auth; /* held */
	uint32_t upstream_id;    /* as decided upon */
	struct rk_slice blob; /* copy in the batch: the connection may be rotated meanwhile */
	struct rk_slice place;
	char place_mem[CREDENTIAL_PLACE_MAX];
	/* with what a dial takes: likewise, empty where there is none */
	bool dial;
	struct rk_slice key_blob, proxy_blob;
	uint32_t key_version, proxy_version;
	struct rk_secret headers, query; /* rendered */
	struct rk_secret dialling;       /* encoded msg_dial */
	char masks[MASK_LIST_BYTES];     /* fingerprints of what the upstream may echo */
	size_t masks_n;
	uint32_t unwrap_us;
	int err;
	char err_text[160];
	atomic_bool begun; /* by a worker */
	bool started;      /* given to a worker */
	bool finished;     /* and given back */
};

/* What happens when a row is durable or has failed. */
struct pl_row {
	struct pl_request *request; /* REQUEST rows */
	pipeline_row_done *done;
	void *arg;
	bool keep; /* tell of something that did happen: kept until the journal is back */
};

struct pl_batch {
	struct pl_batch *next;
	struct worker_job job;
	struct pipeline *p;
	uint64_t number;
	int64_t commit_us;
	char *mem; /* packed rows and wrapped blobs: PIPELINE_BATCH_BYTES */
	size_t used;
	unsigned rows, credentials;
	unsigned waiting; /* credentials that a worker has */
	bool unwraps;     /* its credentials go with the commit, on the journal's thread */
	bool urgent;      /* somebody waits for it */
	bool settled;     /* durable or failed: the rows were dealt with */
	bool failed;
	bool probe;
	int err;
	struct rk_fault fault;
	struct journal_entry entry[PIPELINE_BATCH_ROWS];
	struct pl_row row[PIPELINE_BATCH_ROWS];
	struct pl_credential credential[PIPELINE_BATCH_ROWS];
};

/* A row that outlived a failed batch. */
struct pl_kept {
	struct pl_kept *next;
	size_t n;
	char bytes[];
};

struct pl_slab;
struct pl_discovery;
struct pl_parked;

struct pipeline {
	struct pipeline_params params;
	struct pl_batch *open;                      /* being filled; NULL when empty */
	struct pl_batch *queue_first, **queue_tail; /* full, not submitted yet */
	unsigned queued;
	struct pl_batch *committing; /* with the journal worker */
	struct pl_batch *spare;      /* free batches */
	unsigned spares, unwrapping;
	uint64_t batch_number;
	struct loop_hook turn_end;
	struct event *lazy_timer;
	struct gather gather;
	struct journal_head head;

	struct flights flights;
	struct pl_slab *slabs;
	struct pl_request *free_request;
	struct pl_parked *parked; /* the newest first */
	unsigned parked_count;
	size_t requests; /* slots in use */

	struct pl_discovery *discoveries; /* waiting for their rows */
	unsigned discovery_count;

	bool audit_ok;
	char audit_error[256];
	struct pl_kept *kept_first, **kept_tail;
	uint64_t kept, turned_away;
	struct event *probe_timer;

	bool stopped; /* the panic switch is on */
	bool unsealed;
	bool
	    token_quick; /* the last unwrap took less than handing it to another thread costs */
	struct worker_job token_job;
	bool token_busy, token_pinged;
	int token_err;
	struct rk_fault token_fault;
	struct event *token_timer;

	struct worker_job maintain_job;
	bool maintaining;
	size_t wal_pages; /* rough guess of pages written since the last maintain */

	struct pipeline_tail *tails, *tail_cursor;
	struct pipeline_counters counters;
	void (*flushed)(void *arg);
	void *flushed_arg;
	struct pl_probe *probes;
	unsigned probe_count;
	uint64_t probe_id;
	struct authorized decision; /* the one being made: too large for the stack */
};

/* ---- pipeline.c ---- */

/* The open batch, with room for one row and, when `extra` is not 0, for one credential and that
 * many bytes; NULL: out of memory. */
struct pl_batch *pl_batch_room(struct pipeline *p, size_t extra);
void pl_batch_submit(struct pl_batch *b);
/* Gives the batch back when nothing needs it any more. */
void pl_batch_release(struct pl_batch *b);
struct pl_batch *pl_batch_new(struct pipeline *p);
/* Answers, callbacks and kept rows of a batch that will not be durable. */
void pl_batch_fail(struct pl_batch *b, int err);
void pl_wake(struct pipeline *p); /* look at the batches at the end of this turn */
void pl_gate(struct pipeline *p);

/* ---- pipeline_rows.c ---- */

/* Packs into the open batch. `urgent`: somebody waits for it. */
RK_MUST_CHECK int pl_row_add(struct pipeline *p, const struct audit_row *row,
                             const struct pl_row *what, bool urgent);
void pl_row_response(struct pipeline *p, const struct pl_request *r,
                     const struct msg_complete *m);
/* Cut to cap bytes, what is not printable ASCII as '?'. */
struct rk_slice pl_printable(struct rk_slice from, char *to, size_t cap);
void pl_row_state(struct pipeline *p, const char *action, const char *detail);
void pl_rows_tell_tails(struct pl_batch *b);

/* ---- pipeline_request.c ---- */

void pl_request_refused(struct pl_request *r);
/* Its row is durable, and a credential of its connection is there or has failed. */
void pl_request_ready(struct pl_request *r, const struct pl_credential *c);
void pl_request_failed(struct pl_request *r);
void pl_requests_free(struct pipeline *p);
/* Decides, writes the row, and answers when that is durable. `again`: it has waited for its
 * holder's first address already. */
void pl_request_decide(struct pipeline *p, struct pl_request *r, const struct msg_authorize *m,
                       bool again);
void pl_request_cut(struct pl_request *r, enum reason reason);

/* ---- pipeline_trust.c ---- */

/* The request in p->decision waits for its holder's first address. */
RK_MUST_CHECK int pl_trust_park(struct pipeline *p, struct pl_request *r,
                                const struct msg_authorize *m);
/* Whether the address that an allowed request came from still is. */
bool pl_trusted(const struct pl_request *r);
void pl_parked_free(struct pipeline *p);

/* The relay is told to end it, or is not told yet that it may go on. */
void pl_request_forbid(struct pl_request *r, enum reason reason);

/* ---- pipeline_discover.c ---- */

void pl_discoveries_link_gone(struct pipeline *p, const struct relay_link *link);
void pl_discoveries_free(struct pipeline *p);

/* ---- pipeline_asked.c ---- */

void pl_asked_note(struct pl_asked *a, const struct msg_authorize *m, struct rk_slice path);
void pl_asked_free(struct pl_asked *a);

/* ---- pipeline_contain.c ---- */

/* Has the last word on what was decided, before limits are looked at. */
void pl_contain(const struct pipeline *p, const struct msg_authorize *m, int64_t now_ms,
                struct authorized *d);

/* ---- pipeline_unwrap.c ---- */

/* Bytes of a batch that a connection's credential takes. */
static inline size_t pl_credential_bytes(const struct index_conn *conn, bool dial)
{
	return conn->blob.n + (dial ? conn->identity.blob.n + conn->proxy.blob.n : 0) + 1;
}
/* The request waits from here on, for a credential that the open batch wants; pl_batch_room()
 * has made room in it. */
void pl_credential_attach(struct pipeline *p, struct pl_request *r, struct index_conn *conn);
void pl_request_waits_no_more(struct pl_request *r);

/* The batch is submitted: gives its credentials to workers, as many as it takes. */
void pl_credentials_submit(struct pl_batch *b);
/* On the journal's thread, behind the commit of a batch that `unwraps`. */
void pl_credentials_unwrap(struct pl_batch *b);
/* Back on the loop, before the batch is settled. */
void pl_credentials_unwrapped(struct pl_batch *b);
/* The batch is durable or has failed: answers what can be answered. */
void pl_credentials_settle(struct pl_batch *b);
/* Wipes. */
void pl_credential_drop(struct pl_credential *c);

/*
 * One outside of batches: takes what the connection has now, its wrapped secrets to *mem
 * (pl_credential_bytes() of it), which moves on.
 */
void pl_credential_take(struct pl_credential *c, struct pipeline *p, struct index_conn *conn,
                        bool dial, char **mem);
/* Any thread: unwraps and renders it. */
void pl_credential_open(struct pl_credential *c);

/* ---- pipeline_probe.c ---- */

void pl_probes_link_gone(struct pipeline *p, const struct relay_link *link);
void pl_probes_cut(struct pipeline *p, const struct index_conn *conn, enum reason reason);
void pl_probes_free(struct pipeline *p);

/* ---- pipeline_token.c ---- */

RK_MUST_CHECK int pl_token_watch(struct pipeline *p);
/* Closes the gate until the token is back. */
void pl_token_lost(struct pipeline *p, const char *why);

/* ---- pipeline_recover.c ---- */

void pl_journal_failed(struct pl_batch *b);
void pl_journal_recovered(struct pipeline *p);
void pl_keep(struct pipeline *p, struct rk_slice encoded);
int pl_recover_init(struct pipeline *p);
void pl_kept_free(struct pipeline *p);

#endif
