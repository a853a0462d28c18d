#include "courier/curl_loop.h"

#include <stdlib.h>

struct curl_loop {
	struct loop *loop;
	CURLM *multi;
	curl_loop_done *done;
	struct event *timer;
};

static void collect(struct curl_loop *c)
{
	const CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		CURL *easy = m->easy_handle;
		CURLcode result = m->data.result;
		char *arg = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &arg);
		curl_multi_remove_handle(c->multi, easy);
		c->done(easy, result, arg);
	}
}

static void act(struct curl_loop *c, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(c->multi, fd, what, &running);
	collect(c);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl says what it waits for on a socket; `of` is the event that it was given before. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *of)
{
	struct curl_loop *c = arg;
	short events = EV_PERSIST;
	struct event *e = of;

	(void)easy;
	if (e)
		event_free(e);
	e = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		e = event_new(loop_base(c->loop), fd, events, on_socket, c);
		if (!e || event_add(e, NULL) < 0)
			return -1;
	}
	curl_multi_assign(c->multi, fd, e);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *c = arg;
	const struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		event_del(c->timer);
	else
		event_add(c->timer, &wait);
	return 0;
}

int curl_loop_new(struct loop *l, curl_loop_done *done, struct curl_loop **out)
{
	struct curl_loop *c = calloc(1, sizeof *c);

	if (!c)
		return RK_E_NOMEM;
	c->loop = l;
	c->done = done;
	c->timer = evtimer_new(loop_base(l), on_timer, c);
	c->multi = curl_multi_init();
	if (!c->timer || !c->multi) {
		curl_loop_free(c);
		return RK_E_NOMEM;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*out = c;
	return 0;
}

void curl_loop_free(struct curl_loop *c)
{
	if (!c)
		return;
	if (c->multi)
		curl_multi_cleanup(c->multi);
	if (c->timer)
		event_free(c->timer);
	free(c);
}

int curl_loop_add(struct curl_loop *c, CURL *easy)
{
	return curl_multi_add_handle(c->multi, easy) == CURLM_OK ? 0 : RK_E_NOMEM;
}

void curl_loop_remove(struct curl_loop *c, CURL *easy)
{
	curl_multi_remove_handle(c->multi, easy);
}
