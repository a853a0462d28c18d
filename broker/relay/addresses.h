/*
 * Which of an upstream's addresses to try first: those that failed lately come last, so that
 * one dead address of several costs one dial its wait and not each. Pure; the caller passes the
 * time.
 */
#ifndef RELAY_ADDRESSES_H
#define RELAY_ADDRESSES_H

#include "base/ipaddr.h"

enum {
	ADDRESSES_MAX = 8,    /* of one upstream */
	ADDRESSES_BAD_S = 60, /* then it is tried first again */
};

/* Starts as all zeroes. */
struct address_faults {
	struct {
		struct rk_ip ip;
		int64_t until_us; /* 0: free */
	} at[ADDRESSES_MAX];
};

/* The address could not be dialled. */
void addresses_failed(struct address_faults *f, const struct rk_ip *ip, int64_t now_us);

/* It could. */
void addresses_good(struct address_faults *f, const struct rk_ip *ip);

/* Puts those that failed lately behind the others; their order stays as it is otherwise. */
void addresses_order(const struct address_faults *f, struct rk_ip *addrs, unsigned count,
                     int64_t now_us);

#endif
