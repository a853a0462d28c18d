#include "base/record_int.h"

static size_t scalar_size(const struct record_field *f)
{
	switch ((enum record_kind)f->kind) {
	case RECORD_U8:
		return 1;
	case RECORD_U16:
		return 2;
	case RECORD_U32:
		return 4;
	case RECORD_U64:
	case RECORD_I64:
		return 8;
	case RECORD_FIXED:
		return f->max;
	case RECORD_BYTES:
	case RECORD_LIST:
		return 4;
	}
	return 0;
}

bool record_is_slice(const struct record_field *f)
{
	return f->kind == RECORD_BYTES || f->kind == RECORD_LIST;
}

static void put_le(unsigned char *dst, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_le(const unsigned char *src, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)src[i] << (8 * i);
	return v;
}

/* One element off the front; false when the list is malformed or empty. */
static bool list_take(struct rk_slice *list, struct rk_slice *item)
{
	uint64_t n;

	if (list->n < 4)
		return false;
	n = get_le((const unsigned char *)list->p, 4);
	if (n > list->n - 4)
		return false;
	*item = rk_slice(list->p + 4, (size_t)n);
	*list = rk_slice_skip(*list, 4 + (size_t)n);
	return true;
}

bool record_list_valid(struct rk_slice list)
{
	struct rk_slice item;

	while (list.n) {
		if (!list_take(&list, &item))
			return false;
	}
	return true;
}

bool record_list_next(struct rk_slice *list, struct rk_slice *item)
{
	return list_take(list, item);
}

size_t record_list_count(struct rk_slice list)
{
	struct rk_slice item;
	size_t n = 0;

	while (list_take(&list, &item))
		n++;
	return n;
}

int record_list_add(void *dst, size_t cap, size_t *used, struct rk_slice item)
{
	unsigned char *at;

	if (*used > cap || cap - *used < 4 || item.n > cap - *used - 4 || item.n > UINT32_MAX)
		return RK_E_TOOBIG;
	at = (unsigned char *)dst + *used;
	put_le(at, item.n, 4);
	if (item.n)
		memcpy(at + 4, item.p, item.n);
	*used += 4 + item.n;
	return 0;
}

size_t record_size(const struct record_desc *d, const void *rec)
{
	size_t total = 0;

	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];

		total += scalar_size(f);
		if (record_is_slice(f))
			total += ((const struct rk_slice *)((const char *)rec + f->offset))->n;
	}
	return total;
}

uint64_t record_load(const struct record_field *f, const char *at)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch ((enum record_kind)f->kind) {
	case RECORD_U8:
		return *(const uint8_t *)at;
	case RECORD_U16:
		memcpy(&v16, at, sizeof v16);
		return v16;
	case RECORD_U32:
		memcpy(&v32, at, sizeof v32);
		return v32;
	default:
		memcpy(&v64, at, sizeof v64);
		return v64;
	}
}

void record_store(const struct record_field *f, char *at, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch ((enum record_kind)f->kind) {
	case RECORD_U8:
		memcpy(at, &v8, sizeof v8);
		break;
	case RECORD_U16:
		memcpy(at, &v16, sizeof v16);
		break;
	case RECORD_U32:
		memcpy(at, &v32, sizeof v32);
		break;
	default:
		memcpy(at, &v, sizeof v);
		break;
	}
}

ssize_t record_encode(const struct record_desc *d, const void *rec, void *dst, size_t cap)
{
	unsigned char *out = dst;
	size_t at = 0;

	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		const char *src = (const char *)rec + f->offset;
		size_t n = scalar_size(f);

		if (cap - at < n)
			return RK_E_TOOBIG;
		if (record_is_slice(f)) {
			const struct rk_slice *s = (const struct rk_slice *)src;

			if (s->n > f->max || s->n > cap - at - n)
				return RK_E_TOOBIG;
			if (f->kind == RECORD_LIST && !record_list_valid(*s))
				return RK_E_INVALID;
			put_le(out + at, s->n, 4);
			if (s->n)
				memcpy(out + at + 4, s->p, s->n);
			at += s->n;
		} else if (f->kind == RECORD_FIXED) {
			memcpy(out + at, src, n);
		} else {
			put_le(out + at, record_load(f, src), n);
		}
		at += n;
	}
	return (ssize_t)at;
}

static int decode(const struct record_desc *d, struct rk_slice in, void *rec, bool may_end)
{
	memset(rec, 0, d->struct_size);
	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		char *dst = (char *)rec + f->offset;
		const unsigned char *src = (const unsigned char *)in.p;
		size_t n = scalar_size(f);

		if (in.n == 0 && may_end)
			return 0;
		if (in.n < n)
			goto bad;
		if (record_is_slice(f)) {
			struct rk_slice s;
			uint64_t len = get_le(src, 4);

			if (len > f->max || len > in.n - 4)
				goto bad;
			s = rk_slice(in.p + 4, (size_t)len);
			if (f->kind == RECORD_LIST && !record_list_valid(s))
				goto bad;
			memcpy(dst, &s, sizeof s);
			n += s.n;
		} else if (f->kind == RECORD_FIXED) {
			memcpy(dst, src, n);
		} else {
			record_store(f, dst, get_le(src, n));
		}
		in = rk_slice_skip(in, n);
	}
	if (in.n == 0)
		return 0;
bad:
	memset(rec, 0, d->struct_size);
	return RK_E_PROTOCOL;
}

int record_decode(const struct record_desc *d, struct rk_slice in, void *rec)
{
	return decode(d, in, rec, false);
}

int record_decode_stored(const struct record_desc *d, struct rk_slice in, void *rec)
{
	return decode(d, in, rec, true);
}
