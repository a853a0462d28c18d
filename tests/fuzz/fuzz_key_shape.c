/*
 * Shapes of keys. Input: a variable's name, a line feed, its value.
 */
#include "tests/fuzz/fuzz.h"

#include "policy/env_file.h"
#include "policy/key_shape.h"
#include "policy/relay_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = size ? memchr(data, '\n', size) : NULL;
	const struct key_shape *s;
	struct rk_slice name, value, secret;
	struct relay_key relay;

	if (!lf)
		return 0;
	name = rk_slice(data, (size_t)(lf - data));
	value = rk_slice_skip(rk_slice(data, size), name.n + 1);
	(void)key_shape_suspicious(name, value);
	s = key_shape_find(name, value);
	if (!s)
		return 0;
	REQUIRE(provider_find(rk_str(s->provider)));
	secret = key_shape_secret(s, value);
	REQUIRE(secret.n >= 20 && secret.p + secret.n == value.p + value.n);
	REQUIRE(env_value_is_plain(secret));
	REQUIRE(relay_key_parse(value, &relay));
	return 0;
}
