#include "relay/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/credential.h"
#include "relay/client.h"
#include "relay/exchange.h"
#include "relay/keeper_link.h"

enum {
	ACCEPTS_A_TURN = 64,
	DESCRIPTORS_ASIDE = 64,   /* listener, channels, epoll, resolver */
	DESCRIPTORS_A_CLIENT = 2, /* its own and an upstream's */
	MAX_CLIENTS = 50000,
	LOGS_A_SECOND = 10,
	CROWD = 500, /* so many clients leave memory behind that is worth giving back */
	SPARED_IDLE_US = 1000000, /* between requests; then a new client may take the place */
};

/* ---- small services ---- */

static void bury_all(void *arg)
{
	struct relay *r = arg;

	while (r->graves) {
		struct grave *dead = r->graves;

		r->graves = dead->next;
		free(dead);
	}
}

void relay_bury(struct relay *r, struct grave *dead)
{
	dead->next = r->graves;
	r->graves = dead;
	loop_at_turn_end(r->loop, &r->bury);
}

void relay_random_id(struct relay *r, uint8_t id[16])
{
	/* one system call for many requests */
	if (r->random_left < 16) {
		rk_random(r->random, sizeof r->random);
		r->random_left = sizeof r->random;
	}
	r->random_left -= 16;
	memcpy(id, r->random + r->random_left, 16);
}

void relay_log(struct relay *r, const char *event, const char *key, const char *value)
{
	int64_t second = loop_now_us(r->loop) / 1000000;

	if (second != r->log_second) {
		if (r->log_count > LOGS_A_SECOND)
			log_event(LOG_LEVEL_WARN, "log_lines_left_out", "count", "%u",
			          r->log_count - LOGS_A_SECOND);
		r->log_second = second;
		r->log_count = 0;
	}
	if (++r->log_count <= LOGS_A_SECOND)
		log_event(LOG_LEVEL_INFO, event, key, "%s", value);
}

enum reason relay_gate(const struct relay *r)
{
	if (!r->keeper || !r->gate_known)
		return REASON_AUDIT_UNAVAILABLE;
	if (!r->unsealed)
		return REASON_SEALED;
	return r->audit_ok ? REASON_OK : REASON_AUDIT_UNAVAILABLE;
}

const char *relay_gate_name(const struct relay *r)
{
	if (!r->keeper || !r->gate_known)
		return "starting";
	if (!r->unsealed)
		return "sealed";
	return r->audit_ok ? "ok" : "audit_unavailable";
}

/* ---- accepting ---- */

static bool is_full(const struct relay *r)
{
	return r->client_count >= r->max_clients;
}

/* The client that has had no request for the longest time, and for a while; or NULL. */
static struct deadline *longest_idle(const struct relay *r)
{
	const struct deadline_queue *q = &r->deadlines.queue[DEADLINE_IDLE];

	if (!q->first || q->first->due_us - loop_now_us(r->loop) > q->span_us - SPARED_IDLE_US)
		return NULL;
	return q->first;
}

static void accept_on(struct relay *r, bool on)
{
	bool full = is_full(r) && !longest_idle(r);

	on = on && r->listener >= 0 && !r->stopping && !full;
	if (on == r->accepting)
		return;
	r->accepting = on;
	if (on) {
		event_add(r->acceptable, NULL);
		return;
	}
	event_del(r->acceptable);
	if (full)
		relay_log(r, "max_connections_reached", "others", "wait to be accepted");
}

/* At once, and then what has come together in a second. */
static void say_turned_away(struct relay *r, const struct rk_ip *last)
{
	int64_t now_us = loop_now_us(r->loop);
	char text[RK_IP_TEXT] = "";

	if (!r->turned_away || now_us - r->turned_away_said_us < 1000000)
		return;
	if (last)
		rk_ip_format(last, text);
	log_event(LOG_LEVEL_WARN, "too_many_of_one_client", "connections", "%u%s%s",
	          r->turned_away, last ? ", last of " : "", text);
	r->turned_away = 0;
	r->turned_away_said_us = now_us;
}

