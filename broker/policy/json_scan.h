/*
 * A streaming JSON reader (RFC 8259) for bodies that pass by: it is fed whatever pieces arrive,
 * keeps none of them, and reports the scalars at the few paths that its owner wants. Model of a
 * request, usage of a response.
 *
 * Strict where two readers could differ: no comments, no trailing commas, no leading zeros, no
 * control bytes in strings, strings are UTF-8, one value and then white space only. What it
 * refuses, its owner must not let pass for something it has understood.
 *
 * Memory: the struct, nothing else. Nesting up to JSON_MAX_DEPTH; a key or a wanted string
 * longer than there is room for is cut and says so (a cut key matches nothing).
 * Errors: RK_E_INVALID (not JSON), RK_E_TOOBIG (nested too deep). Both last.
 */
#ifndef POLICY_JSON_SCAN_H
#define POLICY_JSON_SCAN_H

#include "base/err.h"
#include "base/slice.h"

enum {
	JSON_MAX_DEPTH = 64,
	JSON_MAX_WANTS = 64,
	JSON_TEXT_BYTES = 256, /* of a key, a wanted string or a number */
};

enum json_type {
	JSON_IS_STRING,
	JSON_IS_NUMBER,
	JSON_IS_TRUE,
	JSON_IS_FALSE,
	JSON_IS_NULL,
	JSON_IS_OBJECT, /* one begins */
	JSON_IS_ARRAY,
};

struct json_value {
	enum json_type type;
	/* STRING: decoded, lone surrogates as U+FFFD; NUMBER: as it stands. Borrowed until the
	 * return. */
	struct rk_slice text;
	bool cut;   /* there was more text than fits */
	bool exact; /* keys are written as in the path, not only in other letter case */
};

/*
 * A path is "model", "usage.prompt_tokens", "candidates.[].content.role": keys, and "[]" for
 * any element of an array, joined by dots. "" is the value as a whole. Keys match in any letter
 * case of ASCII, because there are readers that do not care about it; `exact` tells.
 */
struct json_scan_ops {
	const char *const *wants; /* at most JSON_MAX_WANTS */
	unsigned want_count;
	/* What stands at wants[want]. Called again for every further one: whether a key may
	 * come twice is the owner's to say. */
	void (*value)(unsigned want, const struct json_value *v, void *arg);
};

struct json_scan {
	const struct json_scan_ops *ops;
	void *arg;
	int err;
	uint8_t state;
	bool is_key;       /* the string is one */
	bool kept;         /* the text is wanted, or a key's that could matter */
	bool cut;          /* and is longer than fits */
	uint8_t left;      /* hex digits, or bytes of a UTF-8 sequence, still to come */
	uint8_t low, high; /* what the next byte of the sequence must lie between */
	uint8_t depth;     /* open objects and arrays */
	uint16_t text_n;
	uint16_t unit;    /* of \u */
	uint16_t lead;    /* a high surrogate that waits for its low one; 0: none */
	const char *word; /* what is left of "true", "false" or "null" */
	uint8_t word_type;
	uint64_t objects; /* a bit a level: it is an object */
	/* by level: the wants whose path leads here, and those of them in the same letters */
	uint64_t live[JSON_MAX_DEPTH + 1], same[JSON_MAX_DEPTH + 1];
	char text[JSON_TEXT_BYTES];
};

/* `ops` outlives the scanner. */
void json_scan_init(struct json_scan *s, const struct json_scan_ops *ops, void *arg);

/* Another piece. Negative when what has come so far can be no beginning of a JSON text. */
RK_MUST_CHECK int json_scan_feed(struct json_scan *s, struct rk_slice piece);

/* Whether the text is complete; a number at the top needs json_scan_end() for that. */
bool json_scan_complete(const struct json_scan *s);

/* The end of the text: RK_E_INVALID when it is not complete. */
RK_MUST_CHECK int json_scan_end(struct json_scan *s);

#endif
