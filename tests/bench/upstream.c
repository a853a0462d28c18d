/*
 * The upstream of large bodies and of events: upstream PORT CERT-FILE KEY-FILE, on loopback,
 * until it is killed. One thread; it does as little as can be done, so that the proxies are
 * what is measured.
 *
 *   GET  /v1/bytes/N        N bytes
 *   POST ...                reads the body and drops it
 *   GET  /v1/events/N/US    N events, one each US microseconds, which say when they were sent
 *   else                    a small JSON
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>

#include "tests/bench/wire/message.h"
#include "tests/bench/wire/tls.h"

enum { EVENTS = 256, BLOCK_BYTES = 1 << 16, TEXT_BYTES = 1024, EVENT_PAD = 150 };

enum visit_state { VISIT_REQUEST, VISIT_ANSWER, VISIT_PAUSE };

/* One connection. */
struct visit {
	struct wire wire;
	enum visit_state state;
	uint32_t watched;
	LIST_ENTRY(visit) paused; /* while it waits for its next event */
	size_t text_len, text_sent;
	uint64_t body_left; /* behind the text */
	uint64_t events_left;
	int64_t period_us, next_us;
	struct message request;
	char text[TEXT_BYTES]; /* a head, an event */
};

struct upstream {
	SSL_CTX *ctx;
	int epoll, listener;
	LIST_HEAD(, visit) paused;
};

static char block[BLOCK_BYTES];

static void watch(struct upstream *u, struct visit *v, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = v};

	if (v->watched == events)
		return;
	if (epoll_ctl(u->epoll, v->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, v->wire.fd, &e))
		wire_die("epoll_ctl: %m");
	v->watched = events;
}

static void leave(struct visit *v)
{
	if (v->state == VISIT_PAUSE)
		LIST_REMOVE(v, paused);
	wire_close(&v->wire);
	free(v);
}

/* One event as a chunk, the last with the end of the body. */
static void write_event(struct visit *v, size_t at)
{
	char event[TEXT_BYTES / 2];
	struct timespec t;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &t);
	n = snprintf(event, sizeof event, "data: %lld %0*d\n\n",
	             (long long)t.tv_sec * 1000000000 + t.tv_nsec, EVENT_PAD, 0);
	v->events_left--;
	n = snprintf(v->text + at, sizeof v->text - at, "%x\r\n%s\r\n%s", (unsigned)n, event,
	             v->events_left ? "" : "0\r\n\r\n");
	v->text_len = at + (size_t)n;
	v->text_sent = 0;
}

static void write_head(struct visit *v, const char *type, uint64_t length)
{
	int n = snprintf(v->text, sizeof v->text,
	                 "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %llu\r\n\r\n",
	                 type, (unsigned long long)length);

	v->text_len = (size_t)n;
	v->text_sent = 0;
}

static void answer(struct visit *v)
{
	static const char bytes[] = "GET /v1/bytes/", events[] = "GET /v1/events/";
	const char *head = v->request.head;
	char *end;

	v->body_left = v->events_left = 0;
	if (strncmp(head, bytes, sizeof bytes - 1) == 0) {
		v->body_left = strtoull(head + sizeof bytes - 1, NULL, 10);
		write_head(v, "application/octet-stream", v->body_left);
	} else if (strncmp(head, events, sizeof events - 1) == 0) {
		v->events_left = strtoull(head + sizeof events - 1, &end, 10);
		v->period_us = *end == '/' ? strtoll(end + 1, NULL, 10) : 0;
		v->next_us = wire_now_us() + v->period_us;
		write_event(v, (size_t)snprintf(v->text, sizeof v->text,
		                                "HTTP/1.1 200 OK\r\nContent-Type: "
		                                "text/event-stream\r\nTransfer-Encoding: "
		                                "chunked\r\n\r\n"));
	} else {
		static const char json[] = "{\"ok\":true}";

		write_head(v, "application/json", sizeof json - 1);
		memcpy(v->text + v->text_len, json, sizeof json - 1);
		v->text_len += sizeof json - 1;
	}
	v->state = VISIT_ANSWER;
}

