/*
 * The test of a connection: one GET or HEAD with its credential, for nobody, so that a person
 * sees whether address, certificate and secret are right. It goes the way of every request: a
 * REQUEST row that is durable before the secret leaves, a credential unwrapped for it alone, a
 * relay that dials and asks, a RESPONSE row. The body of the answer is not read.
 *
 * Loop thread. A few at a time (PROBES_MAX), each ended after PROBE_MS at the latest.
 */
#ifndef KEEPER_PROBE_H
#define KEEPER_PROBE_H

#include "ipc/messages_contain.h"
#include "keeper/index.h"
#include "policy/reason.h"

struct pipeline;
struct pl_probe;
struct relay_link;
struct relay_links;

enum { PROBES_MAX = 8, PROBE_MS = 40000 };

struct probe_request {
	struct index_conn *conn;
	bool head;
	struct rk_slice rest;  /* path behind the base path, checked */
	struct rk_slice actor; /* for the audit log */
};

/* m->reason is REASON_OK when the upstream answered; slices borrow until the return. */
typedef void probe_done(const struct msg_probed *m, void *arg);

/*
 * RK_E_STATE when nothing may leave now (sealed, stopped, disabled, no relay, the journal
 * away), RK_E_FULL, RK_E_NOMEM. Otherwise `done` is called once, later. request_id is what the
 * audit log calls it.
 */
RK_MUST_CHECK int probe_start(struct pipeline *p, struct relay_links *links,
                              const struct probe_request *r, uint8_t request_id[16],
                              probe_done *done, void *arg, struct pl_probe **out,
                              struct rk_fault *fault);

/* Nobody waits for it any more; it ends by itself. */
void probe_forget(struct pl_probe *probe);

/* From a relay. One that nobody waits for (it was too late) is passed over. */
void probe_answered(struct pipeline *p, const struct relay_link *link, uint64_t id,
                    const struct msg_probed *m);

#endif
