/*
 * Inside trust: shared by trust.c (jobs: row, store, index) and trust_code.c (codes, ids).
 */
#ifndef KEEPER_TRUST_INT_H
#define KEEPER_TRUST_INT_H

#include "keeper/keeper_int.h"
#include "keeper/trust.h"

enum { GUESS_SLOTS = 256 };

/* Wrong codes of a client address in a minute. */
struct trust_guess {
	struct rk_cidr net;
	uint32_t count;
	int64_t minute;
};

struct trust_job;

struct trust {
	struct keeper *k;
	void (*terms)(struct keeper *k, struct trust_terms *out);
	struct trust_job *jobs;
	unsigned job_count;
	bool stopped;
	/* of the terms that the index has */
	bool known, first;
	char presets[MSG_MAX_LIST];
	size_t presets_n;
	uint64_t guess_seed;
	struct trust_guess guess[GUESS_SLOTS];
};

/* A new code for the address into code[TRUST_CODE + 1], its digest beside it. */
void trust_code_make(uint32_t number, char code[TRUST_CODE + 1], uint8_t digest[32]);

#endif
