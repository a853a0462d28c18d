#include "keeper/manage_check.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/clock.h"
#include "base/ipaddr.h"
#include "http/h1.h"
#include "policy/glob.h"
#include "policy/host_class.h"
#include "policy/relay_key.h"

static bool is_alnum(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
}

int check_name(const char *what, struct rk_slice name, struct rk_fault *fault)
{
	bool good = name.n > 0 && name.n <= CHECK_NAME_MAX && is_alnum(name.p[0]);

	for (size_t i = 1; good && i < name.n; i++)
		good = is_alnum(name.p[i]) || memchr("._-", name.p[i], 3);
	if (good)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "%s is 1 to %d letters, digits and . _ - and begins with a letter or "
	               "digit",
	               what, CHECK_NAME_MAX);
}

int check_conn_name(struct rk_slice name, struct rk_fault *fault)
{
	static const char *const taken[] = {"healthz", "llms.txt", "robots.txt", "favicon.ico"};
	int err = check_name("a connection's name", name, fault);

	if (err)
		return err;
	if (name.n >= 5 && rk_slice_ieq(rk_slice(name.p, 5), rk_str("conn_")))
		return rk_fail(fault, RK_E_INVALID,
		               "a connection's name does not begin with \"conn_\": that is how "
		               "ids look");
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		if (rk_slice_ieq(name, rk_str(taken[i])))
			return rk_fail(fault, RK_E_INVALID,
			               "\"%s\" is a path that the proxy itself answers",
			               taken[i]);
	}
	return 0;
}

int check_upstream(const struct base_url *url, uint32_t flags, struct rk_fault *fault)
{
	enum ip_class class;
	struct rk_ip ip;

	if (!url->ip_literal)
		return 0; /* every address that it resolves to is checked before it is dialled
		           */
	if (rk_ip_parse(rk_str(url->host), &ip))
		return rk_fail(fault, RK_E_INVALID, "the host is not an address");
	class = rk_ip_classify(&ip);
	if (class == IP_PUBLIC)
		return 0;
	if (class != IP_LOOPBACK && class != IP_PRIVATE)
		return rk_fail(fault, RK_E_DENIED,
		               "%s is a %s address, which is never an upstream", url->host,
		               rk_ip_class_name(class));
	if (flags & UPSTREAM_ALLOW_PRIVATE)
		return 0;
	return rk_fail(fault, RK_E_DENIED,
	               "%s is a %s address: say --allow-private when that is meant", url->host,
	               rk_ip_class_name(class));
}

int check_proxied(const struct base_url *url, uint32_t flags, struct rk_fault *fault)
{
	enum host_class class = url->ip_literal ? HOST_PUBLIC : host_class(rk_str(url->host));

	if (class == HOST_METADATA)
		return rk_fail(fault, RK_E_DENIED,
		               "%s is a metadata service, which is never an upstream",
		               url->host);
	if (class == HOST_PUBLIC || flags & UPSTREAM_ALLOW_PRIVATE)
		return 0;
	return rk_fail(
	    fault, RK_E_DENIED,
	    "%s is a local name, and behind a proxy its address cannot be checked: say "
	    "--allow-private when that is meant",
	    url->host);
}

int check_proxy_secret(struct rk_slice secret, struct rk_fault *fault)
{
	bool good =
	    secret.n && secret.n <= MSG_MAX_PROXY_SECRET && memchr(secret.p, ':', secret.n);

	for (size_t i = 0; good && i < secret.n; i++)
		good = secret.p[i] >= 0x20 && secret.p[i] < 0x7f;
	if (good)
		return 0;
	return rk_fail(
	    fault, RK_E_INVALID,
	    "a proxy's credential is user:password in printable ASCII, at most %d bytes",
	    MSG_MAX_PROXY_SECRET);
}

/* ---- certificates ---- */

static bool holds(struct rk_slice s, const char *text)
{
	return s.n && memmem(s.p, s.n, text, strlen(text));
}

int check_ca_pem(struct rk_slice pem, struct rk_fault *fault)
{
	unsigned long why;
	unsigned count = 0;
	X509 *cert;
	BIO *bio;

	if (pem.n == 0)
		return 0;
	if (holds(pem, "PRIVATE KEY-----"))
		return rk_fail(fault, RK_E_INVALID,
		               "the CA file holds a private key: give the certificates only");
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!bio)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_free(cert);
		count++;
	}
	why = ERR_peek_last_error();
	ERR_clear_error();
	BIO_free(bio);
	if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return rk_fail(fault, RK_E_INVALID,
		               "the CA file is damaged: certificate %u does not parse",
		               count + 1);
	if (count == 0)
		return rk_fail(fault, RK_E_INVALID,
		               "the CA file holds no certificate in PEM form");
	return 0;
}

