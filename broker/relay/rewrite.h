/*
 * Heads as the relay writes them: the request towards the upstream, with the credential in
 * place, and the response towards the client. Framing is always the relay's own. Pure.
 */
#ifndef RELAY_REWRITE_H
#define RELAY_REWRITE_H

#include <sys/types.h>

#include "base/secret.h"
#include "policy/rate.h"
#include "relay/request.h"

struct rewrite_upstream {
	struct rk_slice authority;   /* value of Host */
	struct rk_slice base_path;   /* "" or "/v1" */
	struct rk_slice set_headers; /* LIST of names that the credential sets */
};

/*
 * The request head into `out` (secret memory, allocated here, `spare` bytes of room behind it),
 * secrets and all. inject_headers: complete lines; inject_query: "name=value" or empty.
 * RK_E_TOOBIG when it is over what a secret block holds, RK_E_NOMEM.
 */
RK_MUST_CHECK int rewrite_request(const struct request *r, const struct rewrite_upstream *u,
                                  struct rk_slice inject_headers, struct rk_slice inject_query,
                                  size_t spare, struct rk_secret *out);

enum rewrite_framing {
	REWRITE_NONE,   /* no body, no length: 1xx, 204 */
	REWRITE_LENGTH, /* Content-Length: also where HEAD or 304 only tell it */
	REWRITE_CHUNKED,
	REWRITE_CLOSE, /* the end of the connection ends it */
};

struct rewrite_response {
	const char
	    *request_id; /* NULL: an interim response, passed on without our own fields */
	enum rewrite_framing framing;
	uint64_t length;
	bool allow_set_cookie;
	const struct rate_report *limits; /* of the key; NULL */
	bool say_close;                   /* Connection: close */
	bool say_keep_alive;              /* Connection: keep-alive, for HTTP/1.0 */
	bool say_upgrade;                 /* 101: Connection: Upgrade, Upgrade: websocket */
};

/* The response head into dst[cap]; its length, or RK_E_TOOBIG. */
RK_MUST_CHECK ssize_t rewrite_response(const struct h1_head *h,
                                       const struct rewrite_response *how, char *dst,
                                       size_t cap);

/* Reason phrase of a status, "" for one without. */
const char *rewrite_phrase(int status);

#endif
