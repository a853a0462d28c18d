#include "keeper/dispatch_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/store_schema.h"

enum {
	LOOK_MS = 60 * 60 * 1000, /* at least so often */
	STORE_AGAIN_MS = 1000,
	PRUNE_MS = 10 * 60 * 1000,
};

static const char *lane_of(const struct flight *f)
{
	return f->kind == OUTBOX_WEBHOOK ? f->target : "";
}

static void arm(struct dispatch *d, int64_t ms)
{
	const struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(d->timer, &wait);
}

/* ---- the job: stores what ended, reads what is due ---- */

static int store_results(struct dispatch *d)
{
	struct store *s = d->k->store;
	int err;

	if (!d->storing_count)
		return 0;
	err = store_outbox_begin(s, &d->fault);
	for (unsigned i = 0; i < d->storing_count && !err; i++)
		err =
		    store_outbox_result(s, d->storing[i]->n, &d->storing[i]->result, &d->fault);
	return store_outbox_end(s, err, &d->fault);
}

static bool is_in_flight(const struct dispatch *d, int64_t n)
{
	for (unsigned i = 0; i < d->out_count; i++) {
		if (d->out[i] == n)
			return true;
	}
	return false;
}

static int take_row(const struct outbox_row *r, void *arg)
{
	struct dispatch *d = arg;
	struct lane *l = &d->lane[d->at];
	struct flight *f;

	if (!l->room || is_in_flight(d, r->n))
		return 0;
	f = calloc(1, sizeof *f);
	if (!f)
		return RK_E_NOMEM;
	f->n = r->n;
	f->kind = r->kind;
	f->result.attempts = r->attempts;
	if (!rk_slice_cstr(r->target, f->target, sizeof f->target) ||
	    r->notice.n > sizeof f->notice) {
		free(f);
		return RK_E_CORRUPT;
	}
	memcpy(f->notice, r->notice.p, r->notice.n);
	f->notice_n = r->notice.n;
	f->next = d->found;
	d->found = f;
	l->room--;
	return 0;
}

static int read_lane(struct dispatch *d)
{
	struct store *s = d->k->store;
	struct rk_slice id = rk_str(d->lane[d->at].id);
	int64_t next_ms = INT64_MAX;
	int err = store_outbox_due(s, id, d->now_ms, d->lane[d->at].room + DISPATCH_LANE_MAX,
	                           take_row, d, &d->fault);

	if (!err)
		err = store_outbox_next(s, id, d->now_ms, &next_ms, &d->fault);
	if (!err && next_ms < d->next_ms)
		d->next_ms = next_ms;
	return err;
}

static void work(struct worker_job *job)
{
	struct dispatch *d = (struct dispatch *)job;

	d->err = store_results(d);
	if (!d->err && d->prune)
		d->err = store_outbox_prune(d->k->store, d->now_ms, &d->fault);
	for (d->at = 0; d->at < d->lanes && !d->err; d->at++)
		d->err = read_lane(d);
}

/* ---- the pump ---- */

static bool rests(const struct lane_rest *r, int64_t now_ms)
{
	return r->until_ms > now_ms && r->until_ms <= now_ms + REST_LONGEST_MS;
}

static void add_lane(struct dispatch *d, const char *id, const struct lane_rest *r)
{
	struct lane *l = &d->lane[d->lanes];
	unsigned used = 0;

	if (rests(r, d->now_ms)) {
		if (r->until_ms < d->next_ms)
			d->next_ms = r->until_ms;
		return;
	}
	/* what the job stores is over before it reads */
	for (const struct flight *f = d->flights; f; f = f->next)
		used += f->st != FLIGHT_STORING && strcmp(lane_of(f), id) == 0;
	if (used >= DISPATCH_LANE_MAX || d->lanes == DISPATCH_LANES)
		return;
	snprintf(l->id, sizeof l->id, "%s", id);
	l->room = DISPATCH_LANE_MAX - used;
	d->lanes++;
}

static void choose_lanes(struct dispatch *d)
{
	d->lanes = 0;
	if (!d->courier || d->out_count + DISPATCH_LANE_MAX > DISPATCH_MAX)
		return;
	add_lane(d, "", &d->mail_rest);
	for (const struct hook *h = d->k->hooks ? d->k->hooks->first : NULL; h; h = h->next) {
		if (h->enabled)
			add_lane(d, h->id, &h->rest);
	}
}

static void done(struct worker_job *job);

static void look(struct dispatch *d)
{
	struct keeper *k = d->k;

	if (!k->store || k->state != KEEPER_OPEN)
		return;
	if (d->busy) {
		d->again = true;
		return;
	}
	d->again = false;
	d->now_ms = rk_wall_ms();
	d->next_ms = d->now_ms + LOOK_MS;
	d->storing_count = 0;
	d->out_count = 0;
	for (struct flight *f = d->flights; f; f = f->next) {
		if (f->st == FLIGHT_ENDED) {
			f->st = FLIGHT_STORING;
			d->storing[d->storing_count++] = f;
		} else {
			d->out[d->out_count++] = f->n;
		}
	}
	choose_lanes(d);
	d->prune = d->now_ms >= d->prune_at_ms || d->now_ms + PRUNE_MS < d->prune_at_ms;
	if (!d->storing_count && !d->lanes && !d->prune) {
		arm(d, d->next_ms - d->now_ms);
		return;
	}
	if (d->prune)
		d->prune_at_ms = d->now_ms + PRUNE_MS;
	d->busy = true;
	d->err = 0;
	d->fault.text[0] = '\0';
	d->job.work = work;
	d->job.done = done;
	worker_submit(k->store_pool, &d->job);
}

