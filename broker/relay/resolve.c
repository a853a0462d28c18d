/*
 * From a host name to addresses that may be dialled. What was checked is what is dialled: the
 * name is not looked up again in between.
 */
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "policy/host_class.h"
#include "relay/upstream.h"

enum { ADDRESSES_KEPT_US = 10 * 1000000 };

bool resolve_address_allowed(const struct rk_ip *ip, uint32_t flags)
{
	switch (rk_ip_classify(ip)) {
	case IP_PUBLIC:
		return true;
	case IP_PRIVATE:
	case IP_LOOPBACK:
		return flags & UPSTREAM_ALLOW_PRIVATE;
	default:
		return false; /* link-local, metadata, special: for nobody */
	}
}

/*
 * Whether `u` may be asked of a proxy, which looks the name up by itself: an address is checked
 * as ever, of a name there is only what it says of itself.
 */
static bool destination_allowed(const struct upstream *u)
{
	struct rk_ip literal;

	if (rk_ip_parse(rk_str(u->host), &literal) == 0)
		return resolve_address_allowed(&literal, u->flags);
	switch (host_class(rk_str(u->host))) {
	case HOST_PUBLIC:
		return true;
	case HOST_LOCAL:
		return u->flags & UPSTREAM_ALLOW_PRIVATE;
	default:
		return false;
	}
}

/* Keeps the allowed ones of u's addresses; false when there were some and all were refused. */
static bool keep_allowed(struct upstream *u, uint32_t flags, const struct rk_ip *found,
                         unsigned count)
{
	u->addr_count = 0;
	for (unsigned i = 0; i < count && u->addr_count < UPSTREAM_MAX_ADDRS; i++) {
		if (resolve_address_allowed(&found[i], flags))
			u->addrs[u->addr_count++] = found[i];
	}
	return u->addr_count || !count;
}

static void tell_waiting(struct upstream *u, enum reason failed, const char *detail)
{
	upstream_ref(u); /* the last one told may have held the last reference */
	while (u->waiting) {
		struct upstream_conn *c = u->waiting;

		u->waiting = c->next;
		if (c->next)
			c->next->prev = &u->waiting;
		c->next = NULL;
		c->prev = NULL;
		upstream_resolved(c, u->addrs, u->addr_count, failed, detail);
	}
	upstream_unref(u);
}

static void finish(struct relay *r, struct upstream *u, const struct rk_ip *found,
                   unsigned count)
{
	const bool proxied = upstream_proxy(r, u) != NULL;
	/* the proxy is the operator's own and may well stand in a private network */
	bool allowed =
	    keep_allowed(u, u->flags | (proxied ? UPSTREAM_ALLOW_PRIVATE : 0), found, count);

	u->resolving = false;
	u->addrs_until_us = u->addr_count ? loop_now_us(r->loop) + ADDRESSES_KEPT_US : 0;
	if (!allowed)
		tell_waiting(u, REASON_UPSTREAM_REFUSED, "address_not_allowed");
	else
		tell_waiting(u, REASON_UPSTREAM_FAILED,
		             proxied ? "proxy_not_found" : "host_not_found");
}

/* One look-up in progress: keeps both ends alive until the answer. */
struct lookup {
	struct relay *relay;
	struct upstream *upstream; /* counted */
};

static void on_answer(int result, struct evutil_addrinfo *list, void *arg)
{
	enum { LOOKED_AT = 32 };
	struct lookup *l = arg;
	struct rk_ip found[LOOKED_AT];
	unsigned count = 0;

	for (struct evutil_addrinfo *a = result ? NULL : list; a && count < LOOKED_AT;
	     a = a->ai_next) {
		if (rk_ip_from_sockaddr(a->ai_addr, &found[count], NULL) == 0)
			count++;
	}
	if (list)
		evutil_freeaddrinfo(list);
	if (result != EVUTIL_EAI_CANCEL)
		finish(l->relay, l->upstream, found, count);
	upstream_unref(l->upstream);
	free(l);
}

void resolve_start(struct upstream_conn *c)
{
	static const struct evutil_addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct relay *r = c->relay;
	struct upstream *u = c->upstream;
	const struct egress *proxy = upstream_proxy(r, u);
	const char *host = proxy ? proxy->host : u->host;
	struct rk_ip literal;
	struct lookup *l;

	if (proxy && !destination_allowed(u)) {
		upstream_resolved(c, u->addrs, 0, REASON_UPSTREAM_REFUSED,
		                  "address_not_allowed");
		return;
	}
	if (u->addr_count && loop_now_us(r->loop) < u->addrs_until_us) {
		upstream_resolved(c, u->addrs, u->addr_count, REASON_OK, NULL);
		return;
	}
	c->next = u->waiting;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &u->waiting;
	u->waiting = c;
	if (rk_ip_parse(rk_str(host), &literal) == 0) {
		finish(r, u, &literal, 1);
		return;
	}
	if (u->resolving)
		return;
	l = r->dns ? malloc(sizeof *l) : NULL;
	if (!l) {
		finish(r, u, NULL, 0);
		return;
	}
	u->resolving = true;
	upstream_ref(u);
	*l = (struct lookup){.relay = r, .upstream = u};
	evdns_getaddrinfo(r->dns, host, NULL, &hints, on_answer, l);
}
