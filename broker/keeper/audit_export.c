#include "keeper/audit_read.h"

#include <stdlib.h>

#include "keeper/audit_rows.h"
#include "keeper/audit_view.h"
#include "keeper/request_map.h"

/*
 * Rows come out in order of seq in one pass, though a filter by upstream status knows only at
 * the response whether the request passes. So rows wait in a queue behind the oldest one that
 * is undecided. The queue holds numbers; the rows are read again when they leave it. When it is
 * full, its oldest is decided: no response came, so it does not pass.
 */
enum {
	DUE_MAX = 1 << 20,
	FOUND_MAX = 512, /* candidates that one view is asked for: it is not held meanwhile */
	BRIDGE_ROWS = 4096, /* behind it, looked through for each of them */
};

enum row_state { ROW_UNDECIDED, ROW_PASSES, ROW_DROPPED };

struct waiting {
	uint64_t seq;
	uint8_t state; /* enum row_state */
	uint8_t request_id[REQUEST_ID];
};

/* A candidate of the index. */
struct found {
	uint64_t seq, response; /* 0: none, or not known */
};

struct export
{
	struct audit_rows *rows;
	const struct audit_filter *filter;
	const struct audit_sink *sink;
	uint64_t after; /* rows up to this one are looked at, not handed out */
	uint32_t left;  /* how many may still go out, when `limited` */
	bool limited, all;
	struct request_map *passed;    /* requests that passed and may have a response */
	struct request_map *undecided; /* requests in the queue: id to place */
	struct waiting *queue;
	uint64_t head, tail; /* places: queue[place % AUDIT_PAIRS_MAX] */
	uint64_t prev_seq;   /* whose hash this is: */
	uint8_t prev_hash[AUDIT_HASH];
	struct rk_buf row_mem, prev_mem;

	/* what the search index finds, and the responses that are due: a heap, the least first
	 */
	struct audit_index *ix;
	uint64_t upto; /* what it covered at first: it is asked for no more */
	struct found *found;
	uint64_t *due;
	size_t dues, due_cap;
};

static struct waiting *at(struct export *x, uint64_t place)
{
	return &x->queue[place % AUDIT_PAIRS_MAX];
}

static int emit(struct export *x, const struct stored_row *row, struct rk_fault *fault)
{
	struct msg_audit_entry e = {.seq = row->seq, .row = row->body};
	struct stored_row prev;
	int err;

	if (row->seq > 1 && x->prev_seq != row->seq - 1) {
		err = audit_rows_get(x->rows, row->seq - 1, &x->prev_mem, &prev, fault);
		if (err)
			return err;
		memcpy(x->prev_hash, prev.hash, sizeof x->prev_hash);
	}
	memcpy(e.hash, row->hash, sizeof e.hash);
	memcpy(e.prev_hash, x->prev_hash, sizeof e.prev_hash);
	x->prev_seq = row->seq;
	memcpy(x->prev_hash, row->hash, sizeof x->prev_hash);
	err = x->sink->entry(&e, x->sink->arg);
	if (!err && x->limited && --x->left == 0)
		err = 1;
	return err;
}

static int remember(struct export *x, const struct audit_row *row, struct rk_fault *fault)
{
	if (request_map_put(x->passed, row->request_id, 0) != 0)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	return 0;
}

/* A request that is not waited for any longer passes as if it had no response. */
static int decide(struct export *x, const struct waiting *w, const struct stored_row *stored,
                  bool *passes, struct rk_fault *fault)
{
	struct audit_row row;
	uint64_t place;
	int err;

	*passes = w->state == ROW_PASSES;
	if (*passes)
		return 0;
	(void)request_map_take(x->undecided, w->request_id, &place);
	err = stored_row_unpack(stored, &row, fault);
	if (err)
		return err;
	*passes = audit_filter_matches(x->filter, &row, NULL);
	return *passes ? remember(x, &row, fault) : 0;
}

/* The front of the queue goes: out, or away. */
static int pop(struct export *x, struct rk_fault *fault)
{
	struct waiting w = *at(x, x->head);
	struct stored_row row;
	bool passes = false;
	int err;

	x->head++;
	if (w.state == ROW_DROPPED)
		return 0;
	err = audit_rows_get(x->rows, w.seq, &x->row_mem, &row, fault);
	if (!err)
		err = decide(x, &w, &row, &passes, fault);
	return err || !passes || w.seq <= x->after ? err : emit(x, &row, fault);
}

static int drain(struct export *x, struct rk_fault *fault)
{
	int err = 0;

	while (!err && x->head < x->tail && at(x, x->head)->state != ROW_UNDECIDED)
		err = pop(x, fault);
	return err;
}

static int push(struct export *x, const struct stored_row *stored, const struct audit_row *row,
                enum row_state state, struct rk_fault *fault)
{
	struct waiting *w;
	int err = 0;

