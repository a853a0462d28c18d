#include "courier/lookup.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "base/log.h"
#include "policy/host_class.h"

struct lookup {
	lookup_done *done; /* NULL: given up */
	void *arg;
	bool allow_private;
};

struct evdns_base *lookup_open(struct loop *l)
{
	struct evdns_base *dns = evdns_base_new(loop_base(l), 0);

	if (dns && evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL, "/etc/resolv.conf") != 0)
		log_event(LOG_LEVEL_WARN, "resolver", "problem", "%s",
		          "no usable /etc/resolv.conf: asking 127.0.0.1");
	return dns;
}

bool lookup_allowed(const struct rk_ip *ip, bool allow_private)
{
	switch (rk_ip_classify(ip)) {
	case IP_PUBLIC:
		return true;
	case IP_PRIVATE:
	case IP_LOOPBACK:
		return allow_private;
	default:
		return false;
	}
}

bool lookup_name_allowed(const char *host, bool allow_private)
{
	struct rk_ip literal;

	if (rk_ip_parse(rk_str(host), &literal) == 0)
		return lookup_allowed(&literal, allow_private);
	switch (host_class(rk_str(host))) {
	case HOST_PUBLIC:
		return true;
	case HOST_LOCAL:
		return allow_private;
	default:
		return false;
	}
}

/* Tells those that are allowed. */
static void tell(lookup_done *done, void *arg, const struct rk_ip *found, unsigned count,
                 bool allow_private)
{
	struct rk_ip good[LOOKUP_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < count && n < LOOKUP_MAX; i++) {
		if (lookup_allowed(&found[i], allow_private))
			good[n++] = found[i];
	}
	done(good, n,
	     n       ? NULL
	     : count ? "the host's address is not allowed"
	             : "the host is not found",
	     arg);
}

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
	if (l->done)
		tell(l->done, l->arg, found, count, l->allow_private);
	free(l);
}

void lookup_start(struct evdns_base *dns, const char *host, bool allow_private,
                  lookup_done *done, void *arg, struct lookup **out)
{
	static const struct evutil_addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct rk_ip literal;
	struct lookup *l;

	*out = NULL;
	if (rk_ip_parse(rk_str(host), &literal) == 0) {
		tell(done, arg, &literal, 1, allow_private);
		return;
	}
	l = dns ? calloc(1, sizeof *l) : NULL;
	if (!l) {
		done(NULL, 0, "out of memory", arg);
		return;
	}
	*l = (struct lookup){.done = done, .arg = arg, .allow_private = allow_private};
	*out = l;
	/* may answer at once, from the hosts file: then `done` has forgotten *out */
	evdns_getaddrinfo(dns, host, NULL, &hints, on_answer, l);
}

void lookup_cancel(struct lookup *l)
{
	if (l)
		l->done = NULL;
}
