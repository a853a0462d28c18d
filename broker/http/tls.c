#include "http/tls.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/ipaddr.h"
#include "http/tls_flood.h"

enum tls_phase {
	TLS_CONNECTING, /* connect(2) has not finished */
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_FAILED,
	TLS_ENDED, /* tls_close() or tls_abort() was called */
};

struct tls {
	struct tls_base *base;
	SSL *ssl;
	struct event readable, writable;
	struct tls_flood flood;
	tls_event_fn *event;
	void *arg;
	struct tls_session_slot *slot;
	const struct tls_identity *identity; /* until the handshake is over */
	struct rk_slice key;                 /* the identity's */
	struct tls *next, **prev; /* in base->again, or by next alone in base->ended */
	const char *why;
	int err;
	int fd;
	uint8_t phase; /* enum tls_phase */
	bool reading;  /* the owner wants TLS_EV_READ */
	bool read_armed, write_armed;
	bool read_wants_write, write_wants_read; /* TLS 1.3 key update */
	bool starved; /* OpenSSL asked for more from the socket: what it holds is no whole
	                 record */
	bool broken;  /* fatal error: nothing more may be sent, not even close_notify */
	bool deaf;    /* the peer takes nothing more, but may have said something before */
};

struct tls_base {
	struct loop *loop;
	struct tls *again; /* have bytes inside OpenSSL: TLS_EV_READ in the next turn */
	struct event again_timer;
	struct tls *ended;
	struct loop_hook turn_end;
};

/* ---- the base ---- */

static void free_ended(void *arg)
{
	struct tls_base *b = arg;

	while (b->ended) {
		struct tls *t = b->ended;

		b->ended = t->next;
		free(t);
	}
}

static void again_unlink(struct tls *t)
{
	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

/* Data inside OpenSSL makes no descriptor readable. The next turn and not this one: others
 * first. */
static void again_if_pending(struct tls *t)
{
	static const struct timeval now = {0, 0};
	struct tls_base *b = t->base;

	if (t->phase != TLS_OPEN || !t->reading || t->starved || t->prev || !tls_pending(t))
		return;
	if (!b->again)
		evtimer_add(&b->again_timer, &now);
	t->next = b->again;
	if (t->next)
		t->next->prev = &t->next;
	t->prev = &b->again;
	b->again = t;
}

static void deliver(struct tls *t, unsigned events)
{
	t->event(t, events, t->arg);
	if (t->phase != TLS_ENDED)
		again_if_pending(t);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct tls_base *b = arg;
	struct tls *run = b->again;

	(void)fd;
	(void)what;
	b->again = NULL;
	if (run)
		run->prev = &run;
	while (run) {
		struct tls *t = run;

		again_unlink(t);
		if (t->reading)
			deliver(t, TLS_EV_READ);
	}
}

int tls_base_new(struct loop *l, struct tls_base **out)
{
	struct tls_base *b = calloc(1, sizeof *b);

	if (!b)
		return RK_E_NOMEM;
	b->loop = l;
	b->turn_end = (struct loop_hook){.run = free_ended, .arg = b};
	evtimer_assign(&b->again_timer, loop_base(l), on_again, b);
	*out = b;
	return 0;
}

void tls_base_free(struct tls_base *b)
{
	if (!b)
		return;
	loop_unhook(b->loop, &b->turn_end);
	free_ended(b);
	evtimer_del(&b->again_timer);
	free(b);
}

/* ---- which events of the socket matter now ---- */

static void arm(struct tls *t, bool readable, bool writable)
{
	if (readable != t->read_armed) {
		t->read_armed = readable;
		if (readable)
			event_add(&t->readable, NULL);
		else
			event_del(&t->readable);
	}
	if (writable != t->write_armed) {
		t->write_armed = writable;
		if (writable)
			event_add(&t->writable, NULL);
		else
			event_del(&t->writable);
	}
}

static void arm_open(struct tls *t, bool write_waits)
{
	arm(t, t->reading || t->write_wants_read,
	    (write_waits && !t->write_wants_read) || t->read_wants_write);
}

/* ---- errors ---- */

static void fail(struct tls *t, int err, const char *why)
{
	t->err = err;
	t->why = why;
	t->broken = true;
}

/* Sorts a fatal result of an SSL call; the error queue is emptied. */
static int classify(struct tls *t, int ssl_error, bool writing)
{
	unsigned long code = ERR_peek_error();
	long verify = SSL_get_verify_result(t->ssl);
	int saved = errno;

	if (ssl_error == SSL_ERROR_SYSCALL && code == 0) {
		fail(t, RK_E_IO, saved ? strerrordesc_np(saved) : "connection lost");
		t->broken = !writing;
		t->deaf = writing;
	} else if (!SSL_is_server(t->ssl) && verify != X509_V_OK) {
		fail(t, RK_E_DENIED, X509_verify_cert_error_string(verify));
	} else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		fail(t, RK_E_IO, "connection closed without notice");
	} else {
		const char *text = ERR_reason_error_string(code);

		fail(t, RK_E_CRYPTO, text ? text : "TLS failure");
	}
	ERR_clear_error();
	return t->err;
}

