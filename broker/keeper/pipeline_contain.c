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

void pl_contain(const struct pipeline *p, struct authorized *d)
{
	/* who has no valid key is told nothing of it */
	if (p->stopped && d->reason != REASON_INVALID_KEY && d->reason != REASON_SEALED) {
		d->reason = REASON_TRAFFIC_STOPPED;
		d->first = false;
		d->detail = "";
	}
}
