#include "console/json_memory.h"

#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/base62.h"
#include "base/secret.h"

static bool secret;
static size_t in_use;

/* What a block of the arena takes up is not known when it is freed, so its size is noted in
 * front. */
enum { NOTE = 16 };

static void *take(size_t n)
{
	char *p;

	if (!secret)
		return malloc(n);
	if (n > SECRET_MAX_BYTES || in_use + n + NOTE > JSON_SECRET_MAX)
		return NULL;
	p = secret_arena_take(n + NOTE);
	if (!p)
		return NULL;
	memcpy(p, &n, sizeof n);
	in_use += n + NOTE;
	return p + NOTE;
}

static void give(void *p)
{
	size_t n;

	if (!secret_arena_holds(p)) {
		free(p);
		return;
	}
	memcpy(&n, (char *)p - NOTE, sizeof n);
	in_use -= n + NOTE;
	secret_arena_give((char *)p - NOTE);
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
}

size_t json_memory_in_use(void)
{
	return in_use;
}