static void report_failure(struct tls *t)
{
	t->phase = TLS_FAILED;
	arm(t, false, false);
	deliver(t, TLS_EV_FAIL);
}

/* ---- handshake ---- */

/* The server asks for a certificate. */
static int present(SSL *ssl, void *arg)
{
	const struct tls *t = arg;

	return !t->identity || tls_identity_present(t->identity, t->key, ssl) == 0;
}

/*
 * A step of a handshake in which the server may ask for a certificate. The key goes into
 * OpenSSL in here, and out again unless the answer could not be written whole.
 */
static int identified_step(struct tls *t)
{
	int r, e, saved;

	tls_key_begin();
	r = SSL_do_handshake(t->ssl);
	saved = errno;
	e = SSL_get_error(t->ssl, r);
	if (e != SSL_ERROR_WANT_WRITE)
		SSL_certs_clear(t->ssl);
	tls_key_end();
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		t->identity = NULL;
	errno = saved;
	return r;
}

static void handshake(struct tls *t)
{
	int r, e;

	ERR_clear_error();
	errno = 0;
	r = t->identity ? identified_step(t) : SSL_do_handshake(t->ssl);
	if (r == 1) {
		t->phase = TLS_OPEN;
		tls_flood_watch(&t->flood, t->base->loop, t->ssl);
		arm_open(t, false);
		deliver(t, TLS_EV_OPEN);
		return;
	}
	e = SSL_get_error(t->ssl, r);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		arm(t, e == SSL_ERROR_WANT_READ, e == SSL_ERROR_WANT_WRITE);
		return;
	}
	if (r == 0 && e == SSL_ERROR_ZERO_RETURN)
		fail(t, RK_E_CLOSED, "peer left during the handshake");
	else
		classify(t, e, false);
	report_failure(t);
}

static void connected(struct tls *t)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		fail(t, RK_E_IO, strerrordesc_np(err));
		report_failure(t);
		return;
	}
	t->phase = TLS_HANDSHAKE;
	handshake(t);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;
	unsigned events = t->reading ? TLS_EV_READ : 0;

	(void)fd;
	(void)what;
	t->starved = false;
	if (t->phase == TLS_HANDSHAKE) {
		handshake(t);
		return;
	}
	if (t->write_wants_read) {
		t->write_wants_read = false;
		events |= TLS_EV_WRITE;
		arm_open(t, false);
	}
	if (events)
		deliver(t, events);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;
	unsigned events = TLS_EV_WRITE;

	(void)fd;
	(void)what;
	if (t->phase == TLS_CONNECTING) {
		connected(t);
		return;
	}
	if (t->phase == TLS_HANDSHAKE) {
		handshake(t);
		return;
	}
	if (t->read_wants_write) {
		t->read_wants_write = false;
		if (t->reading)
			events |= TLS_EV_READ;
	}
	arm_open(t, false);
	deliver(t, events);
}

/* ---- making ---- */

static int tls_new(struct tls_base *b, const struct tls_ctx *ctx, int fd, tls_event_fn *event,
                   void *arg, struct tls **out)
{
	struct tls *t = calloc(1, sizeof *t);
	SSL *ssl = SSL_new(tls_ctx_native(ctx));

	if (!t || !ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		free(t);
		close(fd);
		ERR_clear_error();
		return RK_E_NOMEM;
	}
	t->base = b;
	t->ssl = ssl;
	t->fd = fd;
	t->event = event;
	t->arg = arg;
	t->reading = true;
	event_assign(&t->readable, loop_base(b->loop), fd, EV_READ | EV_PERSIST, on_readable,
	             t);
	event_assign(&t->writable, loop_base(b->loop), fd, EV_WRITE | EV_PERSIST, on_writable,
	             t);
	SSL_set_app_data(ssl, t);
	*out = t;
	return 0;
}

int tls_accept(struct tls_base *b, const struct tls_ctx *ctx, int fd, tls_event_fn *event,
               void *arg, struct tls **out)
{
	int err = tls_new(b, ctx, fd, event, arg, out);

	if (err)
		return err;
	SSL_set_accept_state((*out)->ssl);
	(*out)->phase = TLS_HANDSHAKE;
	arm(*out, true, false);
	return 0;
}

/* RFC 9525: the certificate must name the host that was asked for; the common name does not
 * count. */
