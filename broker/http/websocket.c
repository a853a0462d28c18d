#include "http/websocket.h"

#include "http/credential.h"

enum { KEY_BYTES = 16, KEY_TEXT = 24 };

static const struct rk_slice protocol = {"websocket", 9};

bool websocket_asked(const struct h1_head *h)
{
	size_t pos = 0;
	const struct h1_field *f = h1_next_field(h, H1_HDR_UPGRADE, &pos);

	/* a second one, or a list, would leave the choice to the upstream */
	return h->upgrade && f && rk_slice_ieq(f->value, protocol) &&
	       !h1_next_field(h, H1_HDR_UPGRADE, &pos);
}

/* The one field of that name, which Connection does not take away; NULL. */
static const struct h1_field *the_one(const struct h1_head *h, struct rk_slice name)
{
	const struct h1_field *found = NULL;

	for (size_t i = 0; i < h->field_count; i++) {
		const struct h1_field *f = &h->fields[i];

		if (!rk_slice_ieq(f->name, name))
			continue;
		if (found || f->hop)
			return NULL;
		found = f;
	}
	return found;
}

static bool is_key(struct rk_slice value)
{
	unsigned char bytes[KEY_TEXT / 4 * 3];

	return value.n == KEY_TEXT &&
	       credential_base64_decode(value, bytes, sizeof bytes) == KEY_BYTES;
}

const char *websocket_request_fault(const struct h1_head *h)
{
	static const struct rk_slice key = {"sec-websocket-key", 17};
	static const struct rk_slice version = {"sec-websocket-version", 21};
	const struct h1_field *f;

	if (!rk_slice_is(h->method, "GET"))
		return "websocket_not_get";
	if (h->body != H1_BODY_NONE || h->expect_continue)
		return "websocket_with_body";
	f = the_one(h, version);
	if (!f || !rk_slice_is(f->value, "13"))
		return "bad_websocket_version";
	f = the_one(h, key);
	return f && is_key(f->value) ? NULL : "bad_websocket_key";
}

const char *websocket_response_fault(const struct h1_head *h)
{
	size_t length = 0, coding = 0;

	if (!websocket_asked(h))
		return "bad_upgrade_response";
	/* RFC 9110 8.6, RFC 9112 6.1: neither may stand in a 1xx; to some they are a body */
	if (h1_next_field(h, H1_HDR_CONTENT_LENGTH, &length) ||
	    h1_next_field(h, H1_HDR_TRANSFER_ENCODING, &coding))
		return "framed_upgrade_response";
	return NULL;
}
