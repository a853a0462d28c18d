#include "tests/bench/wire/fleet.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#include "tests/bench/wire/message.h"

enum { EVENTS = 256, READ_BYTES = 1 << 16 };

enum seat_state { SEAT_EMPTY, SEAT_FREE, SEAT_SENDING, SEAT_WAITING };

/* One connection's place. */
struct seat {
	struct fleet *fleet;
	struct wire wire;
	enum seat_state state;
	uint32_t watched; /* events that epoll knows of */
	bool greeted;     /* it has been answered, so its handshake is over */
	const char *head;
	size_t head_len, head_sent;
	uint64_t body_left;
	int64_t due_us;
	struct message reply;
};

struct fleet {
	struct fleet_params params;
	SSL_CTX *ctx;
	int epoll;
	struct seat *seat;
	unsigned *free; /* stack of seats without a request */
	unsigned free_count, greeting, next_empty;
	unsigned busy; /* seats with a request */
	uint64_t received, sent;
};

static char block[READ_BYTES]; /* what is read is dropped, what is sent means nothing */

static void on_body(void *arg, const char *p, size_t n)
{
	struct seat *s = arg;
	struct fleet *f = s->fleet;

	f->received += n;
	if (f->params.body)
		f->params.body(f->params.arg, (unsigned)(s - f->seat), p, n, s->due_us);
}

struct fleet *fleet_new(const struct fleet_params *params)
{
	struct fleet *f = calloc(1, sizeof *f);

	if (!f)
		wire_die("out of memory");
	f->params = *params;
	if (f->params.at_once == 0 || f->params.at_once > params->connections)
		f->params.at_once = params->connections;
	f->ctx = wire_client_ctx(params->ca_file);
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->seat = calloc(params->connections, sizeof *f->seat);
	f->free = calloc(params->connections, sizeof *f->free);
	if (f->epoll < 0 || !f->seat || !f->free)
		wire_die("out of memory");
	for (unsigned i = 0; i < params->connections; i++) {
		struct seat *s = &f->seat[i];

		s->fleet = f;
		s->wire.fd = -1;
		s->reply.on_body = on_body;
		s->reply.arg = s;
	}
	return f;
}

void fleet_free(struct fleet *f)
{
	for (unsigned i = 0; i < f->params.connections; i++)
		wire_close(&f->seat[i].wire);
	SSL_CTX_free(f->ctx);
	free(f->seat);
	free(f->free);
	free(f);
}

static void watch(struct fleet *f, struct seat *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (s->watched == events)
		return;
	if (epoll_ctl(f->epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->wire.fd, &e))
		wire_die("epoll_ctl: %m");
	s->watched = events;
}

static void leave(struct fleet *f, struct seat *s)
{
	if (!s->greeted && s->state != SEAT_EMPTY)
		f->greeting--;
	for (unsigned i = 0; s->state == SEAT_FREE && i < f->free_count; i++) {
		if (f->free[i] == (unsigned)(s - f->seat)) {
			f->free[i] = f->free[--f->free_count];
			break;
		}
	}
	if (s->state == SEAT_SENDING || s->state == SEAT_WAITING)
		f->busy--;
	wire_close(&s->wire);
	s->state = SEAT_EMPTY;
	s->watched = 0;
	s->greeted = false;
}

static void fail(struct fleet *f, struct seat *s)
{
	leave(f, s);
	f->params.failed(f->params.arg);
}

/* Sends what is left of the request. */
static void send_more(struct fleet *f, struct seat *s)
{
	ssize_t n = 1;

	while (n > 0 && s->head_sent < s->head_len) {
		n = wire_write(&s->wire, s->head + s->head_sent, s->head_len - s->head_sent);
		if (n > 0)
			s->head_sent += (size_t)n;
	}
	while (n > 0 && s->body_left) {
		n = wire_write(&s->wire, block,
		               s->body_left < sizeof block ? (size_t)s->body_left
		                                           : sizeof block);
		if (n > 0) {
			s->body_left -= (uint64_t)n;
			f->sent += (uint64_t)n;
		}
	}
	if (n < 0) {
		fail(f, s);
	} else if (n == 0) {
		watch(f, s, s->wire.wants);
	} else {
		s->state = SEAT_WAITING;
		watch(f, s, EPOLLIN);
	}
}

