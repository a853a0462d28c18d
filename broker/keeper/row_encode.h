/*
 * The bytes of an audit row as the journal gets them: packed (ipc/audit_row.h) and without
 * relay keys. Paths, query names, user agents, names of connections and models are texts of
 * callers, and callers paste keys where they do not belong.
 *
 * Every row that is written goes through here. Pure.
 */
#ifndef KEEPER_ROW_ENCODE_H
#define KEEPER_ROW_ENCODE_H

#include "ipc/audit_row.h"

/* As record_pack(). */
RK_MUST_CHECK ssize_t row_encode(const struct audit_row *row, void *dst, size_t cap);

#endif
