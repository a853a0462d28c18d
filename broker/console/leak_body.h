/*
 * The two forms in which leaked keys are reported over HTTP, as a report for the keeper:
 *
 *   a secret scanner's (GitHub secret scanning partner programme): a JSON array of
 *   {"token", "type", "url", "source"}, signed; answered by {"token_raw", "token_type",
 *   "label"} each
 *   a plain list, of those who may revoke keys anyway: one token a line, or {"tokens": [...]}
 *
 * Pure: bytes to tokens, no key is judged here. A token is named by where it stands in the
 * body, so one that is written with JSON escapes is refused. Borrows the body. What is
 * reported stands in public already, so it is not held in secret memory here.
 */
#ifndef CONSOLE_LEAK_BODY_H
#define CONSOLE_LEAK_BODY_H

#include <jansson.h>

#include "ipc/messages_contain.h"

enum { LEAK_BODY_TOKENS = MSG_MAX_LEAK_TOKENS, LEAK_BODY_TYPE = 64 };

struct leak_token {
	uint32_t at;
	uint16_t n;
	char type[LEAK_BODY_TYPE]; /* as the scanner calls it; "" in a plain list */
};

struct leak_body {
	struct rk_slice payload;
	unsigned count;
	struct leak_token token[LEAK_BODY_TOKENS];
	size_t items_n; /* for msg_leak_report.items */
	char items[MSG_MAX_LEAK_ITEMS];
};

/* With a text: RK_E_PROTOCOL (no JSON), RK_E_INVALID, RK_E_TOOBIG. */
RK_MUST_CHECK int leak_body_read(struct rk_slice body, struct leak_body *out,
                                 struct rk_fault *fault);

/* The signature of a scanner's report as it stands in its header field: base64 of DER. Its
 * length, or RK_E_INVALID. */
RK_MUST_CHECK ssize_t leak_signature_read(struct rk_slice text,
                                          unsigned char out[MSG_MAX_SIGNATURE]);

/* The answer of that form, from one enum leak_finding a token. Returned owned; NULL: no memory.
 */
json_t *leak_body_answer(const struct leak_body *b, const uint8_t *findings);

#endif