static void begin(struct fleet *f, struct seat *s, int64_t due_us)
{
	s->head = f->params.head(f->params.arg, &s->head_len);
	s->head_sent = 0;
	s->body_left = f->params.body_bytes;
	s->due_us = due_us;
	s->state = SEAT_SENDING;
	f->busy++;
	message_reset(&s->reply);
	send_more(f, s);
}

/* The seat has nothing to do: the next request, or the stack. */
static void settle(struct fleet *f, struct seat *s, int64_t now)
{
	int64_t due = f->params.once ? FLEET_NEVER : f->params.due(f->params.arg, now);

	if (due <= now) {
		begin(f, s, due);
		return;
	}
	s->state = SEAT_FREE;
	f->free[f->free_count++] = (unsigned)(s - f->seat);
}

static void answered(struct fleet *f, struct seat *s)
{
	int64_t now = wire_now_us();

	f->busy--;
	if (!s->greeted)
		f->greeting--;
	s->greeted = true;
	f->params.answered(f->params.arg, message_status(&s->reply), s->reply.body, s->due_us,
	                   now);
	settle(f, s, now);
}

static void receive(struct fleet *f, struct seat *s)
{
	ssize_t n;

	while ((n = wire_read(&s->wire, block, sizeof block)) > 0) {
		size_t used = 0;

		if (s->state != SEAT_FREE)
			used = message_feed(&s->reply, block, (size_t)n);
		if (s->reply.state == MESSAGE_BAD || used < (size_t)n) {
			fail(f, s);
			return;
		}
		if (s->reply.state == MESSAGE_DONE) {
			/* an answer ahead of the body's end: the connection is of no more use
			 */
			if (s->state == SEAT_SENDING)
				fail(f, s);
			else
				answered(f, s);
			return;
		}
	}
	if (n < 0)
		fail(f, s);
	else
		watch(f, s, s->wire.wants);
}

static void on_event(struct fleet *f, struct seat *s)
{
	if (s->state == SEAT_EMPTY)
		return;
	if (s->state == SEAT_SENDING)
		send_more(f, s);
	else
		receive(f, s);
}

/* Fills empty seats, a few at a time when that is asked for. */
static void connect_more(struct fleet *f)
{
	unsigned looked = 0;

	for (; looked < f->params.connections && f->greeting < f->params.at_once; looked++) {
		struct seat *s = &f->seat[f->next_empty];
		int64_t now, due;

		f->next_empty = (f->next_empty + 1) % f->params.connections;
		if (s->state != SEAT_EMPTY)
			continue;
		now = wire_now_us();
		due = f->params.due(f->params.arg, now);
		if (due > now)
			return;
		if (!wire_connect(&s->wire, f->ctx, f->params.port)) {
			f->params.failed(f->params.arg);
			return;
		}
		f->greeting++;
		begin(f, s, due);
	}
}

/* Gives what is due to seats that are free; returns when the next request is due. */
static int64_t dispatch(struct fleet *f)
{
	int64_t now = wire_now_us(), due = now;

	if (f->params.once)
		return FLEET_NEVER;
	while (f->free_count && (due = f->params.due(f->params.arg, now)) <= now) {
		struct seat *s = &f->seat[f->free[--f->free_count]];

		begin(f, s, due);
		now = wire_now_us();
	}
	return f->free_count ? due : FLEET_NEVER;
}

static struct timespec span(int64_t us)
{
	if (us < 0)
		us = 0;
	return (struct timespec){us / 1000000, us % 1000000 * 1000};
}

void fleet_run(struct fleet *f, int64_t until_us, int fd)
{
	struct epoll_event events[EVENTS], also = {.events = EPOLLIN};
	int64_t now;

	if (fd >= 0 && epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &also))
		wire_die("epoll_ctl: %m");
	while ((now = wire_now_us()) < until_us) {
		int64_t next;
		struct timespec wait;
		int n;

		connect_more(f);
		next = dispatch(f);
		if (next == FLEET_NEVER && fd < 0 && f->busy == 0 && f->free_count)
			return;
		wait = span((next < until_us ? next : until_us) - now);
		n = epoll_pwait2(f->epoll, events, EVENTS, &wait, NULL);
		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return;
			on_event(f, events[i].data.ptr);
		}
	}
}

uint64_t fleet_received(const struct fleet *f)
{
	return f->received;
}

uint64_t fleet_sent(const struct fleet *f)
{
	return f->sent;
}

unsigned fleet_held(const struct fleet *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->params.connections; i++)
		n += f->seat[i].greeted;
	return n;
}
