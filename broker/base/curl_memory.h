/*
 * libcurl's memory. It copies a mail server's password or a management key, and what it makes
 * of them, into pieces of its own: the small ones stand in secret memory, the large ones
 * (buffers) in the heap, and all are wiped when they are given back. OpenSSL's are not among
 * them.
 */
#ifndef BASE_CURL_MEMORY_H
#define BASE_CURL_MEMORY_H

#include "base/err.h"

enum {
	CURL_MEMORY_SMALL =
	    2048, /* a password, and each form in which it is sent, is shorter */
};

/* Once, before any other use of libcurl, with the secret arena made. */
RK_MUST_CHECK int curl_memory_init(struct rk_fault *fault);

#endif
