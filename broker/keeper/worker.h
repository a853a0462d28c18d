/*
 * Worker threads of the keeper: the loop's thread decides, workers wait (for the disk, for the
 * token). A job runs `work` on a worker and then `done` on the loop's thread, in the order in
 * which jobs finished. Jobs are the caller's memory and are owned by the pool between submit
 * and done.
 */
#ifndef KEEPER_WORKER_H
#define KEEPER_WORKER_H

#include "ipc/loop.h"

struct worker_job {
	void (*work)(struct worker_job *job); /* on a worker; must not touch loop state */
	void (*done)(
	    struct worker_job *job); /* on the loop; may submit again or free the job */
	struct worker_job *next;     /* the pool's */
};

struct worker_pool;

/* `threads` >= 1; with one thread jobs run in the order of submission. `name` (<= 15 bytes) is
 * the thread name. */
RK_MUST_CHECK int worker_pool_new(struct loop *l, const char *name, unsigned threads,
                                  struct worker_pool **out);

/* Only from the loop's thread. */
void worker_submit(struct worker_pool *w, struct worker_job *job);

/* Lets all submitted jobs finish and calls their `done`, then ends the threads. Accepts NULL.
 */
void worker_pool_free(struct worker_pool *w);

#endif
