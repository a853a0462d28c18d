#include "keeper/audit_read.h"

#include <stdlib.h>

#include "keeper/audit_rows.h"
#include "keeper/audit_view.h"
#include "keeper/request_map.h"
#include "policy/reason.h"

/*
 * A page is collected as numbers and read again to be handed out. What the index covers comes
 * from the index; the rows behind it are read in slices, backwards for the newest ones (a
 * response is met before its request), forwards for the oldest ones. An index that fails on the
 * way costs a second attempt without it.
 */
enum {
	HOUR_MS = 3600 * 1000,
	/* a clock that was wrong for a while makes fewer rows than this */
	STRAY_ROWS = 20000,
	/* how far the response of a covered request is looked for behind the index; it ends
	 * sooner when all have one */
	BRIDGE_ROWS = 65536,
	/* how far, rising, the responses of a page that is full are looked for */
	LOOK_AHEAD_ROWS = 20000,
	GONE_EVERY = 64, /* candidates */
};

struct pair {
	uint64_t seq;
	uint64_t response; /* 0: none */
};

struct list {
	struct audit_rows *rows;
	struct audit_view *view; /* NULL: no index */
	const struct audit_filter *filter;
	const struct audit_sink *sink;
	uint64_t cursor; /* falling: below it; UINT64_MAX: from the end */
	size_t limit;    /* one more than the page: it tells whether there is more */
	/* by request id; falling: the response's number; rising: the request's, doubled, and 1
	 * when it has passed */
	struct request_map *open;
	struct pair *found; /* in the order in which they were found */
	size_t count, cap;
	size_t stray; /* rows in a row from well outside the time that is asked for */
	bool view_failed;
	struct rk_buf row_mem, response_mem, prev_mem;
};

static int no_memory(struct rk_fault *fault)
{
	return rk_fail(fault, RK_E_NOMEM, "out of memory");
}

static bool gone(const struct list *l)
{
	return l->sink->gone && l->sink->gone(l->sink->arg);
}

static bool full(const struct list *l)
{
	return l->count >= l->limit;
}

static int keep(struct list *l, struct pair p, struct rk_fault *fault)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct pair *found = realloc(l->found, cap * sizeof *found);

		if (!found)
			return no_memory(fault);
		l->found = found;
		l->cap = cap;
	}
	l->found[l->count++] = p;
	return 0;
}

/* Whether a row passes, with its response if not without one. */
static int passes(struct list *l, const struct audit_row *row, uint64_t response_seq, bool *out,
                  struct rk_fault *fault)
{
	struct stored_row stored;
	struct audit_row response;
	int err;

	*out = false;
	if (!audit_filter_may_match(l->filter, row))
		return 0;
	if (!response_seq) {
		*out = audit_filter_matches(l->filter, row, NULL);
		return 0;
	}
	err = audit_rows_get(l->rows, response_seq, &l->response_mem, &stored, fault);
	if (!err)
		err = stored_row_unpack(&stored, &response, fault);
	if (!err)
		*out = audit_filter_matches(l->filter, row, &response);
	return err;
}

/* ---- from the index ---- */

/* An error of the index is none of the list: it is begun again without. */
static int view_error(struct list *l, int err)
{
	l->view_failed = err != RK_E_NOMEM;
	return err;
}

static int consider(struct list *l, uint64_t seq, struct rk_fault *fault)
{
	struct pair p = {.seq = seq};
	struct stored_row stored;
	struct audit_row row;
	bool good = false;
	int err = audit_view_response(l->view, seq, &p.response, fault);

	if (err)
		return view_error(l, err);
	err = audit_rows_get(l->rows, seq, &l->row_mem, &stored, fault);
	if (err == RK_E_NOTFOUND)
		return view_error(l, err);
	if (!err)
		err = stored_row_unpack(&stored, &row, fault);
	if (!err)
		err = passes(l, &row, p.response, &good, fault);
	return err || !good ? err : keep(l, p, fault);
}

static int search(struct list *l, uint64_t seq,
                  int (*next)(struct audit_view *, uint64_t *, struct rk_fault *),
                  struct rk_fault *fault)
{
	unsigned looked = 0;
	int err = 0;

	while (!err && !full(l)) {
		int found = next(l->view, &seq, fault);

		if (found < 0)
			return view_error(l, found);
		if (found == 0 || (++looked % GONE_EVERY == 0 && gone(l)))
			break;
		err = consider(l, seq, fault);
	}
	return err;
}

/* ---- the newest ones ---- */

static void count_stray(struct list *l, bool stray)
{
	l->stray = stray ? l->stray + 1 : 0;
}