bool relay_lets_in(struct relay *r, const struct rk_ip *ip, bool *counted)
{
	*counted = !rk_cidrs_hold(&r->trusted_proxies, ip);
	if (!*counted || census_enter(r->census, ip, r->max_per_client))
		return true;
	*counted = false;
	r->turned_away++;
	say_turned_away(r, ip);
	return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct deadline *idle = longest_idle(r);
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;
		bool counted;
		struct rk_ip ip;
		int sock;

		if (is_full(r) && !idle)
			break;
		sock = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (sock < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				/* out of descriptors: until a client leaves, or the next tick
				 */
				relay_log(r, "accept_failed", "why", strerrordesc_np(errno));
				accept_on(r, false);
			}
			return;
		}
		if (rk_ip_from_sockaddr((struct sockaddr *)&ss, &ip, NULL) < 0 ||
		    !relay_lets_in(r, &ip, &counted)) {
			close(sock);
			continue;
		}
		if (is_full(r))
			idle->expired(idle->arg);
		client_new(r, sock, &ip, counted);
	}
	/* full: the others wait in the kernel's queue */
	accept_on(r, true);
}

void relay_client_ended(struct relay *r)
{
	accept_on(r, true);
	relay_may_be_done(r);
}

void relay_may_be_done(struct relay *r)
{
	if (r->stopping && r->client_count == 0 && r->exchange_count == 0)
		loop_stop(r->loop);
}

/*
 * After a crowd its memory is free and the process's still: in pages with nothing in them,
 * which the allocator gives back when asked.
 */
static void give_memory_back(struct relay *r)
{
	if (r->client_count > r->crowd)
		r->crowd = r->client_count;
	if (r->crowd < CROWD || r->client_count > r->crowd / 4)
		return;
	r->crowd = r->client_count;
	malloc_trim(0);
}

static void on_tick(void *arg)
{
	struct relay *r = arg;

	give_memory_back(r);
	exchange_cut_expired(r);
	accept_on(r, true);
	say_turned_away(r, NULL);
}

/* ---- stopping ---- */

static void on_grace_over(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	exchange_end_all(r, OUTCOME_BROKER, REASON_OVERLOADED);
	while (r->clients)
		client_abort(r->clients);
	loop_stop(r->loop);
}

void relay_stop(struct relay *r, uint32_t grace_ms)
{
	const struct timeval grace = {grace_ms / 1000, (grace_ms % 1000) * 1000};
	struct client *next;

	if (r->stopping)
		return;
	r->stopping = true;
	accept_on(r, false);
	if (r->listener >= 0)
		close(r->listener); /* the other relays and a new one take what comes */
	r->listener = -1;
	for (struct client *c = r->clients; c; c = next) {
		next = c->next;
		if (c->st < CLIENT_BUSY)
			client_close(c);
	}
	r->grace = evtimer_new(loop_base(r->loop), on_grace_over, r);
	if (!r->grace || evtimer_add(r->grace, &grace) < 0)
		on_grace_over(-1, 0, r);
	relay_may_be_done(r);
}

/* ---- making ---- */

static unsigned clients_allowed(unsigned wish)
{
	struct rlimit lim = {0};
	rlim_t n = MAX_CLIENTS;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY)
		n = lim.rlim_cur > DESCRIPTORS_ASIDE * 2
		        ? (lim.rlim_cur - DESCRIPTORS_ASIDE) / DESCRIPTORS_A_CLIENT
		        : DESCRIPTORS_ASIDE / 2;
	if (n > MAX_CLIENTS)
		n = MAX_CLIENTS;
	return wish && wish < n ? wish : (unsigned)n;
}

/* The resolver reads /etc/resolv.conf and /etc/hosts now: later there is no file system. */
static struct evdns_base *open_resolver(struct loop *l)
{
	struct evdns_base *dns = evdns_base_new(loop_base(l), 0);

	if (dns && evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL, "/etc/resolv.conf") != 0)
		log_event(LOG_LEVEL_WARN, "resolver", "problem", "%s",
		          "no usable /etc/resolv.conf: asking 127.0.0.1");
	return dns;
}

