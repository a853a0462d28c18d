#include "cli/https.h"

#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/base62.h"
#include "base/curl_memory.h"
#include "base/version.h"

enum {
	CONNECT_S = 10,
	UPLOAD_BYTES = 16384,
	HEADER_MAX = 512,
	URL_MAX = 1024,
	PAGE_MAX = 64 << 20,
	STREAM_FULL = 256 << 10, /* then it waits */
};

struct https {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct https_params params;
	struct https_ask ask;
	size_t sent; /* bytes of the body */
	struct api_text text;
	struct rk_buf data;
	bool running, paused, came;
	CURLcode result;
	char error[CURL_ERROR_SIZE];
};

/* ---- libcurl asks ---- */

static size_t give_body(char *to, size_t size, size_t count, void *arg)
{
	struct https *h = arg;
	size_t n = api_text_read(h->ask.body, h->sent, to, size * count);

	h->sent += n;
	return n;
}

/* A connection that was closed in between: once more from the start. */
static int seek_body(void *arg, curl_off_t offset, int origin)
{
	struct https *h = arg;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	h->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t take_answer(char *from, size_t size, size_t count, void *arg)
{
	struct https *h = arg;
	size_t n = size * count;
	int err;

	h->came = true;
	if (h->ask.sink == HTTPS_TEXT || https_status(h) / 100 != 2) {
		err = api_text_add(&h->text, from, n);
	} else if (h->ask.sink == HTTPS_STREAM && h->data.len >= STREAM_FULL) {
		h->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	} else {
		err = rk_buf_add(&h->data, from, n);
	}
	return err ? 0 : n;
}

/* What OpenSSL has decrypted is wiped when it was read. */
static CURLcode set_context(CURL *easy, void *ctx, void *arg)
{
	(void)easy;
	(void)arg;
	SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
	return CURLE_OK;
}

/* ---- a request ---- */

static int add_header(struct https *h, const char *text)
{
	struct curl_slist *more = curl_slist_append(h->headers, text);

	if (!more)
		return RK_E_NOMEM;
	h->headers = more;
	return 0;
}

static int add_token(struct https *h)
{
	RK_SECRET_AUTO line = {0};
	int err = rk_secret_alloc(&line, h->params.token.n + 32);

	if (!err)
		err = rk_secret_add(&line, "Authorization: Bearer ", 22);
	if (!err)
		err = rk_secret_add(&line, h->params.token.p, h->params.token.n);
	if (!err)
		err = rk_secret_add(&line, "", 1);
	return err ? err : add_header(h, (const char *)line.p);
}

static int add_headers(struct https *h)
{
	unsigned char random[16];
	char line[HEADER_MAX], hex[2 * sizeof random + 1];
	int err;

	curl_slist_free_all(h->headers);
	h->headers = NULL;
	err = add_token(h);
	snprintf(line, sizeof line, "Accept: %s", h->ask.accept);
	if (!err)
		err = add_header(h, line);
	/* libcurl's own would be another type, and one that is waited for */
	snprintf(line, sizeof line, "Content-Type: %s",
	         h->ask.type ? h->ask.type : "application/json");
	if (!err && h->ask.body)
		err = add_header(h, line);
	if (!err && h->ask.body)
		err = add_header(h, "Expect:");
	if (!err && h->ask.keyed) {
		rk_random(random, sizeof random);
		rk_hex(random, sizeof random, hex);
		snprintf(line, sizeof line, "Idempotency-Key: %s", hex);
		err = add_header(h, line);
	}
	if (!err && h->ask.last_event) {
		snprintf(line, sizeof line, "Last-Event-ID: %llu",
		         (unsigned long long)h->ask.last_event);
		err = add_header(h, line);
	}
	return err;
}

static int add_url(struct https *h)
{
	RK_SECRET_AUTO url = {0};
	size_t n = strlen(h->params.url);
	int err = rk_secret_alloc(&url, URL_MAX + h->ask.target.n + 1);

	while (n && h->params.url[n - 1] == '/')
		n--;
	if (!err)
		err = rk_secret_add(&url, h->params.url, n);
	if (!err)
		err = rk_secret_add(&url, h->ask.target.p, h->ask.target.n);
	if (!err)
		err = rk_secret_add(&url, "", 1);
	if (!err && curl_easy_setopt(h->easy, CURLOPT_URL, (const char *)url.p) != CURLE_OK)
		err = RK_E_NOMEM;
	return err;
}

static void end_transfer(struct https *h)
{
	if (h->running)
		curl_multi_remove_handle(h->multi, h->easy);
	h->running = h->paused = h->came = false;
	h->sent = 0;
	api_text_free(&h->text);
	rk_buf_consume(&h->data, h->data.len);
}

static void set_up(struct https *h)
{
	CURL *c = h->easy;
	curl_off_t n = h->ask.body ? (curl_off_t)api_text_size(h->ask.body) : 0;

	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, set_context);
	if (h->params.ca_file) {
		curl_easy_setopt(c, CURLOPT_CAINFO, h->params.ca_file);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, h->ask.patience_s);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	/* what a body goes through is then small enough for secret memory */
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "relaykey/" RELAYKEY_VERSION);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
	/* the method says nothing of a body, and a body nothing of the method */
	if (h->ask.body || strcmp(h->ask.method, "POST") == 0) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, n);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(c, CURLOPT_READDATA, h);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, h);
	}
	if (!h->ask.body && strcmp(h->ask.method, "POST") == 0)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, h->ask.method);
}

