#include "keeper/audit_read.h"

#include <stdlib.h>

#include "keeper/audit_rows.h"
#include "keeper/request_map.h"

/*
 * Rows come out in order of seq in one pass, though a filter by upstream status knows only at
 * the response whether the request passes. So rows wait in a queue behind the oldest one that
 * is undecided. The queue holds numbers; the rows are read again when they leave it. When it is
 * full, its oldest is decided: no response came, so it does not pass.
 */
enum row_state { ROW_UNDECIDED, ROW_PASSES, ROW_DROPPED };

struct waiting {
	uint64_t seq;
	uint8_t state; /* enum row_state */
	uint8_t request_id[REQUEST_ID];
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

/* The front of the queue goes: out, or away. */
static int pop(struct export *x, struct rk_fault *fault)
{
	struct waiting w = *at(x, x->head);
	struct stored_row row;
	uint64_t place;
	int err;

	x->head++;
	if (w.state == ROW_UNDECIDED)
		(void)request_map_take(x->undecided, w.request_id, &place);
	if (w.state != ROW_PASSES || w.seq <= x->after)
		return 0;
	err = audit_rows_get(x->rows, w.seq, &x->row_mem, &row, fault);
	return err ? err : emit(x, &row, fault);
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

static int remember(struct export *x, const struct audit_row *row, struct rk_fault *fault)
{
	if (request_map_put(x->passed, row->request_id, 0) != 0)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	return 0;
}

static int on_response(struct export *x, const struct stored_row *stored,
                       const struct audit_row *row, struct rk_fault *fault)
{
	struct stored_row request;
	struct audit_row asked;
	uint64_t place;
	int err;

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

static int walk(struct export *x, struct rk_fault *fault)
{
	const struct stored_row *rows;
	/* the requests of responses just behind `after` are found in front of it */
	uint64_t seq = x->all || x->after < AUDIT_PAIRS_MAX ? 0 : x->after - AUDIT_PAIRS_MAX;
	size_t n = 1;
	int err = 0;

	if (x->all)
		seq = x->after;
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

int audit_export(struct audit_reader *r, const struct audit_filter *f, uint64_t after_seq,
                 uint32_t limit, const struct audit_sink *sink, struct rk_fault *fault)
{
	struct export x = {.rows = audit_reader_rows(r),
	                   .filter = f,
	                   .sink = sink,
	                   .after = after_seq,
	                   .left = limit,
	                   .limited = limit > 0,
	                   .all = audit_filter_is_empty(f)};
	int err = RK_E_NOMEM;

	rk_buf_init(&x.row_mem, AUDIT_MAX_ROW);
	rk_buf_init(&x.prev_mem, AUDIT_MAX_ROW);
	x.queue = calloc(AUDIT_PAIRS_MAX, sizeof *x.queue);
	if (!x.queue || request_map_new(AUDIT_PAIRS_MAX, &x.passed) != 0 ||
	    request_map_new(2 * AUDIT_PAIRS_MAX + 2, &x.undecided) != 0)
		rk_fail(fault, err, "out of memory");
	else
		err = walk(&x, fault);
	request_map_free(x.passed);
	request_map_free(x.undecided);
	free(x.queue);
	rk_buf_free(&x.row_mem);
	rk_buf_free(&x.prev_mem);
	return err < 0 ? err : 0;
}
