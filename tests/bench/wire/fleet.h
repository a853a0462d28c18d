/*
 * Many client connections on one epoll loop, each with one request at a time. What is asked,
 * and when, is the caller's: a closed loop is due at once, an open loop at a moment of its own
 * whether or not a connection is free, and then counts from that moment.
 */
#ifndef BENCH_WIRE_FLEET_H
#define BENCH_WIRE_FLEET_H

#include "tests/bench/wire/tls.h"

struct fleet;

#define FLEET_NEVER INT64_MAX

struct fleet_params {
	unsigned short port;
	const char *ca_file;
	unsigned connections;
	unsigned at_once;    /* handshakes at the same time; 0: all */
	bool once;           /* one request a connection, then it is left open */
	uint64_t body_bytes; /* behind each head */

	/* The head of the next request; borrowed until it is sent. */
	const char *(*head)(void *arg, size_t *len);
	/* When the next request is due, in wire_now_us() time; FLEET_NEVER: leave the
	 * connection as it is. A moment that has come is used up by this call, one that lies
	 * ahead is not. */
	int64_t (*due)(void *arg, int64_t now_us);
	void (*answered)(void *arg, int status, uint64_t body, int64_t due_us, int64_t now_us);
	/* Bytes of the body of seat number `seat` as they come; may be NULL. */
	void (*body)(void *arg, unsigned seat, const char *p, size_t n, int64_t due_us);
	/* A connection was not made or ended in the middle; it is made again. */
	void (*failed)(void *arg);
	void *arg;
};

/* Ends the program when there is no memory. */
struct fleet *fleet_new(const struct fleet_params *params);
void fleet_free(struct fleet *f);

/* Runs until `until_us`, or until no request is under way and none will be due. `fd` (or -1):
 * until it can be read instead. */
void fleet_run(struct fleet *f, int64_t until_us, int fd);

/* Bytes of bodies that came in and went out so far. */
uint64_t fleet_received(const struct fleet *f);
uint64_t fleet_sent(const struct fleet *f);

/* Connections that are open and have been answered. */
unsigned fleet_held(const struct fleet *f);

#endif
