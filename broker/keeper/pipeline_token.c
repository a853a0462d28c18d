#include "keeper/pipeline_int.h"

#include "base/clock.h"

enum { PING_MS = 1000 };

static void arm(struct pipeline *p, int ms)
{
	struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(p->token_timer, &wait);
}

void pl_token_lost(struct pipeline *p, const char *why)
{
	if (!p->unsealed)
		return;
	p->unsealed = false;
	pl_row_state(p, "token.lost", why);
	pl_gate(p);
	arm(p, p->params.retry_ms);
}

static void token_work(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, token_job));
	const struct pipeline_backend *be = &p->params.backend;

	p->token_fault.text[0] = '\0';
	p->token_err =
	    p->token_pinged ? be->ping(be->arg) : be->reconnect(be->arg, &p->token_fault);
}

static void token_done(struct worker_job *job)
{
	struct pipeline *p =
	    (struct pipeline *)((char *)job - offsetof(struct pipeline, token_job));

	p->token_busy = false;
	if (p->token_pinged) {
		if (p->token_err == RK_E_TOKEN)
			pl_token_lost(p, "the token does not answer");
		else if (p->unsealed)
			arm(p, PING_MS);
		return;
	}
	if (p->token_err == RK_E_PIN) {
		/* trying again could lock the token: a person must look */
		pl_row_state(p, "token.pin-refused", p->token_fault.text);
		return;
	}
	if (p->token_err) {
		arm(p, p->params.retry_ms);
		return;
	}
	p->unsealed = true;
	pl_row_state(p, "token.back", "");
	pl_gate(p);
	if (p->params.backend.ping)
		arm(p, PING_MS);
}

static void on_token_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;

	(void)fd;
	(void)what;
	if (p->token_busy) {
		arm(p, p->params.retry_ms);
		return;
	}
	p->token_busy = true;
	p->token_pinged = p->unsealed;
	worker_submit(p->params.token_pool, &p->token_job);
}

int pl_token_watch(struct pipeline *p)
{
	p->token_job = (struct worker_job){.work = token_work, .done = token_done};
	p->token_timer = evtimer_new(loop_base(p->params.loop), on_token_timer, p);
	if (!p->token_timer)
		return RK_E_NOMEM;
	if (p->params.backend.ping)
		arm(p, PING_MS);
	return 0;
}
