/*
 * What the upstream sends back of the secret that it was sent: masked on its way to the client,
 * in the head and in the body, wherever it is cut (http/mask.h). The relay has no secret any
 * more by then, only its fingerprints.
 *
 * What may be the beginning of it waits in secret memory. Memory that it has passed through is
 * overwritten: what was passed on holds stars, what was read is wiped.
 *
 * Of a WebSocket, a frame is searched by itself: its end never waits for the next one.
 */
#ifndef RELAY_ECHO_H
#define RELAY_ECHO_H

#include "base/secret.h"
#include "http/mask.h"
#include "http/websocket.h"
#include "relay/block.h"

/* Zeroed: passes everything. */
struct echo {
	struct mask mask;
	size_t head_n;         /* bytes of the head that are masked */
	struct rk_secret held; /* came before what comes next, not passed on yet */
	bool framed;           /* the body is frames of a WebSocket */
	struct websocket_frames frames;
};

/* Begins anew with the fingerprints of a decision. RK_E_PROTOCOL. */
RK_MUST_CHECK int echo_start(struct echo *e, struct rk_slice prints);

/* What comes now are frames. */
void echo_frames(struct echo *e);

/* Gives up what is held. */
void echo_end(struct echo *e);

static inline bool echo_found(const struct echo *e)
{
	return e->mask.found;
}

/*
 * Masks the first n bytes of `in`, a head: as far as it has come, or the whole of it. Called
 * again for more of the same head, it goes on where it was.
 */
void echo_head(struct echo *e, struct span *in, size_t n, bool whole);

/* How much room the next echo_body() needs in front of what is new. */
static inline size_t echo_room(const struct echo *e)
{
	return e ? e->held.len : 0;
}

/*
 * n new bytes of the body stand at `at` + echo_room(). Masks; returns how many bytes from `at`
 * may be passed on, or RK_E_NOMEM. `source`: where they were read, or copied from. `last`: the
 * body ends with them.
 */
RK_MUST_CHECK ssize_t echo_body(struct echo *e, char *at, size_t n, bool last,
                                struct span *source);

#endif
