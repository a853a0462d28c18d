#include "keeper/probe.h"

#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "keeper/pipeline_int.h"

/* Above every id that a relay gives to an exchange of its own. */
static const uint64_t probe_ids = UINT64_C(1) << 63;

struct pl_probe {
	struct worker_job job; /* first: jobs are cast back */
	struct pipeline *p;
	struct relay_links *links;
	struct pl_probe *next, **prev;
	struct pl_credential credential;
	struct event *deadline;
	struct relay_link *link; /* which has it; NULL: none yet */
	uint64_t id;
	uint32_t conn_number;
	uint8_t request_id[16];
	bool head;
	int64_t started_us;
	probe_done *done; /* NULL: nobody waits */
	void *arg;
	size_t rest_n;
	char rest[MSG_MAX_URL];
	char mem[]; /* wrapped secrets */
};

static struct rk_slice rest_of(const struct pl_probe *b)
{
	return rk_slice(b->rest, b->rest_n);
}

/* ---- the end ---- */

static void probe_free(struct pl_probe *b)
{
	*b->prev = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->p->probe_count--;
	pl_credential_drop(&b->credential);
	if (b->deadline)
		event_free(b->deadline);
	free(b);
}

static void tell(struct pl_probe *b, const struct msg_probed *m)
{
	if (b->done)
		b->done(m, b->arg);
	probe_free(b);
}

static uint8_t outcome_of(const struct msg_probed *m)
{
	if (m->reason == REASON_OK)
		return OUTCOME_COMPLETE;
	if (rk_slice_is(m->detail, "cut"))
		return OUTCOME_CUT;
	return m->tls_us ? OUTCOME_UPSTREAM_GONE : OUTCOME_NOT_SENT;
}

/* Its REQUEST row is durable: what became of it stands there too. */
static void ended(struct pl_probe *b, const struct msg_probed *m)
{
	const struct pl_row what = {.keep = true};
	char detail[AUDIT_MAX_DETAIL];
	struct audit_row row = {
	    .type = AUDIT_RESPONSE,
	    .time_ms = rk_wall_ms(),
	    .decision = (uint8_t)reason_info(m->reason)->decision,
	    .reason = m->reason,
	    .policy_version = *b->p->params.policy_version,
	    .status = m->status,
	    .unwrap_us = b->credential.unwrap_us,
	    .upstream_us = m->first_byte_us,
	    .total_us = (uint32_t)(rk_mono_us() - b->started_us),
	    .outcome = outcome_of(m),
	    .detail = pl_printable(m->detail, detail, sizeof detail),
	};

	memcpy(row.request_id, b->request_id, sizeof row.request_id);
	if (pl_row_add(b->p, &row, &what, false))
		b->p->counters.dropped++;
	tell(b, m);
}

static void ended_with(struct pl_probe *b, enum reason reason, const char *detail)
{
	const struct msg_probed m = {.reason = (uint16_t)reason, .detail = rk_str(detail)};

	ended(b, &m);
}

/* ---- with a relay ---- */

void probe_answered(struct pipeline *p, const struct relay_link *link, uint64_t id,
                    const struct msg_probed *m)
{
	struct pl_probe *b = p->probes;

	while (b && (b->id != id || b->link != link))
		b = b->next;
	if (b)
		ended(b, m);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct pl_probe *b = arg;
	const struct msg_cut m = {.reason = REASON_UPSTREAM_TIMEOUT};

	(void)fd;
	(void)what;
	relay_link_send(b->link, MSG_CUT, b->id, &m);
	ended_with(b, REASON_UPSTREAM_TIMEOUT, "the relay did not say how it went");
}

void pl_probes_link_gone(struct pipeline *p, const struct relay_link *link)
{
	struct pl_probe *next;

	for (struct pl_probe *b = p->probes; b; b = next) {
		next = b->next;
		if (b->link == link)
			ended_with(b, REASON_OVERLOADED, "the relay ended");
	}
}

void pl_probes_cut(struct pipeline *p, const struct index_conn *conn, enum reason reason)
{
	const struct msg_cut m = {.reason = (uint16_t)reason};

	for (struct pl_probe *b = p->probes; b; b = b->next) {
		if (b->link && b->conn_number == conn->number)
			relay_link_send(b->link, MSG_CUT, b->id, &m);
	}
}

static void hand_over(struct pl_probe *b)
{
	static const struct timeval patience = {PROBE_MS / 1000, 0};
	struct pl_credential *c = &b->credential;
	struct relay_link *link = relay_links_any(b->links);
	struct msg_probe m = {
	    .upstream_id = c->upstream_id,
	    .head = b->head,
	    .rest = rest_of(b),
	    .inject_headers = rk_secret_slice(&c->headers),
	    .inject_query = rk_secret_slice(&c->query),
	    .dial = rk_secret_slice(&c->dialling),
	};

	memcpy(m.request_id, b->request_id, sizeof m.request_id);
	if (!link || relay_link_try_send(link, MSG_PROBE, b->id, &m)) {
		ended_with(b, REASON_OVERLOADED, "no relay is ready");
		return;
	}
	b->link = link;
	pl_credential_drop(c);
	evtimer_add(b->deadline, &patience);
}

/* ---- the secret ---- */

