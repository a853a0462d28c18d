/*
 * The test of a connection, as the keeper asks for it (PROBE): one request for nobody, over a
 * connection of its own, that ends when the head of the answer is there. Lookup, checks of the
 * address, egress proxy, TLS and the writing of the head are those of every request
 * (relay/upstream.h, relay/rewrite.h).
 *
 * Not from the pool and not into it; the breaker is not asked, but learns of the dial.
 */
#ifndef RELAY_PROBING_H
#define RELAY_PROBING_H

#include "relay/upstream.h"

enum { PROBING_MAX = 16 };

struct probing;

/* Says PROBED in any case, sooner or later. Slices in m are used before this returns. */
void probing_start(struct relay *r, uint64_t id, const struct msg_probe *m);

/* The keeper takes it back. False: there is none of that id. */
bool probing_cut(struct relay *r, uint64_t id, unsigned reason);

/* The keeper is gone. */
void probing_end_all(struct relay *r);

/* ---- from relay/upstream.c ---- */

void probing_connected(struct probing *p);
void probing_dial_failed(struct probing *p, enum reason reason, const char *detail);
void probing_on_upstream(struct probing *p, unsigned events);
/* Why TLS failed, in OpenSSL's words; more may be tried. */
void probing_note_failure(struct probing *p, const char *why);
/* Where the beginning of the handshake is noted. */
int64_t *probing_handshake(struct probing *p);

#endif
