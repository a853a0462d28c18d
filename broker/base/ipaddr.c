#include "base/ipaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

enum { V4_BITS = 96 }; /* of the mapped prefix */

static void map_v4(const void *addr, struct rk_ip *out)
{
	memcpy(out->b, mapped_prefix, sizeof mapped_prefix);
	memcpy(out->b + sizeof mapped_prefix, addr, 4);
}

int rk_ip_parse(struct rk_slice text, struct rk_ip *out)
{
	char s[RK_IP_TEXT];
	unsigned char raw[16];

	if (!rk_slice_cstr(text, s, sizeof s))
		return RK_E_INVALID;
	if (inet_pton(AF_INET, s, raw) == 1)
		map_v4(raw, out);
	else if (inet_pton(AF_INET6, s, raw) == 1)
		memcpy(out->b, raw, sizeof raw);
	else
		return RK_E_INVALID;
	return 0;
}

bool rk_ip_is_v4(const struct rk_ip *ip)
{
	return memcmp(ip->b, mapped_prefix, sizeof mapped_prefix) == 0;
}

void rk_ip_format(const struct rk_ip *ip, char out[RK_IP_TEXT])
{
	if (rk_ip_is_v4(ip))
		inet_ntop(AF_INET, ip->b + sizeof mapped_prefix, out, RK_IP_TEXT);
	else
		inet_ntop(AF_INET6, ip->b, out, RK_IP_TEXT);
}

int rk_ip_from_sockaddr(const struct sockaddr *sa, struct rk_ip *ip, uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	in_port_t p;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&v4, sa, sizeof v4);
		map_v4(&v4.sin_addr, ip);
		p = v4.sin_port;
		break;
	case AF_INET6:
		memcpy(&v6, sa, sizeof v6);
		memcpy(ip->b, &v6.sin6_addr, sizeof ip->b);
		p = v6.sin6_port;
		break;
	default:
		return RK_E_UNSUPPORTED;
	}
	if (port)
		*port = ntohs(p);
	return 0;
}

size_t rk_ip_to_sockaddr(const struct rk_ip *ip, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ss, 0, sizeof *ss);
	if (rk_ip_is_v4(ip)) {
		memcpy(&v4.sin_addr, ip->b + sizeof mapped_prefix, 4);
		memcpy(ss, &v4, sizeof v4);
		return sizeof v4;
	}
	memcpy(&v6.sin6_addr, ip->b, sizeof ip->b);
	memcpy(ss, &v6, sizeof v6);
	return sizeof v6;
}

/* Whether the first `bits` bits are equal. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, part = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return part == 0 || (a[whole] ^ b[whole]) >> (8 - part) == 0;
}

struct block {
	uint8_t net[16];
	uint8_t bits;
	uint8_t class;
};

/* The IANA special-purpose registries (RFC 6890 and updates); the first match counts. */
static enum ip_class classify_v4(const uint8_t *a)
{
	static const struct block blocks[] = {
	    {{168, 63, 129, 16}, 32, IP_METADATA},   /* Azure */
	    {{100, 100, 100, 200}, 32, IP_METADATA}, /* Alibaba */
	    {{127}, 8, IP_LOOPBACK},
	    {{10}, 8, IP_PRIVATE},
	    {{172, 16}, 12, IP_PRIVATE},
	    {{192, 168}, 16, IP_PRIVATE},
	    {{100, 64}, 10, IP_PRIVATE},
	    {{169, 254}, 16, IP_LINK_LOCAL},
	    {{0}, 8, IP_SPECIAL},
	    {{192, 0, 0}, 24, IP_SPECIAL}, /* protocol assignments; one cloud's metadata too */
	    {{192, 0, 2}, 24, IP_SPECIAL}, /* documentation */
	    {{192, 88, 99}, 24, IP_SPECIAL},  /* 6to4 relay anycast */
	    {{198, 18}, 15, IP_SPECIAL},      /* benchmarking */
	    {{198, 51, 100}, 24, IP_SPECIAL}, /* documentation */
	    {{203, 0, 113}, 24, IP_SPECIAL},  /* documentation */
	    {{224}, 4, IP_SPECIAL},           /* multicast */
	    {{240}, 4, IP_SPECIAL},           /* reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		if (same_prefix(a, blocks[i].net, blocks[i].bits))
			return (enum ip_class)blocks[i].class;
	}
	return IP_PUBLIC;
}

static enum ip_class classify_v6(const uint8_t *a)
{
	static const struct block blocks[] = {
	    {{[15] = 1}, 128, IP_LOOPBACK},
	    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, IP_METADATA}, /* AWS */
	    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}, 128, IP_METADATA}, /* Google */
	    {{0xfe, 0x80}, 10, IP_LINK_LOCAL},
	    {{0xfc}, 7, IP_PRIVATE},
	    {{0x20, 0x01, 0x00}, 23, IP_SPECIAL},       /* protocol assignments, Teredo */
	    {{0x20, 0x01, 0x0d, 0xb8}, 32, IP_SPECIAL}, /* documentation */
	    {{0x20, 0x02}, 16, IP_SPECIAL},             /* 6to4 */
	    {{0x3f, 0xff}, 20, IP_SPECIAL},             /* documentation */
	    {{0x20}, 3, IP_PUBLIC},                     /* global unicast */
	};

	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		if (same_prefix(a, blocks[i].net, blocks[i].bits))
			return (enum ip_class)blocks[i].class;
	}
	/*
	 * Nothing else is global unicast: unspecified, IPv4-compatible and -translated forms,
	 * NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard, site-local, multicast, unassigned.
	 */
	return IP_SPECIAL;
}

