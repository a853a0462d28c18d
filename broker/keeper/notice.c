#include "keeper/notice.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/notice_kind.h"
#include "keeper/db_stmt.h"
#include "keeper/keeper_int.h"
#include "keeper/settings.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"

enum {
	RETRY_MS = 1000,
	/* what those who watch over the broker hear of by mail; a new address is the holder's
	 */
	ALERTS = NOTICE_EVERY & ~(1 << NOTICE_TEST | 1 << NOTICE_NEW_IP),
};

/* ---- rows ---- */

static int encode(const struct msg_notice *n, int64_t *time_ms, char out[MSG_MAX_NOTICE],
                  struct rk_slice *encoded, struct rk_fault *fault)
{
	static const uint8_t none[sizeof n->id];
	struct msg_notice full = *n;
	ssize_t size;

	if (memcmp(full.id, none, sizeof none) == 0)
		rk_random(full.id, sizeof full.id);
	if (!full.time_ms)
		full.time_ms = rk_wall_ms();
	size = record_encode(&msg_notice_desc, &full, out, MSG_MAX_NOTICE);
	if (size < 0)
		return rk_fail(fault, (int)size, "a notice does not encode: %s",
		               rk_strerror((int)size));
	*time_ms = full.time_ms;
	*encoded = rk_slice(out, (size_t)size);
	return 0;
}

/* A webhook never gets the code of a confirmation link: who knows it can confirm. */
static int encode_public(const struct msg_notice *n, int64_t *time_ms, char out[MSG_MAX_NOTICE],
                         struct rk_slice *encoded, struct rk_fault *fault)
{
	struct msg_notice public = *n;

	public.code = rk_str(NULL);
	return encode(&public, time_ms, out, encoded, fault);
}

static int add(struct store *s, enum outbox_kind kind, struct rk_slice target,
               struct rk_slice notice, int64_t now_ms, struct rk_fault *fault)
{
	const struct store_outbox item = {
	    .kind = kind, .target = target, .notice = notice, .created_ms = now_ms};

	return store_outbox_add(s, &item, fault);
}

static int add_hooks(struct store *s, unsigned kind, struct rk_slice notice, int64_t now_ms,
                     struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	const struct db_value bit[] = {DB_INT(NOTICE_BIT(kind))};
	int err =
	    db_query(s->db, "SELECT id FROM webhook WHERE enabled <> 0 AND (events & ?) <> 0",
	             bit, 1, &st, fault);
	int rc = SQLITE_DONE;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW)
		err = add(s, OUTBOX_WEBHOOK, db_column(st, 0), notice, now_ms, fault);
	if (!err && rc != SQLITE_DONE)
		err = db_error(s->db, rc, fault, "cannot read the webhooks");
	sqlite3_finalize(st);
	return err;
}

static int add_alerts(struct store *s, struct rk_slice notice, int64_t now_ms,
                      struct rk_fault *fault)
{
	struct settings_box *b = NULL;
	struct rk_slice list, item;
	int err = settings_load(s, NULL, &b, fault);

	if (err)
		return err;
	list = settings_box_get(b)->alert_mail;
	while (!err && record_list_next(&list, &item))
		err = add(s, OUTBOX_MAIL, item, notice, now_ms, fault);
	settings_box_free(b);
	return err;
}

/* Whoever sends looks once this job, and so this transaction, is over. */
static void wake(struct store *s)
{
	const uint64_t one = 1;

	if (s->wake_fd >= 0)
		(void)!write(s->wake_fd, &one, sizeof one);
}

int notice_store(struct store *s, const struct msg_notice *n, struct rk_slice mail_to,
                 struct rk_fault *fault)
{
	char mem[MSG_MAX_NOTICE], public_mem[MSG_MAX_NOTICE];
	struct msg_notice same = *n;
	struct rk_slice full = {0}, public = {0};
	int64_t now_ms;
	int err;

	/* one id for all that tell of it */
	if (!same.time_ms)
		same.time_ms = rk_wall_ms();
	err = encode(&same, &now_ms, mem, &full, fault);
	if (!err)
		err = record_decode(&msg_notice_desc, full, &same);
	if (!err)
		err = encode_public(&same, &now_ms, public_mem, &public, fault);
	if (!err)
		err = add_hooks(s, n->kind, public, now_ms, fault);
	if (!err && mail_to.n)
		err = add(s, OUTBOX_MAIL, mail_to, full, now_ms, fault);
	if (!err && (NOTICE_BIT(n->kind) & ALERTS))
		err = add_alerts(s, public, now_ms, fault);
	if (!err)
		wake(s);
	return err;
}

