#include "http/credential.h"
#include "http/h1.h"
#include "tests/fuzz/fuzz.h"

/* One head, written anew from what was parsed. */
struct writer {
	char bytes[2 * H1_MAX_HEAD];
	size_t n;
};

static void put(struct writer *w, struct rk_slice s)
{
	REQUIRE(s.n <= sizeof(w->bytes) - w->n);
	if (s.n)
		memcpy(w->bytes + w->n, s.p, s.n);
	w->n += s.n;
}

static void require_inside(struct rk_slice s, struct rk_slice head)
{
	if (s.n)
		REQUIRE(s.p >= head.p && s.p + s.n <= head.p + head.n);
}

static void require_text(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		REQUIRE(c == '\t' || (c >= 0x20 && c < 0x7f));
	}
}

static void check_fields(const struct h1_head *h, struct rk_slice head)
{
	size_t hosts = 0, lengths = 0, codings = 0;

	REQUIRE(h->field_count <= H1_MAX_FIELDS);
	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *f = &h->fields[i];
		enum h1_hdr id = h1_hdr_id(f->name);

		require_inside(f->name, head);
		require_inside(f->value, head);
		require_text(f->value);
		REQUIRE(f->name.n > 0);
		REQUIRE(!memchr(f->name.p, ':', f->name.n) &&
		        !memchr(f->name.p, ' ', f->name.n));
		REQUIRE(f->id == id || (id == H1_HDR_OTHER && f->id == H1_HDR_CREDENTIAL));
		REQUIRE(f->hop || !h1_hdr_is_hop(f->id));
		if (f->hop)
			REQUIRE(f->id != H1_HDR_HOST && f->id != H1_HDR_AUTHORIZATION &&
			        f->id != H1_HDR_CONTENT_LENGTH && f->id != H1_HDR_RELAYKEY);
		if (credential_is_header(f->name))
			REQUIRE(f->id != H1_HDR_OTHER);
		hosts += f->id == H1_HDR_HOST;
		lengths += f->id == H1_HDR_CONTENT_LENGTH;
		codings += f->id == H1_HDR_TRANSFER_ENCODING;
	}
	REQUIRE(hosts <= 1 && lengths + codings <= 1);
	REQUIRE(h->minor == 0 || hosts == 1);
	REQUIRE((h->body == H1_BODY_LENGTH) == (lengths == 1));
	REQUIRE((h->body == H1_BODY_CHUNKED) == (codings == 1));
	REQUIRE(h->body != H1_BODY_CLOSE);
	REQUIRE(h->content_length <= INT64_MAX);
}

/* Written again, a head says the same. */
static void check_rewritten(const struct h1_head *h)
{
	static struct writer w;
	static struct h1_head again;

	w.n = 0;
	put(&w, h->method);
	put(&w, rk_str(" "));
	put(&w, h->target);
	put(&w, rk_str(h->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n"));
	for (size_t i = 0; i < h->field_count; i++) {
		put(&w, h->fields[i].name);
		put(&w, rk_str(":"));
		put(&w, h->fields[i].value);
		put(&w, rk_str("\r\n"));
	}
	put(&w, rk_str("\r\n"));
	REQUIRE(h1_parse_request(rk_slice(w.bytes, w.n), H1_MAX_HEAD, &again) == (int)w.n);
	REQUIRE(rk_slice_eq(again.method, h->method) && rk_slice_eq(again.target, h->target));
	REQUIRE(again.field_count == h->field_count && again.body == h->body);
	REQUIRE(again.content_length == h->content_length && again.keep_alive == h->keep_alive);
	REQUIRE(again.upgrade == h->upgrade && again.expect_continue == h->expect_continue);
	for (size_t i = 0; i < h->field_count; i++) {
		REQUIRE(rk_slice_eq(again.fields[i].value, h->fields[i].value));
		REQUIRE(again.fields[i].id == h->fields[i].id);
		REQUIRE(again.fields[i].hop == h->fields[i].hop);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, part;
	struct rk_slice in = rk_slice(data, size);
	int got = h1_parse_request(in, H1_MAX_HEAD, &head);

	/* Whatever was said of a part is said of the whole, unless it was "more". */
	for (size_t step = 1, n = 0; n < size; n += step, step += 3) {
		int early = h1_parse_request(rk_slice(data, n), H1_MAX_HEAD, &part);

		REQUIRE(early == 0 || early == got);
		if (got > 0)
			REQUIRE((early == 0) == (n < (size_t)got));
	}
	if (got < 0) {
		REQUIRE(h1_err_code(got)[0] != '\0');
		return 0;
	}
	if (got == 0)
		return 0;
	REQUIRE((size_t)got <= size && got <= H1_MAX_HEAD);
	REQUIRE(h1_parse_request(in, (size_t)got - 1, &part) == H1_E_TOO_LARGE);
	REQUIRE(memcmp(data + got - 4, "\r\n\r\n", 4) == 0);
	require_inside(head.method, rk_slice(data, (size_t)got));
	require_inside(head.target, rk_slice(data, (size_t)got));
	require_inside(head.host, rk_slice(data, (size_t)got));
	REQUIRE(head.method.n > 0 && head.method.n <= H1_MAX_METHOD);
	REQUIRE(!rk_slice_is(head.method, "CONNECT") && !rk_slice_is(head.method, "TRACE"));
	REQUIRE(head.target.n > 0 && head.target.p[0] == '/');
	check_fields(&head, rk_slice(data, (size_t)got));
	check_rewritten(&head);
	return 0;
}
