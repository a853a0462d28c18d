#include "relay/addresses.h"

static int find(const struct address_faults *f, const struct rk_ip *ip)
{
	for (int i = 0; i < ADDRESSES_MAX; i++) {
		if (f->at[i].until_us && memcmp(f->at[i].ip.b, ip->b, sizeof ip->b) == 0)
			return i;
	}
	return -1;
}

void addresses_failed(struct address_faults *f, const struct rk_ip *ip, int64_t now_us)
{
	int at = find(f, ip);

	/* else in place of the one that is forgotten first */
	if (at < 0) {
		at = 0;
		for (int i = 1; i < ADDRESSES_MAX; i++) {
			if (f->at[i].until_us < f->at[at].until_us)
				at = i;
		}
	}
	f->at[at].ip = *ip;
	f->at[at].until_us = now_us + 1000000LL * ADDRESSES_BAD_S;
}

void addresses_good(struct address_faults *f, const struct rk_ip *ip)
{
	int at = find(f, ip);

	if (at >= 0)
		f->at[at].until_us = 0;
}

void addresses_order(const struct address_faults *f, struct rk_ip *addrs, unsigned count,
                     int64_t now_us)
{
	struct rk_ip last[ADDRESSES_MAX];
	unsigned good = 0, bad = 0;

	for (unsigned i = 0; i < count; i++) {
		int at = find(f, &addrs[i]);

		if (at >= 0 && f->at[at].until_us > now_us && bad < ADDRESSES_MAX)
			last[bad++] = addrs[i];
		else
			addrs[good++] = addrs[i];
	}
	for (unsigned i = 0; i < bad; i++)
		addrs[good + i] = last[i];
}
