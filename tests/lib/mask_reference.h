/*
 * Masking without cleverness: every byte of every occurrence of every needle in the whole text.
 */
#ifndef TESTS_LIB_MASK_REFERENCE_H
#define TESTS_LIB_MASK_REFERENCE_H

#include "base/slice.h"

/* Into out[text.n]. Returns whether there was one. */
static inline bool mask_reference(struct rk_slice text, const struct rk_slice *needles,
                                  unsigned count, char *out)
{
	bool found = false;

	if (text.n)
		memcpy(out, text.p, text.n);
	for (unsigned i = 0; i < count; i++) {
		for (size_t at = 0; at + needles[i].n <= text.n; at++) {
			if (memcmp(text.p + at, needles[i].p, needles[i].n) != 0)
				continue;
			memset(out + at, '*', needles[i].n);
			found = true;
		}
	}
	return found;
}

#endif
