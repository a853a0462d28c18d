#include "http/h1_framing.h"

#include "http/h1_bytes.h"

/* RFC 9110 7.6.1: Connection may not take away what frames, routes or authenticates. */
static bool can_be_named(struct rk_slice name)
{
	switch (h1_hdr_id(name)) {
	case H1_HDR_HOST:
	case H1_HDR_CONTENT_LENGTH:
	case H1_HDR_TRANSFER_ENCODING:
	case H1_HDR_AUTHORIZATION:
	case H1_HDR_CREDENTIAL:
	case H1_HDR_RELAYKEY:
		return false;
	default:
		return true;
	}
}

static int note_connection_item(struct rk_slice item, struct h1_facts *facts)
{
	if (rk_slice_ieq(item, (struct rk_slice){"close", 5})) {
		facts->says_close = true;
		return 0;
	}
	if (rk_slice_ieq(item, (struct rk_slice){"keep-alive", 10})) {
		facts->says_keep_alive = true;
		return 0;
	}
	if (rk_slice_ieq(item, (struct rk_slice){"upgrade", 7})) {
		facts->says_upgrade = true;
		return 0;
	}
	for (size_t i = 0; i < item.n; i++) {
		if (!h1_name_at(item.p + i))
			return H1_E_CONNECTION;
	}
	/* Some servers name Transfer-Encoding in responses; it is hop-by-hop in any case. */
	if (!facts->response && !can_be_named(item))
		return H1_E_CONNECTION;
	if (facts->named_count == H1_CONNECTION_MAX_NAMES)
		return H1_E_CONNECTION;
	facts->named[facts->named_count++] = item;
	return 0;
}

static int note_connection(struct rk_slice list, struct h1_facts *facts)
{
	const char *p = list.p, *end = p + list.n;

	for (;;) {
		const char *comma = p < end ? memchr(p, ',', (size_t)(end - p)) : NULL;
		const char *stop = comma ? comma : end;
		struct rk_slice item;

		while (p < stop && h1_is(*p, H1_B_BLANK))
			p++;
		item = rk_slice(p, (size_t)(stop - p));
		while (item.n && h1_is(item.p[item.n - 1], H1_B_BLANK))
			item.n--;
		if (++facts->items > H1_CONNECTION_MAX_ITEMS)
			return H1_E_CONNECTION;
		if (item.n) {
			int err = note_connection_item(item, facts);

			if (err)
				return err;
		}
		if (!comma)
			return 0;
		p = comma + 1;
	}
}

static int note_length(struct rk_slice value, struct h1_head *out, struct h1_facts *facts)
{
	uint64_t n;

	if (facts->has_length || !rk_slice_u64(value, &n) || n > INT64_MAX)
		return H1_E_LENGTH;
	/* A leading zero is octal to some. */
	if (value.n > 1 && value.p[0] == '0')
		return H1_E_LENGTH;
	facts->has_length = true;
	out->content_length = n;
	return 0;
}

static int note_coding(struct rk_slice value, struct h1_facts *facts)
{
	if (facts->has_chunked || !rk_slice_ieq(value, (struct rk_slice){"chunked", 7}))
		return H1_E_FRAMING;
	facts->has_chunked = true;
	return 0;
}

static int note_request_field(struct h1_field *f, struct h1_head *out, struct h1_facts *facts)
{
	switch (f->id) {
	case H1_HDR_HOST:
		if (facts->has_host)
			return H1_E_HOST;
		facts->has_host = true;
		out->host = f->value;
		return 0;
	case H1_HDR_EXPECT:
		if (out->expect_continue ||
		    !rk_slice_ieq(f->value, (struct rk_slice){"100-continue", 12}))
			return H1_E_EXPECT;
		out->expect_continue = true;
		return 0;
	case H1_HDR_OTHER:
		if (h1_value_is_relay_key(f->value))
			f->id = H1_HDR_CREDENTIAL;
		return 0;
	default:
		return 0;
	}
}

int h1_note_field(struct h1_field *f, struct h1_head *out, struct h1_facts *facts)
{
	enum h1_hdr spelt;

	f->id = h1_hdr_lookup(f->name, &spelt);
	f->hop = h1_hdr_is_hop(f->id);
	/* CGI-like servers read content_length as Content-Length: a second framing. */
	if (spelt != f->id &&
	    (spelt == H1_HDR_CONTENT_LENGTH || spelt == H1_HDR_TRANSFER_ENCODING))
		return H1_E_HEADER_NAME;
	switch (f->id) {
	case H1_HDR_CONTENT_LENGTH:
		return note_length(f->value, out, facts);
	case H1_HDR_TRANSFER_ENCODING:
		return note_coding(f->value, facts);
	case H1_HDR_CONNECTION:
		return note_connection(f->value, facts);
	case H1_HDR_UPGRADE:
		facts->has_upgrade = true;
		return 0;
	default:
		return facts->response ? 0 : note_request_field(f, out, facts);
	}
}

/* Marks the fields that Connection named, wherever it stood. */
static void mark_named(struct h1_head *out, const struct h1_facts *facts)
{
	for (unsigned i = 0; i < facts->named_count; i++) {
		for (size_t k = 0; k < out->field_count; k++) {
			if (rk_slice_ieq(out->fields[k].name, facts->named[i]))
				out->fields[k].hop = true;
		}
	}
}

/* What requests and responses have in common once all fields are known. */
static int settle(struct h1_head *out, const struct h1_facts *facts)
{
	if (facts->has_chunked && (facts->has_length || out->minor == 0))
		return H1_E_FRAMING;
	out->keep_alive = !facts->says_close && (out->minor == 1 || facts->says_keep_alive);
	out->upgrade = out->minor == 1 && facts->has_upgrade && facts->says_upgrade;
	if (facts->has_chunked)
		out->body = H1_BODY_CHUNKED;
	else if (facts->has_length)
		out->body = H1_BODY_LENGTH;
	mark_named(out, facts);
	return 0;
}

int h1_settle_request(struct h1_head *out, const struct h1_facts *facts,
                      struct rk_slice authority)
{
	if (!facts->has_host) {
		if (out->minor == 1)
			return H1_E_HOST;
		out->host = authority;
	}
	if ((facts->has_host || authority.n) && !h1_host_is_valid(out->host))
		return H1_E_HOST;
	if (authority.n && !rk_slice_ieq(authority, out->host))
		return H1_E_HOST;
	if (out->minor == 0)
		out->expect_continue = false; /* RFC 9110 10.1.1 */
	return settle(out, facts);
}

/* RFC 9112 6.3 */
int h1_settle_response(struct h1_head *out, const struct h1_facts *facts, bool head_request)
{
	bool no_content = out->status < 200 || out->status == 204;
	int err = settle(out, facts);

	if (err)
		return err;
	/* A body announced where none can be: nobody knows where the next message starts. */
	if (no_content && (out->body == H1_BODY_CHUNKED || out->content_length))
		out->keep_alive = false;
	if (no_content || out->status == 304 || head_request) {
		out->body = H1_BODY_NONE;
	} else if (out->body == H1_BODY_NONE) {
		out->body = H1_BODY_CLOSE;
		out->keep_alive = false;
	}
	return 0;
}
