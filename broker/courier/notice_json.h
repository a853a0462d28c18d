/*
 * The body of a webhook: one JSON document a notice,
 *   {"id":"evt_...","type":"ip.new","created_at":"...","data":{...}}
 * with only those members of data that the notice has. Pure.
 */
#ifndef COURIER_NOTICE_JSON_H
#define COURIER_NOTICE_JSON_H

#include "base/buf.h"
#include "ipc/messages.h"

RK_MUST_CHECK int notice_json(const struct msg_notice *n, struct rk_buf *out);

/* "evt_" and the notice's id in hexadecimal. */
enum { NOTICE_ID_TEXT = sizeof "evt_" + 32 };
const char *notice_id_text(const struct msg_notice *n, char out[NOTICE_ID_TEXT]);

#endif
