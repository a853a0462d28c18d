/*
 * The relay keys that one management key minted: which they are, and how many of them live.
 * The number is right at any moment without looking at the dead: keys wait in a heap for their
 * end, and one whose end was moved, or that was revoked, is put right when it comes up or when
 * the number is asked for exactly. Loop thread only; the keys are the index's and never move.
 */
#ifndef KEEPER_MINTED_H
#define KEEPER_MINTED_H

#include "keeper/index.h"

struct minted_end {
	int64_t at_ms; /* INT64_MAX: never */
	struct index_key *key;
};

struct minted {
	struct index_key **key; /* all, in order of creation */
	size_t keys, key_cap;
	struct minted_end *end; /* heap of those that count (index_key.counted) */
	size_t live, end_cap;
	uint32_t lost; /* stored, but there was no memory for them: they count */
};

void minted_free(struct minted *m);

/* Makes room for one more, so that minted_enter() cannot fail. */
RK_MUST_CHECK int minted_reserve(struct minted *m);

/* A new key, or one from the store. RK_E_NOMEM only without a reservation. */
RK_MUST_CHECK int minted_enter(struct minted *m, struct index_key *k, int64_t now_ms);

/* One of them lives longer than it did, maybe again. */
void minted_extended(struct minted *m, struct index_key *k, int64_t now_ms);

/* How many live. Keys that were revoked, or whose end was brought forward, may still be among
 * them; none of them is, when `exact` (in O(live)). */
uint32_t minted_live(struct minted *m, int64_t now_ms, bool exact);

#endif
