/*
 * Whose a request is when trusted proxies stand in front of the broker: X-Forwarded-For, to
 * which each proxy appends the address that it saw. Only what trusted proxies appended counts,
 * so the list is read from its end. Pure.
 */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/ipaddr.h"
#include "http/h1.h"

/*
 * The right-most address that is not a trusted proxy's; `peer` when it is not trusted itself
 * (the field is ignored then), or without the field. Where the list ends, or holds something
 * that is no address ("unknown"), the last trusted address that was read stands. An element may
 * have a port: "192.0.2.1:80", "[2001:db8::1]:80".
 */
struct rk_ip forwarded_client(const struct h1_head *h, const struct rk_ip *peer,
                              const struct rk_cidrs *trusted);

#endif
