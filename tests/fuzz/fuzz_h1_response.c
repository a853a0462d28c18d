#include "http/h1.h"
#include "tests/fuzz/fuzz.h"

static void require_inside(struct rk_slice s, struct rk_slice head)
{
	if (s.n)
		REQUIRE(s.p >= head.p && s.p + s.n <= head.p + head.n);
}

static void check(const struct h1_head *h, struct rk_slice bytes, bool head_request)
{
	size_t lengths = 0, codings = 0;

	REQUIRE(h->status >= 100 && h->status <= 599);
	REQUIRE(h->field_count <= H1_MAX_FIELDS);
	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *f = &h->fields[i];

		require_inside(f->name, bytes);
		require_inside(f->value, bytes);
		REQUIRE(f->name.n > 0);
		REQUIRE(f->id == h1_hdr_id(f->name));
		for (size_t k = 0; k < f->value.n; k++) {
			unsigned char c = (unsigned char)f->value.p[k];

			REQUIRE(c == '\t' || (c >= 0x20 && c != 0x7f));
		}
		lengths += f->id == H1_HDR_CONTENT_LENGTH;
		codings += f->id == H1_HDR_TRANSFER_ENCODING;
	}
	REQUIRE(lengths + codings <= 1);
	if (head_request || h->status < 200 || h->status == 204 || h->status == 304)
		REQUIRE(h->body == H1_BODY_NONE);
	else if (codings)
		REQUIRE(h->body == H1_BODY_CHUNKED && h->minor == 1);
	else if (lengths)
		REQUIRE(h->body == H1_BODY_LENGTH);
	else
		REQUIRE(h->body == H1_BODY_CLOSE && !h->keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, part;

	for (int head_request = 0; head_request < 2; head_request++) {
		int got =
		    h1_parse_response(rk_slice(data, size), H1_MAX_HEAD, head_request, &head);

		for (size_t step = 1, n = 0; n < size; n += step, step += 3) {
			int early = h1_parse_response(rk_slice(data, n), H1_MAX_HEAD,
			                              head_request, &part);

			REQUIRE(early == 0 || early == got);
			if (got > 0)
				REQUIRE((early == 0) == (n < (size_t)got));
		}
		if (got <= 0)
			continue;
		REQUIRE((size_t)got <= size && got <= H1_MAX_HEAD);
		check(&head, rk_slice(data, (size_t)got), head_request);
	}
	return 0;
}
