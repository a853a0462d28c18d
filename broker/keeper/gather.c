#include "keeper/gather.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct gather *g = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return; /* set anew meanwhile */
	g->armed = false;
	g->due(g->arg);
}

int gather_init(struct gather *g, struct loop *l, void (*due)(void *arg), void *arg)
{
	*g = (struct gather){.due = due, .arg = arg};
	g->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (g->fd < 0)
		return RK_E_IO;
	g->event = event_new(loop_base(l), g->fd, EV_READ | EV_PERSIST, on_event, g);
	return g->event && event_add(g->event, NULL) == 0 ? 0 : RK_E_NOMEM;
}

void gather_free(struct gather *g)
{
	if (g->event)
		event_free(g->event);
	if (g->fd >= 0)
		close(g->fd);
	*g = (struct gather){.fd = -1};
}

void gather_committed(struct gather *g, int64_t now_us, int64_t commit_us, unsigned rows)
{
	if (rows < GATHER_BUSY_ROWS)
		commit_us = 0;
	if (commit_us > GATHER_MAX_US)
		commit_us = GATHER_MAX_US;
	g->until_us = now_us + commit_us;
}

bool gather_more(struct gather *g, int64_t now_us, unsigned rows)
{
	const struct itimerspec after = {.it_value.tv_nsec = (g->until_us - now_us) * 1000};

	if (g->until_us <= now_us || rows >= GATHER_FULL_ROWS)
		return false;
	/* without the timer it would wait for the next message, perhaps for ever */
	if (!g->armed && timerfd_settime(g->fd, 0, &after, NULL) < 0)
		return false;
	g->armed = true;
	return true;
}
