#include "keeper/honey.h"

#include <string.h>

static bool is_over(const struct honey_place *p, int64_t now_ms)
{
	/* also when the clock was set back */
	return now_ms - p->told_ms >= HONEY_SPAN_MS || now_ms < p->told_ms;
}

static uint32_t tell(struct honey *h, struct honey_place *p, uint32_t uses, int64_t now_ms)
{
	uses += h->elsewhere;
	h->elsewhere = 0;
	p->uses = 0;
	p->told_ms = now_ms;
	return uses;
}

uint32_t honey_used(struct honey *h, const void *key, const struct rk_ip *ip, int64_t now_ms)
{
	struct honey_place *room = NULL;

	for (unsigned i = 0; i < HONEY_PLACES; i++) {
		struct honey_place *p = &h->place[i];

		if (p->told_ms && p->key == key && memcmp(&p->ip, ip, sizeof *ip) == 0) {
			if (is_over(p, now_ms))
				return tell(h, p, p->uses + 1, now_ms);
			p->uses++;
			return 0;
		}
		if (!room && (!p->told_ms || (is_over(p, now_ms) && !p->uses)))
			room = p;
	}
	if (!room) {
		h->elsewhere++;
		return 0;
	}
	*room = (struct honey_place){.key = key, .ip = *ip};
	return tell(h, room, 1, now_ms);
}

uint32_t honey_due(struct honey *h, int64_t now_ms, const void **key, struct rk_ip *ip)
{
	for (unsigned i = 0; i < HONEY_PLACES; i++) {
		struct honey_place *p = &h->place[i];

		if (!p->told_ms || !is_over(p, now_ms))
			continue;
		if (!p->uses) {
			p->told_ms = 0;
			continue;
		}
		*key = p->key;
		*ip = p->ip;
		return tell(h, p, p->uses, now_ms);
	}
	return 0;
}

bool honey_waits(const struct honey *h)
{
	for (unsigned i = 0; i < HONEY_PLACES; i++) {
		if (h->place[i].told_ms)
			return true;
	}
	return false;
}
