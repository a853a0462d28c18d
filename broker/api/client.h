/*
 * The other side of the operations' table: what a client sends for a command's record, and the
 * record of the keeper's message out of what it is answered. A command and its answer mean the
 * same here as on the control socket.
 *
 * Pure. Requests and answers may hold secrets: their texts stand in the arena (text.h), and
 * whoever parses a document that may hold one has jansson take its memory there
 * (json_memory.h).
 */
#ifndef API_CLIENT_H
#define API_CLIENT_H

#include "api/audit.h"
#include "api/cursor.h"
#include "api/decode.h"
#include "api/text.h"

/*
 * The operation that does what the command says, and all of it: NULL when none has each member
 * of the record that is not zero, as the interface's are fewer than the control socket's.
 */
const struct api_op *api_client_op(enum ipc_type command, const void *rec);

/* Of a LIST: how many objects at once, and where it goes on; empty: from the first. */
struct api_page {
	uint32_t limit;
	const char *cursor;
};

/* The cursor that the record itself has the list begin with, or "". */
void api_client_cursor(const struct api_op *op, const void *rec, char out[API_CURSOR_MAX]);

/*
 * "/api/v1/relay-keys/key_1?live=true" into *out, whose block is taken here. `page` is NULL for
 * anything but a LIST. RK_E_NOMEM, RK_E_TOOBIG.
 */
RK_MUST_CHECK int api_client_target(const struct api_op *op, const void *rec,
                                    const struct api_page *page, struct rk_secret *out);

/* The body of an operation that has one. RK_E_INVALID: a text in it is not UTF-8. RK_E_NOMEM,
 * RK_E_TOOBIG. */
RK_MUST_CHECK int api_client_body(const struct api_op *op, const void *rec,
                                  struct api_text *out);

/*
 * One object of an answer as the body of message op->answer. Borrows from the document, the
 * room and the rows. RK_E_INVALID: it is not as the interface has it. RK_E_NOMEM.
 */
RK_MUST_CHECK int api_client_object(const struct api_op *op, json_t *doc, union ipc_body *out,
                                    struct api_room *room, struct api_rows *rows);

/*
 * A problem document (RFC 9457) as the end of a command: the error that the keeper answered
 * with, as far as the interface tells them apart, and the text, with what was wrong where.
 * Borrows from `text`. `doc` may be NULL, or anything.
 */
enum { API_PROBLEM_TEXT = MSG_MAX_TEXT };
void api_client_problem(int status, const json_t *doc, struct msg_done *out,
                        char text[API_PROBLEM_TEXT]);

#endif
