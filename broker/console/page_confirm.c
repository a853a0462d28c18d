#include "console/page_confirm.h"

#include <stdio.h>

#include "base/base62.h"
#include "base/clock.h"
#include "http/credential.h"
#include "policy/relay_key.h"

static const char prefix[] = "/confirm/";

static const char style[] =
    ":root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#16181d;--soft:#5b616e;"
    "--line:#e2e4e9;--act:#0b57d0;--on:#fff}"
    "@media(prefers-color-scheme:dark){:root{--page:#101216;--card:#191c22;--text:#e9ebef;"
    "--soft:#a2a9b6;--line:#2d323c;--act:#8ab4f8;--on:#0b1730}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;"
    "background:var(--page);color:var(--text);font:1rem/1.5 system-ui,sans-serif}"
    "main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);"
    "border-radius:.75rem;padding:1.5rem}"
    "p.brand{margin:0 0 .75rem;color:var(--soft);font-size:.875rem}"
    "h1{margin:0 0 .75rem;font-size:1.375rem;line-height:1.25}"
    "p{margin:0 0 1rem}"
    "dl{margin:0 0 1.25rem;border-top:1px solid var(--line)}"
    "dl div{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.5rem 0;"
    "border-bottom:1px solid var(--line)}"
    "dt{flex:0 0 7rem;color:var(--soft)}"
    "dd{margin:0;flex:1 1 12rem;overflow-wrap:anywhere}"
    "button{width:100%;padding:.75rem 1rem;border:0;border-radius:.5rem;background:var(--act);"
    "color:var(--on);font:inherit;font-weight:600;cursor:pointer}"
    "button:focus-visible{outline:3px solid var(--text);outline-offset:2px}"
    ".note{margin:1rem 0 0;color:var(--soft);font-size:.875rem}";

/* ---- what a request asks ---- */

static const struct h1_field *field(const struct h1_head *h, const char *name)
{
	for (size_t i = 0; i < h->field_count; i++) {
		if (rk_slice_ieq(h->fields[i].name, rk_str(name)))
			return &h->fields[i];
	}
	return NULL;
}

/*
 * Another site's page must not press the button. Browsers say where a request comes from; the
 * older ones say so in Origin, which is "null" for a page that names its address to nobody, as
 * ours does not. What is no browser says nothing, and has the code.
 */
static bool from_our_page(const struct h1_head *h)
{
	const struct h1_field *site = field(h, "Sec-Fetch-Site");
	const struct h1_field *origin = field(h, "Origin");
	struct rk_slice https = rk_str("https://");

	if (site)
		return rk_slice_is(site->value, "same-origin") ||
		       rk_slice_is(site->value, "none");
	if (!origin || rk_slice_is(origin->value, "null"))
		return true;
	return rk_slice_starts(origin->value, https) &&
	       rk_slice_ieq(rk_slice_skip(origin->value, https.n), h->host);
}

int page_confirm_route(const struct h1_head *head, struct page_ask *ask)
{
	struct rk_slice path = head->target;
	const char *query = path.n ? memchr(path.p, '?', path.n) : NULL;
	bool post = rk_slice_is(head->method, "POST");
	struct rk_slice code;

	if (query)
		path.n = (size_t)(query - path.p);
	if (!rk_slice_starts(path, rk_str(prefix)))
		return 0;
	if (!post && !rk_slice_is(head->method, "GET") && !rk_slice_is(head->method, "HEAD"))
		return 405;
	code = rk_slice_skip(path, sizeof prefix - 1);
	if (code.n > MSG_MAX_NAME || !rk_base62_is(code))
		return 404;
	if (post && !from_our_page(head))
		return 403;
	ask->type = post ? MSG_TRUST_CONFIRM : MSG_TRUST_CONFIRM_GET;
	ask->body.code = code;
	return PAGE_ASK;
}

/* ---- HTML ---- */

static int put(struct rk_buf *out, const char *text)
{
	return rk_buf_add_slice(out, rk_str(text));
}

/* Text of others: markup is escaped, what is not printable ASCII is a question mark. */
static int put_text(struct rk_buf *out, struct rk_slice s)
{
	int err = 0;

	for (size_t i = 0; i < s.n && !err; i++) {
		char c = s.p[i];

		switch (c) {
		case '&':
			err = put(out, "&amp;");
			break;
		case '<':
			err = put(out, "&lt;");
			break;
		case '>':
			err = put(out, "&gt;");
			break;
		case '"':
			err = put(out, "&quot;");
			break;
		case '\'':
			err = put(out, "&#39;");
			break;
		default:
			if (c < ' ' || c > '~')
				c = '?';
			err = rk_buf_add(out, &c, 1);
		}
	}
	return err;
}

static int begin(struct rk_buf *out, const char *title)
{
	return rk_buf_printf(
	    out,
	    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	    "<meta name=\"robots\" content=\"noindex\">\n<title>%s - RelayKey</title>\n"
	    "<style>%s</style>\n</head>\n<body>\n<main>\n<p class=\"brand\">RelayKey</p>\n"
	    "<h1>%s</h1>\n",
	    title, style, title);
}