static int open_listener(struct relay *r, int sock)
{
	int flags = fcntl(sock, F_GETFL);

	r->listener = sock;
	if (sock < 0)
		return 0;
	if (flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0)
		return RK_E_IO;
	r->acceptable =
	    event_new(loop_base(r->loop), sock, EV_READ | EV_PERSIST, on_acceptable, r);
	return r->acceptable ? 0 : RK_E_NOMEM;
}

static int open_all(struct relay *r, const struct relay_params *p, struct rk_fault *fault)
{
	struct rk_fault why = {0};
	int err = deadlines_init(&r->deadlines, p->loop, p->deadline_ms);

	r->deadlines.on_tick = on_tick;
	r->deadlines.arg = r;
	if (!err)
		err = tls_base_new(p->loop, &r->tls);
	if (!err)
		err = rk_secret_alloc(&r->key, CREDENTIAL_MAX_KEY);
	if (!err)
		err = census_new(r->max_clients + 1, &r->census); /* before one makes room */
	if (err)
		return rk_fail(fault, err, "relay: %s", rk_strerror(err));
	err = relay_set_identity(r, p->certificate, p->key, fault);
	if (err)
		return err;
	if (p->trust.n && relay_set_trust(r, p->trust, &why) < 0)
		log_event(LOG_LEVEL_WARN, "upstream_ca", "problem", "%s", why.text);
	r->dns = open_resolver(p->loop);
	err = open_listener(r, p->listener);
	if (err)
		return rk_fail(fault, err, "relay: cannot use the listening socket");
	return 0;
}

int relay_new(const struct relay_params *p, struct relay **out, struct rk_fault *fault)
{
	struct relay *r = calloc(1, sizeof *r);
	int err;

	if (!r) {
		if (p->listener >= 0)
			close(p->listener);
		if (p->keeper >= 0)
			close(p->keeper);
		return rk_fail(fault, RK_E_NOMEM, "relay: no memory");
	}
	r->loop = p->loop;
	r->listener = -1;
	r->bury = (struct loop_hook){.run = bury_all, .arg = r};
	r->max_clients = clients_allowed(p->max_clients);
	r->max_per_client = p->max_per_client ? p->max_per_client : (r->max_clients + 1) / 2;
	r->proxy_protocol = p->proxy_protocol;
	r->trusted_proxies = p->trusted_proxies;
	r->egress = p->egress;
	err = open_all(r, p, fault);
	if (err) {
		if (p->keeper >= 0)
			close(p->keeper);
		relay_free(r);
		return err;
	}
	if (p->keeper >= 0)
		relay_set_keeper(r, p->keeper);
	accept_on(r, true);
	*out = r;
	return 0;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	if (r->keeper)
		keeper_link_close(r);
	while (r->clients)
		client_abort(r->clients);
	if (r->dns)
		evdns_base_free(r->dns, 1);
	if (r->acceptable)
		event_free(r->acceptable);
	if (r->listener >= 0)
		close(r->listener);
	if (r->grace)
		event_free(r->grace);
	loop_unhook(r->loop, &r->bury);
	bury_all(r);
	census_free(r->census);
	deadlines_free(&r->deadlines);
	tls_base_free(r->tls);
	tls_ctx_free(r->identity);
	tls_ctx_free(r->trust);
	rk_secret_free(&r->key);
	blocks_free(&r->blocks);
	free(r->slots);
	free(r);
}

int relay_set_identity(struct relay *r, struct rk_slice certificate, struct rk_slice key,
                       struct rk_fault *fault)
{
	struct tls_ctx *ctx;
	int err = tls_server_ctx_new(certificate, key, &ctx, fault);

	if (err)
		return err;
	tls_ctx_free(r->identity);
	r->identity = ctx;
	return 0;
}

int relay_set_trust(struct relay *r, struct rk_slice pem, struct rk_fault *fault)
{
	struct tls_ctx *ctx;
	int err = tls_client_ctx_new(pem, false, &ctx, fault);

	if (err)
		return err;
	tls_ctx_free(r->trust);
	r->trust = ctx;
	return 0;
}

unsigned relay_client_count(const struct relay *r)
{
	return r->client_count;
}

unsigned relay_exchange_count(const struct relay *r)
{
	return r->exchange_count;
}
