#include "keeper/manage_int.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "keeper/audit_read.h"
#include "policy/reason.h"

/*
 * The live tail: refused requests, management and state rows as they become durable; allowed
 * requests when their response row comes. Bounded: past OPEN_MAX waiting requests the oldest is
 * shown without its response, and a caller that falls BACKLOG_BYTES behind is sent away.
 *
 * One that begins behind an earlier row takes in the rows from the journal first, with some in
 * front of it for the requests that were open then; what becomes durable meanwhile is held.
 */
enum {
	OPEN_MAX = 1024,
	OPEN_BYTES = 4 << 20,
	BACKLOG_BYTES = 1 << 20,
	BUCKETS = 256,
	PAST_ROWS_MAX = 100000, /* how far back a tail may begin */
	PAST_OPEN_ROWS = 20000, /* rows in front of that */
	TURN_ROWS = 200,        /* taken in before others have their turn */
};

struct open_row {
	TAILQ_ENTRY(open_row) by_age;
	LIST_ENTRY(open_row) in_bucket;
	uint8_t request_id[16];
	struct msg_audit_entry entry; /* its row lies in body */
	char body[];
};

struct audit_tail {
	struct manage_op *op;
	struct pipeline_tail sub;
	bool subscribed;
	struct audit_filter *filter;
	TAILQ_HEAD(open_ages, open_row) ages;
	LIST_HEAD(open_bucket, open_row) bucket[BUCKETS];
	unsigned open;
	size_t open_bytes;
	struct rk_buf backlog; /* LIST of encoded entries that had no room */
	bool behind;           /* the backlog did not suffice */
	uint64_t after;        /* what this row and those before brought was seen */
	uint64_t past_end;     /* rows up to this one come from the journal */
	bool past;             /* as long as they do */
	struct rk_buf held;    /* LIST of encoded rows that became durable meanwhile */
	uint32_t left;
	bool limited, complete;
};

static struct open_row *open_find(struct audit_tail *t, const uint8_t id[16])
{
	struct open_row *o = LIST_FIRST(&t->bucket[id[0]]);

	while (o && memcmp(o->request_id, id, sizeof o->request_id) != 0)
		o = LIST_NEXT(o, in_bucket);
	return o;
}

static void open_drop(struct audit_tail *t, struct open_row *o)
{
	TAILQ_REMOVE(&t->ages, o, by_age);
	LIST_REMOVE(o, in_bucket);
	t->open--;
	t->open_bytes -= o->entry.row.n;
	free(o);
}

/* ---- to the caller ---- */

static int list_add(struct rk_buf *list, const struct msg_audit_entry *e)
{
	const struct record_desc *d = ipc_row(MSG_AUDIT_ENTRY)->body;
	size_t n = record_size(d, e), room;
	char *at = rk_buf_reserve(list, n + 4, &room);

	if (!at || record_encode(d, e, at + 4, n) < 0)
		return RK_E_TOOBIG;
	for (unsigned i = 0; i < 4; i++)
		at[i] = (char)(n >> (8 * i));
	rk_buf_produced(list, n + 4);
	return 0;
}

static void emit(struct audit_tail *t, const struct msg_audit_entry *e)
{
	if (t->behind || t->complete)
		return;
	/* an entry comes with the later one of its rows */
	if ((e->response_seq ? e->response_seq : e->seq) <= t->after)
		return;
	if (t->backlog.len == 0 && manage_room(t->op))
		manage_send(t->op, MSG_AUDIT_ENTRY, e);
	else if (list_add(&t->backlog, e))
		t->behind = true;
	if (t->limited && --t->left == 0)
		t->complete = true;
}

/* Ends the tail when there is a reason; the operation is gone after `true`. */
static bool ended(struct audit_tail *t)
{
	if (!t->behind && !t->complete)
		return false;
	/* its reader calls once more when it has stopped */
	if (!manage_stream_stop(t->op))
		return false;
	if (t->behind)
		manage_end(t->op, RK_E_TOOBIG,
		           "the tail was read too slowly and would have missed rows: use audit "
		           "list or export");
	else if (t->complete && t->backlog.len == 0)
		manage_end(t->op, 0, NULL);
	else
		return false;
	return true;
}

/* Sends what had to wait. */
static void send_backlog(struct audit_tail *t)
{
	const struct record_desc *d = ipc_row(MSG_AUDIT_ENTRY)->body;
	struct msg_audit_entry e;
	struct rk_slice item;

	while (t->backlog.len && manage_room(t->op)) {
		struct rk_slice list = rk_buf_slice(&t->backlog);

		if (record_list_next(&list, &item) && record_decode(d, item, &e) == 0)
			manage_send(t->op, MSG_AUDIT_ENTRY, &e);
		rk_buf_consume(&t->backlog, t->backlog.len - list.n);
	}
}

/* ---- from the pipeline ---- */

/* A request whose response never came, or not in time. */
static void give_up_oldest(struct audit_tail *t)
{
	struct open_row *o = TAILQ_FIRST(&t->ages);
	struct audit_row row;

	/* NOLINTNEXTLINE: the one before was taken off the list */
	if (record_unpack(&audit_row_desc, o->entry.row, &row) == 0 &&
	    audit_filter_matches(t->filter, &row, NULL))
		emit(t, &o->entry);
	open_drop(t, o);
}

