/*
 * How the records of the management messages look as JSON: one table of members a schema. From
 * it come the decoder (decode.h), the encoder (encode.h) and the document (openapi.h), for the
 * console and for the CLI, so that they cannot differ.
 *
 * Names are those of the product's vocabulary in snake_case. Times are RFC 3339 in UTC, spans
 * whole seconds. What there is none of is null and not left out.
 */
#ifndef API_SCHEMA_H
#define API_SCHEMA_H

#include "base/record.h"

enum api_type {
	API_STRING,     /* BYTES */
	API_STRINGS,    /* LIST */
	API_INTEGER,    /* an unsigned member of any width */
	API_BOOL,       /* U8 */
	API_FLAG,       /* the bits `bits` of a mask */
	API_ENUM,       /* U8 or U16: a name for each value from `first` to `last` */
	API_NAMES,      /* a mask of 1 << value, `first` to `last`: an array of names */
	API_TIME,       /* I64, wall milliseconds */
	API_SECONDS,    /* I64, milliseconds */
	API_GROUP,      /* members of the same record, as an object of their own */
	API_OBJECTS,    /* LIST of encoded records: an array of objects */
	API_HEX,        /* FIXED */
	API_REQUEST_ID, /* FIXED(16), as clients see it in x-relaykey-request-id */
	API_ADDRESS,    /* FIXED(16), struct rk_ip */
	API_EVENT_ID,   /* FIXED(16), as in the body of a webhook: "evt_..." */
};

enum api_trait {
	API_REQUIRED = 1, /* a request must have it; an answer always does */
	API_NULL = 2,     /* zero or empty is null, and null is allowed */
	API_SECRET = 4,   /* only ever in secret memory */
	API_OMIT = 8,     /* left out when zero or empty */
	API_NOT = 16,     /* of a BOOL: the member says the opposite */
};

struct api_field {
	const char *name;  /* of the member in JSON */
	const char *about; /* for the document */
	uint8_t type;      /* enum api_type */
	uint8_t traits;    /* mask of enum api_trait */
	uint16_t offset;   /* in the record */
	uint16_t size;     /* bytes of the member there */
	uint32_t bits;     /* FLAG */
	uint32_t only;     /* in a tagged schema: bits of the tags that have it; 0: all */
	uint32_t set;      /* bit in the record's `set`, when the schema has one */
	uint64_t min, max; /* INTEGER, SECONDS: values (max 0: as it fits). STRING: bytes.
	                      STRINGS, OBJECTS: encoded bytes */
	const char *(*value)(unsigned v); /* ENUM, NAMES */
	uint16_t first, last;             /* ENUM, NAMES */
	const struct api_schema *object;  /* GROUP, OBJECTS */
	const char *example;              /* for the document; NULL: none */
};

struct api_schema {
	const char *name; /* of the component in the document, "RelayKey" */
	const char *about;
	const struct record_desc *desc; /* NULL: a GROUP of the record around it */
	const struct api_field *fields;
	uint16_t count;
	bool tagged;         /* which members there are depends on the U32 at `tag` */
	uint16_t tag;        /* offset */
	bool partial;        /* a change: members that are absent stay as they are ... */
	uint16_t set_offset; /* ... and the U32 there says which are meant */
};

/* Where a member stands: API_AT(struct msg_conn_info, name) */
#define API_AT(T, m) .offset = offsetof(T, m), .size = sizeof(((T *)0)->m)
#define API_FIELDS(table)                                                                      \
	.fields = (table), .count = (uint16_t)(sizeof(table) / sizeof((table)[0]))

/* ---- members in records ---- */

/* The unsigned integer of f->size bytes. */
uint64_t api_get(const struct api_field *f, const void *rec);
void api_put(const struct api_field *f, void *rec, uint64_t v);
struct rk_slice api_get_slice(const struct api_field *f, const void *rec);
void api_put_slice(const struct api_field *f, void *rec, struct rk_slice v);

/* The largest value of an INTEGER or SECONDS (in seconds). */
uint64_t api_field_max(const struct api_field *f);

/* Zero, or empty; a GROUP: all of it. */
bool api_is_empty(const struct api_field *f, const void *rec);

/* Whether a record with this tag has the member. */
static inline bool api_has(const struct api_field *f, uint32_t tag)
{
	return f->only == 0 || (f->only & tag);
}

#endif
