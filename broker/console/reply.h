/*
 * What the console answers, as bytes. Bodies are made of constants only: nothing that a client
 * sent comes back to it.
 */
#ifndef CONSOLE_REPLY_H
#define CONSOLE_REPLY_H

#include "base/buf.h"

struct reply {
	int status;
	const char *type;   /* media type of the body */
	const char *body;   /* JSON */
	const char *header; /* one more complete header line with CRLF, or NULL */
};

/* {"status":"ok"} with 200, or with 503 why not; `what` is a constant. */
struct reply reply_health(int status, const char *what, char *body, size_t cap);

/* A problem document (RFC 9457): title from the status, `code` and `detail` constants. */
struct reply reply_problem(int status, const char *code, const char *detail, char *body,
                           size_t cap);

enum { REPLY_BODY_MAX = 512 };

/* The whole response. `without_body`: the answer to HEAD. `close` says that it is the last one.
 */
RK_MUST_CHECK int reply_render(const struct reply *r, bool without_body, bool close,
                               int64_t wall_ms, struct rk_buf *out);

#endif
