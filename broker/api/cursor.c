#include "api/cursor.h"

#include <stdio.h>

#include "base/base62.h"

/* base64url (RFC 4648 section 5) without padding, over four bytes of the list and the place. */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { MARK = 4 };

static void mark_of(const struct api_op *op, unsigned char out[MARK])
{
	uint32_t crc = rk_crc32(rk_str(op->id));

	for (unsigned i = 0; i < MARK; i++)
		out[i] = (unsigned char)(crc >> (8 * i));
}

void api_cursor_write(const struct api_op *op, struct rk_slice last, char out[API_CURSOR_MAX])
{
	unsigned char bytes[MARK + API_CURSOR_LAST] = {0};
	size_t n = MARK + (last.n < API_CURSOR_LAST ? last.n : API_CURSOR_LAST), used = 0;
	uint32_t bits = 0;
	unsigned have = 0;

	mark_of(op, bytes);
	if (last.n)
		memcpy(bytes + MARK, last.p, n - MARK);
	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 6; have -= 6)
			out[used++] = digits[bits >> (have - 6) & 63];
	}
	if (have)
		out[used++] = digits[bits << (6 - have) & 63];
	out[used] = '\0';
}

ssize_t api_cursor_read(const struct api_op *op, struct rk_slice text,
                        char last[API_CURSOR_LAST])
{
	unsigned char bytes[MARK + API_CURSOR_LAST], mark[MARK];
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		const char *digit = memchr(digits, text.p[i], 64);

		if (!digit)
			return RK_E_INVALID;
		bits = bits << 6 | (uint32_t)(digit - digits);
		have += 6;
		if (have < 8)
			continue;
		if (n == sizeof bytes)
			return RK_E_INVALID;
		have -= 8;
		bytes[n++] = (unsigned char)(bits >> have);
	}
	mark_of(op, mark);
	/* bits that are left over are zero: a place has one text */
	if (n <= MARK || have >= 6 || (bits & ((1u << have) - 1)) ||
	    memcmp(bytes, mark, MARK) != 0)
		return RK_E_INVALID;
	memcpy(last, bytes + MARK, n - MARK);
	return (ssize_t)(n - MARK);
}

int api_cursor_apply(const struct api_op *op, struct rk_slice last, void *rec)
{
	const struct api_field f = {
	    .type = API_INTEGER, .offset = op->after.offset, .size = op->after.size};
	uint64_t n;

	if (f.size == sizeof(struct rk_slice)) {
		api_put_slice(&f, rec, last);
		return 0;
	}
	if (!rk_slice_u64(last, &n) || n == 0 || n > api_field_max(&f))
		return RK_E_INVALID;
	api_put(&f, rec, n);
	return 0;
}

struct rk_slice api_cursor_place(const struct api_op *op, const void *object, char number[24])
{
	const struct api_field f = {.offset = op->last.offset, .size = op->last.size};

	if (f.size == sizeof(struct rk_slice))
		return api_get_slice(&f, object);
	snprintf(number, 24, "%llu", (unsigned long long)api_get(&f, object));
	return rk_str(number);
}
