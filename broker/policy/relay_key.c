#include "policy/relay_key.h"

#include "base/base62.h"
#include "base/secret.h"

#include <stdio.h>

enum { PREFIX = 3 };

static const char prefix[PREFIX + 1] = "rk_";
static const char *const kind_names[HOLDER_KINDS] = {
    [HOLDER_APP] = "app",
    [HOLDER_AGENT] = "agent",
    [HOLDER_PERSON] = "person",
    [HOLDER_VENDOR] = "vendor",
};

const char *holder_kind_name(enum holder_kind kind)
{
	return (unsigned)kind < HOLDER_KINDS ? kind_names[kind] : "unknown";
}

int holder_kind_parse(struct rk_slice name, enum holder_kind *out)
{
	for (unsigned i = 0; i < HOLDER_KINDS; i++) {
		if (rk_slice_is(name, kind_names[i])) {
			*out = (enum holder_kind)i;
			return 0;
		}
	}
	return RK_E_INVALID;
}

/* Reads "rk_<kind>" off the front of *text; what is left starts behind the kind. */
static int take_kind(struct rk_slice *text, enum holder_kind *kind)
{
	struct rk_slice rest;

	if (!rk_slice_starts(*text, rk_str(prefix)))
		return RK_E_INVALID;
	rest = rk_slice_skip(*text, PREFIX);
	for (unsigned i = 0; i < HOLDER_KINDS; i++) {
		struct rk_slice name = rk_str(kind_names[i]);
		struct rk_slice behind = rk_slice_skip(rest, name.n);

		/* no kind is the start of another one followed by '_' or '.' */
		if (rk_slice_starts(rest, name) && behind.n &&
		    (behind.p[0] == '_' || behind.p[0] == '.')) {
			*text = behind;
			*kind = (enum holder_kind)i;
			return 0;
		}
	}
	return RK_E_INVALID;
}

static void checksum(struct rk_slice text, char out[RELAY_KEY_CRC])
{
	rk_base62_u64(rk_crc32(text), out, RELAY_KEY_CRC);
}

int relay_key_check_tail(struct rk_slice text, size_t at)
{
	struct rk_slice tail = rk_slice_skip(text, at);
	char crc[RELAY_KEY_CRC];
	int rc = 0;

	if (tail.n != RELAY_KEY_TAIL || !rk_base62_is(tail))
		return RK_E_INVALID;
	checksum(rk_slice(text.p, text.n - RELAY_KEY_CRC), crc);
	if (memcmp(crc, text.p + text.n - RELAY_KEY_CRC, sizeof crc) != 0)
		rc = RK_E_INVALID;
	rk_wipe(crc, sizeof crc); /* of a near miss it is still a hint at a real key */
	return rc;
}

int relay_key_parse(struct rk_slice text, struct relay_key *out)
{
	struct rk_slice tail = text;
	enum holder_kind kind;

	if (take_kind(&tail, &kind) || tail.p[0] != '_')
		return RK_E_INVALID;
	tail = rk_slice_skip(tail, 1);
	if (relay_key_check_tail(text, text.n - tail.n))
		return RK_E_INVALID;
	out->kind = kind;
	memcpy(out->id, tail.p, RELAY_KEY_ID);
	return 0;
}

size_t relay_key_add_tail(char *text, size_t at)
{
	rk_base62_random(text + at, RELAY_KEY_ID + RELAY_KEY_SECRET);
	at += RELAY_KEY_ID + RELAY_KEY_SECRET;
	checksum(rk_slice(text, at), text + at);
	return at + RELAY_KEY_CRC;
}

size_t relay_key_generate(enum holder_kind kind, char *text, struct relay_key *out)
{
	const char *name = holder_kind_name(kind);
	size_t n = strlen(name), at = 0;

	memcpy(text, "rk_", 3);
	at += 3;
	memcpy(text + at, name, n);
	at += n;
	text[at++] = '_';
	out->kind = kind;
	n = relay_key_add_tail(text, at);
	memcpy(out->id, text + at, RELAY_KEY_ID);
	return n;
}

