#include "relay/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/tls_peer.h"
#include "relay/connecting.h"
#include "relay/exchange.h"
#include "relay/probing.h"

static void dial_next(struct upstream_conn *c);

static void unlink_conn(struct upstream_conn *c)
{
	if (!c->prev)
		return;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->next = NULL;
	c->prev = NULL;
	if (c->st == UPSTREAM_IDLE)
		c->upstream->idle_count--;
}

/* The last dial that needs it wipes it. */
static void dial_secret_end(struct upstream_conn *c)
{
	if (!c->dials_secretly)
		return;
	c->dials_secretly = false;
	if (--c->upstream->dial_users == 0)
		rk_secret_free(&c->upstream->dial);
}

void upstream_close(struct upstream_conn *c)
{
	struct relay *r;

	if (!c || c->st == UPSTREAM_ENDED)
		return;
	r = c->relay;
	unlink_conn(c);
	breaker_abandoned(&c->upstream->breaker, c->probe);
	c->st = UPSTREAM_ENDED;
	deadline_clear(&r->deadlines, &c->deadline);
	connecting_end(c);
	tls_close(c->tls);
	c->tls = NULL;
	dial_secret_end(c);
	span_discard(&r->blocks, &c->in); /* nobody has looked at what is in it */
	c->upstream->conn_count--;
	upstream_unref(c->upstream);
	relay_bury(r, &c->grave);
}

/* What came of a dial, for those that follow. */
static void dial_was(struct upstream_conn *c, bool good)
{
	struct breaker *b = &c->upstream->breaker;
	bool turned = good ? breaker_succeeded(b)
	                   : breaker_failed(b, c->probe, loop_now_us(c->relay->loop));

	c->probe = false;
	if (turned)
		relay_log(c->relay, good ? "circuit_closed" : "circuit_opened", "conn",
		          c->upstream->conn_id.p);
}

static void address_failed(struct upstream_conn *c)
{
	if (c->trying)
		addresses_failed(&c->upstream->faults, c->trying, loop_now_us(c->relay->loop));
	c->trying = NULL;
}

void upstream_address_answers(struct upstream_conn *c)
{
	if (c->trying)
		addresses_good(&c->upstream->faults, c->trying);
	c->trying = NULL;
}

void upstream_dial_timed_out(struct upstream_conn *c)
{
	address_failed(c);
	dial_was(c, false);
}

static void dial_failed(struct upstream_conn *c)
{
	struct exchange *ex = c->exchange;
	struct probing *probing = c->probing;
	enum reason reason = c->failed;
	const char *detail = c->detail;

	if (reason != REASON_UPSTREAM_REFUSED)
		dial_was(c, false);
	upstream_close(c);
	if (probing)
		probing_dial_failed(probing, reason, detail);
	else
		exchange_dial_failed(ex, reason, detail);
}

/* Something of a connection in the pool: it may only be a session ticket. */
static void idle_readable(struct upstream_conn *c)
{
	char byte;

	if (tls_read(c->tls, &byte, 1) != RK_E_AGAIN)
		upstream_close(c); /* the end, or bytes that nobody asked for */
}

static void on_tls(struct tls *t, unsigned events, void *arg)
{
	struct upstream_conn *c = arg;

	switch (c->st) {
	case UPSTREAM_DIALLING:
		if (events & TLS_EV_OPEN) {
			c->st = UPSTREAM_BUSY;
			dial_secret_end(c);
			deadline_clear(&c->relay->deadlines, &c->deadline);
			upstream_address_answers(c);
			dial_was(c, true);
			if (c->probing)
				probing_connected(c->probing);
			else
				exchange_connected(c->exchange);
			return;
		}
		/* a certificate that does not verify is graver than an address that is down */
		if (tls_error(t) == RK_E_DENIED) {
			c->failed = REASON_UPSTREAM_REFUSED;
			c->detail = "certificate_not_valid";
			dial_was(c, true);
		} else if (c->failed != REASON_UPSTREAM_REFUSED) {
			c->failed = REASON_UPSTREAM_FAILED;
			c->detail = tls_error(t) == RK_E_IO ? "connect_failed" : "tls_failed";
		}
		relay_log(c->relay, "upstream_dial_failed", "why", tls_error_text(t));
		if (c->probing)
			probing_note_failure(c->probing, tls_error_text(t));
		dial_next(c);
		return;
	case UPSTREAM_BUSY:
		if (c->probing)
			probing_on_upstream(c->probing, events);
		else
			exchange_on_upstream(c->exchange, events);
		return;
	case UPSTREAM_IDLE:
		if (events & TLS_EV_FAIL)
			upstream_close(c);
		else
			idle_readable(c);
		return;
	default:
		return;
	}
}

