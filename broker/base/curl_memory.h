/*
 * libcurl's memory. It copies a mail server's password or a management key, and what it makes
 * of them, into pieces of its own: those up to a size stand in secret memory, larger ones
 * (buffers) in the heap, and all are wiped when they are given back. OpenSSL's are not among
 * them.
 */
#ifndef BASE_CURL_MEMORY_H
#define BASE_CURL_MEMORY_H

#include "base/err.h"

enum {
	/* a password, and each form in which it is sent, is shorter */
	CURL_MEMORY_SMALL = 2048,
	/* the buffers that bodies go through as well, where the arena has room for them */
	CURL_MEMORY_BUFFERS = 65536 - 64,
};

/* Once, before any other use of libcurl, with the secret arena made; `secret`: bytes of the
 * largest piece that goes there. */
RK_MUST_CHECK int curl_memory_init(size_t secret, struct rk_fault *fault);

#endif
