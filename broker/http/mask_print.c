/*
 * The fingerprint of a needle: made, encoded, compared.
 */
#include "http/mask.h"

#include "base/base62.h"
#include "base/record.h"
#include "base/secret.h"
#include "base/siphash.h"

/* ---- bytes ---- */

enum {
	LOWER = 1 << 0,
	UPPER = 1 << 1,
	DIGIT = 1 << 2,
	WORD = 1 << 3,    /* - . _ ~ */
	BASE64 = 1 << 4,  /* + / = */
	QUOTE = 1 << 5,   /* " ' ` and backslash */
	BRACKET = 1 << 6, /* ( ) < > [ ] { } */
	POINT = 1 << 7,   /* , : ; ! ? */
	OTHER = 1 << 8,
	SPACE = 1 << 9,
	CONTROL = 1 << 10,
	HIGH = 1 << 11,
};

static unsigned class_of(char byte)
{
	switch ((unsigned char)byte) {
	case 'a' ... 'z':
		return LOWER;
	case 'A' ... 'Z':
		return UPPER;
	case '0' ... '9':
		return DIGIT;
	case '-':
	case '.':
	case '_':
	case '~':
		return WORD;
	case '+':
	case '/':
	case '=':
		return BASE64;
	case '"':
	case '\'':
	case '`':
	case '\\':
		return QUOTE;
	case '(':
	case ')':
	case '<':
	case '>':
	case '[':
	case ']':
	case '{':
	case '}':
		return BRACKET;
	case ',':
	case ':':
	case ';':
	case '!':
	case '?':
		return POINT;
	case ' ':
		return SPACE;
	case 0x00 ... 0x1f:
	case 0x7f:
		return CONTROL;
	case 0x80 ... 0xff:
		return HIGH;
	default:
		return OTHER;
	}
}

/* The higher, the rarer in English, JSON, hexadecimal and base64: of those only the order
 * counts. */
static size_t rarity(char byte)
{
	static const char common[] = " etaoinsrhld\"cu0m1p:f,2gyw3b4v5-689_7./k{}[]"
	                             "xSTACEIDRPNMLOFBUGHjqzWVKYJXZQ=+";
	const char *at = memchr(common, byte, sizeof common - 1);

	return at ? (size_t)(at - common) : sizeof common;
}

/* ---- hashes ---- */

static uint16_t filter(const uint8_t key[MASK_KEY], const char *p, size_t n)
{
	return (uint16_t)rk_siphash(key, rk_slice(p, n < MASK_FILTERED ? n : MASK_FILTERED));
}

/* SHA-256(key ‖ SHA-256(needle)), the first half. */
static void digest(const uint8_t key[MASK_KEY], const char *p, size_t n,
                   uint8_t out[MASK_DIGEST])
{
	uint8_t text[MASK_KEY + 32], hash[32];

	memcpy(text, key, MASK_KEY);
	rk_sha256(rk_slice(p, n), text + MASK_KEY);
	rk_sha256(rk_slice(text, sizeof text), hash);
	memcpy(out, hash, MASK_DIGEST);
	rk_wipe(text, sizeof text); /* a hash without a key */
}

/* ---- encoding ---- */

static const struct record_field fields[] = {
    RF_U16(struct mask_print, length),
    RF_U16(struct mask_print, classes),
    RF_U16(struct mask_print, anchor_at),
    RF_U8(struct mask_print, anchor),
    RF_U8(struct mask_print, front_n),
    RF_FIXED(struct mask_print, front, MASK_FRONT),
    RF_U16(struct mask_print, filter),
    RF_FIXED(struct mask_print, key, MASK_KEY),
    RF_FIXED(struct mask_print, digest, MASK_DIGEST),
};

static const struct record_desc desc = RECORD_DESC(struct mask_print, fields);

enum { ENCODED_MAX = MASK_LIST_BYTES / MASK_NEEDLES - 4 };

int mask_list_add(void *dst, size_t cap, size_t *used, struct rk_slice needle,
                  const uint8_t key[MASK_KEY])
{
	struct mask_print f = {.length = (uint16_t)needle.n};
	char encoded[ENCODED_MAX];
	size_t best = 0;
	ssize_t n;

	if (!mask_covers(needle.n))
		return RK_E_INVALID;
	if (needle.n >= MASK_LONG) {
		f.front_n = MASK_FRONT;
		memcpy(f.front, needle.p, MASK_FRONT);
	}
	for (size_t i = 0; i < needle.n; i++) {
		size_t now = rarity(needle.p[i]);

		f.classes |= (uint16_t)class_of(needle.p[i]);
		if (i < f.front_n || (i > f.front_n && now <= best))
			continue;
		f.anchor_at = (uint16_t)i;
		best = now;
	}
	f.anchor = (uint8_t)needle.p[f.anchor_at];
	memcpy(f.key, key, MASK_KEY);
	f.filter = filter(key, needle.p, needle.n);
	digest(key, needle.p, needle.n, f.digest);
	n = record_encode(&desc, &f, encoded, sizeof encoded);
	if (n < 0)
		return (int)n;
	return record_list_add(dst, cap, used, rk_slice(encoded, (size_t)n));
}

int mask_print_decode(struct rk_slice in, struct mask_print *out)
{
	struct mask_print f;
	int err = record_decode(&desc, in, &f);

	if (err)
		return err;
	if (!mask_covers(f.length) || f.anchor_at >= f.length ||
	    (f.front_n != 0 && f.front_n != MASK_FRONT))
		return RK_E_PROTOCOL;
	*out = f;
	return 0;
}

/* ---- comparing ---- */

bool mask_print_has(const struct mask_print *f, char byte)
{
	return f->classes & class_of(byte);
}

bool mask_print_may_begin(const struct mask_print *f, const char *p, size_t n)
{
	size_t front = n < f->front_n ? n : f->front_n;

	return memcmp(p, f->front, front) == 0 &&
	       (f->anchor_at >= n || (uint8_t)p[f->anchor_at] == f->anchor);
}

bool mask_print_is(const struct mask_print *f, const char *p)
{
	uint8_t got[MASK_DIGEST];

	if (!mask_print_may_begin(f, p, f->length) || filter(f->key, p, f->length) != f->filter)
		return false;
	digest(f->key, p, f->length, got);
	return memcmp(got, f->digest, MASK_DIGEST) == 0;
}