static void on_deadline(void *arg)
{
	struct upstream_conn *c = arg;

	if (c->st == UPSTREAM_IDLE && c->deadline.kind == DEADLINE_QUIET) {
		tls_rest(c->tls);
		deadline_set(&c->relay->deadlines, &c->deadline, DEADLINE_POOL);
		return;
	}
	if (c->st == UPSTREAM_IDLE) {
		upstream_close(c);
		return;
	}
	/* one address of several: the next one */
	if (c->failed != REASON_UPSTREAM_REFUSED) {
		c->failed = REASON_UPSTREAM_TIMEOUT;
		c->detail = "connect_timeout";
	}
	dial_next(c);
}

static int start_socket(const struct rk_ip *ip, uint16_t port, int *fd)
{
	struct sockaddr_storage ss;
	size_t len = rk_ip_to_sockaddr(ip, port, &ss);
	int one = 1;

	*fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (*fd < 0)
		return RK_E_IO;
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(*fd, (struct sockaddr *)&ss, (socklen_t)len) < 0 && errno != EINPROGRESS) {
		close(*fd);
		return RK_E_IO;
	}
	return 0;
}

const struct egress *upstream_proxy(const struct relay *r, const struct upstream *u)
{
	const struct egress *e = u->egress.kind == EGRESS_DEFAULT ? &r->egress : &u->egress;

	return e->kind == EGRESS_PROXY ? e : NULL;
}

/* Borrows from the entry's copy, which c holds. */
static struct msg_dial dial_of(const struct upstream_conn *c)
{
	const struct upstream *u = c->upstream;
	struct msg_dial m = {.client_key = {"", 0}};

	/* it decoded when it came */
	if (c->dials_secretly && record_decode(&msg_dial_desc, rk_secret_slice(&u->dial), &m))
		m = (struct msg_dial){.client_key = {"", 0}};
	return m;
}

int upstream_take_dial(struct upstream_conn *c, struct rk_slice dial)
{
	struct upstream *u = c->upstream;
	struct msg_dial m;
	int err = record_decode(&msg_dial_desc, dial, &m);

	if (!err && u->dial_users == 0) {
		err = rk_secret_alloc(&u->dial, dial.n);
		if (!err)
			err = rk_secret_add(&u->dial, dial.p, dial.n);
	}
	if (err)
		return err;
	u->dial_users++;
	c->dials_secretly = true;
	return 0;
}

static int start_tls(struct upstream_conn *c, int fd)
{
	struct upstream *u = c->upstream;
	const struct tls_ctx *ctx = u->ctx ? u->ctx : c->relay->trust;
	/* a test shows the certificate of now, so it resumes no session */
	int err = tls_connect(c->relay->tls, ctx, fd, u->host, c->probing ? NULL : &u->session,
	                      on_tls, c, &c->tls);

	if (err)
		c->tls = NULL;
	else if (c->probing)
		tls_peer_watch(c->tls, probing_handshake(c->probing));
	if (!err && u->identity)
		tls_identify(c->tls, u->identity, dial_of(c).client_key);
	return err;
}

void upstream_secure(struct upstream_conn *c, int fd)
{
	if (start_tls(c, fd))
		upstream_attempt_failed(c, REASON_UPSTREAM_FAILED, "tls_failed");
}

void upstream_attempt_failed(struct upstream_conn *c, enum reason reason, const char *detail)
{
	if (c->failed != REASON_UPSTREAM_REFUSED) {
		c->failed = reason;
		c->detail = detail;
	}
	dial_next(c);
}

/* Dials the next address that was found and allowed; tells the exchange when there is none. */
static void dial_next(struct upstream_conn *c)
{
	struct relay *r = c->relay;
	const struct egress *proxy = upstream_proxy(r, c->upstream);

	address_failed(c);
	connecting_end(c);
	tls_close(c->tls);
	c->tls = NULL;
	deadline_clear(&r->deadlines, &c->deadline);
	while (c->addr_next < c->addr_count) {
		int fd, err;

		c->trying = &c->addrs[c->addr_next++];
		if (start_socket(c->trying, proxy ? proxy->port : c->upstream->port, &fd) < 0) {
			c->failed = REASON_UPSTREAM_FAILED;
			c->detail = proxy ? "proxy_unreachable" : "connect_failed";
			address_failed(c);
			continue;
		}
		err =
		    proxy ? connecting_start(c, fd, dial_of(c).proxy_secret) : start_tls(c, fd);
		if (err) {
			c->failed = REASON_UPSTREAM_FAILED;
			c->detail = "tls_failed";
			continue;
		}
		if (c->addr_next < c->addr_count)
			deadline_set(&r->deadlines, &c->deadline, DEADLINE_ATTEMPT);
		return;
	}
	dial_failed(c);
}

