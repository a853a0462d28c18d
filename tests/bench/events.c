/*
 * Reads event streams of the benchmark's upstream: events PORT CA-FILE KEYS-FILE PATH STREAMS
 * SECONDS. Each event says when it was sent (CLOCK_MONOTONIC, the same machine); prints one
 * line of JSON with the time to the first byte of a body and the delay of each event. The first
 * second does not count, nor does the first event of a stream as a delay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/wire/fleet.h"
#include "tests/bench/wire/request.h"
#include "tests/bench/wire/samples.h"

enum { LINE_MAX_BYTES = 1024, WARM_US = 1000000 };

/* One stream as it comes in. */
struct stream {
	int64_t due_us; /* of its request; another one: a new stream */
	unsigned events;
	size_t n;
	char line[LINE_MAX_BYTES];
};

struct events {
	struct requests requests;
	struct stream *stream;
	int64_t count_from_us;
	struct samples first, delay;
	unsigned long errors;
};

static const char *head(void *arg, size_t *len)
{
	return requests_next(&((struct events *)arg)->requests, len);
}

static int64_t due(void *arg, int64_t now_us)
{
	(void)arg;
	return now_us;
}

static void answered(void *arg, int status, uint64_t body, int64_t due_us, int64_t now_us)
{
	(void)body;
	(void)due_us;
	(void)now_us;
	((struct events *)arg)->errors += status != 200;
}

static void failed(void *arg)
{
	((struct events *)arg)->errors++;
}

static void line_complete(struct events *e, struct stream *s, int64_t now_us)
{
	static const char data[] = "data: ";

	s->line[s->n] = '\0';
	s->n = 0;
	if (strncmp(s->line, data, sizeof data - 1) != 0)
		return;
	if (s->events++ && s->due_us >= e->count_from_us)
		samples_add(&e->delay,
		            now_us - strtoll(s->line + sizeof data - 1, NULL, 10) / 1000);
}

static void body(void *arg, unsigned seat, const char *p, size_t n, int64_t due_us)
{
	struct events *e = arg;
	struct stream *s = &e->stream[seat];
	int64_t now_us = wire_now_us();

	if (s->due_us != due_us) {
		s->due_us = due_us;
		s->events = 0;
		s->n = 0;
		if (due_us >= e->count_from_us)
			samples_add(&e->first, now_us - due_us);
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			line_complete(e, s, now_us);
		else if (s->n < sizeof s->line - 1)
			s->line[s->n++] = p[i];
	}
}

int main(int argc, char **argv)
{
	struct events e = {0};
	struct fleet_params params = {.head = head,
	                              .due = due,
	                              .answered = answered,
	                              .body = body,
	                              .failed = failed,
	                              .arg = &e};
	struct fleet *f;

	if (argc != 7)
		wire_die("usage: events PORT CA-FILE KEYS-FILE PATH STREAMS SECONDS");
	params.port = (unsigned short)strtoul(argv[1], NULL, 10);
	params.ca_file = argv[2];
	params.connections = (unsigned)strtoul(argv[5], NULL, 10);
	e.requests = requests_make(argv[4], argv[3], 0);
	e.stream = calloc(params.connections, sizeof *e.stream);
	if (!e.stream)
		wire_die("out of memory");
	e.count_from_us = wire_now_us() + WARM_US;
	f = fleet_new(&params);
	fleet_run(f, e.count_from_us + (int64_t)(strtod(argv[6], NULL) * 1e6), -1);
	printf("{\"streams\":%zu,\"events\":%zu,\"errors\":%lu,\"first50\":%u,\"first99\":%u,"
	       "\"delay50\":%u,\"delay99\":%u}\n",
	       e.first.n, e.delay.n, e.errors, samples_at(&e.first, 50),
	       samples_at(&e.first, 99), samples_at(&e.delay, 50), samples_at(&e.delay, 99));
	fleet_free(f);
	samples_free(&e.first);
	samples_free(&e.delay);
	requests_free(&e.requests);
	free(e.stream);
	return 0;
}
