#include "relay/rewrite.h"

#include <stdio.h>

#include "base/record.h"
#include "relay/limits.h"

/* Writes into a fixed room; `full` stays set once something did not fit. */
struct writer {
	char *p, *end;
	bool full;
};

static void add(struct writer *w, struct rk_slice s)
{
	if ((size_t)(w->end - w->p) < s.n) {
		w->full = true;
		return;
	}
	if (s.n)
		memcpy(w->p, s.p, s.n);
	w->p += s.n;
}

static void add_text(struct writer *w, const char *s)
{
	add(w, rk_str(s));
}

static void add_length(struct writer *w, uint64_t n)
{
	char line[48];

	snprintf(line, sizeof line, "Content-Length: %llu\r\n", (unsigned long long)n);
	add_text(w, line);
}

/* Field names that differ only in case or in '_' for '-' are one to some upstreams. */
static bool same_name(struct rk_slice a, struct rk_slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		unsigned char x = rk_ascii_lower((unsigned char)a.p[i]);
		unsigned char y = rk_ascii_lower((unsigned char)b.p[i]);

		if ((x == '_' ? '-' : x) != (y == '_' ? '-' : y))
			return false;
	}
	return true;
}

static bool in_list(struct rk_slice list, struct rk_slice name)
{
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		if (same_name(item, name))
			return true;
	}
	return false;
}

static void add_target(struct writer *w, const struct request *r, struct rk_slice base_path,
                       struct rk_slice inject_query)
{
	struct rk_slice query = r->query;
	const char *equals =
	    inject_query.n ? memchr(inject_query.p, '=', inject_query.n) : NULL;

	add(w, base_path);
	if (r->rest.n)
		add(w, r->rest);
	else if (base_path.n == 0)
		add_text(w, "/");
	if (r->has_query || inject_query.n)
		add_text(w, "?");
	if (inject_query.n && query.n && (size_t)(w->end - w->p) >= query.n) {
		/* the client's parameter of that name would stand beside the real one */
		struct rk_slice name = inject_query;

		if (equals)
			name.n = (size_t)(equals - inject_query.p);
		query.n = request_query_without(query, false, name, w->p);
		w->p += query.n;
	} else {
		add(w, query);
	}
	if (inject_query.n && query.n)
		add_text(w, "&");
	add(w, inject_query);
}

static void add_request_framing(struct writer *w, const struct request *r)
{
	if (r->body == H1_BODY_CHUNKED)
		add_text(w, "Transfer-Encoding: chunked\r\n");
	else if (r->body == H1_BODY_LENGTH)
		add_length(w, r->content_length);
	else if (rk_slice_is(r->method, "POST") || rk_slice_is(r->method, "PUT") ||
	         rk_slice_is(r->method, "PATCH"))
		add_length(w, 0); /* RFC 9110 8.6 */
}

static const char upgrade_fields[] = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

int rewrite_request(const struct request *r, const struct rewrite_upstream *u,
                    struct rk_slice inject_headers, struct rk_slice inject_query, size_t spare,
                    struct rk_secret *out)
{
	enum { FIXED = 128 }; /* what the relay itself writes */
	size_t bytes = FIXED + spare + r->method.n + u->base_path.n + r->rest.n + r->query.n +
	               inject_query.n + u->authority.n + inject_headers.n;
	RK_SECRET_AUTO head = {0};
	struct writer w;
	int err;

	if (r->line_count)
		bytes +=
		    (size_t)(r->lines[r->line_count - 1].off + r->lines[r->line_count - 1].n);
	err = rk_secret_alloc(&head, bytes);
	if (err)
		return err;
	w = (struct writer){.p = (char *)head.p, .end = (char *)head.p + head.cap};
	add(&w, r->method);
	add_text(&w, " ");
	add_target(&w, r, u->base_path, inject_query);
	add_text(&w, " HTTP/1.1\r\nHost: ");
	add(&w, u->authority);
	add_text(&w, "\r\n");
	for (unsigned i = 0; i < r->line_count; i++) {
		const struct request_line *l = &r->lines[i];

		if (u->set_headers.n &&
		    in_list(u->set_headers, rk_slice(r->text + l->off, l->name_n)))
			continue;
		add(&w, rk_slice(r->text + l->off, l->n));
	}
	add(&w, inject_headers);
	if (r->websocket)
		add_text(&w, upgrade_fields);
	add_request_framing(&w, r);
	add_text(&w, "\r\n");
	head.len = (size_t)(w.p - (char *)head.p);
	if (w.full)
		return RK_E_TOOBIG;
	rk_secret_move(out, &head);
	return 0;
}

/* ---- responses ---- */

static bool response_field_passes(const struct h1_field *f, bool allow_set_cookie)
{
	static const struct rk_slice alt_svc = {"alt-svc", 7};

	if (f->hop)
		return false;
	switch (f->id) {
	case H1_HDR_CONTENT_LENGTH:
	case H1_HDR_TRANSFER_ENCODING:
	case H1_HDR_RELAYKEY:
		return false;
	case H1_HDR_SET_COOKIE:
		return allow_set_cookie;
	case H1_HDR_OTHER:
		/* RFC 7838: speaks of the upstream's ports; a client would try them on the
		 * broker */
		return !rk_slice_ieq(f->name, alt_svc);
	default:
		return !h1_hdr_is_hop(f->id);
	}
}

const char *rewrite_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} known[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {206, "Partial Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {303, "See Other"},
	    {304, "Not Modified"},
	    {307, "Temporary Redirect"},
	    {308, "Permanent Redirect"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {402, "Payment Required"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {423, "Locked"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {100, "Continue"},
	    {101, "Switching Protocols"},
	    {103, "Early Hints"},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (known[i].status == status)
			return known[i].phrase;
	}
	return "";
}

ssize_t rewrite_response(const struct h1_head *h, const struct rewrite_response *how, char *dst,
                         size_t cap)
{
	struct writer w = {.p = dst, .end = dst + cap};
	char line[64], limits[LIMITS_TEXT];

	snprintf(line, sizeof line, "HTTP/1.1 %03d %s\r\n", h->status,
	         rewrite_phrase(h->status));
	add_text(&w, line);
	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *f = &h->fields[i];

		if (!response_field_passes(f, how->allow_set_cookie))
			continue;
		add(&w, f->name);
		add(&w, (struct rk_slice){": ", 2});
		add(&w, f->value);
		add(&w, (struct rk_slice){"\r\n", 2});
	}
	if (how->request_id) {
		add_text(&w, "x-relaykey-request-id: ");
		add_text(&w, how->request_id);
		add_text(&w, "\r\nx-relaykey-decision: allowed\r\n");
	}
	limits_text(how->limits, limits);
	add_text(&w, limits);
	if (how->framing == REWRITE_LENGTH)
		add_length(&w, how->length);
	else if (how->framing == REWRITE_CHUNKED)
		add_text(&w, "Transfer-Encoding: chunked\r\n");
	if (how->say_upgrade)
		add_text(&w, upgrade_fields);
	else if (how->say_close)
		add_text(&w, "Connection: close\r\n");
	else if (how->say_keep_alive)
		add_text(&w, "Connection: keep-alive\r\n");
	add_text(&w, "\r\n");
	return w.full ? RK_E_TOOBIG : w.p - dst;
}
