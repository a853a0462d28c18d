/*
 * Records: plain structs with a field table, encoded as bytes. Every IPC message
 * is a record, so there is one encoder, one decoder and one fuzz target for all of
 * them. Audit rows are records too, in the packed form of base/record_pack.h.
 *
 * Wire form: fields in table order, integers little-endian, BYTES and LIST as u32
 * length + contents; a LIST's contents are elements of u32 length + bytes. There is
 * no padding and one encoding for each value.
 *
 * Decoded slices borrow from the input (until it is changed or freed). Nothing is
 * allocated. Every length is checked against the field's own maximum, given in the
 * table, never against a number that the sender chose.
 */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/types.h>

enum record_kind {
	RECORD_U8,
	RECORD_U16,
	RECORD_U32,
	RECORD_U64,
	RECORD_I64,
	RECORD_BYTES, /* struct rk_slice; max = most bytes */
	RECORD_LIST,  /* struct rk_slice of encoded elements; max = most bytes in all */
	RECORD_FIXED, /* uint8_t[max] */
};

struct record_field {
	const char *name; /* also the JSON name */
	uint16_t offset;
	uint8_t kind;
	uint32_t max;
};

struct record_desc {
	const char *name;
	const struct record_field *fields;
	uint16_t field_count;
	uint16_t struct_size;
};

#define RECORD_TYPED(T, f, type)                                                               \
	(0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->f), type) ? 1 : -1]))
#define RECORD_ENTRY(T, f, type, k, m)                                                         \
	{                                                                                      \
		.name = #f, .offset = offsetof(T, f) + RECORD_TYPED(T, f, type), .kind = (k),  \
		.max = (m)                                                                     \
	}

#define RF_U8(T, f)       RECORD_ENTRY(T, f, uint8_t, RECORD_U8, 0)
#define RF_U16(T, f)      RECORD_ENTRY(T, f, uint16_t, RECORD_U16, 0)
#define RF_U32(T, f)      RECORD_ENTRY(T, f, uint32_t, RECORD_U32, 0)
#define RF_U64(T, f)      RECORD_ENTRY(T, f, uint64_t, RECORD_U64, 0)
#define RF_I64(T, f)      RECORD_ENTRY(T, f, int64_t, RECORD_I64, 0)
#define RF_BYTES(T, f, m) RECORD_ENTRY(T, f, struct rk_slice, RECORD_BYTES, m)
#define RF_LIST(T, f, m)  RECORD_ENTRY(T, f, struct rk_slice, RECORD_LIST, m)
#define RF_FIXED(T, f, n) RECORD_ENTRY(T, f, uint8_t[n], RECORD_FIXED, n)

#define RECORD_DESC(T, table)                                                                  \
	{                                                                                      \
		.name = #T, .fields = (table),                                                 \
		.field_count = sizeof(table) / sizeof((table)[0]), .struct_size = sizeof(T)    \
	}

/* Bytes that record_encode would write. */
size_t record_size(const struct record_desc *d, const void *rec);

/*
 * Encodes into dst. Returns the bytes written, RK_E_TOOBIG when they do not fit
 * into cap or a field is over its maximum, RK_E_INVALID for a malformed LIST.
 */
RK_MUST_CHECK ssize_t record_encode(const struct record_desc *d, const void *rec, void *dst,
                                    size_t cap);

/*
 * Decodes exactly `in`: RK_E_PROTOCOL when anything is short, over its maximum or
 * left over; *rec is then zeroed.
 */
RK_MUST_CHECK int record_decode(const struct record_desc *d, struct rk_slice in, void *rec);

/*
 * As record_decode for stored data of an older program: the input may end after
 * any whole field; the missing ones are zero.
 */
RK_MUST_CHECK int record_decode_stored(const struct record_desc *d, struct rk_slice in,
                                       void *rec);

/* Walks a decoded (so: checked) LIST: false at the end. *list shrinks, *item borrows. */
bool record_list_next(struct rk_slice *list, struct rk_slice *item);

size_t record_list_count(struct rk_slice list);

/* Appends an element to a list under construction in dst[cap], *used bytes long. */
RK_MUST_CHECK int record_list_add(void *dst, size_t cap, size_t *used, struct rk_slice item);

#endif
