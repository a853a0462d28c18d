#include "base/record_pack.h"

#include "base/record_int.h"

static size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static size_t varint_put(unsigned char *dst, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		dst[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	dst[n++] = (unsigned char)v;
	return n;
}

/* One varint off the front; false when it is cut, too long or over 64 bits. */
static bool varint_take(struct rk_slice *in, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < in->n && i < 10; i++) {
		unsigned char b = (unsigned char)in->p[i];

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		if ((b == 0 && i > 0) || (b > 1 && i == 9))
			return false;
		*in = rk_slice_skip(*in, i + 1);
		*out = v;
		return true;
	}
	return false;
}

static uint64_t zigzag(uint64_t v)
{
	return v << 1 ^ (0 - (v >> 63));
}

static uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

static uint64_t integer_max(const struct record_field *f)
{
	switch ((enum record_kind)f->kind) {
	case RECORD_U8:
		return UINT8_MAX;
	case RECORD_U16:
		return UINT16_MAX;
	case RECORD_U32:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

static bool all_zero(const char *p, size_t n)
{
	char any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return !any;
}

/* What follows a tag: a varint (not for FIXED), then bytes (not for integers). */
struct value {
	uint64_t number;
	struct rk_slice bytes;
};

static int value_of(const struct record_field *f, const char *src, struct value *out)
{
	*out = (struct value){0};
	if (record_is_slice(f)) {
		memcpy(&out->bytes, src, sizeof out->bytes);
		if (out->bytes.n > f->max)
			return RK_E_TOOBIG;
		if (f->kind == RECORD_LIST && !record_list_valid(out->bytes))
			return RK_E_INVALID;
		out->number = out->bytes.n;
	} else if (f->kind == RECORD_FIXED) {
		if (!all_zero(src, f->max))
			out->bytes = rk_slice(src, f->max);
	} else {
		out->number = record_load(f, src);
		if (f->kind == RECORD_I64)
			out->number = zigzag(out->number);
	}
	return 0;
}

ssize_t record_pack(const struct record_desc *d, const void *rec, void *dst, size_t cap)
{
	unsigned char *out = dst;
	size_t at = 0;

	if (d->field_count > RECORD_PACK_FIELDS)
		return RK_E_TOOBIG;
	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		size_t head = 1;
		struct value v;
		int err = value_of(f, (const char *)rec + f->offset, &v);

		if (err)
			return err;
		if (!v.number && !v.bytes.n)
			continue;
		if (f->kind != RECORD_FIXED)
			head += varint_size(v.number);
		if (head > cap - at || v.bytes.n > cap - at - head)
			return RK_E_TOOBIG;
		out[at++] = (unsigned char)(i + 1);
		if (f->kind != RECORD_FIXED)
			at += varint_put(out + at, v.number);
		if (v.bytes.n)
			memcpy(out + at, v.bytes.p, v.bytes.n);
		at += v.bytes.n;
	}
	return (ssize_t)at;
}

/* The value behind a tag; false when it is not the one encoding of a value of its kind. */
static bool take_value(const struct record_field *f, struct rk_slice *in, char *dst)
{
	uint64_t number;
	struct rk_slice s;

	if (f->kind == RECORD_FIXED) {
		if (in->n < f->max || all_zero(in->p, f->max))
			return false;
		memcpy(dst, in->p, f->max);
		*in = rk_slice_skip(*in, f->max);
		return true;
	}
	if (!varint_take(in, &number) || number == 0)
		return false;
	if (!record_is_slice(f)) {
		if (number > integer_max(f))
			return false;
		record_store(f, dst, f->kind == RECORD_I64 ? unzigzag(number) : number);
		return true;
	}
	if (number > f->max || number > in->n)
		return false;
	s = rk_slice(in->p, (size_t)number);
	if (f->kind == RECORD_LIST && !record_list_valid(s))
		return false;
	memcpy(dst, &s, sizeof s);
	*in = rk_slice_skip(*in, s.n);
	return true;
}

int record_unpack(const struct record_desc *d, struct rk_slice in, void *rec)
{
	unsigned last = 0;
	int err = RK_E_PROTOCOL;

	memset(rec, 0, d->struct_size);
	while (in.n) {
		unsigned tag = (unsigned char)in.p[0];
		const struct record_field *f;

		if (tag <= last)
			goto bad;
		if (tag > d->field_count) {
			err = RK_E_UNSUPPORTED;
			goto bad;
		}
		f = &d->fields[tag - 1];
		in = rk_slice_skip(in, 1);
		if (!take_value(f, &in, (char *)rec + f->offset))
			goto bad;
		last = tag;
	}
	return 0;
bad:
	memset(rec, 0, d->struct_size);
	return err;
}
