#include "relay/census.h"

#include <stdlib.h>

#include "base/base62.h"

struct place {
	uint64_t net;   /* IPv6: the first 64 bits; IPv4: its 32 */
	uint32_t count; /* 0: free */
	bool v4;
};

struct census {
	uint64_t key[2];
	unsigned mask; /* places - 1: a power of two less one */
	unsigned most, all, addresses;
	struct place places[];
};

int census_new(unsigned most, struct census **out)
{
	size_t places = 16;
	struct census *c;

	while (places < 2 * (size_t)most)
		places *= 2;
	c = calloc(1, sizeof *c + places * sizeof c->places[0]);
	if (!c)
		return RK_E_NOMEM;
	rk_random(c->key, sizeof c->key);
	c->key[1] |= 1;
	c->mask = (unsigned)(places - 1);
	c->most = most;
	*out = c;
	return 0;
}

void census_free(struct census *c)
{
	free(c);
}

static struct place place_of(const struct rk_ip *ip)
{
	struct place p = {.v4 = rk_ip_is_v4(ip)};

	for (unsigned i = p.v4 ? 12 : 0; i < (p.v4 ? 16 : 8); i++)
		p.net = p.net << 8 | ip->b[i];
	return p;
}

/* Where it belongs: multiply and fold, with a key on either side. */
static unsigned home(const struct census *c, const struct place *p)
{
	uint64_t h = (p->net ^ (uint64_t)p->v4 << 63 ^ c->key[0]) * c->key[1];

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (unsigned)(h ^ h >> 32) & c->mask;
}

/* Its place, or the free one where it would be put: half of them are free. */
static unsigned find(const struct census *c, const struct place *p)
{
	unsigned at = home(c, p);

	while (c->places[at].count &&
	       (c->places[at].net != p->net || c->places[at].v4 != p->v4))
		at = (at + 1) & c->mask;
	return at;
}

bool census_enter(struct census *c, const struct rk_ip *ip, unsigned cap)
{
	struct place p = place_of(ip);
	struct place *at = &c->places[find(c, &p)];

	if (c->all == c->most || at->count >= cap)
		return false;
	if (at->count == 0) {
		*at = p;
		c->addresses++;
	}
	at->count++;
	c->all++;
	return true;
}

/* Frees a place: those behind it that would not be found any more move up. */
static void vacate(struct census *c, unsigned gap)
{
	unsigned at = gap;

	c->addresses--;
	for (;;) {
		at = (at + 1) & c->mask;
		if (!c->places[at].count)
			break;
		/* it may move when its home does not lie behind the gap */
		if (((at - home(c, &c->places[at])) & c->mask) >= ((at - gap) & c->mask)) {
			c->places[gap] = c->places[at];
			gap = at;
		}
	}
	c->places[gap] = (struct place){0};
}

void census_leave(struct census *c, const struct rk_ip *ip)
{
	struct place p = place_of(ip);
	unsigned at = find(c, &p);

	if (!c->places[at].count)
		return;
	c->all--;
	if (--c->places[at].count == 0)
		vacate(c, at);
}

unsigned census_of(const struct census *c, const struct rk_ip *ip)
{
	struct place p = place_of(ip);

	return c->places[find(c, &p)].count;
}

unsigned census_addresses(const struct census *c)
{
	return c->addresses;
}
