/*
 * IP addresses and prefixes, without any descriptor or resolver. IPv4 is held in
 * its IPv6-mapped form (RFC 4291 section 2.5.5.2), so an address has one form and
 * ::ffff:10.0.0.1 can never be taken for something other than 10.0.0.1.
 */
#ifndef BASE_IPADDR_H
#define BASE_IPADDR_H

#include "base/err.h"
#include "base/slice.h"

struct sockaddr;
struct sockaddr_storage;

struct rk_ip {
	uint8_t b[16];
};

struct rk_cidr {
	struct rk_ip net; /* host bits are zero */
	uint8_t bits;     /* 0..128, counted in the mapped form */
};

enum { RK_IP_TEXT = 46, RK_CIDR_TEXT = 50 };

enum ip_class {
	IP_PUBLIC,
	IP_LOOPBACK,   /* 127/8, ::1 */
	IP_PRIVATE,    /* RFC 1918, RFC 4193 fc00::/7, RFC 6598 100.64/10 */
	IP_LINK_LOCAL, /* 169.254/16 with the cloud metadata addresses, fe80::/10 */
	IP_METADATA,   /* metadata addresses outside link-local: fd00:ec2::254, fd20:ce::254,
	                  100.100.100.200, 168.63.129.16 */
	IP_SPECIAL, /* unspecified, multicast, broadcast, documentation, reserved, IPv6 outside
	               2000::/3, NAT64/6to4/Teredo that embed another address */
};

/* Strict: dotted quad without leading zeros, or RFC 4291 text; no zone, no brackets. */
RK_MUST_CHECK int rk_ip_parse(struct rk_slice text, struct rk_ip *out);

/* RFC 5952 text; mapped IPv4 as dotted quad. */
void rk_ip_format(const struct rk_ip *ip, char out[RK_IP_TEXT]);

/* From AF_INET or AF_INET6; RK_E_UNSUPPORTED for another family. port may be NULL. */
RK_MUST_CHECK int rk_ip_from_sockaddr(const struct sockaddr *sa, struct rk_ip *ip,
                                      uint16_t *port);

/* Fills ss for connect(2); returns its length. */
size_t rk_ip_to_sockaddr(const struct rk_ip *ip, uint16_t port, struct sockaddr_storage *ss);

bool rk_ip_is_v4(const struct rk_ip *ip);
enum ip_class rk_ip_classify(const struct rk_ip *ip);
const char *rk_ip_class_name(enum ip_class c);

/* "10.0.0.0/8", "2001:db8::/32", or one address (all bits). Host bits set: RK_E_INVALID. */
RK_MUST_CHECK int rk_cidr_parse(struct rk_slice text, struct rk_cidr *out);
void rk_cidr_format(const struct rk_cidr *c, char out[RK_CIDR_TEXT]);
/* A prefix holds addresses of its own family only: "::/0" is every IPv6 address and no IPv4
 * one. */
bool rk_cidr_contains(const struct rk_cidr *c, const struct rk_ip *ip);

enum { RK_CIDRS_MAX = 16 };

struct rk_cidrs {
	struct rk_cidr at[RK_CIDRS_MAX];
	unsigned count;
};

/* Whether one of them contains the address. */
bool rk_cidrs_hold(const struct rk_cidrs *c, const struct rk_ip *ip);

#endif