static int expect_host(SSL *ssl, const char *host)
{
	struct rk_ip ip;

	if (rk_ip_parse(rk_str(host), &ip) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_connect(struct tls_base *b, const struct tls_ctx *ctx, int fd, const char *host,
                struct tls_session_slot *slot, tls_event_fn *event, void *arg, struct tls **out)
{
	struct tls *t;
	int err = tls_new(b, ctx, fd, event, arg, &t);

	if (err)
		return err;
	SSL_set_connect_state(t->ssl);
	t->phase = TLS_CONNECTING;
	if (!*host || expect_host(t->ssl, host) != 1) {
		ERR_clear_error();
		t->broken = true;
		tls_close(t);
		return RK_E_INVALID;
	}
	t->slot = slot;
	if (slot && slot->session)
		SSL_set_session(t->ssl, slot->session);
	arm(t, false, true);
	*out = t;
	return 0;
}

void tls_identify(struct tls *t, const struct tls_identity *id, struct rk_slice key)
{
	t->identity = id;
	t->key = key;
	SSL_set_cert_cb(t->ssl, present, t);
}

/* ---- sessions ---- */

int tls_session_keep(struct ssl_st *ssl, struct ssl_session_st *session)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (!t || !t->slot)
		return 0;
	SSL_SESSION_free(t->slot->session);
	t->slot->session = session;
	return 1;
}

void tls_session_clear(struct tls_session_slot *slot)
{
	SSL_SESSION_free(slot->session);
	slot->session = NULL;
}

/* ---- input and output ---- */

ssize_t tls_read(struct tls *t, void *dst, size_t n)
{
	size_t got;
	int r, e;

	if (t->broken)
		return t->err;
	ERR_clear_error();
	errno = 0;
	r = SSL_read_ex(t->ssl, dst, n, &got);
	if (r == 1)
		return (ssize_t)got;
	e = SSL_get_error(t->ssl, r);
	switch (e) {
	case SSL_ERROR_WANT_READ:
		t->starved = true;
		return RK_E_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->read_wants_write = true;
		arm_open(t, t->write_armed);
		return RK_E_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return RK_E_CLOSED;
	default:
		return classify(t, e, false);
	}
}

ssize_t tls_write(struct tls *t, const void *src, size_t n)
{
	size_t put;
	int r, e;

	if (t->broken || t->deaf)
		return t->err;
	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(t->ssl, src, n, &put);
	if (r == 1)
		return (ssize_t)put;
	e = SSL_get_error(t->ssl, r);
	switch (e) {
	case SSL_ERROR_WANT_WRITE:
		arm_open(t, true);
		return RK_E_AGAIN;
	case SSL_ERROR_WANT_READ:
		t->write_wants_read = true;
		arm_open(t, true);
		return RK_E_AGAIN;
	default:
		return classify(t, e, true);
	}
}

void tls_rest(struct tls *t)
{
	if (t->phase == TLS_OPEN)
		SSL_free_buffers(
		    t->ssl); /* does nothing while a record is half read or written */
}

bool tls_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1 ||
	       (SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN);
}

uint64_t tls_acked(const struct tls *t)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	if (getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_bytes_acked;
}

void tls_read_on(struct tls *t)
{
	t->reading = true;
	if (t->phase != TLS_OPEN)
		return;
	arm_open(t, t->write_armed);
	again_if_pending(t);
}

void tls_read_off(struct tls *t)
{
	t->reading = false;
	again_unlink(t);
	if (t->phase == TLS_OPEN)
		arm_open(t, t->write_armed);
}

/* ---- ending ---- */

static void say_close_notify(struct tls *t)
{
	if (t->phase != TLS_OPEN || t->broken || t->deaf)
		return;
	ERR_clear_error();
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
}

void tls_shut_write(struct tls *t)
{
	say_close_notify(t);
	shutdown(t->fd, SHUT_WR);
}

static void end(struct tls *t)
{
	t->phase = TLS_ENDED;
	again_unlink(t);
	arm(t, false, false);
	if (t->identity)
		tls_key_begin();
	SSL_free(t->ssl);
	tls_key_end();
	t->ssl = NULL;
	close(t->fd);
	t->next = t->base->ended;
	t->base->ended = t;
	loop_at_turn_end(t->base->loop, &t->base->turn_end);
}

void tls_close(struct tls *t)
{
	if (!t || t->phase == TLS_ENDED)
		return;
	say_close_notify(t);
	end(t);
}

void tls_abort(struct tls *t)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (!t || t->phase == TLS_ENDED)
		return;
	setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	end(t);
}

struct ssl_st *tls_native(const struct tls *t)
{
	return t->ssl;
}

int tls_error(const struct tls *t)
{
	return t->err;
}

const char *tls_error_text(const struct tls *t)
{
	return t->why ? t->why : "no error";
}