static int look_back(struct list *l, const struct stored_row *stored, struct rk_fault *fault)
{
	struct pair p = {.seq = stored->seq};
	struct audit_row row;
	bool good = false;
	int err = stored_row_unpack(stored, &row, fault);

	if (err)
		return err;
	count_stray(l, row.time_ms < audit_filter_since_ms(l->filter) - HOUR_MS);
	if (row.type == AUDIT_RESPONSE) {
		if (request_map_put(l->open, row.request_id, stored->seq) != 0)
			return no_memory(fault);
		return 0;
	}
	if (row.type == AUDIT_REQUEST)
		(void)request_map_take(l->open, row.request_id, &p.response);
	if (stored->seq >= l->cursor)
		return 0;
	err = passes(l, &row, p.response, &good, fault);
	return err || !good ? err : keep(l, p, fault);
}

/* From the end down to `floor`, which is not looked at any more. */
static int walk_back(struct list *l, uint64_t floor, struct rk_fault *fault)
{
	const struct stored_row *rows;
	uint64_t before = UINT64_MAX;
	size_t n = 1;
	int err = 0;

	while (!err && n > 0 && !full(l) && l->stray < STRAY_ROWS && !gone(l)) {
		err = audit_rows_before(l->rows, before, &rows, &n, fault);
		for (size_t i = 0; i < n && !err && !full(l); i++) {
			if (rows[i].seq <= floor)
				return 0;
			err = look_back(l, &rows[i], fault);
			before = rows[i].seq;
		}
	}
	return err;
}

static int pair_up(const uint8_t id[REQUEST_ID], uint64_t response, void *arg)
{
	struct list *l = arg;
	uint64_t request;

	if (!audit_view_take_open(l->view, id, &request))
		return 0;
	return audit_view_pair(l->view, request, response);
}

static int collect_falling(struct list *l, struct rk_fault *fault)
{
	uint64_t upto = l->view ? audit_view_upto(l->view) : 0;
	int err;

	if (l->view && l->cursor <= upto + 1)
		err = audit_view_bridge(l->view, l->rows, BRIDGE_ROWS, fault);
	else
		err = walk_back(l, upto, fault);
	if (err || !l->view || full(l))
		return err;
	if (request_map_each(l->open, pair_up, l) != 0)
		return no_memory(fault);
	return search(l, l->cursor < upto + 1 ? l->cursor : upto + 1, audit_view_below, fault);
}

/* ---- the oldest ones ---- */

/* A request that has passed already has its response now. */
static void add_response(struct list *l, struct pair p)
{
	for (size_t i = l->count; i > 0; i--) {
		if (l->found[i - 1].seq == p.seq) {
			l->found[i - 1].response = p.response;
			return;
		}
	}
}

/* A request that waited for its response, which is NULL when none came. */
static int decide(struct list *l, struct pair p, const struct audit_row *response,
                  struct rk_fault *fault)
{
	struct stored_row request;
	struct audit_row row;
	int err = audit_rows_get(l->rows, p.seq, &l->row_mem, &request, fault);

	if (!err)
		err = stored_row_unpack(&request, &row, fault);
	if (!err && audit_filter_matches(l->filter, &row, response))
		err = keep(l, p, fault);
	return err;
}

static int on_response(struct list *l, const struct stored_row *stored,
                       const struct audit_row *response, struct rk_fault *fault)
{
	struct pair p = {.response = stored->seq};
	uint64_t marked;

	if (!request_map_take(l->open, response->request_id, &marked))
		return 0;
	p.seq = marked / 2;
	if (marked % 2 == 0)
		return decide(l, p, response, fault);
	add_response(l, p);
	return 0;
}

/* One that still waits at the end. */
static int decide_open(const uint8_t id[REQUEST_ID], uint64_t marked, void *arg)
{
	struct list *l = arg;
	struct rk_fault fault;

	(void)id;
	return marked % 2 ? 0 : decide(l, (struct pair){.seq = marked / 2}, NULL, &fault);
}

static int look_ahead(struct list *l, const struct stored_row *stored, struct rk_fault *fault)
{
	int64_t until = audit_filter_until_ms(l->filter);
	struct audit_row row;
	bool match;
	int err = stored_row_unpack(stored, &row, fault);

	if (err)
		return err;
	count_stray(l, until && row.time_ms > until + HOUR_MS);
	if (row.type == AUDIT_RESPONSE)
		return on_response(l, stored, &row, fault);
	if (full(l) || !audit_filter_may_match(l->filter, &row))
		return 0;
	match =
	    !audit_filter_waits(l->filter, &row) && audit_filter_matches(l->filter, &row, NULL);
	if (row.type == AUDIT_REQUEST && row.decision == DECISION_ALLOWED &&
	    request_map_put(l->open, row.request_id, 2 * stored->seq + match) != 0)
		return no_memory(fault);
	return match ? keep(l, (struct pair){.seq = stored->seq}, fault) : 0;
}

