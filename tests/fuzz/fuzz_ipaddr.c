/*
 * Addresses and prefixes: what is accepted has one text, and that text means the same address.
 */
#include "tests/fuzz/fuzz.h"

#include "base/ipaddr.h"

static void check_ip(const struct rk_ip *ip)
{
	char text[RK_IP_TEXT];
	struct rk_ip back;

	rk_ip_format(ip, text);
	REQUIRE(rk_ip_parse(rk_str(text), &back) == 0);
	REQUIRE(memcmp(ip, &back, sizeof back) == 0);
	REQUIRE(rk_ip_is_v4(ip) == !strchr(text, ':'));
	REQUIRE(strcmp(rk_ip_class_name(rk_ip_classify(ip)), "unknown") != 0);
}

static void check_cidr(const struct rk_cidr *c)
{
	char text[RK_CIDR_TEXT];
	struct rk_cidr back;

	rk_cidr_format(c, text);
	REQUIRE(rk_cidr_parse(rk_str(text), &back) == 0);
	REQUIRE(c->bits == back.bits && memcmp(&c->net, &back.net, sizeof back.net) == 0);
	REQUIRE(rk_cidr_contains(c, &c->net));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice text = rk_slice(data, size);
	struct rk_cidr cidr;
	struct rk_ip ip;

	if (rk_ip_parse(text, &ip) == 0)
		check_ip(&ip);
	if (rk_cidr_parse(text, &cidr) == 0)
		check_cidr(&cidr);
	if (size == sizeof ip.b) {
		memcpy(ip.b, data, sizeof ip.b);
		check_ip(&ip);
	}
	return 0;
}
