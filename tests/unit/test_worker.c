/* Worker pools: work off the loop's thread, done on it, in order, all of it before the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "keeper/worker.h"

enum { JOBS = 200 };

struct sample {
	struct worker_job job;
	struct loop *loop;
	struct worker_pool *pool;
	pthread_t worked_on;
	unsigned number, again, *done_count;
	unsigned *order;
};

static void work(struct worker_job *job)
{
	struct sample *s = (struct sample *)job;

	s->worked_on = pthread_self();
}

static void done(struct worker_job *job)
{
	struct sample *s = (struct sample *)job;

	s->order[(*s->done_count)++] = s->number;
	if (*s->done_count == JOBS)
		loop_stop(s->loop);
}

static void done_again(struct worker_job *job)
{
	struct sample *s = (struct sample *)job;

	(*s->done_count)++;
	if (s->again-- > 0)
		worker_submit(s->pool, &s->job);
}

static void one_thread_finishes_jobs_in_the_order_of_submission(void **state)
{
	static struct sample samples[JOBS];
	unsigned order[JOBS], count = 0;
	struct worker_pool *pool;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(worker_pool_new(loop, "one", 1, &pool), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		samples[i] = (struct sample){.job = {.work = work, .done = done},
		                             .loop = loop,
		                             .number = i,
		                             .done_count = &count,
		                             .order = order};
		worker_submit(pool, &samples[i].job);
	}
	assert_int_equal(count, 0);
	loop_run(loop);
	assert_int_equal(count, JOBS);
	for (unsigned i = 0; i < JOBS; i++) {
		assert_int_equal(order[i], i);
		assert_false(pthread_equal(samples[i].worked_on, pthread_self()));
	}
	worker_pool_free(pool);
	loop_free(loop);
}

struct meeting {
	struct worker_job job;
	atomic_uint *here;
	bool met;
};

/* Waits until two workers are in here at once. */
static void meet(struct worker_job *job)
{
	struct meeting *m = (struct meeting *)job;
	struct timespec pause = {0, 1000000};

	atomic_fetch_add(m->here, 1);
	for (int i = 0; i < 2000 && atomic_load(m->here) < 2; i++)
		nanosleep(&pause, NULL);
	m->met = atomic_load(m->here) == 2;
}

static void met(struct worker_job *job)
{
	(void)job;
}

static void two_threads_work_at_the_same_time(void **state)
{
	atomic_uint here = 0;
	struct meeting a = {.job = {.work = meet, .done = met}, .here = &here};
	struct meeting b = a;
	struct worker_pool *pool;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(worker_pool_new(loop, "two", 2, &pool), 0);
	worker_submit(pool, &a.job);
	worker_submit(pool, &b.job);
	worker_pool_free(pool);
	assert_true(a.met && b.met);
	loop_free(loop);
}

static void freeing_a_pool_finishes_its_jobs_and_those_they_submit(void **state)
{
	unsigned count = 0;
	struct sample s = {
	    .job = {.work = work, .done = done_again}, .again = 3, .done_count = &count};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(worker_pool_new(loop, "end", 1, &s.pool), 0);
	worker_submit(s.pool, &s.job);
	worker_pool_free(s.pool);
	assert_int_equal(count, 4);
	worker_pool_free(NULL);
	loop_free(loop);
}

static void a_pool_without_threads_is_refused(void **state)
{
	struct worker_pool *pool = NULL;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(worker_pool_new(loop, "none", 0, &pool), RK_E_INVALID);
	assert_null(pool);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_thread_finishes_jobs_in_the_order_of_submission),
	    cmocka_unit_test(two_threads_work_at_the_same_time),
	    cmocka_unit_test(freeing_a_pool_finishes_its_jobs_and_those_they_submit),
	    cmocka_unit_test(a_pool_without_threads_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
