/*
 * Just enough HTTP/1.1 to follow what well-behaved peers send: a head, then a body of
 * Content-Length bytes or in chunks. For requests and responses alike; no body is left to the
 * end of the connection.
 */
#ifndef BENCH_WIRE_MESSAGE_H
#define BENCH_WIRE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_HEAD_MAX = 8192, MESSAGE_LINE_MAX = 32 };

enum message_state {
	MESSAGE_HEAD,
	MESSAGE_BODY,
	MESSAGE_CHUNK_SIZE,
	MESSAGE_CHUNK,
	MESSAGE_CHUNK_END, /* the line end behind a chunk */
	MESSAGE_TRAILER,
	MESSAGE_DONE,
	MESSAGE_BAD,
};

struct message {
	enum message_state state;
	size_t head_len;
	uint64_t left; /* of the body or chunk */
	uint64_t body; /* bytes so far */
	size_t line_len;
	char line[MESSAGE_LINE_MAX];
	char head[MESSAGE_HEAD_MAX + 1]; /* with NUL once it is complete */

	void (*on_body)(void *arg, const char *p, size_t n); /* may be NULL */
	void *arg;
};

/* Ready for the next message; keeps on_body and arg. */
void message_reset(struct message *m);

/* Bytes consumed: all, but for what follows a message that is done or bad. */
size_t message_feed(struct message *m, const char *p, size_t n);

/* Of a response whose head is complete; 0 for anything else. */
int message_status(const struct message *m);

#endif
