/*
 * What a request says, as the record of its command: path, query and body, after the
 * operation's table. Strict, as api/decode.h.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/decode.h"
#include "api/operation.h"

/* What is for the one who answers, not for the keeper. */
struct api_ask {
	uint32_t limit;         /* LIST: objects a page */
	struct rk_slice cursor; /* LIST: as sent; empty: from the start */
	bool csv, jsonl;        /* LINES: what `format` says */
};

/*
 * Fills *rec (the command's body) and *ask. `body` is NULL exactly when the operation has none,
 * or where it may be left out and was.
 * Borrows from query, values, body and room. RK_E_INVALID with errors->count > 0: *status is
 * then 400 for a parameter that is not known, repeated or not encoded as it should be, else
 * 422. RK_E_NOMEM.
 */
RK_MUST_CHECK int api_request(const struct api_op *op, const struct api_path_values *values,
                              struct rk_slice query, json_t *body, union ipc_body *rec,
                              struct api_ask *ask, struct api_room *room,
                              struct api_errors *errors, int *status);

/* Percent-decodes into the room. RK_E_INVALID: malformed, or a control byte. */
RK_MUST_CHECK int api_unescape(struct rk_slice text, struct api_room *room,
                               struct rk_slice *out);

#endif
