#include "policy/base_url.h"

#include "base/ipaddr.h"
#include "http/target.h"

#define SCHEME "https://"

static bool is_alnum(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
}

static bool is_hex(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'f');
}

/*
 * Resolvers read "127.1", "0x7f.1" and "2130706433" as addresses (inet_aton), so a name may not
 * end in a label that is a number: what is not a strict dotted quad is no host at all.
 */
static bool label_is_number(struct rk_slice label)
{
	bool decimal = true, hex;

	hex = label.n >= 2 && label.p[0] == '0' &&
	      rk_ascii_lower((unsigned char)label.p[1]) == 'x';
	for (size_t i = 0; i < label.n; i++) {
		decimal = decimal && label.p[i] >= '0' && label.p[i] <= '9';
		hex = hex && (i < 2 || is_hex(label.p[i]));
	}
	return decimal || hex;
}

static bool label_is_valid(struct rk_slice label)
{
	if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		if (!is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	}
	return true;
}

static bool name_is_valid(struct rk_slice host)
{
	struct rk_slice label = {0};
	size_t at = 0;

	if (host.n == 0 || host.n > BASE_URL_HOST_MAX)
		return false;
	while (at <= host.n) {
		size_t end = at;

		while (end < host.n && host.p[end] != '.')
			end++;
		label = rk_slice(host.p + at, end - at);
		if (!label_is_valid(label))
			return false;
		at = end + 1;
	}
	return !label_is_number(label);
}

static int parse_host(struct rk_slice host, bool bracketed, struct base_url *out,
                      struct rk_fault *fault)
{
	struct rk_ip ip;
	char text[RK_IP_TEXT];

	if (bracketed && !memchr(host.p, ':', host.n))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "only an IPv6 address stands in brackets: https://[2001:db8::1]/v1");
	if (rk_ip_parse(host, &ip) == 0) {
		rk_ip_format(&ip, text);
		memcpy(out->host, text, strlen(text) + 1);
		out->ip_literal = true;
		return 0;
	}
	if (bracketed || !name_is_valid(host))
		return rk_fail(fault, RK_E_INVALID,
		               "the host must be a DNS name or an IP address, as in "
		               "https://api.example.com/v1");
	for (size_t i = 0; i < host.n; i++)
		out->host[i] = (char)rk_ascii_lower((unsigned char)host.p[i]);
	return 0;
}

static int parse_port(struct rk_slice text, struct base_url *out, struct rk_fault *fault)
{
	uint64_t port;

	if (text.n > 5 || !rk_slice_u64(text, &port) || port == 0 || port > UINT16_MAX)
		return rk_fail(fault, RK_E_INVALID,
		               "the port must be a number from 1 to 65535");
	out->port = (uint16_t)port;
	return 0;
}

/* host, host:port, [v6] or [v6]:port */
static int parse_authority(struct rk_slice a, struct base_url *out, struct rk_fault *fault)
{
	bool bracketed = a.n && a.p[0] == '[';
	struct rk_slice host = a, behind;
	size_t end;
	int err;

	if (a.n && memchr(a.p, '@', a.n))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "a base URL holds no user or password: use the basic auth style");
	if (bracketed)
		host = rk_slice_skip(a, 1);
	for (end = 0; end < host.n && host.p[end] != (bracketed ? ']' : ':'); end++)
		;
	behind = rk_slice_skip(host, end);
	if (bracketed && behind.n == 0)
		return rk_fail(fault, RK_E_INVALID, "the address's closing bracket is missing");
	if (bracketed)
		behind = rk_slice_skip(behind, 1);
	if (behind.n && behind.p[0] != ':')
		return rk_fail(fault, RK_E_INVALID,
		               "behind the address comes a port or the path");
	err = parse_host(rk_slice(host.p, end), bracketed, out, fault);
	if (err || behind.n == 0)
		return err;
	return parse_port(rk_slice_skip(behind, 1), out, fault);
}

static int parse_path(struct rk_slice path, struct base_url *out, struct rk_fault *fault)
{
	int err;

	if (path.n == 0)
		return 0;
	err = target_check_path(path, 0);
	if (err)
		return rk_fail(fault, RK_E_INVALID,
		               "the path of the base URL could be read in two ways: %s",
		               target_err_code(err));
	if (path.p[path.n - 1] == '/')
		path.n--;
	memcpy(out->path, path.p, path.n);
	return 0;
}

/* What can be said before the parts are looked at. Never shows the text: it may hold a
 * password. */
static int check_whole(struct rk_slice text, struct rk_fault *fault)
{
	if (text.n > BASE_URL_MAX)
		return rk_fail(fault, RK_E_TOOBIG, "a base URL has at most %d bytes",
		               BASE_URL_MAX);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c <= 0x20 || c >= 0x7f)
			return rk_fail(fault, RK_E_INVALID,
			               "a base URL is printable ASCII without spaces");
		if (c == '?' || c == '#')
			return rk_fail(fault, RK_E_INVALID,
			               "a base URL has no query and no fragment ('%c')", c);
	}
	if (text.n >= 7 && rk_slice_ieq(rk_slice(text.p, 7), rk_str("http://")))
		return rk_fail(fault, RK_E_INVALID,
		               "upstreams are called over verified TLS only: use https://");
	if (text.n < sizeof SCHEME - 1 ||
	    !rk_slice_ieq(rk_slice(text.p, sizeof SCHEME - 1), rk_str(SCHEME)))
		return rk_fail(fault, RK_E_INVALID,
		               "a base URL looks like https://api.example.com/v1");
	return 0;
}

int base_url_parse(struct rk_slice text, struct base_url *out, struct rk_fault *fault)
{
	struct base_url url = {.port = 443};
	struct rk_slice rest;
	size_t slash;
	int err;

	err = check_whole(text, fault);
	if (err)
		return err;
	rest = rk_slice_skip(text, sizeof SCHEME - 1);
	for (slash = 0; slash < rest.n && rest.p[slash] != '/'; slash++)
		;
	err = parse_authority(rk_slice(rest.p, slash), &url, fault);
	if (err == 0)
		err = parse_path(rk_slice_skip(rest, slash), &url, fault);
	if (err == 0)
		*out = url;
	return err;
}
