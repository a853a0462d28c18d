#include "http/credential.h"
#include "http/target.h"
#include "tests/fuzz/fuzz.h"

/*
 * The first byte: whether the query counts. Then the query, up to the first line feed; the rest
 * are header lines, ended by line feeds.
 */

static struct h1_head head;

/* A request head of those lines; 0 when it does not parse. */
static int build_head(const uint8_t *lines, size_t size, char *text, size_t cap)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
	size_t n = sizeof(start) - 1;

	memcpy(text, start, n);
	for (size_t i = 0; i < size; i++) {
		if (cap - n < 8)
			return 0;
		if (lines[i] == '\n')
			text[n++] = '\r';
		text[n++] = (char)lines[i];
	}
	memcpy(text + n, "\r\n", 2);
	return h1_parse_request(rk_slice(text, n + 2), H1_MAX_HEAD, &head) > 0;
}

/*
 * The head without the fields that the proxy takes out before it sets the real credential;
 * `room` takes the values that it shortens.
 */
static void strip(char *room)
{
	size_t kept = 0;

	for (size_t i = 0; i < head.field_count; i++) {
		enum h1_hdr id = head.fields[i].id;

		if (id == H1_HDR_WS_PROTOCOL) {
			struct rk_slice list = head.fields[i].value;
			size_t n = credential_protocols_without(list, room);

			REQUIRE(n <= list.n);
			head.fields[i].value = rk_slice(room, n);
			room += n;
		}

		if (id != H1_HDR_AUTHORIZATION && id != H1_HDR_CREDENTIAL &&
		    id != H1_HDR_RELAYKEY)
			head.fields[kept++] = head.fields[i];
	}
	head.field_count = kept;
}

static void check_base64(struct rk_slice in)
{
	static char text[8192];
	static unsigned char bytes[6144];
	long n;

	if (in.n > sizeof(bytes))
		return;
	n = credential_base64_decode(in, bytes, sizeof(bytes));
	if (n >= 0) {
		/* One value has one text. */
		REQUIRE(credential_base64_encode(rk_slice(bytes, (size_t)n), text) == in.n);
		REQUIRE(in.n == 0 || memcmp(text, in.p, in.n) == 0);
	}
	if (in.n <= sizeof(bytes) - 3) {
		size_t len = credential_base64_encode(in, text);

		n = credential_base64_decode(rk_slice(text, len), bytes, sizeof(bytes));
		REQUIRE(n == (long)in.n && (in.n == 0 || memcmp(bytes, in.p, in.n) == 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[H1_MAX_HEAD], room[H1_MAX_HEAD];
	char key[CREDENTIAL_MAX_KEY], again[CREDENTIAL_MAX_KEY];
	const uint8_t *lines;
	struct rk_slice query;
	size_t key_len = 0, again_len = 0;
	enum credential_result got;
	bool allowed;

	if (size < 2)
		return 0;
	check_base64(rk_slice(data + 1, size - 1));
	lines = memchr(data + 1, '\n', size - 1);
	if (!lines)
		return 0;
	allowed = data[0] & 1;
	query = rk_slice(data + 1, (size_t)(lines - data - 1));
	if (!build_head(lines + 1, size - query.n - 2, text, sizeof(text)))
		return 0;
	got = credential_find(&head, query, allowed, key, &key_len);
	REQUIRE(got >= CREDENTIAL_MALFORMED && got <= CREDENTIAL_FOUND);
	if (got == CREDENTIAL_FOUND) {
		REQUIRE(key_len > 0 && key_len <= sizeof(key));
		for (size_t i = 0; i < key_len; i++)
			REQUIRE(key[i] > 0x20 && key[i] < 0x7f);
	} else {
		for (size_t i = 0; i < sizeof(key); i++)
			REQUIRE(key[i] == 0);
	}
	/* With the credential fields gone, no key is left in the head. */
	strip(room);
	REQUIRE(credential_find(&head, rk_slice(NULL, 0), false, again, &again_len) ==
	        CREDENTIAL_NONE);
	return 0;
}