	/* nothing waits in front: the row is at hand and need not be read again */
	if (x->head == x->tail && state == ROW_PASSES)
		return stored->seq > x->after ? emit(x, stored, fault) : 0;
	if (x->tail - x->head == AUDIT_PAIRS_MAX)
		err = pop(x, fault);
	if (!err)
		err = drain(x, fault);
	if (err)
		return err;
	w = at(x, x->tail);
	w->seq = stored->seq;
	w->state = (uint8_t)state;
	memcpy(w->request_id, row->request_id, sizeof w->request_id);
	if (state == ROW_UNDECIDED && request_map_put(x->undecided, row->request_id, x->tail))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	x->tail++;
	return 0;
}

static int due_push(struct export *x, uint64_t seq, struct rk_fault *fault)
{
	size_t i = x->dues;

	if (x->dues == x->due_cap) {
		size_t cap = x->due_cap ? 2 * x->due_cap : 256;
		uint64_t *due = cap > DUE_MAX ? NULL : realloc(x->due, cap * sizeof *due);

		if (!due)
			return rk_fail(fault, RK_E_NOMEM, "out of memory");
		x->due = due;
		x->due_cap = cap;
	}
	for (; i > 0 && x->due[(i - 1) / 2] > seq; i = (i - 1) / 2)
		x->due[i] = x->due[(i - 1) / 2];
	x->due[i] = seq;
	x->dues++;
	return 0;
}

static uint64_t due_pop(struct export *x)
{
	uint64_t first = x->due[0], last = x->due[--x->dues];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < x->dues) {
		if (child + 1 < x->dues && x->due[child + 1] < x->due[child])
			child++;
		if (x->due[child] >= last)
			break;
		x->due[i] = x->due[child];
		i = child;
	}
	x->due[i] = last;
	return first;
}

static int on_response(struct export *x, const struct stored_row *stored,
                       const struct audit_row *row, struct rk_fault *fault)
{
	struct stored_row request;
	struct audit_row asked;
	uint64_t place;
	int err;

	if (x->dues && x->due[0] == stored->seq) {
		(void)due_pop(x);
		return push(x, stored, row, ROW_PASSES, fault);
	}
	if (request_map_take(x->passed, row->request_id, &place))
		return push(x, stored, row, ROW_PASSES, fault);
	if (!request_map_take(x->undecided, row->request_id, &place))
		return 0;
	err = audit_rows_get(x->rows, at(x, place)->seq, &x->row_mem, &request, fault);
	if (err)
		return err;
	err = stored_row_unpack(&request, &asked, fault);
	if (err)
		return err;
	if (!audit_filter_matches(x->filter, &asked, row)) {
		at(x, place)->state = ROW_DROPPED;
		return drain(x, fault);
	}
	at(x, place)->state = ROW_PASSES;
	err = drain(x, fault);
	return err ? err : push(x, stored, row, ROW_PASSES, fault);
}

static int look_at(struct export *x, const struct stored_row *stored, struct rk_fault *fault)
{
	struct audit_row row;
	int err;

	if (x->all)
		return emit(x, stored, fault);
	err = stored_row_unpack(stored, &row, fault);
	if (err)
		return err;
	if (row.type == AUDIT_RESPONSE)
		return on_response(x, stored, &row, fault);
	if (audit_filter_waits(x->filter, &row))
		return push(x, stored, &row, ROW_UNDECIDED, fault);
	if (audit_filter_matches(x->filter, &row, NULL)) {
		err = row.type == AUDIT_REQUEST ? remember(x, &row, fault) : 0;
		return err ? err : push(x, stored, &row, ROW_PASSES, fault);
	}
	if (audit_filter_may_match(x->filter, &row))
		return push(x, stored, &row, ROW_UNDECIDED, fault);
	return 0;
}

static bool gone(const struct export *x)
{
	return x->sink->gone && x->sink->gone(x->sink->arg);
}

static int walk(struct export *x, uint64_t seq, struct rk_fault *fault)
{
	const struct stored_row *rows;
	size_t n = 1;
	int err = 0;

	while (!err && n > 0 && !gone(x)) {
		err = audit_rows_after(x->rows, seq, &rows, &n, fault);
		for (size_t i = 0; i < n && !err; i++) {
			err = look_at(x, &rows[i], fault);
			seq = rows[i].seq;
		}
	}
	while (!err && x->head < x->tail)
		err = pop(x, fault);
	return err;
}

/* ---- by the search index ---- */

/* A row that is read for nothing else. */
static int emit_row(struct export *x, uint64_t seq, struct rk_fault *fault)
{
	struct stored_row row;
	int err = seq <= x->after ? 0 : audit_rows_get(x->rows, seq, &x->row_mem, &row, fault);

	return err || seq <= x->after ? err : emit(x, &row, fault);
}

