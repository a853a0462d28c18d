#include "http/credential.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t credential_base64_encode(struct rk_slice in, char *dst)
{
	const unsigned char *p = (const unsigned char *)in.p;
	char *start = dst;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		if (have > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			v |= p[i + 2];
		dst[0] = alphabet[v >> 18];
		dst[1] = alphabet[v >> 12 & 63];
		dst[2] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		dst[3] = have > 2 ? alphabet[v & 63] : '=';
		dst += 4;
	}
	return (size_t)(dst - start);
}

/* Without a table, so that a secret does not choose the cache lines that are read. */
static int value_of(unsigned char c)
{
	int v = -1;

	v += (c >= 'A' && c <= 'Z') * (c - 'A' + 1);
	v += (c >= 'a' && c <= 'z') * (c - 'a' + 27);
	v += (c >= '0' && c <= '9') * (c - '0' + 53);
	v += (c == '+') * 63;
	v += (c == '/') * 64;
	return v;
}

long credential_base64_decode(struct rk_slice in, unsigned char *dst, size_t cap)
{
	size_t padding = 0, out = 0;

	if (in.n % 4 != 0)
		return -1;
	if (in.n && in.p[in.n - 1] == '=')
		padding = in.p[in.n - 2] == '=' ? 2 : 1;
	if (cap < in.n / 4 * 3 - padding)
		return -1;
	for (size_t i = 0; i < in.n; i += 4) {
		size_t digits = i + 4 == in.n ? 4 - padding : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < digits ? value_of((unsigned char)in.p[i + k]) : 0;

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits behind the last byte must be zero: one text for one value. */
		if ((digits == 2 && (v & 0xffff)) || (digits == 3 && (v & 0xff)))
			return -1;
		dst[out++] = (unsigned char)(v >> 16);
		if (digits > 2)
			dst[out++] = (unsigned char)(v >> 8);
		if (digits > 3)
			dst[out++] = (unsigned char)v;
	}
	return (long)out;
}
