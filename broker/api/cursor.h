/*
 * Cursors: where a list goes on. To a client an opaque text; inside, which list it belongs to
 * and the last object that was shown.
 */
#ifndef API_CURSOR_H
#define API_CURSOR_H

#include "api/operation.h"

enum { API_CURSOR_LAST = MSG_MAX_HOLDER, API_CURSOR_MAX = 128 };

/* The text, with a NUL. `last`: at most API_CURSOR_LAST bytes. */
void api_cursor_write(const struct api_op *op, struct rk_slice last, char out[API_CURSOR_MAX]);

/*
 * What was written, into last[API_CURSOR_LAST]; returns its length. RK_E_INVALID for anything
 * else, and for a cursor of another list.
 */
RK_MUST_CHECK ssize_t api_cursor_read(const struct api_op *op, struct rk_slice text,
                                      char last[API_CURSOR_LAST]);

/* Has the list go on there: puts it into the command's record. `last` borrows until then. */
RK_MUST_CHECK int api_cursor_apply(const struct api_op *op, struct rk_slice last, void *rec);

/* The place of an object of the list, as text; `number` borrows with it. */
struct rk_slice api_cursor_place(const struct api_op *op, const void *object, char number[24]);

#endif
