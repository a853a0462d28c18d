/*
 * Where a client may put its relay key, and how every copy of it is found and
 * removed again. Pure.
 *
 * PRODUCT: the key is accepted wherever the provider's own SDK puts its key; two different
 * credentials in one request are refused; the client's copies are always removed, all
 * spellings of them, before the real one is set.
 */
#ifndef HTTP_CREDENTIAL_H
#define HTTP_CREDENTIAL_H

#include "http/h1.h"

enum credential_result {
	CREDENTIAL_NONE = 0, /* none presented */
	CREDENTIAL_FOUND = 1,
	CREDENTIAL_CONFLICT = -1,  /* two different ones */
	CREDENTIAL_MALFORMED = -2, /* e.g. Basic that is not base64 of user:password */
};

enum { CREDENTIAL_MAX_KEY = 256 };

/*
 * True for a header that can carry a credential (x-api-key, api-key, xi-api-key,
 * x-goog-api-key, x-postmark-server-token, x-relaykey, private-token, x-auth-token ...), '_'
 * counting as '-'.
 */
bool credential_is_header(struct rk_slice name);

/* True for a decoded query parameter name that can carry one: key, api_key, token ... */
bool credential_is_query_name(struct rk_slice decoded);

/*
 * Finds the presented key. Not looked at: cookies, Proxy-Authorization.
 * Authorization: Bearer, Basic (the user or the password that looks like a relay key, else the
 * password, else the user), or a bare value; any credential header; an item of
 * Sec-WebSocket-Protocol, the one place where a browser can put a key of a WebSocket
 * ("openai-insecure-api-key.KEY", or a relay key behind any other beginning); the query only
 * when `query_allowed`. Copies the key into key[CREDENTIAL_MAX_KEY], *key_len bytes; the caller
 * keeps key in secret memory and wipes it. Longer values are CREDENTIAL_MALFORMED, as is
 * anything that is not one run of visible ASCII without commas. An empty header presents
 * nothing. Without `query_allowed` a key in the query never counts, but a relay key there that
 * differs from the presented one is a conflict. key is wiped unless CREDENTIAL_FOUND.
 */
enum credential_result credential_find(const struct h1_head *h, struct rk_slice query,
                                       bool query_allowed, char key[CREDENTIAL_MAX_KEY],
                                       size_t *key_len);

/*
 * Copies the items of a Sec-WebSocket-Protocol value that carry no credential to dst (at least
 * list.n bytes), separated anew. Returns the length: 0 when none is left.
 */
size_t credential_protocols_without(struct rk_slice list, char *dst);

/*
 * Standard base64 with padding (RFC 4648 section 4). Encode returns the length written; dst has
 * 4 * ((n + 2) / 3) bytes.
 */
size_t credential_base64_encode(struct rk_slice in, char *dst);

/* Strict decode: returns the length or -1; dst has at least in.n / 4 * 3 bytes. */
long credential_base64_decode(struct rk_slice in, unsigned char *dst, size_t cap);

#endif
