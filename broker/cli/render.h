/*
 * How objects look: one JSON document each (broker/api), or lines and tables for people. All
 * texts come from the broker and were checked there; for people, bytes that a terminal could
 * act on are replaced.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "ipc/messages_manage.h"

/* Returned owned. NULL when out of memory. */
json_t *render_conn(const struct msg_conn_info *c);
json_t *render_key(const struct msg_key_info *k);   /* without the key itself */
json_t *render_mgmt(const struct msg_mgmt_info *k); /* without the key itself */
json_t *render_user(const struct msg_user_info *u);
json_t *render_status(const struct msg_status *s);

/* One audit entry; a RESPONSE row that came with it is merged in. RK_E_CORRUPT when a row does
 * not decode. */
RK_MUST_CHECK int render_audit(const struct msg_audit_entry *e, bool with_hashes, json_t **out);

/* A string value; bytes that are not UTF-8 become '?'. */
json_t *render_text(struct rk_slice s);
json_t *render_list(struct rk_slice list);
json_t *render_time(int64_t ms); /* null for 0 */

/* Prints on one line with a newline and releases it. Returns CLI_DONE or CLI_FAILED. */
int render_json_line(json_t *doc);

/* The string at `key`, or "" when it is absent or null; borrows from doc. */
const char *render_string(const json_t *doc, const char *key);

/* Writes at most `width` columns (0: all), control bytes replaced. */
void render_print(FILE *out, const char *text, int width);

#endif
