#include "keeper/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct job_list {
	struct worker_job *first;
	struct worker_job **tail;
};

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job_list todo;     /* under lock */
	struct job_list finished; /* under lock */
	bool stop;                /* under lock */
	unsigned pending;         /* submitted and not yet done; loop's thread only */
	int event_fd;
	struct event *ready;
	unsigned threads;
	char name[16];
	pthread_t thread[];
};

static void list_init(struct job_list *l)
{
	l->first = NULL;
	l->tail = &l->first;
}

static void list_add(struct job_list *l, struct worker_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

static struct worker_job *list_take(struct job_list *l)
{
	struct worker_job *job = l->first;

	if (!job)
		return NULL;
	l->first = job->next;
	if (!l->first)
		l->tail = &l->first;
	job->next = NULL;
	return job;
}

static void signal_loop(struct worker_pool *w)
{
	uint64_t one = 1;

	/* fails only when the counter is full, and then the loop is awake anyway */
	while (write(w->event_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *worker_main(void *arg)
{
	struct worker_pool *w = arg;
	struct worker_job *job;
	bool first;

	pthread_setname_np(pthread_self(), w->name);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!(job = list_take(&w->todo)) && !w->stop)
			pthread_cond_wait(&w->wake, &w->lock);
		if (!job)
			break;
		pthread_mutex_unlock(&w->lock);
		job->work(job);
		pthread_mutex_lock(&w->lock);
		first = !w->finished.first;
		list_add(&w->finished, job);
		if (first)
			signal_loop(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Calls `done` of what has finished so far. */
static void deliver(struct worker_pool *w)
{
	struct worker_job *job, *rest;

	pthread_mutex_lock(&w->lock);
	rest = w->finished.first;
	list_init(&w->finished);
	pthread_mutex_unlock(&w->lock);

	while ((job = rest)) {
		rest = job->next;
		job->next = NULL;
		w->pending--;
		job->done(job);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	deliver(arg);
}

static void pool_stop(struct worker_pool *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads; i++)
		pthread_join(w->thread[i], NULL);
	if (w->ready)
		event_free(w->ready);
	if (w->event_fd >= 0)
		close(w->event_fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Signals are the loop's: workers are started with all of them blocked. */
static int pool_start(struct worker_pool *w, unsigned threads)
{
	sigset_t all, before;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->threads < threads && !err) {
		err = pthread_create(&w->thread[w->threads], NULL, worker_main, w);
		if (!err)
			w->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? RK_E_NOMEM : 0;
}

int worker_pool_new(struct loop *l, const char *name, unsigned threads,
                    struct worker_pool **out)
{
	struct worker_pool *w;
	int err = RK_E_NOMEM;

	if (!threads)
		return RK_E_INVALID;
	w = calloc(1, sizeof *w + threads * sizeof w->thread[0]);
	if (!w)
		return RK_E_NOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	list_init(&w->todo);
	list_init(&w->finished);
	snprintf(w->name, sizeof w->name, "%s", name);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd >= 0)
		w->ready =
		    event_new(loop_base(l), w->event_fd, EV_READ | EV_PERSIST, on_ready, w);
	if (w->ready && event_add(w->ready, NULL) == 0)
		err = pool_start(w, threads);
	if (err) {
		pool_stop(w);
		return err;
	}
	*out = w;
	return 0;
}

void worker_submit(struct worker_pool *w, struct worker_job *job)
{
	w->pending++;
	pthread_mutex_lock(&w->lock);
	list_add(&w->todo, job);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void wait_finished(struct worker_pool *w)
{
	struct timespec pause = {0, 1000000};
	bool some;

	pthread_mutex_lock(&w->lock);
	some = w->finished.first != NULL;
	pthread_mutex_unlock(&w->lock);
	if (!some)
		nanosleep(&pause, NULL);
}

void worker_pool_free(struct worker_pool *w)
{
	if (!w)
		return;
	while (w->pending) {
		wait_finished(w);
		deliver(w);
	}
	pool_stop(w);
}
