/*
 * What libcurl is told of a delivery, and what its end means. No redirect is followed, no proxy
 * but the configured one is asked, no address is dialled but one that was checked, and no
 * connection is used twice: it would keep the password.
 */
#include "courier/post_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/version.h"
#include "courier/mail.h"
#include "courier/notice_json.h"
#include "courier/webhook.h"
#include "ipc/notice_kind.h"
#include "policy/mail_address.h"

enum {
	CONNECT_S = 10,
	HOOK_S = 30,
	MAIL_S = 90,
	REPLY_S = 30, /* a mail server's to one command */
	QUIT_S = 1,   /* libcurl waits for the answer to QUIT, and everybody else with it */
	BODY_MAX = 16384,
	ANSWER_MAX = 65536, /* nobody reads it */
	URL_TEXT = MSG_MAX_URL + MSG_MAX_HOST + 32,
};

static bool is_mail(const struct attempt *a)
{
	return a->m.kind == DELIVERY_MAIL;
}

/* ---- the body ---- */

static const char *prepare_hook(struct attempt *a)
{
	struct base_url url;

	if (base_url_parse(a->m.target, &url, NULL) || !a->secret.len)
		return "the webhook's address is not valid";
	memcpy(a->host, url.host, sizeof a->host);
	a->port = url.port;
	rk_buf_init(&a->body, BODY_MAX);
	return notice_json(&a->notice, &a->body) ? "the notice does not encode" : NULL;
}

static const char *prepare_mail(struct attempt *a)
{
	const struct mail_params mail = {
	    .from = a->m.mail_from,
	    .to = a->m.mail_to,
	    .public_url = a->m.public_url,
	    .notice = &a->notice,
	};

	if (!rk_slice_cstr(a->m.target, a->host, sizeof a->host) || !a->host[0])
		return "the mail server's name is not valid";
	a->port = a->m.port;
	rk_buf_init(&a->body, MAIL_MAX);
	return mail_write(&mail, &a->body) ? "the mail cannot be written: is its address valid?"
	                                   : NULL;
}

const char *attempt_prepare(struct attempt *a)
{
	if (a->m.kind != DELIVERY_MAIL && a->m.kind != DELIVERY_WEBHOOK)
		return "neither mail nor webhook";
	return is_mail(a) ? prepare_mail(a) : prepare_hook(a);
}

/* ---- libcurl asks ---- */

/* The last word on where a connection goes. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	const struct attempt *a = arg;
	struct rk_ip ip;

	if (purpose != CURLSOCKTYPE_IPCXN || rk_ip_from_sockaddr(&to->addr, &ip, NULL))
		return CURL_SOCKET_BAD;
	for (unsigned i = 0; i < a->addrs; i++) {
		if (memcmp(a->addr[i].b, ip.b, sizeof ip.b) == 0)
			return socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			              to->protocol);
	}
	return CURL_SOCKET_BAD;
}

/* A store of our own instead of files that are not there. */
static CURLcode set_trust(CURL *easy, void *ctx, void *arg)
{
	const struct attempt *a = arg;

	(void)easy;
	SSL_CTX_set1_cert_store(ctx, a->trust ? a->trust : a->post->trust);
	return CURLE_OK;
}

static size_t give_body(char *to, size_t size, size_t count, void *arg)
{
	struct attempt *a = arg;
	struct rk_slice left = rk_slice_skip(rk_buf_slice(&a->body), a->sent);
	size_t n = size * count < left.n ? size * count : left.n;

	if (n)
		memcpy(to, left.p, n);
	a->sent += n;
	return n;
}

/* Bounded, and thrown away. Less than what came ends the transfer. */
static size_t drop_answer(char *from, size_t size, size_t count, void *arg)
{
	struct attempt *a = arg;

	(void)from;
	a->received += size * count;
	return a->received > ANSWER_MAX ? 0 : size * count;
}