static int walk_ahead(struct list *l, uint64_t after, struct rk_fault *fault)
{
	const struct stored_row *rows;
	size_t n = 1, beyond = 0;
	int err = 0;

	while (!err && n > 0 && l->stray < STRAY_ROWS && !gone(l)) {
		if (full(l) && (beyond > LOOK_AHEAD_ROWS || request_map_count(l->open) == 0))
			break;
		err = audit_rows_after(l->rows, after, &rows, &n, fault);
		for (size_t i = 0; i < n && !err; i++) {
			err = look_ahead(l, &rows[i], fault);
			after = rows[i].seq;
			beyond += full(l);
		}
	}
	return err;
}

static int compare_pairs(const void *a, const void *b)
{
	uint64_t x = ((const struct pair *)a)->seq, y = ((const struct pair *)b)->seq;

	return (x > y) - (x < y);
}

static int collect_rising(struct list *l, struct rk_fault *fault)
{
	uint64_t upto = l->view ? audit_view_upto(l->view) : 0;
	int err = 0;

	if (l->cursor < upto) {
		err = audit_view_bridge(l->view, l->rows, BRIDGE_ROWS, fault);
		if (!err)
			err = search(l, l->cursor, audit_view_above, fault);
	}
	if (!err && !full(l))
		err = walk_ahead(l, l->cursor > upto ? l->cursor : upto, fault);
	if (!err && request_map_each(l->open, decide_open, l) != 0)
		err = rk_fail(fault, RK_E_STORE, "cannot read the audit journal");
	/* what was decided by its response came behind its turn */
	if (l->count)
		qsort(l->found, l->count, sizeof *l->found, compare_pairs);
	return err;
}

/* ---- handing out ---- */

static int hand_out(struct list *l, struct pair p, struct rk_fault *fault)
{
	struct msg_audit_entry e = {.seq = p.seq, .response_seq = p.response};
	struct stored_row row, other;
	int err = audit_rows_get(l->rows, p.seq, &l->row_mem, &row, fault);

	if (err)
		return err;
	e.row = row.body;
	memcpy(e.hash, row.hash, sizeof e.hash);
	if (p.seq > 1) {
		err = audit_rows_get(l->rows, p.seq - 1, &l->prev_mem, &other, fault);
		if (err)
			return err;
		memcpy(e.prev_hash, other.hash, sizeof e.prev_hash);
	}
	if (p.response) {
		err = audit_rows_get(l->rows, p.response, &l->response_mem, &other, fault);
		if (err)
			return err;
		e.response = other.body;
	}
	return l->sink->entry(&e, l->sink->arg);
}

static int hand_out_all(struct list *l, struct audit_page *page, struct rk_fault *fault)
{
	size_t n = l->count;
	int err = 0;

	page->more = n > page->limit;
	if (page->more)
		n = page->limit;
	for (size_t i = 0; i < n && !err; i++)
		err = hand_out(l, l->found[page->order == AUDIT_NEWEST ? n - 1 - i : i], fault);
	return err;
}

/* ---- */

static int collect(struct list *l, const struct audit_page *page, struct rk_fault *fault)
{
	int err;

	request_map_free(l->open);
	l->open = NULL;
	l->count = l->stray = 0;
	l->cursor = page->cursor;
	err = request_map_new(AUDIT_PAIRS_MAX, &l->open);
	if (err)
		return no_memory(fault);
	if (page->order == AUDIT_RISING)
		return collect_rising(l, fault);
	if (!l->cursor)
		l->cursor = UINT64_MAX;
	return collect_falling(l, fault);
}

int audit_list(struct audit_reader *r, struct audit_index *ix, const struct audit_filter *f,
               struct audit_page *page, const struct audit_sink *sink, struct rk_fault *fault)
{
	struct list l = {.rows = audit_reader_rows(r),
	                 .filter = f,
	                 .sink = sink,
	                 .limit = (size_t)page->limit + 1};
	struct rk_fault why;
	int err;

	page->more = false;
	if (page->limit > AUDIT_LIST_MAX)
		return rk_fail(fault, RK_E_TOOBIG,
		               "a list has at most %d entries; an export has no limit",
		               AUDIT_LIST_MAX);
	rk_buf_init(&l.row_mem, AUDIT_MAX_ROW);
	rk_buf_init(&l.response_mem, AUDIT_MAX_ROW);
	rk_buf_init(&l.prev_mem, AUDIT_MAX_ROW);
	/* without the index it takes longer, and that is all */
	if (ix && audit_view_open(ix, f, &l.view, &why) != 0)
		l.view = NULL;
	err = collect(&l, page, fault);
	if (l.view_failed) {
		audit_view_close(l.view);
		l.view = NULL;
		err = collect(&l, page, fault);
	}
	/* however slowly the page is read, the index is not held */
	audit_view_close(l.view);
	if (!err)
		err = hand_out_all(&l, page, fault);
	request_map_free(l.open);
	rk_buf_free(&l.row_mem);
	rk_buf_free(&l.response_mem);
	rk_buf_free(&l.prev_mem);
	free(l.found);
	return err < 0 ? err : 0;
}
