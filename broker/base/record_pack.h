/*
 * Packed records: the form in which rows of many mostly empty fields are stored. The fixed form
 * of base/record.h is for messages, which live for a moment.
 *
 * Each field that is not zero or empty, in table order: one byte tag (place in the table, from
 * 1) and its value. Unsigned integers are LEB128 varints, I64 the same after zigzag, BYTES and
 * LIST a varint length + contents (a LIST's elements as in record.h), FIXED its bytes.
 *
 * One value has one encoding: tags rise, zeros and empty slices are left out, a varint has no
 * byte too many. Anything else is refused, so a hash over the bytes is one over the value.
 *
 * Fields may be appended to a table later, if zero can stand for "not there": rows from before
 * decode as they are. A table has at most RECORD_PACK_FIELDS fields.
 */
#ifndef BASE_RECORD_PACK_H
#define BASE_RECORD_PACK_H

#include "base/record.h"

enum { RECORD_PACK_FIELDS = 255 };

/*
 * Packs into dst. Returns the bytes written (0 when every field is zero), RK_E_TOOBIG when they
 * do not fit into cap or a field is over its maximum, RK_E_INVALID for a malformed LIST.
 */
RK_MUST_CHECK ssize_t record_pack(const struct record_desc *d, const void *rec, void *dst,
                                  size_t cap);

/*
 * Unpacks exactly `in`; slices in *rec borrow from it. RK_E_PROTOCOL for anything but the one
 * encoding of a value, RK_E_UNSUPPORTED for a tag behind the end of the table: a newer program
 * wrote it. *rec is then zeroed.
 */
RK_MUST_CHECK int record_unpack(const struct record_desc *d, struct rk_slice in, void *rec);

#endif
