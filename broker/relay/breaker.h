/*
 * Circuit breaker of one upstream: after BREAKER_FAILURES dials in a row that led to no
 * connection, nothing is dialled for a while, so that an upstream that is down costs its
 * callers no waiting and the broker no sockets. Then one dial, the probe, is let through: it
 * closes the breaker, or opens it again for twice as long, up to BREAKER_MAX_MS. Pure; the
 * caller passes the time.
 *
 * What counts is the dial alone: no address found, refused, reset, not answered in time, no
 * TLS. What an upstream answers, and how late, is its own affair and no failure; neither is a
 * certificate that is not valid, because somebody is there and the operator has to see that
 * reason, nor an address that may not be dialled. A dial that nobody waits for any more says
 * nothing. Connections in the pool are used whatever the breaker says.
 *
 * Each relay process learns by itself. A connection that is changed starts with a new breaker.
 */
#ifndef RELAY_BREAKER_H
#define RELAY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BREAKER_FAILURES = 5,
	BREAKER_FIRST_MS = 1000,
	BREAKER_MAX_MS = 30000,
};

/* Starts as all zeroes: closed. */
struct breaker {
	int64_t
	    shut_until_us; /* 0: closed; past: waits for the probe's result, or for a probe */
	uint32_t wait_ms;  /* how long it was open the last time; 0: it was not */
	uint8_t failures;  /* in a row, while it is closed */
	bool probing;      /* the probe is under way */
};

enum breaker_word { BREAKER_DIAL, BREAKER_PROBE, BREAKER_OPEN };

/*
 * Whether to dial. Who is told BREAKER_PROBE tells the result of that very dial with `probe`
 * set. BREAKER_OPEN: *retry_s is in how many seconds to ask again, at least 1.
 */
enum breaker_word breaker_ask(struct breaker *b, int64_t now_us, uint32_t *retry_s);

/* The dial failed. True when the breaker has opened with it. */
bool breaker_failed(struct breaker *b, bool probe, int64_t now_us);

/* The upstream is there. True when the breaker has closed with it. */
bool breaker_succeeded(struct breaker *b);

/* The dial ended without a result. */
void breaker_abandoned(struct breaker *b, bool probe);

#endif