enum ip_class rk_ip_classify(const struct rk_ip *ip)
{
	if (rk_ip_is_v4(ip))
		return classify_v4(ip->b + sizeof mapped_prefix);
	return classify_v6(ip->b);
}

const char *rk_ip_class_name(enum ip_class c)
{
	switch (c) {
	case IP_PUBLIC:
		return "public";
	case IP_LOOPBACK:
		return "loopback";
	case IP_PRIVATE:
		return "private";
	case IP_LINK_LOCAL:
		return "link-local";
	case IP_METADATA:
		return "metadata";
	case IP_SPECIAL:
		return "special";
	}
	return "unknown";
}

static bool host_bits_zero(const struct rk_ip *ip, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++) {
		if (ip->b[i / 8] & (0x80 >> i % 8))
			return false;
	}
	return true;
}

int rk_cidr_parse(struct rk_slice text, struct rk_cidr *out)
{
	struct rk_slice addr = text, len;
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	struct rk_ip ip;
	uint64_t bits;
	bool dotted;

	if (slash)
		addr.n = (size_t)(slash - text.p);
	if (rk_ip_parse(addr, &ip))
		return RK_E_INVALID;
	if (!slash) {
		*out = (struct rk_cidr){.net = ip, .bits = 128};
		return 0;
	}
	len = rk_slice_skip(text, addr.n + 1);
	if (len.n > 3 || !rk_slice_u64(len, &bits) || (len.n > 1 && len.p[0] == '0'))
		return RK_E_INVALID;
	dotted = !memchr(addr.p, ':', addr.n);
	if (bits > (dotted ? 32 : 128))
		return RK_E_INVALID;
	if (dotted)
		bits += V4_BITS;
	if (!host_bits_zero(&ip, (unsigned)bits))
		return RK_E_INVALID;
	*out = (struct rk_cidr){.net = ip, .bits = (uint8_t)bits};
	return 0;
}

void rk_cidr_format(const struct rk_cidr *c, char out[RK_CIDR_TEXT])
{
	char ip[RK_IP_TEXT];
	bool v4 = c->bits >= V4_BITS && rk_ip_is_v4(&c->net);

	rk_ip_format(&c->net, ip);
	snprintf(out, RK_CIDR_TEXT, "%s/%u", ip, v4 ? c->bits - (unsigned)V4_BITS : c->bits);
}

bool rk_cidr_contains(const struct rk_cidr *c, const struct rk_ip *ip)
{
	/* "::/0" is every IPv6 address; the mapped form must not let it take in IPv4 */
	if (rk_ip_is_v4(ip) && c->bits < V4_BITS)
		return false;
	return same_prefix(c->net.b, ip->b, c->bits);
}

bool rk_cidrs_hold(const struct rk_cidrs *c, const struct rk_ip *ip)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (rk_cidr_contains(&c->at[i], ip))
			return true;
	}
	return false;
}
