/*
 * How upstreams are reached: directly, or through an HTTP proxy (CONNECT). One text form in the
 * configuration, on the command line, in the policy store and between processes:
 *
 *   ""                  as the configuration says (of a connection)
 *   none                directly
 *   http://HOST:PORT    through that proxy; HOST is a DNS name or an address
 *
 * The port is always written out: proxies have no usual one. A credential is no part of it.
 */
#ifndef BASE_EGRESS_H
#define BASE_EGRESS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum egress_kind { EGRESS_DEFAULT, EGRESS_DIRECT, EGRESS_PROXY };

enum { EGRESS_HOST_MAX = 253, EGRESS_TEXT = sizeof "http://[]:65535" + EGRESS_HOST_MAX };

struct egress {
	enum egress_kind kind;
	char host[EGRESS_HOST_MAX + 1]; /* lower case; IPv6 without brackets */
	uint16_t port;
};

/* RK_E_INVALID with what would be right; *out is untouched then. Never shows the text: somebody
 * may have put a password into it. */
RK_MUST_CHECK int egress_parse(struct rk_slice text, struct egress *out,
                               struct rk_fault *fault);

/* The canonical form; parsing it gives the same. Returns text[]. */
const char *egress_format(const struct egress *e, char text[EGRESS_TEXT]);

#endif