void relay_key_mask(enum holder_kind kind, const char hint[RELAY_KEY_HINT],
                    char out[RELAY_KEY_MASKED])
{
	snprintf(out, RELAY_KEY_MASKED, "rk_%s...%.*s", holder_kind_name(kind), RELAY_KEY_HINT,
	         hint);
}

int relay_key_parse_masked(struct rk_slice text, enum holder_kind *kind,
                           char hint[RELAY_KEY_HINT])
{
	static const char dots[] = "...";
	enum holder_kind k;

	if (take_kind(&text, &k) || !rk_slice_starts(text, rk_str(dots)))
		return RK_E_INVALID;
	text = rk_slice_skip(text, sizeof dots - 1);
	if (text.n != RELAY_KEY_HINT || !rk_base62_is(text))
		return RK_E_INVALID;
	memcpy(hint, text.p, RELAY_KEY_HINT);
	*kind = k;
	return 0;
}

/* The length of the '_' at the front of text, also as a URL may carry it; 0: there is none. */
static size_t underscore(struct rk_slice text)
{
	if (rk_slice_starts(text, rk_str("_")))
		return 1;
	if (rk_slice_starts(text, rk_str("%5F")) || rk_slice_starts(text, rk_str("%5f")))
		return 3;
	return 0;
}

/* Skips "rk_" and everything in front of it. False: there is none. */
static bool skip_to_kind(struct rk_slice *text)
{
	const char *at;

	while (text->n && (at = memmem(text->p, text->n, prefix, PREFIX - 1))) {
		size_t n;

		*text = rk_slice_skip(*text, (size_t)(at - text->p) + PREFIX - 1);
		n = underscore(*text);
		*text = rk_slice_skip(*text, n);
		if (n)
			return true;
	}
	return false;
}

/* Skips "<kind>_" or "mgmt_<role>_". False: neither stands there. */
static bool skip_to_tail(struct rk_slice *text)
{
	static const char mgmt[] = "mgmt";
	struct rk_slice rest = *text;
	size_t n = 0, bar;

	for (unsigned i = 0; i < HOLDER_KINDS; i++) {
		if (rk_slice_starts(*text, rk_str(kind_names[i])))
			n = strlen(kind_names[i]);
	}
	bar = rk_slice_starts(*text, rk_str(mgmt))
	          ? underscore(rk_slice_skip(*text, sizeof mgmt - 1))
	          : 0;
	if (bar) {
		rest = rk_slice_skip(rest, sizeof mgmt - 1 + bar);
		while (n < rest.n && n < RELAY_KEY_ROLE_MAX && rest.p[n] >= 'a' &&
		       rest.p[n] <= 'z')
			n++;
	}
	rest = rk_slice_skip(rest, n);
	bar = underscore(rest);
	*text = rk_slice_skip(rest, bar);
	return n && bar;
}

/*
 * The base62 characters at the front of text. Where two keys stand without a space the "rk" of
 * the second is none of them: it must stay readable, for the second to be found.
 */
static size_t run_length(struct rk_slice text)
{
	const size_t rk = PREFIX - 1;
	size_t n = 0;

	while (n < text.n && rk_base62_is(rk_slice(text.p + n, 1)))
		n++;
	if (n >= rk && memcmp(text.p + n - rk, prefix, rk) == 0 &&
	    underscore(rk_slice_skip(text, n)))
		n -= rk;
	return n;
}

void relay_key_redact(char *text, size_t n)
{
	const char *origin = text;
	struct rk_slice left = rk_slice(text, n);

	while (skip_to_kind(&left)) {
		struct rk_slice tail = left;
		size_t run = skip_to_tail(&tail) ? run_length(tail) : 0;

		if (run >= RELAY_KEY_REDACT)
			memset(text + (tail.p - origin) + RELAY_KEY_ID, '*',
			       run - RELAY_KEY_ID);
	}
}
