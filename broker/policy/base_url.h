/*
 * Base URLs of connections: https only, because upstream TLS is always verified. Pure.
 */
#ifndef POLICY_BASE_URL_H
#define POLICY_BASE_URL_H

#include "base/err.h"
#include "base/slice.h"

enum { BASE_URL_MAX = 1024, BASE_URL_HOST_MAX = 253 };

struct base_url {
	char host[BASE_URL_HOST_MAX + 1]; /* lower case; IPv6 literal without brackets */
	uint16_t port;                    /* 443 when absent */
	bool ip_literal;
	char path[BASE_URL_MAX]; /* "" or "/v1": no slash at the end, passes target_check_path()
	                          */
};

/*
 * https://host[:port][/path]. Refuses http, user information, query, fragment, an ambiguous
 * path, a host that is not a DNS name (LDH labels, underscore allowed) or IP literal; the fault
 * text says what would be right.
 */
RK_MUST_CHECK int base_url_parse(struct rk_slice text, struct base_url *out,
                                 struct rk_fault *fault);

#endif
