#include "keeper/audit_indexer.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/audit_read.h"

enum {
	/* A slice is one read transaction, and while it lasts the journal's WAL cannot begin
	 * anew.
	 */
	SLICE_ROWS = 128,
	PIECE_US = 300,  /* of work between two rests */
	QUIET_RESTS = 1, /* as many times as long as it worked */
	BUSY_RESTS = 31,
	BUSY_ROWS = 50, /* of growth between two looks */
	LOOK_MS = 100,
	FOLLOW_MS = 100, /* between two looks at a journal that grows */
	IDLE_MS = 500,   /* at one that does not */
	RETRY_MS = 10000,
	TRIM_ROWS = 4096,
	PATH_MAX_BYTES = 4096,
};

struct audit_indexer {
	char journal_path[PATH_MAX_BYTES];
	const struct rk_secret *key;
	struct audit_index *ix;
	struct audit_reader *reader;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
	bool told; /* of an error that lasts */

	/* the thread's */
	int64_t began_us; /* of work without a rest */
	int64_t looked_us;
	uint64_t last_seq; /* of the journal, then */
	bool busy;
	size_t since_trim; /* rows that were indexed */
};

/* False when it is time to end. */
static bool rest_us(struct audit_indexer *x, int64_t us)
{
	struct timespec until;
	bool stop;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += us / 1000000;
	until.tv_nsec += us % 1000000 * 1000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&x->lock);
	while (us && !x->stop && rc == 0)
		rc = pthread_cond_clockwait(&x->wake, &x->lock, CLOCK_MONOTONIC, &until);
	stop = x->stop;
	pthread_mutex_unlock(&x->lock);
	if (us)
		x->began_us = rk_mono_us();
	return !stop;
}

static void pace(void *arg)
{
	struct audit_indexer *x = arg;
	int64_t worked = rk_mono_us() - x->began_us;

	if (worked >= PIECE_US)
		(void)rest_us(x, worked * (x->busy ? BUSY_RESTS : QUIET_RESTS));
}

/* Whether the journal grows, now and then. */
static void look(struct audit_indexer *x)
{
	int64_t now = rk_mono_us();
	struct stored_row row;
	struct rk_fault fault;
	struct rk_buf mem;

	if (now - x->looked_us < LOOK_MS * 1000)
		return;
	rk_buf_init(&mem, AUDIT_MAX_ROW);
	if (audit_rows_last(audit_reader_rows(x->reader), &mem, &row, &fault) == 0) {
		x->busy = row.seq > x->last_seq + BUSY_ROWS && x->last_seq;
		x->last_seq = row.seq;
	}
	x->looked_us = now;
	rk_buf_free(&mem);
}

static int open_what_is_not(struct audit_indexer *x, struct rk_fault *fault)
{
	bool fresh = false;
	int err = 0;

	if (!x->reader)
		err = audit_reader_open(x->journal_path, x->key, &x->reader, fault);
	if (!err)
		audit_rows_limit(audit_reader_rows(x->reader), SLICE_ROWS);
	if (!err && !audit_index_is_open(x->ix))
		err = audit_index_open(x->ix, audit_reader_rows(x->reader), &fresh, fault);
	if (!err && fresh)
		log_event(LOG_LEVEL_INFO, "search-index", "state", "made anew");
	return err;
}

/* When it has caught up: what a long way took is free then, and the process's still. */
static void give_memory_back(struct audit_indexer *x, size_t rows)
{
	x->since_trim += rows;
	if (rows || x->since_trim < TRIM_ROWS)
		return;
	x->since_trim = 0;
	malloc_trim(0);
}

/* One step; the milliseconds until the next. */
static long advance(struct audit_indexer *x)
{
	struct rk_fault fault = {""};
	bool opened = audit_index_is_open(x->ix);
	size_t n = 0;
	int err = open_what_is_not(x, &fault);

	if (!err)
		look(x);
	if (!err)
		err = audit_index_advance(x->ix, audit_reader_rows(x->reader), &n, &fault);
	if (err) {
		/* RK_E_STATE: it is to end */
		if (!x->told && err != RK_E_STATE)
			log_event(LOG_LEVEL_WARN, "search-index", "reason", "%s", fault.text);
		x->told = true;
		audit_reader_close(x->reader);
		x->reader = NULL;
		/* damaged: it can be made anew at once; but not again and again */
		return opened && !audit_index_is_open(x->ix) ? FOLLOW_MS : RETRY_MS;
	}
	if (n)
		x->told = false;
	give_memory_back(x, n);
	return n == SLICE_ROWS ? 0 : n ? FOLLOW_MS : IDLE_MS;
}

static void *run(void *arg)
{
	struct audit_indexer *x = arg;
	long ms;

	pthread_setname_np(pthread_self(), "indexer");
	x->began_us = rk_mono_us();
	do {
		ms = advance(x);
		if (!ms)
			pace(x);
	} while (rest_us(x, ms * INT64_C(1000)));
	return NULL;
}

/* Signals are the loop's. */
static int start(struct audit_indexer *x)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&x->thread, NULL, run, x);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? RK_E_NOMEM : 0;
}

static void destroy(struct audit_indexer *x)
{
	audit_reader_close(x->reader);
	pthread_cond_destroy(&x->wake);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

int audit_indexer_new(const char *journal_path, const struct rk_secret *key,
                      struct audit_index *ix, struct audit_indexer **out)
{
	struct audit_indexer *x = calloc(1, sizeof *x);
	int err;

	if (!x)
		return RK_E_NOMEM;
	snprintf(x->journal_path, sizeof x->journal_path, "%s", journal_path);
	x->key = key;
	x->ix = ix;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->wake, NULL);
	audit_index_pace(ix, pace, x);
	err = start(x);
	if (err) {
		destroy(x);
		return err;
	}
	*out = x;
	return 0;
}

void audit_indexer_free(struct audit_indexer *x)
{
	if (!x)
		return;
	audit_index_stop(x->ix);
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_signal(&x->wake);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	destroy(x);
}