static enum reason judge(const struct pl_probe *b)
{
	const struct index_conn *conn = b->credential.conn;
	const struct pipeline *p = b->p;

	if (p->stopped)
		return REASON_TRAFFIC_STOPPED;
	if (conn->removed)
		return REASON_NO_CONN;
	if (!conn->enabled)
		return REASON_CONN_DISABLED;
	if (conn->upstream_id != b->credential.upstream_id)
		return REASON_OVERLOADED; /* changed meanwhile */
	return p->unsealed ? REASON_OK : REASON_SEALED;
}

static void unwrap_work(struct worker_job *job)
{
	pl_credential_open(&((struct pl_probe *)job)->credential);
}

static void unwrap_done(struct worker_job *job)
{
	struct pl_probe *b = (struct pl_probe *)job;
	struct pl_credential *c = &b->credential;
	enum reason now = judge(b);

	b->p->counters.unwraps++;
	if (c->err == RK_E_TOKEN)
		pl_token_lost(b->p, c->err_text);
	if (now != REASON_OK)
		ended_with(b, now, "changed after the decision");
	else if (c->err)
		ended_with(b, c->err == RK_E_NOMEM ? REASON_OVERLOADED : REASON_SEALED,
		           c->err_text);
	else
		hand_over(b);
}

static void row_done(int err, void *arg)
{
	struct pl_probe *b = arg;
	const struct msg_probed m = {.reason = REASON_AUDIT_UNAVAILABLE};

	if (err) {
		tell(b, &m);
		return;
	}
	b->job = (struct worker_job){.work = unwrap_work, .done = unwrap_done};
	worker_submit(b->p->params.token_pool, &b->job);
}

/* ---- the beginning ---- */

static int request_row(struct pl_probe *b, const struct probe_request *r)
{
	const struct pl_row what = {.done = row_done, .arg = b};
	char path[BASE_URL_MAX + MSG_MAX_URL];
	size_t base = strlen(r->conn->url.path);
	struct rk_slice rest = rest_of(b);
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .time_ms = rk_wall_ms(),
	    .conn_id = rk_str(r->conn->id),
	    .conn_name = rk_str(r->conn->name),
	    .provider = rk_str(r->conn->provider),
	    .method = rk_str(b->head ? "HEAD" : "GET"),
	    .decision = DECISION_ALLOWED,
	    .reason = REASON_OK,
	    .policy_version = *b->p->params.policy_version,
	    .actor = r->actor,
	    .action = rk_str("connection.probe"),
	    .target = rk_str(r->conn->id),
	};

	memcpy(row.request_id, b->request_id, sizeof row.request_id);
	memcpy(path, r->conn->url.path, base);
	if (!base && !rest.n)
		rest = rk_str("/");
	if (rest.n)
		memcpy(path + base, rest.p, rest.n);
	row.path = rk_slice(path, base + rest.n);
	return pl_row_add(b->p, &row, &what, true);
}

static int may_start(const struct pipeline *p, const struct probe_request *r,
                     struct rk_fault *fault)
{
	if (p->stopped)
		return rk_fail(fault, RK_E_STATE, "all traffic is stopped");
	if (!r->conn->enabled)
		return rk_fail(fault, RK_E_STATE, "the connection is disabled");
	if (!p->unsealed)
		return rk_fail(fault, RK_E_STATE, "the token is not available");
	if (!p->audit_ok)
		return rk_fail(fault, RK_E_STATE, "the audit journal cannot be written");
	if (p->probe_count >= PROBES_MAX)
		return rk_fail(fault, RK_E_FULL, "%d connections are being tested already",
		               PROBES_MAX);
	return 0;
}

int probe_start(struct pipeline *p, struct relay_links *links, const struct probe_request *r,
                uint8_t request_id[16], probe_done *done, void *arg, struct pl_probe **out,
                struct rk_fault *fault)
{
	int err = may_start(p, r, fault);
	struct pl_probe *b;
	char *mem;

	if (err)
		return err;
	b = calloc(1, sizeof *b + pl_credential_bytes(r->conn, true));
	if (!b)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	b->p = p;
	b->links = links;
	b->id = probe_ids | ++p->probe_id;
	b->head = r->head;
	b->conn_number = r->conn->number;
	b->rest_n = r->rest.n;
	if (r->rest.n)
		memcpy(b->rest, r->rest.p, r->rest.n);
	b->started_us = rk_mono_us();
	b->done = done;
	b->arg = arg;
	rk_random(b->request_id, sizeof b->request_id);
	memcpy(request_id, b->request_id, sizeof b->request_id);
	b->next = p->probes;
	b->prev = &p->probes;
	if (b->next)
		b->next->prev = &b->next;
	p->probes = b;
	p->probe_count++;
	mem = b->mem;
	pl_credential_take(&b->credential, p, r->conn, true, &mem);
	b->deadline = evtimer_new(loop_base(p->params.loop), on_deadline, b);
	err = b->deadline ? request_row(b, r) : RK_E_NOMEM;
	if (err) {
		probe_free(b);
		return rk_fail(fault, err, "%s", rk_strerror(err));
	}
	*out = b;
	return 0;
}

void probe_forget(struct pl_probe *b)
{
	b->done = NULL;
}

void pl_probes_free(struct pipeline *p)
{
	while (p->probes)
		probe_free(p->probes);
}
