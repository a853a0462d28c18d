#include "keeper/manage_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "keeper/audit_read.h"

/*
 * A reader thread walks the journal and leaves entries in `ready`; the loop takes them from
 * there as fast as the caller reads. When the caller is slow the thread waits, but not for
 * ever: there are few of them, and one is needed for the next question.
 */
enum {
	READY_BYTES = 256 << 10,
	ENTRY_BYTES = 2 * AUDIT_MAX_ROW + 256,
	SLOW_S = 60,
	LIST_DEFAULT = 50,
};

struct audit_stream {
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct rk_buf ready; /* under lock; LIST of encoded msg_audit_entry */
	bool stop;           /* under lock: nobody wants more */

	struct rk_buf out; /* loop only: taken from ready */
	bool job_over;     /* loop only */

	struct audit_filter *filter;
	char *entry; /* thread only: one entry and its length */
	int wake_fd;
	bool more; /* thread, then loop: the page ended because of its limit */

	uint64_t after; /* a tail that begins in the past: `rows` from there on */
	uint32_t rows;

	struct journal_head expect; /* verify */
	struct msg_audit_verified verified;
	char text[MSG_MAX_TEXT + 1];
};

/* ---- on the reader's thread ---- */

static void wake_loop(const struct audit_stream *s)
{
	uint64_t one = 1;

	while (write(s->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Waits for room for n bytes, locked. 0, > 0 when nobody wants them, RK_E_AGAIN when too slow.
 */
static int wait_for_room(struct audit_stream *s, size_t n)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SLOW_S;
	while (!s->stop && s->ready.len + n > s->ready.limit) {
		if (pthread_cond_timedwait(&s->room, &s->lock, &until) == ETIMEDOUT)
			return RK_E_AGAIN;
	}
	return s->stop;
}

static int hand_over(const struct msg_audit_entry *e, void *arg)
{
	struct audit_stream *s = arg;
	const struct record_desc *d = ipc_row(MSG_AUDIT_ENTRY)->body;
	ssize_t n = record_encode(d, e, s->entry + 4, ENTRY_BYTES - 4);
	bool first = false;
	int err;

	if (n < 0)
		return (int)n;
	for (unsigned i = 0; i < 4; i++)
		s->entry[i] = (char)((size_t)n >> (8 * i));
	pthread_mutex_lock(&s->lock);
	err = wait_for_room(s, (size_t)n + 4);
	if (err == 0) {
		first = s->ready.len == 0;
		err = rk_buf_add(&s->ready, s->entry, (size_t)n + 4);
	}
	pthread_mutex_unlock(&s->lock);
	if (first)
		wake_loop(s);
	return err;
}

static bool nobody_wants_it(void *arg)
{
	struct audit_stream *s = arg;
	bool stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

static int read_entries(struct manage_op *op, struct audit_reader *r)
{
	const struct msg_audit_query *q = &op->body.audit_query;
	struct audit_stream *s = op->stream;
	const struct audit_sink sink = {.entry = hand_over, .gone = nobody_wants_it, .arg = s};
	struct audit_page page = {.order = q->order,
	                          .cursor = q->cursor,
	                          .limit = q->limit ? q->limit : LIST_DEFAULT};
	int err;

	if (q->mode == AUDIT_MODE_EXPORT)
		return audit_export(r, op->k->audit_index, s->filter, q->cursor, q->limit,
		                    &sink, &op->fault);
	err = audit_list(r, op->k->audit_index, s->filter, &page, &sink, &op->fault);
	s->more = page.more;
	return err;
}

static void query_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct audit_reader *r;
	int err;

	op->fault.text[0] = '\0';
	err = audit_reader_open(op->k->journal_path, &op->k->journal_key, &r, &op->fault);
	if (err == 0) {
		err = read_entries(op, r);
		audit_reader_close(r);
	}
	if (err == RK_E_AGAIN && !op->fault.text[0])
		rk_fail(&op->fault, err, "the answer was not read for %d seconds", SLOW_S);
	op->err = err;
}

static void follow_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct audit_stream *s = op->stream;
	const struct audit_sink sink = {.entry = hand_over, .gone = nobody_wants_it, .arg = s};
	struct audit_reader *r;

	op->fault.text[0] = '\0';
	op->err = audit_reader_open(op->k->journal_path, &op->k->journal_key, &r, &op->fault);
	if (op->err)
		return;
	op->err = audit_export(r, NULL, s->filter, s->after, s->rows, &sink, &op->fault);
	audit_reader_close(r);
}

static void verify_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct audit_stream *s = op->stream;
	struct audit_reader *r;

	op->fault.text[0] = '\0';
	op->err = audit_reader_open(op->k->journal_path, &op->k->journal_key, &r, &op->fault);
	if (op->err)
		return;
	op->err =
	    audit_verify(r, &s->expect, &s->verified, s->text, sizeof s->text, &op->fault);
	audit_reader_close(r);
}

