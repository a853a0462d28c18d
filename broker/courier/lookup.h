/*
 * From a host name to addresses that may be dialled: looked up, each one checked, and only
 * those that passed are handed to libcurl, which looks nothing up by itself.
 *
 * Public addresses are for everybody, private and loopback ones where the target allows them,
 * link-local ones, metadata services and the like for nobody. A host that a proxy looks up can
 * only be judged by its name.
 */
#ifndef COURIER_LOOKUP_H
#define COURIER_LOOKUP_H

#include "base/ipaddr.h"
#include "ipc/loop.h"

struct evdns_base;
struct lookup;

enum { LOOKUP_MAX = 8 };

/* Reads the resolver's files: before the sandbox. NULL when out of memory. */
struct evdns_base *lookup_open(struct loop *l);

bool lookup_allowed(const struct rk_ip *ip, bool allow_private);
/* Of a name or an address that somebody else looks up. */
bool lookup_name_allowed(const char *host, bool allow_private);

/* `why` is NULL, or why there is none. */
typedef void lookup_done(const struct rk_ip *found, unsigned count, const char *why, void *arg);

/*
 * Calls `done` once, maybe before it returns; *out is NULL then. Otherwise *out may be given up
 * with lookup_cancel() until `done` was called.
 */
void lookup_start(struct evdns_base *dns, const char *host, bool allow_private,
                  lookup_done *done, void *arg, struct lookup **out);

/* `done` is not called any more. Accepts NULL. */
void lookup_cancel(struct lookup *l);

#endif
