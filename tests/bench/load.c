/*
 * A client that measures: load --port N --ca FILE --keys FILE --path P [--connections N]
 * [--seconds N] [--warm N] [--rate N] [--body BYTES]. Prints one line of JSON; bytes are
 * those of bodies that moved meanwhile, whether or not their exchange came to its end.
 *
 * Without --rate each connection asks again as soon as it is answered. With it, requests are
 * due at even distances whether or not one of the connections is free, and the time of one
 * counts from when it was due: a server that stalls is charged for what had to wait meanwhile.
 * What was due (without --rate: answered) in the first --warm seconds does not count.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/wire/fleet.h"
#include "tests/bench/wire/request.h"
#include "tests/bench/wire/samples.h"

struct load {
	struct requests requests;
	int64_t count_from_us;
	double period_us; /* 0: as fast as it goes */
	int64_t start_us;
	uint64_t issued;

	struct samples took;
	uint64_t errors, received, sent;
};

static const char *head(void *arg, size_t *len)
{
	return requests_next(&((struct load *)arg)->requests, len);
}

static int64_t due(void *arg, int64_t now_us)
{
	struct load *l = arg;
	int64_t at;

	if (l->period_us == 0)
		return now_us;
	at = l->start_us + (int64_t)((double)l->issued * l->period_us);
	if (at <= now_us)
		l->issued++;
	return at;
}

static void answered(void *arg, int status, uint64_t body, int64_t due_us, int64_t now_us)
{
	struct load *l = arg;

	(void)body;
	if ((l->period_us > 0 ? due_us : now_us) < l->count_from_us)
		return;
	if (status != 200) {
		l->errors++;
		return;
	}
	samples_add(&l->took, now_us - due_us);
}

static void failed(void *arg)
{
	((struct load *)arg)->errors++;
}

static void print(struct load *l, double seconds)
{
	printf(
	    "{\"requests\":%zu,\"errors\":%llu,\"seconds\":%.3f,\"rps\":%.1f,"
	    "\"received\":%llu,\"sent\":%llu,\"p50\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u}\n",
	    l->took.n, (unsigned long long)l->errors, seconds, (double)l->took.n / seconds,
	    (unsigned long long)l->received, (unsigned long long)l->sent,
	    samples_at(&l->took, 50), samples_at(&l->took, 99), samples_at(&l->took, 99.9),
	    samples_at(&l->took, 100));
}

struct options {
	struct fleet_params fleet;
	const char *keys, *path;
	double seconds, warm, rate;
};

static struct options parse(int argc, char **argv)
{
	static const struct option table[] = {
	    {"port", required_argument, NULL, 'p'},
	    {"ca", required_argument, NULL, 'a'},
	    {"keys", required_argument, NULL, 'k'},
	    {"path", required_argument, NULL, 'u'},
	    {"connections", required_argument, NULL, 'c'},
	    {"seconds", required_argument, NULL, 's'},
	    {"warm", required_argument, NULL, 'w'},
	    {"rate", required_argument, NULL, 'r'},
	    {"body", required_argument, NULL, 'b'},
	    {NULL, 0, NULL, 0},
	};
	struct options o = {.fleet.connections = 1, .seconds = 1};
	int opt;

	while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (opt == 'p')
			o.fleet.port = (unsigned short)strtoul(optarg, NULL, 10);
		else if (opt == 'a')
			o.fleet.ca_file = optarg;
		else if (opt == 'k')
			o.keys = optarg;
		else if (opt == 'u')
			o.path = optarg;
		else if (opt == 'c')
			o.fleet.connections = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 's')
			o.seconds = strtod(optarg, NULL);
		else if (opt == 'w')
			o.warm = strtod(optarg, NULL);
		else if (opt == 'r')
			o.rate = strtod(optarg, NULL);
		else if (opt == 'b')
			o.fleet.body_bytes = strtoull(optarg, NULL, 10);
		else
			exit(2);
	}
	if (!o.fleet.port || !o.fleet.ca_file || !o.keys || !o.path || !o.fleet.connections)
		wire_die("load: --port, --ca, --keys and --path are needed");
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	struct load l = {
	    .requests = requests_make(o.path, o.keys, o.fleet.body_bytes),
	    .period_us = o.rate > 0 ? 1e6 / o.rate : 0,
	    .start_us = wire_now_us(),
	};
	struct fleet *f;
	double seconds;

	wire_raise_nofile();
	l.count_from_us = l.start_us + (int64_t)(o.warm * 1e6);
	o.fleet.head = head;
	o.fleet.due = due;
	o.fleet.answered = answered;
	o.fleet.failed = failed;
	o.fleet.arg = &l;
	f = fleet_new(&o.fleet);
	fleet_run(f, l.count_from_us, -1);
	l.received = fleet_received(f);
	l.sent = fleet_sent(f);
	fleet_run(f, l.count_from_us + (int64_t)(o.seconds * 1e6), -1);
	l.received = fleet_received(f) - l.received;
	l.sent = fleet_sent(f) - l.sent;
	seconds = (double)(wire_now_us() - l.count_from_us) / 1e6;
	print(&l, seconds);
	fleet_free(f);
	requests_free(&l.requests);
	samples_free(&l.took);
	return 0;
}