/* ---- on the loop ---- */

static int stream_new(struct manage_op *op)
{
	struct audit_stream *s = calloc(1, sizeof *s);
	pthread_condattr_t attr;

	if (!s)
		return RK_E_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->room, &attr);
	pthread_condattr_destroy(&attr);
	rk_buf_init(&s->ready, READY_BYTES);
	rk_buf_init(&s->out, READY_BYTES);
	s->wake_fd = op->m->wake_fd;
	op->stream = s;
	s->entry = malloc(ENTRY_BYTES);
	return s->entry ? 0 : RK_E_NOMEM;
}

static void stream_free(struct audit_stream *s)
{
	pthread_cond_destroy(&s->room);
	pthread_mutex_destroy(&s->lock);
	rk_buf_free(&s->ready);
	rk_buf_free(&s->out);
	audit_filter_free(s->filter);
	free(s->entry);
	free(s);
}

static void take_ready(struct audit_stream *s)
{
	struct rk_buf taken;

	pthread_mutex_lock(&s->lock);
	taken = s->ready;
	s->ready = s->out;
	s->out = taken;
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
}

/* The entry in front of what was taken, decoded; false: there is none. */
static bool next_taken(struct audit_stream *s, struct msg_audit_entry *e)
{
	const struct record_desc *d = ipc_row(MSG_AUDIT_ENTRY)->body;
	struct rk_slice list = rk_buf_slice(&s->out), item;

	if (!record_list_next(&list, &item) || record_decode(d, item, e) != 0)
		return false;
	/* the bytes stay where they are until something is added */
	rk_buf_consume(&s->out, s->out.len - list.n);
	return true;
}

bool manage_stream_next(struct manage_op *op, struct msg_audit_entry *e)
{
	if (op->stream->out.len == 0)
		take_ready(op->stream);
	return next_taken(op->stream, e);
}

bool manage_stream_over(const struct manage_op *op)
{
	return !op->stream ||
	       (op->stream->job_over && op->stream->out.len == 0 && op->stream->ready.len == 0);
}

/* Sends what was taken, as far as there is room. */
static void send_taken(struct manage_op *op)
{
	struct msg_audit_entry e;

	while (op->stream->out.len && manage_room(op)) {
		if (!next_taken(op->stream, &e))
			break;
		manage_send(op, MSG_AUDIT_ENTRY, &e);
	}
}

static void end_query(struct manage_op *op)
{
	struct msg_done done = {.more = op->stream->more};

	if (op->err) {
		manage_end(op, op->err, op->fault.text);
		return;
	}
	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

void manage_audit_resume(struct manage_op *op)
{
	struct audit_stream *s = op->stream;

	if (op->tail) {
		manage_tail_resume(op);
		return;
	}
	if (!s)
		return;
	for (;;) {
		if (s->out.len == 0)
			take_ready(s);
		if (s->out.len == 0)
			break;
		send_taken(op);
		if (s->out.len)
			return; /* manage_drained() comes */
	}
	if (s->job_over)
		end_query(op);
}

static void query_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->stream->job_over = true;
	if (op->caller)
		manage_audit_resume(op);
	else
		manage_op_free(op);
}