/* A line of a mail server's reply: its code, and a blank if it is the last one. */
static void read_reply(struct attempt *a, struct rk_slice line)
{
	uint64_t code;

	if (line.n < 4 || line.p[3] != ' ' || !rk_slice_u64(rk_slice(line.p, 3), &code))
		return;
	a->replies++;
	if (code >= 400)
		outcome_text(line, a->reply);
	if (code == 354)
		a->asked_for_data = true;
	else if (code >= 400 || a->asked_for_data)
		curl_easy_setopt(a->easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)QUIT_S);
}

static size_t on_header(char *from, size_t size, size_t count, void *arg)
{
	struct attempt *a = arg;

	if (is_mail(a))
		read_reply(a, rk_slice(from, size * count));
	return drop_answer(from, size, count, arg);
}

/* ---- what it is told ---- */

/* Memory that ran out shows when the transfer is asked for. */
static void append(struct curl_slist **list, const char *text, bool *good)
{
	struct curl_slist *longer = *good ? curl_slist_append(*list, text) : NULL;

	*good = longer != NULL;
	if (longer)
		*list = longer;
}

/* "host:port:address,address": what was looked up, so that libcurl does not. */
static void set_addresses(struct attempt *a, bool *good)
{
	const struct egress *via = &a->post->egress;
	const bool proxied = via->kind == EGRESS_PROXY;
	const unsigned port = proxied ? via->port : a->port;
	char text[BASE_URL_HOST_MAX + 16 + LOOKUP_MAX * (RK_IP_TEXT + 3)];
	size_t used =
	    (size_t)snprintf(text, sizeof text, "%s:%u:", proxied ? via->host : a->host, port);

	for (unsigned i = 0; i < a->addrs; i++) {
		char ip[RK_IP_TEXT];
		bool v4 = rk_ip_is_v4(&a->addr[i]);

		rk_ip_format(&a->addr[i], ip);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s",
		                         i ? "," : "", v4 ? "" : "[", ip, v4 ? "" : "]");
	}
	append(&a->resolve, text, good);
}

static void set_common(struct attempt *a)
{
	CURL *c = a->easy;

	curl_easy_setopt(c, CURLOPT_PRIVATE, a);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->error);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_RESOLVE, a->resolve);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, a);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	/* or the store of one target would be cached, and verify the next one's certificate */
	curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_NO_PARTIALCHAIN);
	curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, set_trust);
	curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, a);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
}

static void set_proxy(struct attempt *a)
{
	const struct egress *via = &a->post->egress;
	char text[EGRESS_TEXT];

	/* an empty one: not the environment's either */
	curl_easy_setopt(a->easy, CURLOPT_PROXY,
	                 via->kind == EGRESS_PROXY ? egress_format(via, text) : "");
	curl_easy_setopt(a->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(a->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_hook(struct attempt *a, bool *good)
{
	char url[MSG_MAX_URL + 1], signature[WEBHOOK_SIGNATURE_TEXT], line[128];
	struct rk_slice body = rk_buf_slice(&a->body);
	CURL *c = a->easy;

	*good = *good && rk_slice_cstr(a->m.target, url, sizeof url) &&
	        webhook_signature(rk_secret_slice(&a->secret), rk_wall_ms() / 1000, body,
	                          signature) == 0;
	if (!*good)
		return;
	append(&a->headers, signature, good);
	append(&a->headers, "Content-Type: application/json", good);
	snprintf(line, sizeof line, "RelayKey-Delivery: dlv_%" PRIu64, a->m.delivery);
	append(&a->headers, line, good);
	snprintf(line, sizeof line, "RelayKey-Event: %s", notice_kind_name(a->notice.kind));
	append(&a->headers, line, good);
	append(&a->headers, "Expect:", good);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)HOOK_S);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "RelayKey/" RELAYKEY_VERSION);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, a->headers);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body.n);
}

