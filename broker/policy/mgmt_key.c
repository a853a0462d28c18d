#include "policy/mgmt_key.h"

#include <stdio.h>

#include "base/base62.h"

static const char prefix[] = "rk_mgmt_";

/* Reads "rk_mgmt_<role>" off the front of text: how long it is; 0: it does not stand there. */
static size_t take_role(struct rk_slice text, enum mgmt_role *role)
{
	struct rk_slice rest;

	if (!rk_slice_starts(text, rk_str(prefix)))
		return 0;
	rest = rk_slice_skip(text, sizeof prefix - 1);
	for (unsigned i = ROLE_ADMIN; i < ROLE_COUNT; i++) {
		struct rk_slice name = rk_str(mgmt_role_name(i));

		/* no role is the beginning of another one */
		if (rk_slice_starts(rest, name)) {
			*role = (enum mgmt_role)i;
			return sizeof prefix - 1 + name.n;
		}
	}
	return 0;
}

int mgmt_key_parse(struct rk_slice text, struct mgmt_key *out)
{
	enum mgmt_role role;
	size_t at = take_role(text, &role);

	if (!at || at >= text.n || text.p[at] != '_' || relay_key_check_tail(text, at + 1))
		return RK_E_INVALID;
	out->role = role;
	memcpy(out->id, text.p + at + 1, RELAY_KEY_ID);
	return 0;
}

size_t mgmt_key_generate(enum mgmt_role role, char *text, struct mgmt_key *out)
{
	const char *name = mgmt_role_name(role);
	size_t n = strlen(name), at = sizeof prefix - 1;

	memcpy(text, prefix, at);
	memcpy(text + at, name, n);
	at += n;
	text[at++] = '_';
	out->role = role;
	n = relay_key_add_tail(text, at);
	memcpy(out->id, text + at, RELAY_KEY_ID);
	return n;
}

void mgmt_key_mask(enum mgmt_role role, const char hint[RELAY_KEY_HINT],
                   char out[MGMT_KEY_MASKED])
{
	snprintf(out, MGMT_KEY_MASKED, "%s%s...%.*s", prefix, mgmt_role_name(role),
	         RELAY_KEY_HINT, hint);
}

int mgmt_key_parse_masked(struct rk_slice text, enum mgmt_role *role, char hint[RELAY_KEY_HINT])
{
	static const char dots[] = "...";
	enum mgmt_role r;
	size_t at = take_role(text, &r);
	struct rk_slice rest = rk_slice_skip(text, at);

	if (!at || !rk_slice_starts(rest, rk_str(dots)))
		return RK_E_INVALID;
	rest = rk_slice_skip(rest, sizeof dots - 1);
	if (rest.n != RELAY_KEY_HINT || !rk_base62_is(rest))
		return RK_E_INVALID;
	memcpy(hint, rest.p, RELAY_KEY_HINT);
	*role = r;
	return 0;
}
