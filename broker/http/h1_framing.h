/*
 * What header fields mean for framing, routing and the connection: noted one by one while the
 * head is read, settled when all of them are known. Private to broker/http.
 */
#ifndef HTTP_H1_FRAMING_H
#define HTTP_H1_FRAMING_H

#include "http/h1.h"

enum {
	H1_CONNECTION_MAX_NAMES = 16, /* fields that Connection can name */
	H1_CONNECTION_MAX_ITEMS = 32, /* its list elements, empty ones included */
};

struct h1_facts {
	bool response;
	bool has_host, has_length, has_chunked, has_upgrade;
	bool says_close, says_keep_alive, says_upgrade; /* in Connection */
	unsigned items;
	unsigned named_count;
	struct rk_slice named[H1_CONNECTION_MAX_NAMES];
};

/* Sets id and hop of `f`, whose name and value are set. 0 or enum h1_err. */
int h1_note_field(struct h1_field *f, struct h1_head *out, struct h1_facts *facts);

/* `authority`: of an absolute-form target, else empty. 0 or enum h1_err. */
int h1_settle_request(struct h1_head *out, const struct h1_facts *facts,
                      struct rk_slice authority);

/* Body length by RFC 9112 6.3. 0 or enum h1_err. */
int h1_settle_response(struct h1_head *out, const struct h1_facts *facts, bool head_request);

#endif