/* What the job stored is over; what it could not store is tried again. */
static void settle(struct dispatch *d)
{
	struct flight **at = &d->flights;

	while (*at) {
		struct flight *f = *at;

		if (f->st == FLIGHT_STORING && !d->err) {
			*at = f->next;
			d->count--;
			free(f);
			continue;
		}
		if (f->st == FLIGHT_STORING)
			f->st = FLIGHT_ENDED;
		at = &f->next;
	}
}

static void start_found(struct dispatch *d)
{
	while (d->found) {
		struct flight *f = d->found;

		d->found = f->next;
		if (d->k->state != KEEPER_OPEN || d->count >= DISPATCH_MAX) {
			free(f);
			d->again = true;
			continue;
		}
		f->next = d->flights;
		d->flights = f;
		d->count++;
		dispatch_hand_out(d, f);
	}
}

static void done(struct worker_job *job)
{
	struct dispatch *d = (struct dispatch *)job;
	int64_t wait;

	d->busy = false;
	settle(d);
	start_found(d);
	if (d->k->state != KEEPER_OPEN)
		return;
	if (d->err) {
		if (!d->failing)
			log_event(LOG_LEVEL_ERROR, "outbox", "reason", "%s",
			          d->fault.text[0] ? d->fault.text : rk_strerror(d->err));
		d->failing = true;
		arm(d, STORE_AGAIN_MS);
		return;
	}
	d->failing = false;
	wait = d->next_ms - rk_wall_ms();
	for (const struct flight *f = d->flights; f; f = f->next) {
		if (f->st == FLIGHT_ENDED)
			wait = 0;
	}
	if (d->again || wait < 0)
		wait = 0;
	arm(d, wait < LOOK_MS ? wait : LOOK_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	look(arg);
}

/* ---- the courier ---- */

void dispatch_attach(struct dispatch *d, struct ipc_peer *courier)
{
	if (d->courier)
		dispatch_detach(d, d->courier);
	d->courier = courier;
	dispatch_kick(d);
}

void dispatch_detach(struct dispatch *d, const struct ipc_peer *courier)
{
	if (!d || d->courier != courier)
		return;
	d->courier = NULL;
	for (struct flight *f = d->flights; f; f = f->next) {
		if (f->st == FLIGHT_OUT)
			dispatch_not_sent(d, f,
			                  "the courier ended before it said how this ended");
	}
	dispatch_kick(d);
}

int dispatch_delivered(struct dispatch *d, uint64_t attempt, const struct msg_delivered *m)
{
	if (m->result < DELIVER_OK || m->result > DELIVER_LASTING)
		return RK_E_PROTOCOL;
	for (struct flight *f = d->flights; f; f = f->next) {
		if (f->attempt == attempt && f->st == FLIGHT_OUT) {
			dispatch_ended(d, f, m);
			dispatch_kick(d);
			return 0;
		}
	}
	return RK_E_PROTOCOL;
}

/* ---- life ---- */

void dispatch_kick(struct dispatch *d)
{
	if (d && d->busy)
		d->again = true; /* or the job's end would set the timer anew */
	else if (d)
		arm(d, 0);
}

void dispatch_mail_changed(struct dispatch *d)
{
	if (!d)
		return;
	d->mail_rest = (struct lane_rest){0};
	dispatch_kick(d);
}

void dispatch_open(struct dispatch *d)
{
	d->k->store->wake_fd = d->wake_fd;
	dispatch_kick(d);
}

int dispatch_new(struct keeper *k, struct dispatch **out)
{
	struct dispatch *d = calloc(1, sizeof *d);

	if (!d)
		return RK_E_NOMEM;
	d->k = k;
	d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->timer = evtimer_new(loop_base(k->loop), on_timer, d);
	if (d->wake_fd >= 0)
		d->woken = event_new(loop_base(k->loop), d->wake_fd, EV_READ | EV_PERSIST,
		                     on_woken, d);
	if (!d->timer || !d->woken || event_add(d->woken, NULL) < 0) {
		dispatch_free(d);
		return RK_E_IO;
	}
	*out = d;
	return 0;
}

static void free_flights(struct flight *f)
{
	struct flight *next;

	for (; f; f = next) {
		next = f->next;
		free(f);
	}
}

void dispatch_free(struct dispatch *d)
{
	if (!d)
		return;
	free_flights(d->flights);
	free_flights(d->found);
	if (d->timer)
		event_free(d->timer);
	if (d->woken)
		event_free(d->woken);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
	free(d);
}
