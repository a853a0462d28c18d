/*
 * How many connections each client address has now. An IPv6 client counts by its /64, because
 * whoever has one address there has all of them. Entering and leaving cost the same whatever
 * their number: open addressing, at most half full, without tombstones.
 *
 * The table is keyed, so that nobody can choose addresses that fall together.
 */
#ifndef RELAY_CENSUS_H
#define RELAY_CENSUS_H

#include "base/err.h"
#include "base/ipaddr.h"

struct census;

/* For at most `most` connections at a time. *out is owned. */
RK_MUST_CHECK int census_new(unsigned most, struct census **out);
void census_free(struct census *c); /* accepts NULL */

/*
 * Counts one connection more of this address; false, and nothing counted, when it has `cap`
 * already or there are `most` in all.
 */
RK_MUST_CHECK bool census_enter(struct census *c, const struct rk_ip *ip, unsigned cap);

/* One that entered is gone. */
void census_leave(struct census *c, const struct rk_ip *ip);

/* For tests: how many the address has; how many addresses there are. */
unsigned census_of(const struct census *c, const struct rk_ip *ip);
unsigned census_addresses(const struct census *c);

#endif
