#include "keeper/pipeline_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "keeper/row_encode.h"

void pl_keep(struct pipeline *p, struct rk_slice encoded)
{
	struct pl_kept *k = malloc(sizeof *k + encoded.n);

	if (!k) { /* the next start closes the request with outcome `broker` */
		p->counters.dropped++;
		return;
	}
	k->next = NULL;
	k->n = encoded.n;
	memcpy(k->bytes, encoded.p, encoded.n);
	*p->kept_tail = k;
	p->kept_tail = &k->next;
	p->kept++;
}

static struct pl_kept *kept_take(struct pipeline *p)
{
	struct pl_kept *k = p->kept_first;

	if (!k)
		return NULL;
	p->kept_first = k->next;
	if (!k->next)
		p->kept_tail = &p->kept_first;
	p->kept--;
	return k;
}

void pl_kept_free(struct pipeline *p)
{
	struct pl_kept *k;

	while ((k = kept_take(p)))
		free(k);
}

static void arm(struct pipeline *p)
{
	struct timeval wait = {p->params.retry_ms / 1000, p->params.retry_ms % 1000 * 1000};

	evtimer_add(p->probe_timer, &wait);
}

/* The first failure closes the gate; everything that waits is answered at once. */
void pl_journal_failed(struct pl_batch *b)
{
	struct pipeline *p = b->p;
	bool first = p->audit_ok;
	struct pl_batch *waiting = p->queue_first, *open = p->open;
	int err = b->err;

	p->audit_ok = false;
	snprintf(p->audit_error, sizeof p->audit_error, "%.*s", (int)sizeof p->audit_error - 1,
	         b->fault.text[0] ? b->fault.text : rk_strerror(err));
	arm(p);
	if (b->probe) {
		b->settled = true;
		pl_batch_release(b);
		return;
	}
	if (first)
		pl_gate(p);
	p->queue_first = NULL;
	p->queue_tail = &p->queue_first;
	p->queued = 0;
	p->open = NULL;
	pl_batch_fail(b, err);
	while (waiting) {
		struct pl_batch *next = waiting->next;

		pl_batch_fail(waiting, err);
		waiting = next;
	}
	if (open)
		pl_batch_fail(open, err);
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;
	char detail[96];
	struct audit_row row = {
	    .type = AUDIT_STATE,
	    .time_ms = rk_wall_ms(),
	    .policy_version = *p->params.policy_version,
	    .action = rk_str("audit.recovered"),
	};
	struct pl_batch *b;
	ssize_t n;

	(void)fd;
	(void)what;
	if (p->committing || p->maintaining) {
		arm(p);
		return;
	}
	b = pl_batch_new(p);
	if (!b) {
		arm(p);
		return;
	}
	snprintf(detail, sizeof detail,
	         "%" PRIu64 " requests turned away, %" PRIu64 " rows kept", p->turned_away,
	         p->kept);
	row.detail = rk_str(detail);
	n = row_encode(&row, b->mem, AUDIT_MAX_ROW);
	b->entry[0].body = rk_slice(b->mem, n > 0 ? (size_t)n : 0);
	b->row[0] = (struct pl_row){0};
	b->rows = 1;
	b->probe = true;
	pl_batch_submit(b);
}

void pl_journal_recovered(struct pipeline *p)
{
	struct pl_kept *k;

	p->audit_ok = true;
	p->turned_away = 0;
	while ((k = kept_take(p))) {
		struct pl_batch *b = pl_batch_room(p, 0);

		if (b) {
			memcpy(b->mem + b->used, k->bytes, k->n);
			b->entry[b->rows].body = rk_slice(b->mem + b->used, k->n);
			b->row[b->rows++] = (struct pl_row){.keep = true};
			b->used += k->n;
			b->urgent = true;
		} else {
			p->counters.dropped++;
		}
		free(k);
	}
	pl_wake(p);
	pl_gate(p);
}

int pl_recover_init(struct pipeline *p)
{
	p->kept_tail = &p->kept_first;
	p->probe_timer = evtimer_new(loop_base(p->params.loop), on_probe, p);
	return p->probe_timer ? 0 : RK_E_NOMEM;
}
