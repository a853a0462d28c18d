#include "relay/probing.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/version.h"
#include "http/tls_peer.h"
#include "relay/rewrite.h"

struct probing {
	struct grave grave;
	struct relay *relay;
	struct probing *next, **prev;
	uint64_t id;
	struct upstream *upstream; /* counted */
	struct upstream_conn *conn;
	struct rk_secret head; /* with the upstream's secret; gone as soon as it is written */
	size_t head_off;
	struct deadline deadline;
	bool head_method;
	int64_t started_us, handshake_us, open_us, sent_us;
	unsigned interim;
	const char *why; /* of TLS, static */
	struct msg_probed said;
	char detail[160], subject[MSG_MAX_SUBJECT];
};

enum { MAX_INTERIM = 8 };

/* ---- the end ---- */

static uint32_t span_us(int64_t from, int64_t to)
{
	int64_t us = from && to > from ? to - from : 0;

	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void say(struct relay *r, uint64_t id, const struct msg_probed *m)
{
	/* one that does not fit is missed by the keeper, which waits for so long only */
	if (r->keeper && ipc_peer_send(r->keeper, MSG_PROBED, id, m) < 0)
		relay_log(r, "probe_not_answered", "why", "the keeper's channel is full");
}

static void release(struct probing *p)
{
	struct relay *r = p->relay;

	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	r->probing_count--;
	deadline_clear(&r->deadlines, &p->deadline);
	rk_secret_free(&p->head);
	upstream_close(p->conn);
	upstream_unref(p->upstream);
	relay_bury(r, &p->grave);
}

static void end(struct probing *p, enum reason reason, const char *detail)
{
	int64_t dialled_us = p->handshake_us ? p->handshake_us : p->open_us;

	p->said.reason = (uint16_t)reason;
	p->said.detail = rk_str(detail);
	p->said.dial_us = span_us(p->started_us, dialled_us);
	p->said.tls_us = span_us(dialled_us, p->open_us);
	p->said.subject = rk_str(p->subject);
	say(p->relay, p->id, &p->said);
	release(p);
}

static void on_deadline(void *arg)
{
	struct probing *p = arg;

	if (p->open_us) {
		end(p, REASON_UPSTREAM_TIMEOUT, "response_timeout");
		return;
	}
	upstream_dial_timed_out(p->conn);
	end(p, REASON_UPSTREAM_TIMEOUT, "connect_timeout");
}

static struct probing *find(struct relay *r, uint64_t id)
{
	struct probing *p = r->probings;

	while (p && p->id != id)
		p = p->next;
	return p;
}

bool probing_cut(struct relay *r, uint64_t id, unsigned reason)
{
	struct probing *p = find(r, id);

	if (!p)
		return false;
	end(p, (enum reason)reason, "cut");
	return true;
}

void probing_end_all(struct relay *r)
{
	while (r->probings)
		release(r->probings);
}

/* ---- the dial ---- */

void probing_note_failure(struct probing *p, const char *why)
{
	p->why = why;
}

int64_t *probing_handshake(struct probing *p)
{
	p->handshake_us = 0; /* of the address that is tried now */
	return &p->handshake_us;
}

void probing_dial_failed(struct probing *p, enum reason reason, const char *detail)
{
	p->conn = NULL; /* has ended itself */
	snprintf(p->detail, sizeof p->detail, "%s%s%s", detail ? detail : "connect_failed",
	         p->why ? ": " : "", p->why ? p->why : "");
	end(p, reason, p->detail);
}

/* ---- the request ---- */

static void send_head(struct probing *p)
{
	while (p->head_off < p->head.len) {
		ssize_t n =
		    tls_write(p->conn->tls, p->head.p + p->head_off, p->head.len - p->head_off);

		if (n == RK_E_AGAIN)
			return;
		if (n < 0) {
			end(p, REASON_UPSTREAM_FAILED, "upstream_closed");
			return;
		}
		p->head_off += (size_t)n;
	}
	rk_secret_free(&p->head);
	p->sent_us = rk_mono_us();
	deadline_set(&p->relay->deadlines, &p->deadline, DEADLINE_HEAD);
}

void probing_connected(struct probing *p)
{
	p->open_us = rk_mono_us();
	tls_peer_describe(p->conn->tls, p->subject, sizeof p->subject, &p->said.expires_ms);
	deadline_set(&p->relay->deadlines, &p->deadline, DEADLINE_HEAD);
	send_head(p);
}

/* ---- the answer ---- */

/* True: there is a head, and it was the last one. */
static bool read_head(struct probing *p)
{
	struct h1_head *h = &p->relay->head;
	struct span *in = &p->conn->in;
	int used;

	while ((used = h1_parse_response(span_slice(in), H1_MAX_HEAD, p->head_method, h)) > 0) {
		if (h->status >= 200 || h->status == 101)
			return true;
		if (++p->interim > MAX_INTERIM) {
			used = H1_E_STATUS;
			break;
		}
		span_consume(in, (size_t)used);
	}
	if (used < 0)
		end(p, REASON_UPSTREAM_FAILED, h1_err_code(used));
	return false;
}

static void read_answer(struct probing *p)
{
	struct span *in = &p->conn->in;
	ssize_t n;

	if (!span_hold(&p->relay->blocks, in)) {
		end(p, REASON_OVERLOADED, "no_memory");
		return;
	}
	n = tls_read(p->conn->tls, span_end(in), span_room(in));
	if (n == RK_E_AGAIN)
		return;
	if (n < 0) {
		end(p, REASON_UPSTREAM_FAILED, "upstream_closed");
		return;
	}
	if (!p->said.first_byte_us)
		p->said.first_byte_us =
		    span_us(p->sent_us ? p->sent_us : p->open_us, rk_mono_us());
	in->len += (size_t)n;
	if (!read_head(p))
		return;
	p->said.status = (uint16_t)p->relay->head.status;
	end(p, REASON_OK, NULL);
}

void probing_on_upstream(struct probing *p, unsigned events)
{
	struct relay *r = p->relay;
	uint64_t id = p->id;

	if ((events & TLS_EV_WRITE) && p->head.p)
		send_head(p);
	if ((events & TLS_EV_READ) && find(r, id) == p)
		read_answer(p);
}

/* ---- the beginning ---- */

static const char fields[] =
    "User-Agent: relaykey/" RELAYKEY_VERSION "\r\nAccept: */*\r\nConnection: close\r\n";

/* A request as a client's would be, with nothing of a client in it. */
static int build_head(struct probing *p, const struct msg_probe *m)
{
	const struct upstream *u = p->upstream;
	const struct rewrite_upstream to = {
	    .authority = rk_str(u->authority),
	    .base_path = u->base_path,
	    .set_headers = u->set_headers,
	};
	struct request *req = calloc(1, sizeof *req + sizeof fields);
	int err;

	if (!req)
		return RK_E_NOMEM;
	req->method = rk_str(p->head_method ? "HEAD" : "GET");
	req->rest = m->rest;
	req->head = p->head_method;
	req->body = H1_BODY_NONE;
	memcpy(req->text, fields, sizeof fields);
	for (size_t off = 0; off < sizeof fields - 1; req->line_count++) {
		const char *colon = memchr(fields + off, ':', sizeof fields - off);
		const char *end_of = memchr(fields + off, '\n', sizeof fields - off);

		req->lines[req->line_count] = (struct request_line){
		    .off = (uint16_t)off,
		    .name_n = (uint16_t)(colon - fields - (ptrdiff_t)off),
		    .n = (uint16_t)(end_of + 1 - fields - (ptrdiff_t)off),
		};
		off = (size_t)(end_of + 1 - fields);
	}
	err = rewrite_request(req, &to, m->inject_headers, m->inject_query, 0, &p->head);
	free(req);
	return err;
}

static const char *why_refused(const struct upstream *u)
{
	if (u->broken_ca)
		return "ca_bundle_not_valid";
	if (u->broken_egress)
		return "client_certificate_or_proxy_not_valid";
	return "too_many_connections";
}

static struct probing *probing_new(struct relay *r, uint64_t id, struct upstream *u)
{
	struct probing *p = r->probing_count < PROBING_MAX ? calloc(1, sizeof *p) : NULL;

	if (!p)
		return NULL;
	p->relay = r;
	p->id = id;
	p->upstream = u;
	upstream_ref(u);
	p->started_us = rk_mono_us();
	p->deadline = (struct deadline){.expired = on_deadline, .arg = p};
	p->next = r->probings;
	p->prev = &r->probings;
	if (p->next)
		p->next->prev = &p->next;
	r->probings = p;
	r->probing_count++;
	return p;
}

void probing_start(struct relay *r, uint64_t id, const struct msg_probe *m)
{
	struct upstream *u = table_by_id(&r->table, m->upstream_id);
	struct msg_probed no = {.reason = REASON_OVERLOADED};
	struct probing *p = u ? probing_new(r, id, u) : NULL;

	if (!p) {
		no.detail = rk_str(u ? "busy" : "connection_changed");
		say(r, id, &no);
		return;
	}
	p->head_method = m->head != 0;
	if (build_head(p, m)) {
		end(p, REASON_OVERLOADED, "head_not_built");
	} else if (upstream_open_probing(r, u, p, &p->conn) != UPSTREAM_COMING) {
		end(p, REASON_UPSTREAM_REFUSED, why_refused(u));
	} else if (m->dial.n && upstream_take_dial(p->conn, m->dial)) {
		end(p, REASON_OVERLOADED, "no_memory");
	} else {
		deadline_set(&r->deadlines, &p->deadline, DEADLINE_DIAL);
		resolve_start(p->conn);
	}
}
