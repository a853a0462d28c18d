/*
 * Uses of honey keys, so that they alarm somebody without flooding anybody: a key from one
 * address is told of at once, and then at most once a minute, with how often it was used
 * meanwhile. Bounded: what comes from more addresses at the same time is counted with the key
 * whose turn it is next.
 *
 * Pure: time is the caller's. Loop thread.
 */
#ifndef KEEPER_HONEY_H
#define KEEPER_HONEY_H

#include "base/ipaddr.h"

enum { HONEY_PLACES = 64, HONEY_SPAN_MS = 60000 };

struct honey_place {
	const void *key;
	struct rk_ip ip;
	int64_t told_ms; /* 0: free */
	uint32_t uses;   /* since then */
};

struct honey {
	struct honey_place place[HONEY_PLACES];
	uint32_t elsewhere; /* uses that found no place */
};

/* Uses to tell of now, this one among them; 0: later, through honey_due(). */
uint32_t honey_used(struct honey *h, const void *key, const struct rk_ip *ip, int64_t now_ms);

/*
 * One place whose minute is over and that was used meanwhile: fills *key, *ip and returns how
 * often; 0 when there is none (any more). Places that were not used again are freed.
 */
uint32_t honey_due(struct honey *h, int64_t now_ms, const void **key, struct rk_ip *ip);

/* Whether honey_due() has to be asked again. */
bool honey_waits(const struct honey *h);

#endif
