#include "keeper/settings_check.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/ipaddr.h"
#include "keeper/manage_check.h"
#include "policy/base_url.h"
#include "policy/mail_address.h"

/* ---- how mail is sent ---- */

static int check_host(struct rk_slice host, struct rk_fault *fault)
{
	char url[MSG_MAX_HOST + sizeof "https://[]"];
	struct base_url parsed;
	struct rk_ip ip;
	bool v6 = host.n && memchr(host.p, ':', host.n);

	snprintf(url, sizeof url, "https://%s%.*s%s", v6 ? "[" : "", RK_FMT(host),
	         v6 ? "]" : "");
	if (base_url_parse(rk_str(url), &parsed, NULL) || parsed.path[0] || parsed.port != 443)
		return rk_fail(fault, RK_E_INVALID,
		               "smtp_host is a DNS name or an address, without a port: "
		               "mail.example.com");
	if (!parsed.ip_literal || rk_ip_parse(rk_str(parsed.host), &ip))
		return 0;
	/* an organisation's mail server may well be a private one; a metadata service never is
	 */
	switch (rk_ip_classify(&ip)) {
	case IP_PUBLIC:
	case IP_PRIVATE:
	case IP_LOOPBACK:
		return 0;
	default:
		return rk_fail(fault, RK_E_DENIED,
		               "smtp_host: %s is a %s address, which no mail "
		               "server has",
		               parsed.host, rk_ip_class_name(rk_ip_classify(&ip)));
	}
}

static int check_user(struct rk_slice user, struct rk_fault *fault)
{
	for (size_t i = 0; i < user.n; i++) {
		if (user.p[i] < 0x20 || user.p[i] > 0x7e)
			return rk_fail(fault, RK_E_INVALID, "smtp_user is printable ASCII");
	}
	return 0;
}

static int check_smtp(const struct settings *s, bool password, struct rk_fault *fault)
{
	int err = s->smtp_host.n ? check_host(s->smtp_host, fault) : 0;

	if (!err && !s->smtp_port)
		err = rk_fail(fault, RK_E_INVALID,
		              "smtp_port is a number from 1 to 65535: 587 with starttls, 465 "
		              "with tls");
	if (!err && s->smtp_tls > SMTP_TLS_FULL)
		err = rk_fail(fault, RK_E_INVALID, "smtp_tls is none, starttls or tls");
	if (!err)
		err = check_user(s->smtp_user, fault);
	if (!err && password && !s->smtp_user.n)
		err = rk_fail(fault, RK_E_INVALID,
		              "smtp_password needs the smtp_user whose it is");
	if (!err && s->smtp_user.n && !password)
		err = rk_fail(fault, RK_E_INVALID, "smtp_user needs an smtp_password");
	if (!err && password && s->smtp_tls == SMTP_TLS_NONE)
		err = rk_fail(fault, RK_E_INVALID,
		              "a password is not sent without TLS: set smtp_tls to starttls or "
		              "tls");
	if (!err && s->smtp_host.n && !s->mail_from.n)
		err = rk_fail(fault, RK_E_INVALID,
		              "mail_from is missing: the address that mail comes from");
	return err ? err : check_ca_pem(s->smtp_ca, fault);
}

static int check_mail(const char *what, struct rk_slice address, struct rk_fault *fault)
{
	struct rk_fault why = {""};

	if (mail_address_check(address, &why) == 0)
		return 0;
	return rk_fail(fault, RK_E_INVALID, "%s: %.400s", what, why.text);
}

static int check_alerts(struct rk_slice list, struct rk_fault *fault)
{
	struct rk_slice item;
	int err = 0;

	if (record_list_count(list) > SETTINGS_MAX_ALERTS)
		return rk_fail(fault, RK_E_TOOBIG, "alert_mail holds at most %d addresses",
		               SETTINGS_MAX_ALERTS);
	while (!err && record_list_next(&list, &item))
		err = check_mail("alert_mail", item, fault);
	return err;
}

/* ---- the rest ---- */

static int check_public_url(struct rk_slice url, struct rk_fault *fault)
{
	struct rk_fault why = {""};
	struct base_url parsed;

	if (url.n > SETTINGS_MAX_PUBLIC_URL)
		return rk_fail(fault, RK_E_TOOBIG, "public_url has at most %d bytes",
		               SETTINGS_MAX_PUBLIC_URL);
	if (!url.n || base_url_parse(url, &parsed, &why) == 0)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "public_url is where people reach the console: %.400s", why.text);
}

static bool is_public_key(struct rk_slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	bool good = key != NULL;

	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return good;
}

static int check_leak_keys(struct rk_slice list, struct rk_fault *fault)
{
	struct rk_slice item;

	if (record_list_count(list) > SETTINGS_MAX_LEAK_KEYS)
		return rk_fail(fault, RK_E_TOOBIG, "leak_keys holds at most %d keys",
		               SETTINGS_MAX_LEAK_KEYS);
	while (record_list_next(&list, &item)) {
		const char *end = item.n ? memchr(item.p, '\n', item.n) : NULL;
		size_t id = end ? (size_t)(end - item.p) : 0;

		if (!id || id > MSG_MAX_NAME || !is_public_key(rk_slice_skip(item, id + 1)))
			return rk_fail(
			    fault, RK_E_INVALID,
			    "each of leak_keys is the key's identifier, a line end and "
			    "the public key in PEM form");
	}
	return 0;
}

int settings_check(const struct settings *s, bool password, struct rk_fault *fault)
{
	int err = check_public_url(s->public_url, fault);

	if (!err && s->mail_from.n)
		err = check_mail("mail_from", s->mail_from, fault);
	if (!err)
		err = check_smtp(s, password, fault);
	if (!err)
		err = check_alerts(s->alert_mail, fault);
	if (!err)
		err = check_leak_keys(s->leak_keys, fault);
	if (!err && (!s->mails_per_key_day || s->mails_per_key_day > SETTINGS_MAX_MAILS_A_DAY))
		err = rk_fail(fault, RK_E_INVALID, "mails_per_key_day is a number from 1 to %d",
		              SETTINGS_MAX_MAILS_A_DAY);
	if (!err && (s->confirm_ttl_ms < SETTINGS_SHORTEST_CONFIRM_MS ||
	             s->confirm_ttl_ms > SETTINGS_LONGEST_CONFIRM_MS))
		err = rk_fail(fault, RK_E_INVALID,
		              "a confirmation link is valid for ten minutes to seven days");
	return err;
}

int settings_check_password(struct rk_slice password, struct rk_fault *fault)
{
	bool good = password.n && password.n <= SETTINGS_MAX_PASSWORD;

	for (size_t i = 0; good && i < password.n; i++)
		good = (unsigned char)password.p[i] >= 0x20 && password.p[i] != 0x7f;
	if (good)
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "smtp_password is 1 to %d bytes without control characters",
	               SETTINGS_MAX_PASSWORD);
}

bool settings_moves_password(const struct settings *before, const struct settings *after)
{
	return !rk_slice_eq(before->smtp_host, after->smtp_host) ||
	       before->smtp_port != after->smtp_port || before->smtp_tls != after->smtp_tls ||
	       !rk_slice_eq(before->smtp_user, after->smtp_user) ||
	       !rk_slice_eq(before->smtp_ca, after->smtp_ca);
}
