/*
 * What is kept of a request once its head has been read: the parts that will go on to the
 * upstream, without any copy of a credential, and the facts that steer the exchange. The raw
 * head is wiped when this has been made.
 */
#ifndef RELAY_REQUEST_H
#define RELAY_REQUEST_H

#include "base/err.h"
#include "http/h1.h"
#include "http/target.h"

enum { REQUEST_ID_TEXT = 4 + 32 + 1 }; /* "req_", hexadecimal, NUL */

struct request_line { /* of a field: "Name: value" CR LF */
	uint16_t off, name_n, n;
};

struct request {
	uint8_t id[16];
	struct rk_slice method, rest, query; /* in `text` */
	bool has_query;
	bool head;       /* HEAD: the response has no body */
	bool idempotent; /* RFC 9110 9.2.2 */
	bool keep_alive;
	bool expect_continue;
	bool websocket; /* asks to become a tunnel */
	uint8_t minor;
	uint8_t body; /* enum h1_body */
	uint64_t content_length;
	uint16_t line_count;
	struct request_line lines[H1_MAX_FIELDS];
	char text[];
};

/*
 * Makes one out of a parsed head (`websocket` is the caller's to set); `query_auth` as for
 * credential_find(): then credential parameters are left out of the query. A parameter that
 * holds a relay key is left out in any case. Returns owned (free()), or NULL.
 */
struct request *request_new(const struct h1_head *h, const struct target *t, bool query_auth);

/* The id as clients see it. */
void request_id_text(const uint8_t id[16], char out[REQUEST_ID_TEXT]);

/* Whether this field of a request goes on to the upstream (RFC 9110 7.6.1 and PRODUCT section
 * 2). */
bool request_field_passes(const struct h1_field *f);

/*
 * Copies a query to dst (at least query.n bytes) without the parameters that carry a
 * credential, and without those named `name` (decoded; empty: none). The other bytes stay as
 * they are. Returns the length.
 */
size_t request_query_without(struct rk_slice query, bool query_auth, struct rk_slice name,
                             char *dst);

/* The decoded names of all parameters as a LIST in dst. RK_E_TOOBIG when they do not fit. */
RK_MUST_CHECK int request_query_names(struct rk_slice query, char *dst, size_t cap,
                                      size_t *used);

#endif