/* ---- grants ---- */

static int check_method(struct rk_slice m, struct rk_fault *fault)
{
	bool good = m.n > 0 && m.n <= H1_MAX_METHOD;

	if (rk_slice_is(m, "*"))
		return 0;
	for (size_t i = 0; good && i < m.n; i++)
		good =
		    (m.p[i] >= 'A' && m.p[i] <= 'Z') || (i && (m.p[i] == '-' || m.p[i] == '_'));
	if (good)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "a method is written in capitals, as in GET, or is \"*\" for every one");
}

static int check_query_name(struct rk_slice name, struct rk_fault *fault)
{
	bool good = name.n > 0 && name.n <= CHECK_QUERY_NAME_MAX;

	for (size_t i = 0; good && i < name.n; i++)
		good = (unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f;
	if (good)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "the name of a denied query parameter is 1 to %d bytes without control "
	               "characters",
	               CHECK_QUERY_NAME_MAX);
}

static int check_each(struct rk_slice list,
                      int (*check)(struct rk_slice item, struct rk_fault *fault),
                      struct rk_fault *fault)
{
	struct rk_slice item;
	int err = 0;

	while (err == 0 && record_list_next(&list, &item))
		err = check(item, fault);
	return err;
}

int check_grant(const struct msg_grant *g, struct rk_fault *fault)
{
	int err;

	/* without methods or paths it allows nothing: that is what the default is */
	err = check_each(g->methods, check_method, fault);
	if (err == 0)
		err = check_each(g->paths, glob_check, fault);
	if (err == 0)
		err = check_each(g->deny_query, check_query_name, fault);
	return err;
}

int check_cidrs(struct rk_slice cidrs, char *list, size_t *used, struct rk_fault *fault)
{
	char text[RK_CIDR_TEXT];
	struct rk_slice item;
	struct rk_cidr cidr;

	if (record_list_count(cidrs) > CHECK_MAX_CIDRS)
		return rk_fail(fault, RK_E_TOOBIG, "a key has at most %d address prefixes",
		               CHECK_MAX_CIDRS);
	while (record_list_next(&cidrs, &item)) {
		if (rk_cidr_parse(item, &cidr))
			return rk_fail(fault, RK_E_INVALID,
			               "an address prefix looks like 10.0.0.0/8 or "
			               "2001:db8::/32, with all host bits zero");
		rk_cidr_format(&cidr, text);
		if (record_list_add(list, MSG_MAX_LIST, used, rk_str(text)))
			return rk_fail(fault, RK_E_TOOBIG, "too many address prefixes");
	}
	return 0;
}

/* ---- flags ---- */

int check_key_flags(const struct msg_key_issue *b, uint32_t *flags, struct rk_fault *fault)
{
	bool human = b->kind == HOLDER_PERSON || b->kind == HOLDER_VENDOR;

	if (b->flags & ~(uint32_t)(KEY_TRUSTED_ONLY | KEY_HONEY | KEY_ANY_IP))
		return rk_fail(fault, RK_E_INVALID, "a key has no such flag");
	if (b->flags & KEY_ANY_IP && (b->flags & KEY_TRUSTED_ONLY || b->cidrs.n))
		return rk_fail(fault, RK_E_INVALID,
		               "from any address, or from some only: not both");
	*flags = b->flags & KEY_FLAGS;
	if (human && !b->cidrs.n && !(b->flags & KEY_ANY_IP))
		*flags |= KEY_TRUSTED_ONLY;
	return 0;
}

/* ---- limits ---- */

int check_limits(const struct rate_limits *l, struct rk_fault *fault)
{
	if (l->per_minute <= RATE_MAX && l->per_day <= RATE_MAX &&
	    l->max_concurrent <= RATE_MAX)
		return 0;
	return rk_fail(fault, RK_E_INVALID, "a limit is at most %d", RATE_MAX);
}

/* ---- time ---- */

int check_expiry(int64_t now_ms, int64_t ttl_ms, int64_t date_ms, int64_t *expires_ms,
                 struct rk_fault *fault)
{
	const int64_t longest_ms = INT64_C(100) * 366 * 86400 * 1000;

	if (ttl_ms && date_ms)
		return rk_fail(fault, RK_E_INVALID,
		               "give a time to live or a date of expiry, not both");
	if (ttl_ms < 0 || ttl_ms > longest_ms || date_ms < 0 || date_ms > now_ms + longest_ms)
		return rk_fail(fault, RK_E_INVALID, "a key expires within the next 100 years");
	if (date_ms && date_ms <= now_ms)
		return rk_fail(fault, RK_E_INVALID, "the date of expiry is not in the future");
	*expires_ms = ttl_ms ? now_ms + ttl_ms : date_ms;
	return 0;
}
