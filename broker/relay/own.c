#include "relay/own.h"

#include <stdio.h>

#include "base/base62.h"
#include "http/accept.h"
#include "relay/discover.h"
#include "relay/guide.h"

enum { ETAG_BYTES = 8, ETAG_TEXT = 2 + 2 * ETAG_BYTES + 1 };

static struct rk_slice field_named(const struct h1_head *h, const char *name)
{
	for (size_t i = 0; i < h->field_count; i++) {
		if (h->fields[i].id == H1_HDR_OTHER &&
		    rk_slice_ieq(h->fields[i].name, rk_str(name)))
			return h->fields[i].value;
	}
	return rk_slice("", 0);
}

struct rk_slice own_authority(const struct h1_head *h)
{
	/* HTTP/1.0 may go without */
	return h->host.n ? h->host : rk_str("localhost");
}

static void answer_method(struct client *c)
{
	struct client_text t = {
	    .status = 405,
	    .type = "application/json",
	    .fields = "Allow: GET, HEAD\r\nCache-Control: no-store\r\n",
	};

	rk_buf_init(&t.body, 512);
	if (rk_buf_printf(&t.body,
	                  "{\"type\":\"error\",\"error\":{\"type\":"
	                  "\"invalid_request_error\",\"code\":\"method_not_supported\","
	                  "\"message\":\"The proxy answers GET and HEAD here.\","
	                  "\"param\":null}}\n"))
		rk_buf_free(&t.body);
	client_answer_text(c, &t);
}

/* A strong validator: the first bytes of the SHA-256. */
static void etag_of(struct rk_slice body, char out[ETAG_TEXT])
{
	uint8_t digest[32];

	rk_sha256(body, digest);
	out[0] = '"';
	rk_hex(digest, ETAG_BYTES, out + 1);
	memcpy(out + 1 + 2 * ETAG_BYTES, "\"", 2);
}

static void answer_page(struct client *c, const struct h1_head *h, enum guide_page page)
{
	bool html = guide_has_html(page) && accept_prefers_html(field_named(h, "accept"));
	char etag[ETAG_TEXT], fields[512];
	struct rk_slice known = field_named(h, "if-none-match");
	struct client_text t = {
	    .status = 200,
	    .type = html                   ? "text/html; charset=utf-8"
	            : guide_has_html(page) ? "text/markdown; charset=utf-8"
	                                   : "text/plain; charset=utf-8",
	    .fields = fields,
	};

	if (guide_render(page, own_authority(h), html, &t.body)) {
		client_refuse(c, REASON_OVERLOADED, NULL, NULL);
		return;
	}
	etag_of(rk_buf_slice(&t.body), etag);
	if (known.n && memmem(known.p, known.n, etag, strlen(etag))) {
		t.status = 304;
		t.type = NULL;
		rk_buf_free(&t.body);
	}
	snprintf(fields, sizeof fields,
	         "ETag: %s\r\nCache-Control: public, max-age=300\r\n%s"
	         "X-Content-Type-Options: nosniff\r\n%s",
	         etag, guide_has_html(page) ? "Vary: Accept\r\n" : "",
	         html ? "Content-Security-Policy: default-src 'none'; style-src "
	                "'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'\r\n"
	              : "");
	client_answer_text(c, &t);
}

static struct rk_slice path_of(struct rk_slice target)
{
	const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;

	return mark ? rk_slice(target.p, (size_t)(mark - target.p)) : target;
}

bool own_request(struct client *c, const struct h1_head *h)
{
	struct rk_slice path = path_of(h->target);
	bool discover = rk_slice_is(path, "/_discover");
	enum guide_page page = GUIDE_PAGES;

	if (!discover && !guide_find(path, &page))
		return false;
	if (!rk_slice_is(h->method, "GET") && !rk_slice_is(h->method, "HEAD"))
		answer_method(c);
	else if (discover)
		discover_request(c, h);
	else
		answer_page(c, h, page);
	return true;
}