static void on_allowed(struct audit_tail *t, const struct msg_audit_entry *e,
                       const struct audit_row *row)
{
	struct open_row *o;

	if (!audit_filter_may_match(t->filter, row))
		return;
	while (t->open >= OPEN_MAX || (t->open && t->open_bytes + e->row.n > OPEN_BYTES))
		give_up_oldest(t);
	o = malloc(sizeof *o + e->row.n);
	if (!o) {
		t->behind = true;
		return;
	}
	o->entry = *e;
	memcpy(o->body, e->row.p, e->row.n);
	o->entry.row.p = o->body;
	memcpy(o->request_id, row->request_id, sizeof o->request_id);
	TAILQ_INSERT_TAIL(&t->ages, o, by_age);
	LIST_INSERT_HEAD(&t->bucket[o->request_id[0]], o, in_bucket);
	t->open++;
	t->open_bytes += e->row.n;
}

static void on_response(struct audit_tail *t, const struct msg_audit_entry *e,
                        const struct audit_row *response)
{
	struct open_row *o = open_find(t, response->request_id);
	struct audit_row request;

	if (!o)
		return;
	o->entry.response_seq = e->seq;
	o->entry.response = e->row;
	if (record_unpack(&audit_row_desc, o->entry.row, &request) == 0 &&
	    audit_filter_matches(t->filter, &request, response))
		emit(t, &o->entry);
	open_drop(t, o);
}

static void take_row(struct audit_tail *t, const struct msg_audit_entry *e)
{
	struct audit_row row;

	if (record_unpack(&audit_row_desc, e->row, &row))
		return;
	if (row.type == AUDIT_RESPONSE)
		on_response(t, e, &row);
	else if (row.type == AUDIT_REQUEST && row.decision == DECISION_ALLOWED)
		on_allowed(t, e, &row);
	else if (audit_filter_matches(t->filter, &row, NULL))
		emit(t, e);
}

static void on_row(const struct msg_audit_entry *e, void *arg)
{
	struct audit_tail *t = arg;

	if (!t->past)
		take_row(t, e);
	else if (e->seq > t->past_end && list_add(&t->held, e))
		t->behind = true;
	ended(t);
}

/* ---- from the journal ---- */

static void take_held(struct audit_tail *t)
{
	const struct record_desc *d = ipc_row(MSG_AUDIT_ENTRY)->body;
	struct rk_slice list = rk_buf_slice(&t->held), item;
	struct msg_audit_entry e;

	while (record_list_next(&list, &item)) {
		if (record_decode(d, item, &e) == 0)
			take_row(t, &e);
	}
	rk_buf_free(&t->held);
}

/* Takes in rows of the past as long as what they bring can be sent. */
static void take_past(struct audit_tail *t)
{
	struct msg_audit_entry e;
	unsigned n = 0;

	while (t->backlog.len == 0 && manage_room(t->op) && n < TURN_ROWS &&
	       manage_stream_next(t->op, &e)) {
		take_row(t, &e);
		n++;
	}
	if (n == TURN_ROWS)
		manage_again(t->op);
	if (manage_stream_over(t->op) && !t->op->err) {
		t->past = false;
		take_held(t);
	}
}

void manage_tail_resume(struct manage_op *op)
{
	struct audit_tail *t = op->tail;

	send_backlog(t);
	if (t->past)
		take_past(t);
	if (ended(t))
		return;
	if (t->past && manage_stream_over(op) && op->err)
		manage_end(op, op->err, op->fault.text);
}

/* ---- its life ---- */

/* 0 also when there is nothing to begin with. */
static int begin_in_the_past(struct audit_tail *t, uint64_t after, struct rk_fault *fault)
{
	struct journal_head head;
	uint64_t from = after > PAST_OPEN_ROWS ? after - PAST_OPEN_ROWS : 0;

	journal_head(t->op->k->journal, &head);
	if (!after || after >= head.seq)
		return 0;
	if (head.seq - after > PAST_ROWS_MAX)
		return rk_fail(fault, RK_E_TOOBIG,
		               "row %llu is more than %d rows back: use audit list or export",
		               (unsigned long long)after, PAST_ROWS_MAX);
	t->after = after;
	t->past_end = head.seq;
	t->past = true;
	if (manage_stream_rows(t->op, from, (uint32_t)(head.seq - from)) != 0)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	return 0;
}

void manage_tail_start(struct manage_op *op)
{
	const struct msg_audit_query *q = &op->body.audit_query;
	struct audit_tail *t = calloc(1, sizeof *t);
	struct rk_fault fault;
	int err;

	if (!t) {
		manage_end(op, RK_E_NOMEM, "out of memory");
		return;
	}
	op->tail = t;
	t->op = op;
	TAILQ_INIT(&t->ages);
	rk_buf_init(&t->backlog, BACKLOG_BYTES);
	rk_buf_init(&t->held, BACKLOG_BYTES);
	t->left = q->limit;
	t->limited = q->limit > 0;
	err = audit_filter_new(q, &t->filter, &fault);
	if (!err)
		err = begin_in_the_past(t, q->cursor, &fault);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	t->sub.row = on_row;
	t->sub.arg = t;
	pipeline_tail_add(op->k->pipeline, &t->sub);
	t->subscribed = true;
}

void manage_tail_leave(struct manage_op *op)
{
	struct audit_tail *t = op->tail;

	if (t && t->subscribed)
		pipeline_tail_remove(op->k->pipeline, &t->sub);
	if (t)
		t->subscribed = false;
}

void manage_tail_release(struct manage_op *op)
{
	struct audit_tail *t = op->tail;

	if (!t)
		return;
	manage_tail_leave(op);
	while (!TAILQ_EMPTY(&t->ages))
		/* NOLINTNEXTLINE: the one before was taken off the list */
		open_drop(t, TAILQ_FIRST(&t->ages));
	rk_buf_free(&t->backlog);
	rk_buf_free(&t->held);
	audit_filter_free(t->filter);
	free(t);
}
