/*
 * Inside the JSON scanner: json_scan.c (structure and paths) and json_text.c (strings and
 * numbers, a byte at a time).
 */
#ifndef POLICY_JSON_SCAN_INT_H
#define POLICY_JSON_SCAN_INT_H

#include "policy/json_scan.h"

enum json_state {
	ST_VALUE,       /* a value has to come */
	ST_FIRST_VALUE, /* a value or ] */
	ST_FIRST_KEY,   /* a key or } */
	ST_KEY,         /* a key has to come */
	ST_COLON,
	ST_NEXT, /* , or the end of what is open */
	ST_STRING,
	ST_ESCAPE,
	ST_HEX,
	ST_UTF8,
	ST_WORD,
	ST_MINUS, /* numbers: a digit has to come */
	ST_ZERO,  /* no digit may follow */
	ST_INTEGER,
	ST_POINT, /* a digit has to come */
	ST_FRACTION,
	ST_EXPONENT,      /* a sign or a digit has to come */
	ST_EXPONENT_SIGN, /* a digit has to come */
	ST_EXPONENT_DIGITS,
	ST_COMPLETE,
};

/* Into the text that is kept; a character whole or not at all. */
void json_text_keep(struct json_scan *s, const char *bytes, size_t n);

/* Another byte of a string in one of the states ST_STRING ... ST_UTF8: > 0 when it ends it. */
RK_MUST_CHECK int json_text_step(struct json_scan *s, unsigned char c);

/* Where `c` leads within a number; ST_NEXT when it does not belong to it, negative when it may
 * not come here. */
RK_MUST_CHECK int json_number_next(enum json_state state, unsigned char c);

#endif
