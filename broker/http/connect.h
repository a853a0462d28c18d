/*
 * Asking an HTTP proxy for a tunnel: CONNECT (RFC 9110 9.3.6). Pure.
 */
#ifndef HTTP_CONNECT_H
#define HTTP_CONNECT_H

#include "base/secret.h"
#include "http/h1.h"

enum {
	CONNECT_MAX_HEAD = 8192, /* of the proxy's answer */
	CONNECT_MAX_INTERIM = 8,
	CONNECT_MAX_CREDENTIAL = 512, /* "user:password" */
};

/*
 * The request for a tunnel to host:port (an IPv6 address without brackets) into out, allocated
 * here: it may hold the proxy's credential. `credential` is "user:password" or empty.
 * RK_E_NOMEM, RK_E_TOOBIG.
 */
RK_MUST_CHECK int connect_request(struct rk_slice host, uint16_t port,
                                  struct rk_slice credential, struct rk_secret *out);

/*
 * How many of the bytes of `in` belong to the head that begins at in.p[0], when `seen` of them
 * were known to hold no end of it: all of them, or up to its empty line. What lies behind stays
 * in the socket: it is TLS.
 */
size_t connect_head_bytes(struct rk_slice in, size_t seen);

enum connect_answer {
	CONNECT_MORE,    /* not a whole head yet */
	CONNECT_INTERIM, /* 1xx: another head follows */
	CONNECT_OPEN,    /* 2xx: the tunnel stands; a length it tells does not count */
	CONNECT_AUTH,    /* 407 */
	CONNECT_REFUSED, /* 3xx and 4xx */
	CONNECT_FAILED,  /* 5xx: it could not reach the upstream */
	CONNECT_BAD,     /* no proper HTTP/1.1 head, over the limit, or 101 */
};

/* Reads what connect_head_bytes() let in; `seen` of it gave CONNECT_MORE before. `scratch` is
 * the caller's. */
enum connect_answer connect_read(struct rk_slice in, size_t seen, struct h1_head *scratch);

/* Short code for the refusal and the audit log, e.g. "proxy_auth_required"; NULL for the first
 * three. */
const char *connect_detail(enum connect_answer answer);

#endif