static int emit_due(struct export *x, uint64_t below, struct rk_fault *fault)
{
	int err = 0;

	while (!err && x->dues && x->due[0] < below)
		err = emit_row(x, due_pop(x), fault);
	return err;
}

static int on_found(struct export *x, const struct found *f, struct rk_fault *fault)
{
	struct audit_row row, answer;
	struct stored_row stored;
	int err = 0;

	if (f->response)
		err = audit_rows_get(x->rows, f->response, &x->prev_mem, &stored, fault);
	if (!err && f->response)
		err = stored_row_unpack(&stored, &answer, fault);
	if (!err)
		err = audit_rows_get(x->rows, f->seq, &x->row_mem, &stored, fault);
	if (!err)
		err = stored_row_unpack(&stored, &row, fault);
	if (err || !audit_filter_matches(x->filter, &row, f->response ? &answer : NULL))
		return err;
	if (f->response)
		err = due_push(x, f->response, fault);
	else if (row.type == AUDIT_REQUEST)
		err = remember(x, &row, fault);
	if (!err)
		err = emit_due(x, f->seq, fault);
	/* row_mem may hold another one by now */
	return err ? err : emit_row(x, f->seq, fault);
}

/* The next candidates behind `seq` into x->found. An error is no more than the end of the
 * index's use. */
static int find(struct export *x, uint64_t seq, size_t *n)
{
	struct audit_view *view;
	struct rk_fault why;
	int err = audit_view_open(x->ix, x->filter, &view, &why);

	*n = 0;
	if (err)
		return err;
	if (!x->upto)
		x->upto = audit_view_upto(view);
	err = audit_view_bridge(view, x->rows, BRIDGE_ROWS, &why);
	while (!err && *n < FOUND_MAX) {
		struct found *f = &x->found[*n];
		int got = audit_view_above(view, &seq, &why);

		if (got < 0)
			err = got;
		if (got <= 0 || seq > x->upto)
			break;
		f->seq = seq;
		err = audit_view_response(view, seq, &f->response, &why);
		*n += !err;
	}
	audit_view_close(view);
	return err;
}

/* What the index covers comes from the index, what is behind it is read; so is everything from
 * where it fails. */
static int walk_found(struct export *x, uint64_t seq, struct rk_fault *fault)
{
	size_t n = FOUND_MAX;
	int err = 0;

	while (!err && n == FOUND_MAX && !gone(x)) {
		if (find(x, seq, &n) != 0)
			return walk(x, seq, fault);
		for (size_t i = 0; i < n && !err; i++)
			err = on_found(x, &x->found[i], fault);
		if (n)
			seq = x->found[n - 1].seq;
	}
	if (!err)
		err = emit_due(x, x->upto + 1, fault);
	return err || gone(x) ? err : walk(x, x->upto, fault);
}

static int run(struct export *x, struct rk_fault *fault)
{
	/* the requests of responses just behind `after` are found in front of it */
	uint64_t from = x->after < AUDIT_PAIRS_MAX ? 0 : x->after - AUDIT_PAIRS_MAX;

	if (x->all)
		return walk(x, x->after, fault);
	return x->ix ? walk_found(x, from, fault) : walk(x, from, fault);
}

int audit_export(struct audit_reader *r, struct audit_index *ix, const struct audit_filter *f,
                 uint64_t after_seq, uint32_t limit, const struct audit_sink *sink,
                 struct rk_fault *fault)
{
	struct export x = {.rows = audit_reader_rows(r),
	                   .filter = f,
	                   .sink = sink,
	                   .ix = ix,
	                   .after = after_seq,
	                   .left = limit,
	                   .limited = limit > 0,
	                   .all = audit_filter_is_empty(f)};
	int err = RK_E_NOMEM;

	rk_buf_init(&x.row_mem, AUDIT_MAX_ROW);
	rk_buf_init(&x.prev_mem, AUDIT_MAX_ROW);
	x.queue = calloc(AUDIT_PAIRS_MAX, sizeof *x.queue);
	x.found = calloc(FOUND_MAX, sizeof *x.found);
	if (!x.queue || !x.found || request_map_new(AUDIT_PAIRS_MAX, &x.passed) != 0 ||
	    request_map_new(2 * AUDIT_PAIRS_MAX + 2, &x.undecided) != 0)
		rk_fail(fault, err, "out of memory");
	else
		err = run(&x, fault);
	free(x.due);
	free(x.found);
	request_map_free(x.passed);
	request_map_free(x.undecided);
	free(x.queue);
	rk_buf_free(&x.row_mem);
	rk_buf_free(&x.prev_mem);
	return err < 0 ? err : 0;
}
