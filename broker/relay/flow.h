/*
 * One direction of an exchange: body bytes from one TLS connection to another, framed anew,
 * with back-pressure. What was read is written before more is read, so a flow never holds more
 * than two blocks, however unequal the two sides are; and what has arrived is written at once,
 * so that events of a stream pass one by one.
 */
#ifndef RELAY_FLOW_H
#define RELAY_FLOW_H

#include "http/h1.h"
#include "http/tls.h"
#include "relay/echo.h"

struct flow {
	struct blocks *blocks;
	struct tls *from, *to;
	struct span
	    *in; /* read from `from`, not taken yet; what follows the body stays in it */
	struct span *out; /* framed for `to`, not written yet */
	uint8_t kind;     /* enum h1_body: how the source frames it */
	bool rechunk;     /* write it chunked */
	bool ended;       /* all of the body has been taken from the source */
	bool moved;       /* something was read or written since the owner last looked */
	uint64_t left;    /* H1_BODY_LENGTH: bytes still to come */
	struct h1_chunked chunked;
	uint64_t bytes;    /* body bytes taken so far */
	struct echo *echo; /* looks through them before they are framed; NULL: nobody does */
};

enum flow_result {
	FLOW_DONE,       /* the whole body has been written */
	FLOW_WAIT_READ,  /* call again when `from` is readable */
	FLOW_WAIT_WRITE, /* call again when `to` is writable; stop reading meanwhile */
	FLOW_SOURCE_GONE,
	FLOW_SOURCE_BAD, /* malformed chunks: *h1_err says which rule */
	FLOW_SINK_GONE,
	FLOW_NO_MEMORY,
};

/* Sets how the source frames the body. The connections and spans are set by the owner. */
void flow_start(struct flow *f, enum h1_body kind, uint64_t length, bool rechunk);

/*
 * Moves body bytes that have been read already from `in` to dst: H1_BODY_LENGTH only. For those
 * that fit behind a head. Returns how many.
 */
size_t flow_take_early(struct flow *f, void *dst, size_t cap);

/* Moves what can be moved. *h1_err is set for FLOW_SOURCE_BAD. */
enum flow_result flow_run(struct flow *f, int *h1_err);

#endif
