#include "relay/block.h"

#include <stdlib.h>

#include "base/secret.h"

bool span_hold(struct blocks *b, struct span *s)
{
	if (s->mem)
		return true;
	s->off = 0;
	s->len = 0;
	if (b->free) {
		s->mem = b->free;
		memcpy(&b->free, s->mem, sizeof b->free);
		b->count--;
		return true;
	}
	s->mem = malloc(BLOCK_BYTES);
	return s->mem != NULL;
}

void span_release(struct blocks *b, struct span *s)
{
	char *mem = s->mem;

	*s = (struct span){0};
	if (!mem)
		return;
	if (b->count >= BLOCK_KEEP) {
		free(mem);
		return;
	}
	memcpy(mem, &b->free, sizeof b->free);
	b->free = mem;
	b->count++;
}

size_t span_room(struct span *s)
{
	if (s->off && s->len < s->off) {
		memcpy(s->mem, s->mem + s->off, s->len);
		rk_wipe(s->mem + s->off, s->len);
		s->off = 0;
	}
	return BLOCK_BYTES - s->off - s->len;
}

void span_wipe_rest(struct span *s)
{
	size_t end = s->off + s->len;

	if (!s->mem)
		return;
	rk_wipe(s->mem, s->off);
	rk_wipe(s->mem + end, BLOCK_BYTES - end);
}

void span_discard(struct blocks *b, struct span *s)
{
	if (s->mem)
		rk_wipe(s->mem, BLOCK_BYTES);
	span_release(b, s);
}

void blocks_free(struct blocks *b)
{
	while (b->free) {
		void *mem = b->free;

		memcpy(&b->free, mem, sizeof b->free);
		free(mem);
	}
	b->count = 0;
}
