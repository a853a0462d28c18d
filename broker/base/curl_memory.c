#include "base/curl_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/secret.h"

/* In front of each piece; as long as the strictest alignment. */
union head {
	struct {
		size_t n;   /* bytes behind it */
		size_t cap; /* of the block in the arena; 0: it is in the heap */
	} is;
	max_align_t align;
};

static size_t small = CURL_MEMORY_SMALL;

static void *take(size_t n)
{
	struct rk_secret block = {0};
	union head *h;

	if (n > SIZE_MAX - sizeof *h)
		return NULL;
	if (n <= small) {
		if (rk_secret_alloc(&block, n + sizeof *h))
			return NULL;
		h = (union head *)(void *)block.p;
		h->is.cap = block.cap;
	} else {
		h = malloc(n + sizeof *h);
		if (!h)
			return NULL;
		h->is.cap = 0;
	}
	h->is.n = n;
	return h + 1;
}

static void give(void *p)
{
	union head *h = p;

	if (!h)
		return;
	h--;
	if (h->is.cap) {
		struct rk_secret block = {
		    .p = (unsigned char *)h, .len = h->is.cap, .cap = h->is.cap};

		rk_secret_free(&block);
		return;
	}
	rk_wipe(h + 1, h->is.n);
	free(h);
}

static void *retake(void *p, size_t n)
{
	const union head *h = p;
	size_t old = h ? h[-1].is.n : 0;
	void *moved;

	if (h && n <= old && (n > small || old <= small))
		return p; /* it is only said to be shorter: what is behind it is wiped with it
		           */
	moved = take(n);
	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, old < n ? old : n);
	give(p);
	return moved;
}

static char *duplicate(const char *text)
{
	size_t n = strlen(text) + 1;
	char *p = take(n);

	return p ? memcpy(p, text, n) : NULL;
}

static void *take_zeroed(size_t count, size_t each)
{
	void *p;

	if (each && count > SIZE_MAX / each)
		return NULL;
	p = take(count * each);
	return p ? memset(p, 0, count * each) : NULL;
}

int curl_memory_init(size_t secret, struct rk_fault *fault)
{
	CURLcode rc;

	small = secret;
	rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, give, retake, duplicate,
	                          take_zeroed);

	return rc ? rk_fail(fault, RK_E_STATE, "cannot set libcurl up: %s",
	                    curl_easy_strerror(rc))
	          : 0;
}
