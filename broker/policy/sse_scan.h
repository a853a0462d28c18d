/*
 * A reader of event streams (WHATWG HTML, section 9.2.6) that pass by: it is fed whatever
 * pieces arrive, keeps none of them, and hands on the data of each event as it comes. Any input
 * is an event stream, so there are no errors. Names, ids and comments are skipped.
 */
#ifndef POLICY_SSE_SCAN_H
#define POLICY_SSE_SCAN_H

#include "base/slice.h"

struct sse_scan_ops {
	/* A piece of the current event's data; several lines of it come joined by "\n". */
	void (*data)(struct rk_slice piece, void *arg);
	/* The event is complete; only for one that has data. */
	void (*event)(void *arg);
};

struct sse_scan {
	const struct sse_scan_ops *ops;
	void *arg;
	uint8_t state;
	uint8_t at;    /* characters of "data", or of the byte order mark, that were there */
	bool after_cr; /* a LF now belongs to the line end before */
	bool has_data; /* the event has a data line */
};

/* `ops` outlives the scanner. */
void sse_scan_init(struct sse_scan *s, const struct sse_scan_ops *ops, void *arg);

void sse_scan_feed(struct sse_scan *s, struct rk_slice piece);

#endif
