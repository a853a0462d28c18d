/*
 * Reads .env files as the usual libraries do (dotenv for Node and Python, docker, shells):
 *
 *   # comment
 *   export NAME = value          # comment behind a blank
 *   NAME='as it stands'   NAME="with \" escapes"   NAME=`with " and '`
 *
 * A quoted value may go over several lines. A quote that is not closed, or that something else
 * follows, is part of an unquoted value. Lines end with LF or CR LF. Whatever is none of this
 * is a line without a name: nothing is an error, and all lines together are the text again,
 * byte for byte. Pure; at most two looks at each byte.
 */
#ifndef POLICY_ENV_FILE_H
#define POLICY_ENV_FILE_H

#include "base/slice.h"

struct env_line {
	struct rk_slice raw;   /* all of it, its line end too; more than one line of text when
	                          the value has */
	struct rk_slice name;  /* empty: assigns nothing */
	struct rk_slice value; /* inside raw, without quotes, escapes as they stand */
	struct rk_slice end;   /* the line end: LF, CR LF, or empty at the end of the text */
	char quote;            /* around the value; 0: none */
	bool exported;         /* "export" stands before it */
};

/* *at starts at 0. False at the end of the text. */
bool env_file_next(struct rk_slice text, size_t *at, struct env_line *out);

/* Whether these bytes can stand in place of any value, quoted or not: visible, and none that
 * means something to a reader. */
bool env_value_is_plain(struct rk_slice value);

#endif
