#include "base/base62.h"

#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/evp.h>

static const char digits62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { UNBIASED = 62 * 4 }; /* bytes from here up would favour the first digits */

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "relaykey: %s, cannot go on safely\n", what);
	abort();
}

void rk_random(void *out, size_t n)
{
	unsigned char *at = out;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			give_up("the kernel gives no random bytes");
		at += got;
		n -= (size_t)got;
	}
}

void rk_base62_random(char *out, size_t n)
{
	unsigned char pool[64]; /* becomes part of keys: wiped below */

	while (n) {
		size_t want = n < sizeof pool ? n : sizeof pool;

		rk_random(pool, want);
		for (size_t i = 0; i < want; i++) {
			if (pool[i] >= UNBIASED)
				continue;
			*out++ = digits62[pool[i] % 62];
			n--;
		}
	}
	rk_wipe(pool, sizeof pool);
}

void rk_base62_u64(uint64_t v, char *out, size_t digits)
{
	for (size_t i = digits; i-- > 0; v /= 62)
		out[i] = digits62[v % 62];
}

bool rk_base62_is(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((unsigned)(c - '0') > 9 && (unsigned)(rk_ascii_lower(c) - 'a') > 25)
			return false;
	}
	return s.n > 0;
}

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* A fetch by name costs several times the digest of a short text. */
static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void rk_sha256(struct rk_slice data, uint8_t out[32])
{
	pthread_once(&sha256_once, fetch_sha256);
	if (!sha256 || EVP_Digest(data.n ? data.p : "", data.n, out, NULL, sha256, NULL) != 1)
		give_up("SHA-256 is not available");
}

void rk_hex(const void *data, size_t n, char *out)
{
	const unsigned char *in = data;

	for (size_t i = 0; i < n; i++) {
		*out++ = "0123456789abcdef"[in[i] >> 4];
		*out++ = "0123456789abcdef"[in[i] & 15];
	}
	*out = '\0';
}

/* Reflected polynomial 0xEDB88320, four bits a step: keys are short, a small table stays in
 * cache. */
uint32_t rk_crc32(struct rk_slice data)
{
	static const uint32_t table[16] = {
	    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
	    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
	    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < data.n; i++) {
		crc ^= (unsigned char)data.p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
