/*
 * A record with a field of each kind, for the tests of the record codec.
 */
#ifndef TESTS_LIB_SAMPLE_RECORD_H
#define TESTS_LIB_SAMPLE_RECORD_H

#include "base/record.h"

struct sample {
	uint64_t id;
	uint8_t flag;
	uint16_t port;
	uint32_t count;
	int64_t when_ms;
	struct rk_slice name;
	uint8_t hash[4];
	struct rk_slice items;
};

enum { SAMPLE_NAME_MAX = 16, SAMPLE_ITEMS_MAX = 64 };

static const struct record_field sample_fields[] = {
    RF_U8(struct sample, flag),       RF_U16(struct sample, port),
    RF_U32(struct sample, count),     RF_U64(struct sample, id),
    RF_I64(struct sample, when_ms),   RF_BYTES(struct sample, name, SAMPLE_NAME_MAX),
    RF_FIXED(struct sample, hash, 4), RF_LIST(struct sample, items, SAMPLE_ITEMS_MAX),
};

static const struct record_desc sample_desc = RECORD_DESC(struct sample, sample_fields);

enum { SAMPLE_WIRE_MAX = 1 + 2 + 4 + 8 + 8 + 4 + SAMPLE_NAME_MAX + 4 + 4 + SAMPLE_ITEMS_MAX };

#endif
