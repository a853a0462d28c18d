/*
 * Fills a record so that its encoding is as long as its table allows, for the tests that ask
 * whether the largest message still fits.
 */
#ifndef TESTS_LIB_FULL_RECORD_H
#define TESTS_LIB_FULL_RECORD_H

#include <assert.h>

#include "base/record.h"

enum { FULL_LISTS = 8, FULL_BYTES = 65536 };

struct full_record {
	char bytes[FULL_BYTES];
	char lists[FULL_LISTS][FULL_BYTES];
};

static inline void full_record_scalar(const struct record_field *f, char *at,
                                      size_t struct_room)
{
	static const size_t size[] = {
	    [RECORD_U8] = 1,  [RECORD_U16] = 2, [RECORD_U32] = 4,
	    [RECORD_U64] = 8, [RECORD_I64] = 8,
	};
	size_t n = f->kind == RECORD_FIXED ? f->max : size[f->kind];

	assert(n <= struct_room);
	memset(at, 0x7f, n);
}

/* `rec` borrows from `room` until that is filled again. */
static inline void full_record(const struct record_desc *d, void *rec, struct full_record *room)
{
	unsigned lists = 0;

	memset(rec, 0, d->struct_size);
	memset(room->bytes, 'x', sizeof room->bytes);
	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		char *at = (char *)rec + f->offset;
		struct rk_slice s = rk_slice(room->bytes, f->max);
		size_t used = 0;

		if (f->kind == RECORD_LIST) {
			assert(lists < FULL_LISTS && f->max <= FULL_BYTES);
			s.n = f->max - 4;
			if (record_list_add(room->lists[lists], f->max, &used, s))
				assert(0);
			s = rk_slice(room->lists[lists++], used);
		}
		if (f->kind == RECORD_LIST || f->kind == RECORD_BYTES)
			memcpy(at, &s, sizeof s);
		else
			full_record_scalar(f, at, d->struct_size - f->offset);
	}
}

#endif
