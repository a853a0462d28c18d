/*
 * Problem documents (RFC 9457): what went wrong, with a stable `code`, and for a request that
 * is not as its schema wants it every member that is wrong.
 */
#ifndef CONSOLE_PROBLEM_H
#define CONSOLE_PROBLEM_H

#include "api/decode.h"
#include "console/server.h"

struct problem {
	int status;
	const char *code;
	struct rk_slice detail;          /* no secret; shown as it is */
	const struct api_errors *errors; /* or NULL */
	const char *headers;             /* more header lines, or NULL */
};

/* Answers with it. */
void problem_send(struct server *s, uint64_t id, const struct problem *p);

/* The same with texts only. */
void problem_simple(struct server *s, uint64_t id, int status, const char *code,
                    const char *detail);

/* Status and code of an error of the keeper. */
struct problem problem_of(int err, struct rk_slice text);

#endif
