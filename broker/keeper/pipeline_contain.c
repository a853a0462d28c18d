/*
 * Containment in the pipeline: the panic switch, and keys that are never valid.
 */
#include "keeper/pipeline_int.h"

void pipeline_stop_traffic(struct pipeline *p, bool stopped)
{
	p->stopped = stopped;
	if (!stopped)
		return;
	/* what is decided and not answered yet is judged once more, and refused then */
	for (struct index_conn *c = index_conn_next(p->params.index, NULL); c;
	     c = index_conn_next(p->params.index, c))
		pipeline_cut_conn(p, c, REASON_TRAFFIC_STOPPED);
}

/* It got as far as that: a real one, neither revoked nor expired. */
static bool is_honey(const struct authorized *d)
{
	return d->reason == REASON_INVALID_KEY && d->key && (d->key->flags & KEY_HONEY) &&
	       rk_slice_is(rk_str(d->detail), "honey");
}

void pl_contain(const struct pipeline *p, const struct msg_authorize *m, int64_t now_ms,
                struct authorized *d)
{
	/* who has no valid key is told nothing of it */
	if (p->stopped && d->reason != REASON_INVALID_KEY && d->reason != REASON_SEALED) {
		d->reason = REASON_TRAFFIC_STOPPED;
		d->first = false;
		d->detail = "";
	}
	if (!is_honey(d))
		return;
	d->key->last_used_ms = now_ms;
	if (p->params.honey)
		p->params.honey(d->key, d->conn, m, p->params.honey_arg);
}