/* False: the connection is gone. */
static bool send_more(struct upstream *u, struct visit *v)
{
	ssize_t n = 1;

	while (n > 0 && v->text_sent < v->text_len) {
		n = wire_write(&v->wire, v->text + v->text_sent, v->text_len - v->text_sent);
		if (n > 0)
			v->text_sent += (size_t)n;
	}
	while (n > 0 && v->body_left) {
		n = wire_write(&v->wire, block,
		               v->body_left < sizeof block ? (size_t)v->body_left
		                                           : sizeof block);
		if (n > 0)
			v->body_left -= (uint64_t)n;
	}
	if (n < 0) {
		leave(v);
		return false;
	}
	if (n == 0) {
		watch(u, v, v->wire.wants);
		return true;
	}
	if (v->events_left) {
		v->state = VISIT_PAUSE;
		LIST_INSERT_HEAD(&u->paused, v, paused);
	} else {
		v->state = VISIT_REQUEST;
		message_reset(&v->request);
	}
	watch(u, v, EPOLLIN);
	return true;
}

static void receive(struct upstream *u, struct visit *v)
{
	ssize_t n = 1;

	while (v->state == VISIT_REQUEST &&
	       (n = wire_read(&v->wire, block, sizeof block)) > 0) {
		if (message_feed(&v->request, block, (size_t)n) < (size_t)n)
			v->request.state = MESSAGE_BAD; /* nobody pipelines here */
		if (v->request.state == MESSAGE_BAD) {
			leave(v);
			return;
		}
		if (v->request.state == MESSAGE_DONE) {
			answer(v);
			if (!send_more(u, v))
				return;
		}
	}
	if (n < 0)
		leave(v);
	else if (v->state == VISIT_REQUEST)
		watch(u, v, v->wire.wants);
}

static void on_event(struct upstream *u, struct visit *v)
{
	char one;

	if (v->state == VISIT_ANSWER)
		send_more(u, v);
	else if (v->state == VISIT_REQUEST)
		receive(u, v);
	else if (wire_read(&v->wire, &one, 1) < 0)
		leave(v); /* the reader of the events is gone */
}

/* Sends what events are due; returns how long until the next, -1: none. */
static int64_t send_events(struct upstream *u)
{
	int64_t now = wire_now_us(), next = INT64_MAX;
	struct visit *v, *then;

	for (v = LIST_FIRST(&u->paused); v; v = then) {
		then = LIST_NEXT(v, paused);
		if (v->next_us <= now) {
			LIST_REMOVE(v, paused);
			v->state = VISIT_ANSWER;
			v->next_us += v->period_us;
			write_event(v, 0);
			if (!send_more(u, v))
				continue;
		}
		if (v->next_us < next)
			next = v->next_us;
	}
	if (next == INT64_MAX)
		return -1;
	now = wire_now_us();
	return next > now ? next - now : 0;
}

static void welcome(struct upstream *u)
{
	struct visit *v;

	while ((v = calloc(1, sizeof *v)) && wire_accept(&v->wire, u->ctx, u->listener))
		watch(u, v, EPOLLIN);
	free(v);
}

int main(int argc, char **argv)
{
	struct upstream u = {0};
	struct epoll_event events[EVENTS], also = {.events = EPOLLIN};

	if (argc != 4)
		wire_die("usage: upstream PORT CERT-FILE KEY-FILE");
	wire_raise_nofile();
	memset(block, 'b', sizeof block);
	u.ctx = wire_server_ctx(argv[2], argv[3]);
	u.listener = wire_listen((unsigned short)strtoul(argv[1], NULL, 10));
	u.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u.epoll < 0 || epoll_ctl(u.epoll, EPOLL_CTL_ADD, u.listener, &also))
		wire_die("epoll: %m");
	for (;;) {
		int64_t pause_us = send_events(&u);
		struct timespec wait = {pause_us / 1000000, pause_us % 1000000 * 1000};
		int n =
		    epoll_pwait2(u.epoll, events, EVENTS, pause_us < 0 ? NULL : &wait, NULL);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_event(&u, events[i].data.ptr);
			else
				welcome(&u);
		}
	}
}
