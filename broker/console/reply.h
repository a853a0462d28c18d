/*
 * What the console answers, as bytes: heads with the headers that every answer has, and the
 * small documents that are made of constants only.
 */
#ifndef CONSOLE_REPLY_H
#define CONSOLE_REPLY_H

#include "base/buf.h"
#include "base/secret.h"

enum { REPLY_VAULT = 3, REPLY_BODY_MAX = 512, REPLY_REQUEST_ID = 37 };

struct reply {
	int status;
	const char *type;     /* media type of the body; NULL: none */
	struct rk_slice body; /* not secret */
	/* Behind it: a body with secrets, in secret memory; zeroed blocks are none. */
	struct rk_secret vault[REPLY_VAULT];
	const char *headers; /* complete header lines with CRLF, or NULL */
	const char *csp;     /* NULL: 'none' for everything */
};

/* {"status":"ok"} with 200, or with 503 why not; `what` is a constant. */
struct reply reply_health(int status, const char *what, char *body, size_t cap);

/* A problem document (RFC 9457): title from the status, `code` and `detail` constants. */
struct reply reply_problem(int status, const char *code, const char *detail, char *body,
                           size_t cap);

const char *reply_phrase(int status);

/* How the end of the body is told. */
enum reply_framing { REPLY_LENGTH, REPLY_CHUNKED, REPLY_UNTIL_CLOSE };

/* What the connection knows of the answer. */
struct reply_terms {
	enum reply_framing framing;
	bool without_body; /* HEAD */
	bool close;        /* the last answer */
	int64_t wall_ms;
	const char *request_id;
};

/* The head, and r->body unless it is left out. The vault is not rendered. */
RK_MUST_CHECK int reply_render(const struct reply *r, const struct reply_terms *t,
                               struct rk_buf *out);

#endif
