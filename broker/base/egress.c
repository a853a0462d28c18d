#include "base/egress.h"

#include <stdio.h>

#include "base/ipaddr.h"

static int not_valid(struct rk_fault *fault)
{
	return rk_fail(fault, RK_E_INVALID,
	               "an egress proxy is http://HOST:PORT with a name or an address, as in "
	               "http://proxy.example.com:3128, or none");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Letters, digits, hyphen, underscore, labels of 1 to 63; the last one begins with a letter, so
 * that no resolver reads it as a number.
 */
static bool take_name(struct rk_slice host, char *out)
{
	size_t label = 0;

	for (size_t i = 0; i < host.n; i++) {
		char c = (char)rk_ascii_lower((unsigned char)host.p[i]);
		bool good = (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-';

		if (c == '.' ? i == label || host.p[i - 1] == '-' : !good)
			return false;
		if (c == '-' && i == label)
			return false;
		if (c == '.')
			label = i + 1;
		else if (i - label >= 63)
			return false;
		out[i] = c;
	}
	out[host.n] = '\0';
	return label < host.n && !is_digit(host.p[label]) && host.p[host.n - 1] != '-';
}

static bool take_host(struct rk_slice host, bool bracketed, char *out)
{
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	if (host.n == 0 || host.n > EGRESS_HOST_MAX)
		return false;
	if (rk_ip_parse(host, &ip) == 0) {
		rk_ip_format(&ip, text);
		memcpy(out, text, strlen(text) + 1);
		return bracketed == (memchr(host.p, ':', host.n) != NULL);
	}
	return !bracketed && take_name(host, out);
}

/* HOST:PORT or [V6]:PORT */
static bool take_authority(struct rk_slice a, struct egress *out)
{
	bool bracketed = a.n && a.p[0] == '[';
	const char *colon = NULL;
	struct rk_slice host, digits;
	uint64_t port;

	for (size_t i = a.n; i && !colon; i--) {
		if (a.p[i - 1] == ':')
			colon = a.p + i - 1;
	}
	if (!colon)
		return false;
	host = rk_slice(a.p, (size_t)(colon - a.p));
	digits = rk_slice_skip(a, host.n + 1);
	if (bracketed) {
		if (host.n < 2 || host.p[host.n - 1] != ']')
			return false;
		host = rk_slice(host.p + 1, host.n - 2);
	}
	if (digits.n > 5 || !rk_slice_u64(digits, &port) || port == 0 || port > UINT16_MAX)
		return false;
	out->port = (uint16_t)port;
	return take_host(host, bracketed, out->host);
}

int egress_parse(struct rk_slice text, struct egress *out, struct rk_fault *fault)
{
	static const struct rk_slice scheme = {"http://", 7};
	struct egress e = {.kind = EGRESS_PROXY};

	if (text.n == 0 || rk_slice_is(text, "none")) {
		*out = (struct egress){.kind = text.n ? EGRESS_DIRECT : EGRESS_DEFAULT};
		return 0;
	}
	if (text.n >= 8 && rk_slice_ieq(rk_slice(text.p, 8), rk_str("https://")))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "an egress proxy is spoken to over plain HTTP: http://HOST:PORT (the "
		    "TLS to the upstream runs inside)");
	if (memchr(text.p, '@', text.n))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "an egress proxy is written without user and password: they are a "
		    "secret of the connection");
	if (text.n <= scheme.n || !rk_slice_ieq(rk_slice(text.p, scheme.n), scheme) ||
	    !take_authority(rk_slice_skip(text, scheme.n), &e))
		return not_valid(fault);
	*out = e;
	return 0;
}

const char *egress_format(const struct egress *e, char text[EGRESS_TEXT])
{
	bool v6 = strchr(e->host, ':') != NULL;

	text[0] = '\0';
	if (e->kind == EGRESS_DIRECT)
		snprintf(text, EGRESS_TEXT, "none");
	else if (e->kind == EGRESS_PROXY)
		snprintf(text, EGRESS_TEXT, v6 ? "http://[%s]:%u" : "http://%s:%u", e->host,
		         e->port);
	return text;
}