void upstream_resolved(struct upstream_conn *c, const struct rk_ip *addrs, unsigned count,
                       enum reason failed, const char *detail)
{
	memcpy(c->addrs, addrs, count * sizeof *addrs);
	addresses_order(&c->upstream->faults, c->addrs, count, loop_now_us(c->relay->loop));
	c->addr_count = (uint8_t)count;
	c->st = UPSTREAM_DIALLING;
	c->failed = failed;
	c->detail = detail;
	dial_next(c);
}

bool upstream_has_idle(struct relay *r, struct upstream *u)
{
	int64_t now_us = loop_now_us(r->loop);

	while (u->idle && u->idle->usable_until_us && u->idle->usable_until_us <= now_us)
		upstream_close(u->idle);
	return u->idle != NULL;
}

static struct upstream_conn *take_idle(struct relay *r, struct upstream *u)
{
	struct upstream_conn *c;

	if (!upstream_has_idle(r, u))
		return NULL;
	c = u->idle;
	unlink_conn(c);
	deadline_clear(&r->deadlines, &c->deadline);
	c->st = UPSTREAM_BUSY;
	c->reused = true;
	return c;
}

static bool may_dial(const struct relay *r, const struct upstream *u)
{
	return !u->broken_ca && !u->broken_egress && (u->ctx || r->trust) &&
	       u->conn_count < UPSTREAM_MAX_CONNS;
}

static struct upstream_conn *conn_new(struct relay *r, struct upstream *u)
{
	struct upstream_conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->relay = r;
	c->upstream = u;
	upstream_ref(u);
	u->conn_count++;
	c->st = UPSTREAM_RESOLVING;
	c->deadline = (struct deadline){.expired = on_deadline, .arg = c};
	return c;
}

enum upstream_open_result upstream_open(struct relay *r, struct upstream *u,
                                        struct exchange *ex, bool fresh,
                                        struct upstream_conn **out)
{
	struct upstream_conn *c = fresh ? NULL : take_idle(r, u);
	enum breaker_word word;

	if (c) {
		c->exchange = ex;
		*out = c;
		return UPSTREAM_OPENED;
	}
	if (!may_dial(r, u))
		return UPSTREAM_REFUSED;
	word = breaker_ask(&u->breaker, loop_now_us(r->loop), &ex->limits.retry_after_s);
	if (word == BREAKER_OPEN)
		return UPSTREAM_RESTING;
	c = conn_new(r, u);
	if (!c) {
		breaker_abandoned(&u->breaker, word == BREAKER_PROBE);
		return UPSTREAM_REFUSED;
	}
	c->probe = word == BREAKER_PROBE;
	c->exchange = ex;
	*out = c;
	return UPSTREAM_COMING;
}

enum upstream_open_result upstream_open_probing(struct relay *r, struct upstream *u,
                                                struct probing *p, struct upstream_conn **out)
{
	struct upstream_conn *c = may_dial(r, u) ? conn_new(r, u) : NULL;

	if (!c)
		return UPSTREAM_REFUSED;
	c->probing = p;
	*out = c;
	return UPSTREAM_COMING;
}

void upstream_pool(struct upstream_conn *c, unsigned keep_s)
{
	struct relay *r = c->relay;
	struct upstream *u = c->upstream;
	int64_t now_us = loop_now_us(r->loop);
	char byte;

	c->exchange = NULL;
	/* its last word must have been the response: a byte more, and nobody knows whose it is
	 */
	if (c->in.len || !u->named || r->stopping || u->idle_count >= POOL_MAX_IDLE ||
	    keep_s == 1 || (tls_pending(c->tls) && tls_read(c->tls, &byte, 1) != RK_E_AGAIN)) {
		upstream_close(c);
		return;
	}
	span_release(&r->blocks, &c->in);
	/* a second less than it says, lest our request meets its goodbye */
	c->usable_until_us = keep_s ? now_us + 1000000LL * (keep_s - 1) : 0;
	c->st = UPSTREAM_IDLE;
	c->next = u->idle;
	if (c->next)
		c->next->prev = &c->next;
	c->prev = &u->idle;
	u->idle = c;
	u->idle_count++;
	deadline_set(&r->deadlines, &c->deadline, DEADLINE_QUIET);
	tls_read_on(c->tls);
}

void upstream_drain(struct relay *r, struct upstream *u)
{
	(void)r;
	while (u->idle)
		upstream_close(u->idle);
}
