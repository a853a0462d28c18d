#include "base/siphash.h"

#include <endian.h>

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static uint64_t load(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static void rounds(struct sip *s, unsigned count)
{
	while (count--) {
		s->a += s->b;
		s->b = rotate(s->b, 13) ^ s->a;
		s->a = rotate(s->a, 32);
		s->c += s->d;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a += s->d;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c += s->b;
		s->b = rotate(s->b, 17) ^ s->c;
		s->c = rotate(s->c, 32);
	}
}

static void take(struct sip *s, uint64_t word)
{
	s->d ^= word;
	rounds(s, 2);
	s->a ^= word;
}

uint64_t rk_siphash(const uint8_t key[RK_SIPHASH_KEY], struct rk_slice data)
{
	uint64_t k0 = load(key), k1 = load(key + 8);
	struct sip s = {
	    k0 ^ 0x736f6d6570736575,
	    k1 ^ 0x646f72616e646f6d,
	    k0 ^ 0x6c7967656e657261,
	    k1 ^ 0x7465646279746573,
	};
	uint64_t last = (uint64_t)data.n << 56;
	size_t whole = data.n & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		take(&s, load(data.p + i));
	for (size_t i = whole; i < data.n; i++)
		last |= (uint64_t)(unsigned char)data.p[i] << (8 * (i - whole));
	take(&s, last);
	s.c ^= 0xff;
	rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}
