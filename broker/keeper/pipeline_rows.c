#include "keeper/pipeline_int.h"

#include "base/clock.h"
#include "keeper/row_encode.h"

/* Texts of a relay or a module go into rows as printable ASCII. */
struct rk_slice pl_printable(struct rk_slice from, char *to, size_t cap)
{
	size_t n = from.n < cap ? from.n : cap;

	for (size_t i = 0; i < n; i++)
		to[i] = from.p[i] >= ' ' && from.p[i] < 0x7f ? from.p[i] : '?';
	return rk_slice(to, n);
}

static void lazy_start(struct pipeline *p)
{
	struct timeval wait = {0, PIPELINE_LAZY_MS * 1000};

	if (!evtimer_pending(p->lazy_timer, NULL))
		evtimer_add(p->lazy_timer, &wait);
}

/* The journal is away: what happened is kept, what is asked for is refused. */
static int row_set_aside(struct pipeline *p, const struct audit_row *row,
                         const struct pl_row *what)
{
	char bytes[AUDIT_MAX_ROW];
	ssize_t n;

	if (!what->keep)
		return RK_E_STATE;
	n = row_encode(row, bytes, sizeof bytes);
	if (n < 0)
		return (int)n;
	pl_keep(p, rk_slice(bytes, (size_t)n));
	return 0;
}

int pl_row_add(struct pipeline *p, const struct audit_row *row, const struct pl_row *what,
               bool urgent)
{
	struct pl_batch *b;
	ssize_t n;

	if (!p->audit_ok)
		return row_set_aside(p, row, what);
	b = pl_batch_room(p, 0);
	if (!b)
		return RK_E_NOMEM;
	n = row_encode(row, b->mem + b->used, AUDIT_MAX_ROW);
	if (n < 0)
		return (int)n;
	b->entry[b->rows].body = rk_slice(b->mem + b->used, (size_t)n);
	b->row[b->rows] = *what;
	b->used += (size_t)n;
	b->rows++;
	if (urgent)
		b->urgent = true;
	if (b->urgent)
		pl_wake(p);
	else
		lazy_start(p);
	return 0;
}

/* Printable, behind "retried" when the relay had the credential a second time. */
static struct rk_slice response_detail(const struct pl_request *r, struct rk_slice said,
                                       char *to, size_t cap)
{
	static const struct rk_slice mark = {"retried, ", 9};
	size_t n = r->resent && r->state == PL_RUNNING ? mark.n : 0;

	memcpy(to, mark.p, n);
	if (n && said.n == 0)
		return rk_slice(to, n - 2);
	return rk_slice(to, n + pl_printable(said, to + n, cap - n).n);
}

void pl_row_response(struct pipeline *p, const struct pl_request *r,
                     const struct msg_complete *m)
{
	const struct pl_row what = {.keep = true};
	char detail[AUDIT_MAX_DETAIL];
	struct audit_row row = {
	    .type = AUDIT_RESPONSE,
	    .time_ms = rk_wall_ms(),
	    .decision = (uint8_t)reason_info(m->reason)->decision,
	    .reason = m->reason,
	    .policy_version = *p->params.policy_version,
	    .status = m->status,
	    .bytes_in = m->bytes_in,
	    .bytes_out = m->bytes_out,
	    .unwrap_us = r->unwrap_us,
	    .upstream_us = m->upstream_us,
	    .total_us = m->total_us,
	    .outcome = m->outcome,
	    .detail = response_detail(r, m->detail, detail, sizeof detail),
	};

	memcpy(row.request_id, r->request_id, sizeof row.request_id);
	/* out of memory: the next start closes the request with outcome `broker` */
	if (pl_row_add(p, &row, &what, false))
		p->counters.dropped++;
}

void pl_row_state(struct pipeline *p, const char *action, const char *detail)
{
	const struct pl_row what = {.keep = true};
	char text[AUDIT_MAX_DETAIL];
	struct audit_row row = {
	    .type = AUDIT_STATE,
	    .time_ms = rk_wall_ms(),
	    .policy_version = *p->params.policy_version,
	    .action = rk_str(action),
	    .detail = pl_printable(rk_str(detail), text, sizeof text),
	};

	if (pl_row_add(p, &row, &what, false))
		p->counters.dropped++;
}

int pipeline_append_row(struct pipeline *p, const struct audit_row *row,
                        pipeline_row_done *done, void *arg)
{
	struct pl_row what = {.done = done, .arg = arg};
	struct audit_row full = *row;

	if (!full.time_ms)
		full.time_ms = rk_wall_ms();
	if (!full.policy_version)
		full.policy_version = *p->params.policy_version;
	return pl_row_add(p, &full, &what, true);
}

void pipeline_keep_row(struct pipeline *p, const struct audit_row *row)
{
	const struct pl_row what = {.keep = true};
	struct audit_row full = *row;

	if (!full.time_ms)
		full.time_ms = rk_wall_ms();
	if (!full.policy_version)
		full.policy_version = *p->params.policy_version;
	if (pl_row_add(p, &full, &what, true))
		p->counters.dropped++;
}

/* ---- tail ---- */

void pipeline_tail_add(struct pipeline *p, struct pipeline_tail *t)
{
	t->next = p->tails;
	t->prev = &p->tails;
	if (t->next)
		t->next->prev = &t->next;
	p->tails = t;
}

void pipeline_tail_remove(struct pipeline *p, struct pipeline_tail *t)
{
	if (!t->prev)
		return;
	if (p->tail_cursor == t)
		p->tail_cursor = t->next;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

static void tell(struct pipeline *p, const struct msg_audit_entry *e)
{
	struct pipeline_tail *t = p->tails;

	while (t) {
		p->tail_cursor = t->next;
		t->row(e, t->arg);
		t = p->tail_cursor;
	}
	p->tail_cursor = NULL;
}

void pl_rows_tell_tails(struct pl_batch *b)
{
	struct pipeline *p = b->p;
	const struct journal_entry *last = &b->entry[b->rows - 1];

	for (unsigned i = 0; i < b->rows && p->tails; i++) {
		struct msg_audit_entry e = {.seq = b->entry[i].seq, .row = b->entry[i].body};

		memcpy(e.prev_hash, i ? b->entry[i - 1].hash : p->head.hash,
		       sizeof e.prev_hash);
		memcpy(e.hash, b->entry[i].hash, sizeof e.hash);
		tell(p, &e);
	}
	p->head.seq = last->seq;
	p->head.rows += b->rows;
	memcpy(p->head.hash, last->hash, sizeof p->head.hash);
}
