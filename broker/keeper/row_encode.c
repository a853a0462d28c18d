#include "keeper/row_encode.h"

#include <string.h>

#include "policy/relay_key.h"

/*
 * The stars go into the encoded bytes: they are ours, the texts of the row are not, and a
 * length stays what it was. Field by field and not over the row as a whole, because what stands
 * between two texts, as the length of a list's next element, may look like base62 and would
 * become a star with the tail of a key.
 */
static void redact_text(char *bytes, struct rk_slice text)
{
	const char *origin = bytes;

	if (text.n)
		relay_key_redact(bytes + (text.p - origin), text.n);
}

static void redact(char *bytes, size_t n)
{
	struct audit_row row;

	if (record_unpack(&audit_row_desc, rk_slice(bytes, n), &row))
		return;
	for (unsigned i = 0; i < audit_row_desc.field_count; i++) {
		const struct record_field *f = &audit_row_desc.fields[i];
		struct rk_slice value, item;

		if (f->kind != RECORD_BYTES && f->kind != RECORD_LIST)
			continue;
		memcpy(&value, (const char *)&row + f->offset, sizeof value);
		if (f->kind == RECORD_BYTES) {
			redact_text(bytes, value);
			continue;
		}
		while (record_list_next(&value, &item))
			redact_text(bytes, item);
	}
}

ssize_t row_encode(const struct audit_row *row, void *dst, size_t cap)
{
	ssize_t n = record_pack(&audit_row_desc, row, dst, cap);

	/* almost no row has a key in it: one look over the bytes is all that those cost */
	if (n > 0 && memmem(dst, (size_t)n, "rk", 2))
		redact(dst, (size_t)n);
	return n;
}
