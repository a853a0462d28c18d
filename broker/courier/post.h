/*
 * The deliveries under way: each looks its target up, is checked, sent by libcurl, and ends
 * with one answer for the keeper. What was to be kept secret of it is wiped then.
 */
#ifndef COURIER_POST_H
#define COURIER_POST_H

#include "base/egress.h"
#include "ipc/loop.h"
#include "ipc/messages.h"

struct post;

enum { POST_MAX = 64 }; /* at once; the keeper asks for fewer */

/* The slices of `m` borrow until the return. Never from inside post_deliver(). */
typedef void post_ended(uint64_t id, const struct msg_delivered *m, void *arg);

struct post_params {
	struct loop *loop;
	struct rk_slice trust; /* PEM: what certificates are verified against; borrowed during
	                          the call */
	struct egress egress;
	post_ended *ended;
	void *arg;
};

/* Before the sandbox: libcurl and the resolver open what they need. */
RK_MUST_CHECK int post_new(const struct post_params *p, struct post **out,
                           struct rk_fault *fault);
void post_free(struct post *p); /* gives up what is under way; accepts NULL */

RK_MUST_CHECK int post_set_trust(struct post *p, struct rk_slice pem, struct rk_fault *fault);

/* Copies what it needs. */
void post_deliver(struct post *p, uint64_t id, const struct msg_deliver *m);
/* The keeper that asked is gone: nobody wants an answer. */
void post_forget_all(struct post *p);
unsigned post_count(const struct post *p);

#endif
