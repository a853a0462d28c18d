/*
 * How long a batch gathers rows before it is committed. A commit costs nearly the same for one
 * request and for many, so under load the journal rests for as long as the last one took: half
 * as many commits, each of twice as many rows. Without load nobody waits.
 *
 * Loop thread only. The timer is a timerfd, because the loop's own ones count milliseconds.
 */
#ifndef KEEPER_GATHER_H
#define KEEPER_GATHER_H

#include "ipc/loop.h"

enum {
	GATHER_BUSY_ROWS = 5, /* a commit of fewer does not tell of load */
	GATHER_FULL_ROWS = 128,
	GATHER_MAX_US = 500,
};

struct gather {
	int fd;
	struct event *event;
	bool armed;
	int64_t until_us;
	void (*due)(void *arg);
	void *arg;
};

/* `due` is called when the time that gather_more() gave is over. RK_E_IO, RK_E_NOMEM; then, and
 * when it is zeroed but for fd -1, it may be freed all the same. */
RK_MUST_CHECK int gather_init(struct gather *g, struct loop *l, void (*due)(void *arg),
                              void *arg);
void gather_free(struct gather *g);

/* A commit of so many rows of requests has ended; it took commit_us. */
void gather_committed(struct gather *g, int64_t now_us, int64_t commit_us, unsigned rows);

/* Whether a batch that holds so many rows now waits for more; if so, `due` is called later. */
bool gather_more(struct gather *g, int64_t now_us, unsigned rows);

#endif