/* What libcurl copies is in its own memory, which is wiped (base/curl_memory.h). */
static void set_login(struct attempt *a, bool *good)
{
	char user[MSG_MAX_SMTP_USER + 1];

	if (!a->m.user.n)
		return;
	*good = *good && a->m.tls != SMTP_TLS_NONE &&
	        rk_slice_cstr(a->m.user, user, sizeof user) && a->secret.len &&
	        curl_easy_setopt(a->easy, CURLOPT_USERNAME, user) == CURLE_OK &&
	        curl_easy_setopt(a->easy, CURLOPT_PASSWORD, (const char *)a->secret.p) ==
	            CURLE_OK &&
	        curl_easy_setopt(a->easy, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN") ==
	            CURLE_OK;
}

static void set_mail(struct attempt *a, bool *good)
{
	struct rk_slice domain = mail_address_domain(a->m.mail_from);
	char url[URL_TEXT], address[MSG_MAX_MAIL + 1];
	bool v6 = strchr(a->host, ':') != NULL;
	CURL *c = a->easy;

	/* what stands behind the host is the name that it greets with */
	snprintf(url, sizeof url, "%s://%s%s%s:%u/%.*s",
	         a->m.tls == SMTP_TLS_FULL ? "smtps" : "smtp", v6 ? "[" : "", a->host,
	         v6 ? "]" : "", a->port, RK_FMT(domain));
	*good = *good && rk_slice_cstr(a->m.mail_to, address, sizeof address);
	append(&a->to, address, good);
	*good = *good && rk_slice_cstr(a->m.mail_from, address, sizeof address);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(c, CURLOPT_USE_SSL,
	                 (long)(a->m.tls == SMTP_TLS_NONE ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)MAIL_S);
	curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)REPLY_S);
	curl_easy_setopt(c, CURLOPT_MAIL_FROM, address);
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT, a->to);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(c, CURLOPT_READDATA, a);
	set_login(a, good);
}

const char *attempt_set_up(struct attempt *a)
{
	bool good = true;

	a->easy = curl_easy_init();
	if (!a->easy)
		return "out of memory";
	set_addresses(a, &good);
	set_common(a);
	set_proxy(a);
	if (is_mail(a))
		set_mail(a, &good);
	else
		set_hook(a, &good);
	return good ? NULL : "it cannot be sent as it is set up, or memory is out";
}

/* ---- the end ---- */

static void judge_hook(struct attempt *a, long status)
{
	curl_off_t after = 0;

	/* with a status it was heard, however the rest of the answer went */
	a->end.result =
	    (uint8_t)(status >= 200 ? outcome_of_http((unsigned)status) : DELIVER_AGAIN);
	curl_easy_getinfo(a->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > 0)
		a->end.retry_after_s = after < UINT32_MAX ? (uint32_t)after : UINT32_MAX;
}

static void judge_mail(struct attempt *a, CURLcode result, long *status)
{
	/* greeting and EHLO; what is refused later is the mail */
	enum { BEFORE_THE_MAIL = 2 };
	const bool sent = a->replies > BEFORE_THE_MAIL && result != CURLE_LOGIN_DENIED &&
	                  result != CURLE_USE_SSL_FAILED;

	if (result == CURLE_OK) {
		a->end.result = DELIVER_OK;
		return;
	}
	a->end.result = DELIVER_AGAIN;
	if (*status >= 400 && a->reply[0])
		a->end.result = (uint8_t)outcome_of_smtp((unsigned)*status, sent);
	else
		*status = 0; /* it said yes so far, and then nothing */
}

void attempt_judge(struct attempt *a, CURLcode result)
{
	long status = 0;
	char text[OUTCOME_TEXT];

	curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 0 || status > 999)
		status = 0;
	if (is_mail(a))
		judge_mail(a, result, &status);
	else
		judge_hook(a, status);
	a->end.status = (uint16_t)status;
	if (a->end.result == DELIVER_OK)
		return;
	if (a->reply[0] && status >= 400)
		snprintf(text, sizeof text, "%s", a->reply);
	else if (status)
		snprintf(text, sizeof text, "it answered with status %ld", status);
	else
		snprintf(text, sizeof text, "%s",
		         a->error[0] ? a->error : curl_easy_strerror(result));
	outcome_text(rk_str(text), a->end_text);
}
