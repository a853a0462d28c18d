/*
 * Whose key is this? By its shape, and where many things have that shape, by the name of the
 * variable that holds it. A table of prefixes, alphabets and lengths: the first row that fits
 * is meant, so the particular ones stand before the general ones. A relay key is nobody's.
 * Pure; linear in the value's length for each row.
 */
#ifndef POLICY_KEY_SHAPE_H
#define POLICY_KEY_SHAPE_H

#include "policy/provider.h"

struct key_shape {
	const char *provider; /* id in policy/provider.h */
	const char *prefix;   /* "" when the name alone tells */
	const char *alphabet; /* of what follows, as ranges: "0-9a-f" */
	uint16_t min, max;    /* bytes that follow */
	const char *holds;    /* stands somewhere in it; NULL: nothing particular */
	const char *named;    /* the variable's name holds one of these words; NULL: any name */
	const char *user_vars; /* of "basic:@": variables that hold the user */
	const char *strip;     /* is not part of the key; NULL: nothing */
};

/* The row that the value fits, or NULL. `name` in any case of letters. */
const struct key_shape *key_shape_find(struct rk_slice name, struct rk_slice value);

/* Whether a value without a row looks like a secret of some kind: for a warning only. */
bool key_shape_suspicious(struct rk_slice name, struct rk_slice value);

/* The key itself: the value without what the row strips. */
struct rk_slice key_shape_secret(const struct key_shape *s, struct rk_slice value);

#endif