static int end(struct rk_buf *out)
{
	return put(out, "</main>\n</body>\n</html>\n");
}

/* One line of the list; nothing when there is nothing to say. */
static int item(struct rk_buf *out, const char *name, struct rk_slice value)
{
	int err;

	if (!value.n)
		return 0;
	err = rk_buf_printf(out, "<div><dt>%s</dt><dd>", name);
	if (!err)
		err = put_text(out, value);
	return err ? err : put(out, "</dd></div>\n");
}

static int item_time(struct rk_buf *out, const char *name, int64_t ms)
{
	char full[RK_TIME_TEXT], text[32];

	if (!ms)
		return 0;
	rk_time_format(ms, full);
	/* "2026-05-01 14:22 UTC" */
	snprintf(text, sizeof text, "%.10s %.5s UTC", full, full + 11);
	return item(out, name, rk_str(text));
}

static int item_holder(struct rk_buf *out, const struct msg_trust_info *t)
{
	char text[MSG_MAX_HOLDER];

	snprintf(text, sizeof text, "%.*s (%s)", RK_FMT(t->holder),
	         holder_kind_name((enum holder_kind)t->holder_kind));
	return item(out, "Holder", rk_str(text));
}

static int details(struct rk_buf *out, const struct msg_trust_info *t)
{
	int err = put(out, "<dl>\n");

	if (!err)
		err = item(out, "Address", t->address);
	if (!err)
		err = item(out, "Client", t->user_agent);
	if (!err)
		err = item(out, "Connection", t->conn_name.n ? t->conn_name : t->conn_id);
	if (!err)
		err = item(out, "Relay key", t->key_masked);
	if (!err)
		err = item_holder(out, t);
	if (!err)
		err = item_time(out, "Time", t->first_ms);
	return err ? err : put(out, "</dl>\n");
}

/* ---- the pages ---- */

static int ask_page(const struct msg_trust_info *t, struct rk_buf *out)
{
	int err = begin(out, "Confirm a new address");

	if (!err)
		err =
		    put(out, "<p>A relay key of yours was used from an address that it was not "
		             "used from before. The request was blocked.</p>\n");
	if (!err)
		err = details(out, t);
	/* to the same address: the code is nowhere in the page */
	if (!err)
		err =
		    put(out,
		        "<form method=\"post\"><button type=\"submit\">This was me: trust this "
		        "address</button></form>\n<p class=\"note\">If this was not you, close "
		        "this page: nothing from there gets through. Tell whoever runs your "
		        "RelayKey, so that the key is revoked.</p>\n");
	if (!err)
		err = end(out);
	return err ? err : 200;
}

static int done_page(const struct msg_trust_info *t, struct rk_buf *out)
{
	int err = begin(out, "The address is trusted now");

	if (!err)
		err =
		    put(out, "<p>Requests from there go through from now on. Send the one that "
		             "was blocked again.</p>\n");
	if (!err)
		err = details(out, t);
	if (!err)
		err = put(out, "<p class=\"note\">You can close this page.</p>\n");
	if (!err)
		err = end(out);
	return err ? err : 200;
}

int page_confirm_refused(int status, struct rk_buf *out)
{
	static const struct {
		int status;
		const char *title, *text;
	} pages[] = {
	    {503, "Not possible right now",
	     "RelayKey cannot look at this link at the moment. Try again in a minute."},
	    {404, "This link is not valid",
	     "It was used already, has expired, or is incomplete. When the key is used from "
	     "the "
	     "new address again, a new mail is sent."},
	    {403, "Not from here",
	     "The confirmation was sent by another site's page. Open the link in the mail and "
	     "confirm there."},
	    {405, "Not like this", "Open the link in the mail with a browser."},
	    {429, "Too many attempts",
	     "Too many links that are not valid came from your address. Try again in a "
	     "minute."},
	};
	size_t at = 0;
	int err;

	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		if (pages[i].status == status)
			at = i;
	}
	err = begin(out, pages[at].title);
	if (!err)
		err = rk_buf_printf(out, "<p>%s</p>\n", pages[at].text);
	if (!err)
		err = end(out);
	return err ? err : pages[at].status;
}

int page_confirm_answer(const struct ipc_message *m, struct rk_buf *out)
{
	const struct msg_trust_info *t = &m->body.trust_info;

	if (m->type == MSG_TRUST_INFO)
		return t->state == TRUST_TRUSTED ? done_page(t, out) : ask_page(t, out);
	if (m->type == MSG_DONE && m->body.done.err == RK_E_NOTFOUND)
		return page_confirm_refused(404, out);
	if (m->type == MSG_DONE && m->body.done.err == RK_E_AGAIN)
		return page_confirm_refused(429, out);
	return page_confirm_refused(503, out);
}

void page_confirm_csp(char out[PAGE_CONFIRM_CSP])
{
	uint8_t digest[32];
	char hash[64];

	rk_sha256(rk_str(style), digest);
	hash[credential_base64_encode(rk_slice(digest, sizeof digest), hash)] = '\0';
	snprintf(out, PAGE_CONFIRM_CSP,
	         "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; "
	         "frame-ancestors 'none'; base-uri 'none'",
	         hash);
}
