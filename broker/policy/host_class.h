/*
 * What a host name says of itself. Normally an upstream's addresses are looked up and checked
 * (relay/resolve.c); behind a proxy that looks names up by itself, the name is all there is to
 * check. Pure.
 */
#ifndef POLICY_HOST_CLASS_H
#define POLICY_HOST_CLASS_H

#include "base/slice.h"

enum host_class {
	HOST_PUBLIC,   /* nothing known against it */
	HOST_LOCAL,    /* this machine or its network: RFC 6761, 6762, 8375, or a name without a
	                  dot */
	HOST_METADATA, /* a cloud's metadata service: never an upstream */
};

/* `name` is a DNS name without a dot at its end, not an address. */
enum host_class host_class(struct rk_slice name);

#endif
