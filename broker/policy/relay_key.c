#include "policy/relay_key.h"

#include "base/base62.h"
#include "base/secret.h"

#include <stdio.h>

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

	if (!rk_slice_starts(*text, rk_str("rk_")))
		return RK_E_INVALID;
	rest = rk_slice_skip(*text, 3);
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

int relay_key_parse(struct rk_slice text, struct relay_key *out)
{
	struct rk_slice tail = text;
	char crc[RELAY_KEY_CRC];
	enum holder_kind kind;
	int rc = 0;

	if (take_kind(&tail, &kind) || tail.p[0] != '_')
		return RK_E_INVALID;
	tail = rk_slice_skip(tail, 1);
	if (tail.n != RELAY_KEY_TAIL || !rk_base62_is(tail))
		return RK_E_INVALID;
	checksum(rk_slice(text.p, text.n - RELAY_KEY_CRC), crc);
	if (memcmp(crc, text.p + text.n - RELAY_KEY_CRC, sizeof crc) != 0)
		rc = RK_E_INVALID;
	rk_wipe(crc, sizeof crc); /* of a near miss it is still a hint at a real key */
	if (rc)
		return rc;
	out->kind = kind;
	memcpy(out->id, tail.p, RELAY_KEY_ID);
	return 0;
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
	rk_base62_random(text + at, RELAY_KEY_ID + RELAY_KEY_SECRET);
	out->kind = kind;
	memcpy(out->id, text + at, RELAY_KEY_ID);
	at += RELAY_KEY_ID + RELAY_KEY_SECRET;
	checksum(rk_slice(text, at), text + at);
	return at + RELAY_KEY_CRC;
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
