#include "keeper/expiry.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/keeper_int.h"
#include "keeper/store_expiry.h"

enum { LOOK_S = 600 };

struct expiry {
	struct worker_job job; /* first: jobs are cast back */
	struct keeper *k;
	struct event *timer;
	bool more;
	int err;
	struct rk_fault fault;
};

static void arm(struct expiry *e, time_t seconds)
{
	const struct timeval wait = {.tv_sec = seconds};

	evtimer_add(e->timer, &wait);
}

static void work(struct worker_job *job)
{
	struct expiry *e = (struct expiry *)job;

	e->more = false;
	e->err = store_expiry_scan(e->k->store, rk_wall_ms(), &e->more, &e->fault);
}

static void done(struct worker_job *job)
{
	struct expiry *e = (struct expiry *)job;

	if (e->k->state != KEEPER_OPEN)
		return;
	if (e->err)
		log_event(LOG_LEVEL_ERROR, "expiry", "reason", "%s", e->fault.text);
	arm(e, e->more && !e->err ? 0 : LOOK_S);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expiry *e = arg;

	(void)fd;
	(void)what;
	if (e->k->state == KEEPER_OPEN)
		worker_submit(e->k->store_pool, &e->job);
}

void expiry_open(struct expiry *e)
{
	arm(e, 0);
}

int expiry_new(struct keeper *k, struct expiry **out)
{
	struct expiry *e = calloc(1, sizeof *e);

	if (!e)
		return RK_E_NOMEM;
	e->k = k;
	e->job = (struct worker_job){.work = work, .done = done};
	e->timer = evtimer_new(loop_base(k->loop), on_timer, e);
	if (!e->timer) {
		free(e);
		return RK_E_NOMEM;
	}
	*out = e;
	return 0;
}

void expiry_free(struct expiry *e)
{
	if (!e)
		return;
	event_free(e->timer);
	free(e);
}
