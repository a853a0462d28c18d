/*
 * The header of the PROXY protocol, version 2 (the binary one), which a load balancer writes in
 * front of a connection to say whose it is. Pure.
 *
 * Taken: LOCAL, and PROXY of TCP over IPv4 and IPv6; its TLVs are checked to fit and skipped.
 * Refused: version 1 (text), datagrams, Unix sockets, an unspecified source, commands that the
 * specification does not know.
 */
#ifndef HTTP_PROXY_V2_H
#define HTTP_PROXY_V2_H

#include "base/ipaddr.h"

enum { PROXY_V2_START = 16, PROXY_V2_MAX = PROXY_V2_START + 2048 };

enum proxy_v2_err {
	PROXY_V2_E_SIGNATURE = -1,
	PROXY_V2_E_VERSION = -2,
	PROXY_V2_E_COMMAND = -3,
	PROXY_V2_E_FAMILY = -4,
	PROXY_V2_E_LENGTH = -5, /* shorter than its addresses, or over PROXY_V2_MAX */
	PROXY_V2_E_TLV = -6,
};

struct proxy_v2 {
	bool local;      /* the proxy's own connection: there is no source */
	struct rk_ip ip; /* source */
	uint16_t port;   /* of the source */
};

/* > 0: the header's length; 0: more bytes are needed; < 0: enum proxy_v2_err, and final. */
int proxy_v2_parse(struct rk_slice in, struct proxy_v2 *out);

/*
 * How many bytes to read next after a result of 0: never one that lies behind the header, so
 * that what follows stays in the socket.
 */
size_t proxy_v2_missing(struct rk_slice in);

/* Stable short code for the log. */
const char *proxy_v2_err_code(int err);

#endif