int notice_store_for(struct store *s, const struct msg_notice *n, struct rk_slice hook,
                     struct rk_slice mail_to, struct rk_fault *fault)
{
	char mem[MSG_MAX_NOTICE];
	struct rk_slice encoded;
	int64_t now_ms;
	int err = encode(n, &now_ms, mem, &encoded, fault);

	if (!err && hook.n)
		err = add(s, OUTBOX_WEBHOOK, hook, encoded, now_ms, fault);
	if (!err && mail_to.n)
		err = add(s, OUTBOX_MAIL, mail_to, encoded, now_ms, fault);
	if (!err)
		wake(s);
	return err;
}

/* ---- notices on their own ---- */

struct pending {
	struct pending *next;
	struct rk_slice notice; /* in mem */
	struct rk_slice mail_to;
	char mem[];
};

struct notices {
	struct worker_job job; /* first: jobs are cast back */
	struct keeper *k;
	struct event *timer;
	struct pending *waiting, **tail, *storing;
	unsigned count;
	bool busy, failing; /* `failing`: told once */
	int err;
	struct rk_fault fault;
};

static void store_work(struct worker_job *job)
{
	struct notices *all = (struct notices *)job;
	struct store *s = all->k->store;
	struct msg_notice n;
	int err = store_outbox_begin(s, &all->fault);

	if (!err) {
		for (struct pending *p = all->storing; p && !err; p = p->next) {
			err = record_decode(&msg_notice_desc, p->notice, &n);
			if (!err)
				err = notice_store(s, &n, p->mail_to, &all->fault);
		}
		err = store_outbox_end(s, err, &all->fault);
	}
	all->err = err;
}

static void free_list(struct pending *p)
{
	struct pending *next;

	for (; p; p = next) {
		next = p->next;
		free(p);
	}
}

static void store_done(struct worker_job *job)
{
	static const struct timeval later = {RETRY_MS / 1000, RETRY_MS % 1000 * 1000};
	struct notices *all = (struct notices *)job;

	all->busy = false;
	if (all->err) {
		struct pending **last = &all->storing;

		if (!all->failing)
			log_event(LOG_LEVEL_ERROR, "notice-not-stored", "reason", "%s",
			          all->fault.text[0] ? all->fault.text : rk_strerror(all->err));
		all->failing = true;
		while (*last)
			last = &(*last)->next;
		*last = all->waiting;
		if (!all->waiting)
			all->tail = last;
		all->waiting = all->storing;
		all->storing = NULL;
		evtimer_add(all->timer, &later);
		return;
	}
	all->failing = false;
	for (struct pending *p = all->storing; p; p = p->next)
		all->count--;
	free_list(all->storing);
	all->storing = NULL;
	notices_flush(all);
}

void notices_flush(struct notices *all)
{
	if (all->busy || !all->waiting || !all->k->store || all->k->state != KEEPER_OPEN)
		return;
	all->busy = true;
	all->fault.text[0] = '\0';
	all->storing = all->waiting;
	all->waiting = NULL;
	all->tail = &all->waiting;
	all->job.work = store_work;
	all->job.done = store_done;
	worker_submit(all->k->store_pool, &all->job);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	notices_flush(arg);
}

int notice_raise(struct keeper *k, const struct msg_notice *n, struct rk_slice mail_to)
{
	struct notices *all = k->notices;
	char mem[MSG_MAX_NOTICE];
	struct rk_slice encoded;
	struct pending *p;
	int64_t now_ms;
	int err;

	if (!all)
		return RK_E_STATE;
	if (all->count >= NOTICES_MAX)
		return RK_E_FULL;
	err = encode(n, &now_ms, mem, &encoded, NULL);
	if (err)
		return err;
	p = calloc(1, sizeof *p + encoded.n + mail_to.n);
	if (!p)
		return RK_E_NOMEM;
	memcpy(p->mem, encoded.p, encoded.n);
	if (mail_to.n)
		memcpy(p->mem + encoded.n, mail_to.p, mail_to.n);
	p->notice = rk_slice(p->mem, encoded.n);
	p->mail_to = rk_slice(p->mem + encoded.n, mail_to.n);
	*all->tail = p;
	all->tail = &p->next;
	all->count++;
	notices_flush(all);
	return 0;
}

int notices_new(struct keeper *k, struct notices **out)
{
	struct notices *all = calloc(1, sizeof *all);

	if (!all)
		return RK_E_NOMEM;
	all->k = k;
	all->tail = &all->waiting;
	all->timer = evtimer_new(loop_base(k->loop), on_timer, all);
	if (!all->timer) {
		free(all);
		return RK_E_NOMEM;
	}
	*out = all;
	return 0;
}

void notices_free(struct notices *all)
{
	if (!all)
		return;
	event_free(all->timer);
	free_list(all->waiting);
	free_list(all->storing);
	free(all);
}
