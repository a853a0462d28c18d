/*
 * Holds idle connections: hold PORT CA-FILE KEYS-FILE PATH COUNT. Each makes one request; then
 * prints {"held":N,"errors":N}, waits for a line or the end of standard input, and prints it
 * again: who was thrown out meanwhile is missing then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/wire/fleet.h"
#include "tests/bench/wire/request.h"

enum { AT_ONCE = 64, RAMP_US = 120 * 1000000, HOLD_US = 600 * 1000000 };

struct hold {
	struct requests requests;
	unsigned asked, count;
	unsigned long errors;
};

static const char *head(void *arg, size_t *len)
{
	return requests_next(&((struct hold *)arg)->requests, len);
}

static int64_t due(void *arg, int64_t now_us)
{
	struct hold *h = arg;

	if (h->asked == h->count)
		return FLEET_NEVER;
	h->asked++;
	return now_us;
}

static void answered(void *arg, int status, uint64_t body, int64_t due_us, int64_t now_us)
{
	(void)body;
	(void)due_us;
	(void)now_us;
	((struct hold *)arg)->errors += status != 200;
}

static void failed(void *arg)
{
	((struct hold *)arg)->errors++;
}

static void print(const struct hold *h, const struct fleet *f)
{
	printf("{\"held\":%u,\"errors\":%lu}\n", fleet_held(f), h->errors);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct hold h = {0};
	struct fleet *f;

	if (argc != 6)
		wire_die("usage: hold PORT CA-FILE KEYS-FILE PATH COUNT");
	wire_raise_nofile();
	h.requests = requests_make(argv[4], argv[3], 0);
	h.count = (unsigned)strtoul(argv[5], NULL, 10);
	f = fleet_new(&(struct fleet_params){
	    .port = (unsigned short)strtoul(argv[1], NULL, 10),
	    .ca_file = argv[2],
	    .connections = h.count,
	    .at_once = AT_ONCE,
	    .once = true,
	    .head = head,
	    .due = due,
	    .answered = answered,
	    .failed = failed,
	    .arg = &h,
	});
	fleet_run(f, wire_now_us() + RAMP_US, -1);
	print(&h, f);
	fleet_run(f, wire_now_us() + HOLD_US, STDIN_FILENO);
	print(&h, f);
	fleet_free(f);
	requests_free(&h.requests);
	return 0;
}
