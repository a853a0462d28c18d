/*
 * Relay and management keys: the text as it is, and the text with the right checksum put at its
 * end, because no fuzzer guesses a CRC; the masked form; and a key planted into a text that is
 * written down.
 */
#include "tests/fuzz/fuzz.h"

#include "base/base62.h"
#include "policy/mgmt_key.h"

static bool well_formed(struct rk_slice text, const struct relay_key *key)
{
	struct rk_slice kind = rk_str(holder_kind_name(key->kind));
	struct rk_slice tail = rk_slice_skip(text, 3 + kind.n + 1);

	return rk_slice_starts(text, rk_str("rk_")) &&
	       rk_slice_starts(rk_slice_skip(text, 3), kind) && text.p[3 + kind.n] == '_' &&
	       tail.n == RELAY_KEY_TAIL && rk_base62_is(tail) &&
	       memcmp(tail.p, key->id, RELAY_KEY_ID) == 0;
}

static bool mgmt_well_formed(struct rk_slice text, const struct mgmt_key *key)
{
	struct rk_slice role = rk_str(mgmt_role_name(key->role));
	struct rk_slice tail = rk_slice_skip(text, 8 + role.n + 1);

	return key->role != ROLE_NOBODY && rk_slice_starts(text, rk_str("rk_mgmt_")) &&
	       rk_slice_starts(rk_slice_skip(text, 8), role) && text.p[8 + role.n] == '_' &&
	       tail.n == RELAY_KEY_TAIL && rk_base62_is(tail) &&
	       memcmp(tail.p, key->id, RELAY_KEY_ID) == 0;
}

/* No text is both. */
static void try_text(struct rk_slice text)
{
	struct relay_key key;
	struct mgmt_key mgmt;
	bool relay = relay_key_parse(text, &key) == 0;
	bool manages = mgmt_key_parse(text, &mgmt) == 0;

	REQUIRE(!relay || !manages);
	if (relay)
		REQUIRE(well_formed(text, &key));
	if (manages)
		REQUIRE(mgmt_well_formed(text, &mgmt));
}

static void try_masked(struct rk_slice text)
{
	char hint[RELAY_KEY_HINT], masked[MGMT_KEY_MASKED];
	enum holder_kind kind;
	enum mgmt_role role;

	if (relay_key_parse_masked(text, &kind, hint) == 0) {
		relay_key_mask(kind, hint, masked);
		REQUIRE(rk_slice_is(text, masked));
	}
	if (mgmt_key_parse_masked(text, &role, hint) == 0) {
		mgmt_key_mask(role, hint, masked);
		REQUIRE(rk_slice_is(text, masked));
	}
}

/* A key that is planted into any text is gone afterwards, and nothing but tails is touched. */
static void try_redact(const uint8_t *data, size_t size)
{
	static const char key[] = "rk_vendor_AbCdEfGhIjK90123456789abcdefghijABCDEFGHzZ09aA";
	static const char secret[] = "0123456789abcdefghijABCDEFGHzZ09aA";
	enum { ROOM = 4096 };
	char text[ROOM + sizeof key], before[ROOM + sizeof key];
	size_t at = size ? data[0] % size : 0, n = size + sizeof key - 1;

	if (size > ROOM)
		return;
	memcpy(text, data, at);
	memcpy(text + at, key, sizeof key - 1);
	memcpy(text + at + sizeof key - 1, data + at, size - at);
	memcpy(before, text, n);
	relay_key_redact(text, n);
	REQUIRE(!memmem(text + at, sizeof key - 1, secret, sizeof secret - 1));
	for (size_t i = 0; i < n; i++)
		REQUIRE(text[i] == before[i] ||
		        (text[i] == '*' && rk_base62_is(rk_slice(before + i, 1))));
	memcpy(before, text, n);
	relay_key_redact(text, n);
	REQUIRE(memcmp(text, before, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char fixed[2 * MGMT_KEY_MAX];

	try_text(rk_slice(data, size));
	try_masked(rk_slice(data, size));
	try_redact(data, size);
	if (size >= RELAY_KEY_CRC && size <= sizeof fixed) {
		size_t n = size - RELAY_KEY_CRC;

		memcpy(fixed, data, n);
		rk_base62_u64(rk_crc32(rk_slice(fixed, n)), fixed + n, RELAY_KEY_CRC);
		try_text(rk_slice(fixed, size));
	}
	return 0;
}
