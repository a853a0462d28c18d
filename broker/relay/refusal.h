/*
 * Answers that the broker gives itself: refusals in the form that the SDKs of OpenAI and
 * Anthropic both understand (PRODUCT section 2), and /healthz. Pure.
 */
#ifndef RELAY_REFUSAL_H
#define RELAY_REFUSAL_H

#include "policy/rate.h"
#include "policy/reason.h"
#include "relay/block.h"

struct refusal {
	unsigned reason;                  /* enum reason */
	const char *detail;               /* which rule, e.g. "bad_header_name"; NULL */
	const char *request_id;           /* "req_..." */
	const struct rate_report *limits; /* of the key; NULL */
	bool head;                        /* the request was HEAD: no body */
	bool close;                       /* Connection: close */
	bool keep_alive;                  /* Connection: keep-alive, for HTTP/1.0 */
};

/* Head and body into dst[cap]; its length, or RK_E_TOOBIG. 2048 bytes are always enough. */
ssize_t refusal_write(const struct refusal *r, char *dst, size_t cap);

/* The answer to /healthz: "ok" is 200, any other word 503. */
ssize_t refusal_write_health(const char *status, const struct refusal *r, char *dst,
                             size_t cap);

#endif
