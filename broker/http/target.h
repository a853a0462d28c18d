/*
 * Request targets: which bytes are a path that can be read in one way only, where the
 * connection name ends, which query parameters there are. Pure.
 *
 * A path that could be read in two ways is refused, never normalised: the bytes that
 * policy matched are the bytes that are forwarded.
 */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/slice.h"

enum target_err {
	TARGET_E_FORM = -1, /* does not start with "/" */
	TARGET_E_BYTE =
	    -2, /* control byte, space, non-ASCII, or one of "\ < > ^ ` { | } \"" or '#' */
	TARGET_E_ESCAPE = -3, /* malformed %-escape */
	TARGET_E_AMBIGUOUS =
	    -4, /* %2f %5c %2e %25 %00..%1f %7f; not UTF-8; look-alikes of . / \ % */
	TARGET_E_DOT_SEGMENT =
	    -5, /* "." or ".." segment, also followed by ";" (matrix parameters) */
	TARGET_E_EMPTY_SEGMENT =
	    -6, /* "//", "/;x/" (a single trailing slash is a legal path end) */
	TARGET_E_TOO_LONG = -7,
};

enum { TARGET_MAX_BYTES = 8192, TARGET_MAX_QUERY_PARAMS = 128, TARGET_MAX_CONN_NAME = 64 };

const char *target_err_code(int err);

enum target_flags {
	/*
	 * %2F is an opaque part of a segment (GitLab); what stands on either side of it still
	 * has to pass as a segment of its own, because the upstream decodes it.
	 */
	TARGET_ALLOW_ENCODED_SLASH = 1,
};

/* Checks a path ("/a/b", no query). 0 or enum target_err. */
int target_check_path(struct rk_slice path, unsigned flags);

struct target {
	struct rk_slice conn;  /* first segment: connection id or name; may be empty for "/" */
	struct rk_slice rest;  /* path behind it, starting with "/"; empty when there is none */
	struct rk_slice query; /* behind '?', without it; empty when none */
	bool has_query;
};

/*
 * Splits an origin-form target and checks the whole of it, `flags` as above for `rest` (the
 * connection segment never may hold escapes). Query bytes: visible ASCII without '#'; its
 * escapes must be well formed. 0 or enum target_err.
 */
int target_parse(struct rk_slice raw, unsigned flags, struct target *out);

/* The connection segment alone, before the flags of that connection are known; empty when there
 * is none. */
struct rk_slice target_peek_conn(struct rk_slice raw);

/*
 * Walks the query: *at starts at 0. Yields the raw name and value (value empty without '=');
 * false at the end. Both '&' and ';' separate, so that neither reading hides a parameter.
 */
bool target_query_next(struct rk_slice query, size_t *at, struct rk_slice *name,
                       struct rk_slice *value);

/*
 * Decodes a parameter name for comparison: %XX and '+'. Returns its length, or -1 when it does
 * not fit or the escape is malformed. A decoded NUL or control byte is kept, so it matches
 * nothing by accident.
 */
int target_decode_name(struct rk_slice raw, char *dst, size_t cap);

#endif