int https_begin(struct https *h, const struct https_ask *ask)
{
	int err;

	end_transfer(h);
	h->ask = *ask;
	h->error[0] = '\0';
	/* open connections stay with the multi handle */
	curl_easy_reset(h->easy);
	err = add_headers(h);
	if (!err)
		err = add_url(h);
	if (err)
		return err;
	set_up(h);
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return RK_E_NOMEM;
	h->running = true;
	return 0;
}

/* ---- the answer ---- */

int https_status(const struct https *h)
{
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

const struct api_text *https_text(const struct https *h)
{
	return &h->text;
}

struct rk_buf *https_data(struct https *h)
{
	return &h->data;
}

static int explain(const struct https *h, struct rk_fault *fault)
{
	const char *why = h->error[0] ? h->error : curl_easy_strerror(h->result);

	switch (h->result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return rk_fail(fault, RK_E_CLOSED, "the certificate of %s is not accepted: %s",
		               h->params.url, why);
	case CURLE_SSL_CONNECT_ERROR:
		return rk_fail(fault, RK_E_CLOSED, "no TLS with %s: %s", h->params.url, why);
	case CURLE_WRITE_ERROR:
	case CURLE_OUT_OF_MEMORY:
		return rk_fail(fault, RK_E_CLOSED, "the answer of %s is too long for memory",
		               h->params.url);
	default:
		if (https_status(h))
			return rk_fail(fault, RK_E_CLOSED,
			               "%s closed the connection in the middle of its answer",
			               h->params.url);
		return rk_fail(fault, RK_E_CLOSED, "the broker does not answer on %s: %s",
		               h->params.url, why);
	}
}

static bool is_over(struct https *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		h->result = m->data.result;
		curl_multi_remove_handle(h->multi, h->easy);
		h->running = false;
	}
	return !h->running;
}

int https_wait(struct https *h, int ms, struct rk_fault *fault)
{
	bool polled = false;
	int running;

	h->came = false;
	if (h->paused && h->data.len < STREAM_FULL) {
		h->paused = false;
		curl_easy_pause(h->easy, CURLPAUSE_CONT);
	}
	while (h->running) {
		if (curl_multi_perform(h->multi, &running) != CURLM_OK)
			return rk_fail(fault, RK_E_CLOSED, "libcurl failed");
		if (is_over(h) || h->came || polled)
			break;
		curl_multi_poll(h->multi, NULL, 0, ms, NULL);
		polled = true;
	}
	if (h->running)
		return 0;
	return h->result == CURLE_OK ? 1 : explain(h, fault);
}

/* ---- life ---- */

static bool is_url(const char *url)
{
	size_t n = strlen(url);

	if (strncmp(url, "https://", 8) != 0 || n <= 8 || n > URL_MAX || url[8] == '/')
		return false;
	for (const char *p = url; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("?#@\\\"<>", *p))
			return false;
	}
	return true;
}

int https_new(const struct https_params *params, struct https **out, struct rk_fault *fault)
{
	struct https *h;
	int err;

	if (!is_url(params->url))
		return rk_fail(fault, RK_E_INVALID,
		               "'%s' is no address of a broker: use https://HOST[:PORT]",
		               params->url);
	err = curl_memory_init(CURL_MEMORY_BUFFERS, fault);
	if (err)
		return err;
	h = calloc(1, sizeof *h);
	if (!h)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	h->params = *params;
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	rk_buf_init(&h->data, PAGE_MAX);
	if (!h->multi || !h->easy) {
		https_free(h);
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	}
	*out = h;
	return 0;
}

void https_free(struct https *h)
{
	if (!h)
		return;
	end_transfer(h);
	curl_slist_free_all(h->headers);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	rk_buf_free(&h->data);
	free(h);
}
