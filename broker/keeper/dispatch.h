/*
 * From the outbox to the courier: takes what is due, hands it out, notes how it ended, and
 * tries again later what failed (policy/retry.h).
 *
 * At least once: a row stays until the courier said how an attempt ended *and* that is stored.
 * A courier or keeper that dies in between sends once more. So that one slow target does not
 * hold the others, only few attempts of a lane (keeper/store_outbox.h) run at once, and a lane
 * whose target fails rests for a while.
 *
 * Loop thread only.
 */
#ifndef KEEPER_DISPATCH_H
#define KEEPER_DISPATCH_H

#include "ipc/peer.h"

struct dispatch;
struct keeper;

enum {
	DISPATCH_MAX = 24,     /* attempts at once */
	DISPATCH_LANE_MAX = 3, /* of one lane */
};

RK_MUST_CHECK int dispatch_new(struct keeper *k, struct dispatch **out);
/* After the store pool. Accepts NULL. */
void dispatch_free(struct dispatch *d);

/* The stores are open. */
void dispatch_open(struct dispatch *d);

/* Something may be due. Accepts NULL. */
void dispatch_kick(struct dispatch *d);

/* Mail goes another way now: how the former one fared does not count. Accepts NULL. */
void dispatch_mail_changed(struct dispatch *d);

/* The channel to the courier; what it is asked to deliver is `courier`'s until it ends. */
void dispatch_attach(struct dispatch *d, struct ipc_peer *courier);
/* It is gone: what it did not answer is tried again. Other peers are no matter. */
void dispatch_detach(struct dispatch *d, const struct ipc_peer *courier);

/* RK_E_PROTOCOL: there is no such attempt. */
RK_MUST_CHECK int dispatch_delivered(struct dispatch *d, uint64_t attempt,
                                     const struct msg_delivered *m);

#endif
