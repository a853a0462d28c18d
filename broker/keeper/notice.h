/*
 * Telling the outside: a notice becomes a row of the outbox for each webhook that wants its
 * kind, one for the mail address that it is meant for, and, when it is an alert, one for each
 * address that the settings name for alerts. keeper/dispatch.h sends them.
 *
 * id and time_ms are filled in where they are zero.
 */
#ifndef KEEPER_NOTICE_H
#define KEEPER_NOTICE_H

#include "ipc/messages.h"

struct keeper;
struct notices;
struct store;

enum { NOTICES_MAX = 256 }; /* not yet stored */

/*
 * Loop. The rows are written by the store worker on its own; as long as the store cannot (it is
 * not open yet, the disk is full), the notice waits in memory. RK_E_FULL when too many do.
 */
RK_MUST_CHECK int notice_raise(struct keeper *k, const struct msg_notice *n,
                               struct rk_slice mail_to);

/* Store worker, in an open transaction: the same, as part of a change. */
RK_MUST_CHECK int notice_store(struct store *s, const struct msg_notice *n,
                               struct rk_slice mail_to, struct rk_fault *fault);

/* To one webhook alone (its id), or to one address. */
RK_MUST_CHECK int notice_store_for(struct store *s, const struct msg_notice *n,
                                   struct rk_slice hook, struct rk_slice mail_to,
                                   struct rk_fault *fault);

/* ---- for the keeper itself ---- */

RK_MUST_CHECK int notices_new(struct keeper *k, struct notices **out);
/* The store is open. */
void notices_flush(struct notices *n);
/* After the store pool. Accepts NULL. */
void notices_free(struct notices *n);

#endif