static void follow_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->stream->job_over = true;
	if (op->caller)
		manage_tail_resume(op);
	else
		manage_op_free(op);
}

static void verify_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct audit_stream *s = op->stream;

	s->job_over = true;
	if (op->err) {
		manage_end(op, op->err, op->fault.text);
		return;
	}
	s->verified.text = rk_str(s->verified.ok ? NULL : s->text);
	manage_send(op, MSG_AUDIT_VERIFIED, &s->verified);
	manage_finish(op);
}

bool manage_stream_stop(struct manage_op *op)
{
	struct audit_stream *s = op->stream;

	if (!s || s->job_over)
		return true;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
	return false;
}

void manage_audit_forget(struct manage_op *op)
{
	manage_tail_leave(op);
	if (manage_stream_stop(op))
		manage_op_free(op);
}

void manage_audit_release(struct manage_op *op)
{
	if (op->stream)
		stream_free(op->stream);
	manage_tail_release(op);
}

static void submit(struct manage_op *op, void (*work)(struct worker_job *),
                   void (*done)(struct worker_job *))
{
	op->job.work = work;
	op->job.done = done;
	worker_submit(op->k->reader_pool, &op->job);
}

int manage_stream_rows(struct manage_op *op, uint64_t after, uint32_t rows)
{
	static const struct msg_audit_query all;
	struct rk_fault fault;
	int err = stream_new(op);

	if (!err)
		err = audit_filter_new(&all, &op->stream->filter, &fault);
	if (err) {
		if (op->stream)
			op->stream->job_over = true;
		return err;
	}
	op->stream->after = after;
	op->stream->rows = rows;
	submit(op, follow_work, follow_done);
	return 0;
}

/* A key may be asked for by id, masked or whole; rows know ids. */
static int key_by_id(struct manage_op *op, char id[RELAY_KEY_ID + 5], struct rk_fault *fault)
{
	struct msg_audit_query *q = &op->body.audit_query;
	struct index_key *k;
	int err;

	if (!q->key_id.n)
		return 0;
	err = index_key_resolve(op->k->index, q->key_id, &k, fault);
	if (err)
		return err;
	snprintf(id, RELAY_KEY_ID + 5, "key_%.*s", RELAY_KEY_ID, k->id);
	q->key_id = rk_str(id);
	return 0;
}

void manage_audit_query(struct manage_op *op)
{
	struct msg_audit_query *q = &op->body.audit_query;
	struct rk_fault fault = {""};
	int err;

	if (q->mode != AUDIT_MODE_LIST && q->mode != AUDIT_MODE_EXPORT &&
	    q->mode != AUDIT_MODE_TAIL) {
		manage_end(op, RK_E_INVALID, "the audit log is listed, followed or exported");
		return;
	}
	if (q->order > AUDIT_RISING) {
		manage_end(op, RK_E_INVALID, "a list has no such order");
		return;
	}
	err = key_by_id(op, op->key.id, &fault);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	if (q->mode == AUDIT_MODE_TAIL) {
		manage_tail_start(op);
		return;
	}
	err = stream_new(op);
	if (err)
		rk_fail(&fault, err, "out of memory");
	else
		err = audit_filter_new(q, &op->stream->filter, &fault);
	if (err)
		manage_end(op, err, fault.text);
	else
		submit(op, query_work, query_done);
}

void manage_audit_verify(struct manage_op *op)
{
	if (stream_new(op)) {
		manage_end(op, RK_E_NOMEM, "out of memory");
		return;
	}
	/* what is durable now must be there; what comes meanwhile may be */
	journal_head(op->k->journal, &op->stream->expect);
	submit(op, verify_work, verify_done);
}
