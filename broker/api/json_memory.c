#include "api/json_memory.h"

#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/base62.h"
#include "base/secret.h"

static bool secret, failed;
static size_t in_use;

static void *take(size_t n)
{
	void *p;

	if (!secret)
		return malloc(n);
	p = in_use + n > JSON_SECRET_MAX ? NULL : secret_arena_take(n);
	if (p)
		in_use += secret_arena_size(p);
	else
		failed = true;
	return p;
}

static void give(void *p)
{
	if (!secret_arena_holds(p)) {
		free(p);
		return;
	}
	in_use -= secret_arena_size(p);
	secret_arena_give(p);
}

void json_memory_init(void)
{
	size_t seed;

	rk_random(&seed, sizeof seed);
	json_object_seed(seed | 1);
	json_set_alloc_funcs(take, give);
}

void json_memory_secret(bool on)
{
	secret = on;
	if (on)
		failed = false;
}

bool json_memory_failed(void)
{
	return failed;
}

size_t json_memory_in_use(void)
{
	return in_use;
}
