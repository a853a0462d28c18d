/*
 * The console's callers: who brings a command (MSG_CALLER), the command under the same id, and
 * that nobody waits for its answer any more (MSG_FORGET). Many at once; each its own command.
 *
 * Limits: SIDE_MAX_CALLERS; MSG_WINDOW bytes of a long answer are on their way to the console,
 * and more when it says what it has taken (MSG_TAKEN).
 */
#ifndef KEEPER_SIDE_CALLER_H
#define KEEPER_SIDE_CALLER_H

#include "ipc/peer.h"

enum { SIDE_MAX_CALLERS = 1024 };

struct keeper;
struct side_callers;

/* Borrows both. */
RK_MUST_CHECK int side_callers_new(struct keeper *k, struct ipc_peer *p,
                                   struct side_callers **out);

/* Forgets them all. Accepts NULL. */
void side_callers_free(struct side_callers *s);

/* A message of the console. RK_E_PROTOCOL: it must lose its channel. */
RK_MUST_CHECK int side_callers_message(struct side_callers *s, const struct ipc_message *m);

/* The channel has room again. */
void side_callers_drained(struct side_callers *s);

/* Whether a caller with this id waits for its command, or for its answer. */
bool side_callers_know(const struct side_callers *s, uint64_t id, bool *runs);

#endif
