#include "http/connect.h"

#include <stdio.h>

#include "http/credential.h"

enum {
	HOST_MAX = 255,
	AUTHORITY = HOST_MAX + sizeof "[]:65535",
	REQUEST_TEXT = sizeof "CONNECT  HTTP/1.1\r\nHost: \r\n"
	                      "Proxy-Authorization: Basic \r\n\r\n",
};

int connect_request(struct rk_slice host, uint16_t port, struct rk_slice credential,
                    struct rk_secret *out)
{
	bool v6 = host.n && memchr(host.p, ':', host.n);
	char authority[AUTHORITY];
	struct rk_secret made = {0};
	size_t basic = 4 * ((credential.n + 2) / 3);
	int n, err;

	if (host.n > HOST_MAX || credential.n > CONNECT_MAX_CREDENTIAL)
		return RK_E_TOOBIG;
	snprintf(authority, sizeof authority, v6 ? "[%.*s]:%u" : "%.*s:%u", RK_FMT(host), port);
	err = rk_secret_alloc(&made, REQUEST_TEXT + 2 * strlen(authority) + basic);
	if (err)
		return err;
	n = snprintf((char *)made.p, made.cap, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority,
	             authority);
	made.len = (size_t)n;
	if (credential.n) {
		static const char name[] = "Proxy-Authorization: Basic ";

		memcpy(made.p + made.len, name, sizeof name - 1);
		made.len += sizeof name - 1;
		made.len += credential_base64_encode(credential, (char *)made.p + made.len);
		memcpy(made.p + made.len, "\r\n", 2);
		made.len += 2;
	}
	memcpy(made.p + made.len, "\r\n", 2);
	made.len += 2;
	rk_secret_move(out, &made);
	return 0;
}

size_t connect_head_bytes(struct rk_slice in, size_t seen)
{
	size_t from = seen < 3 ? 0 : seen - 3;
	const char *end = in.n > from ? memmem(in.p + from, in.n - from, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - in.p) + 4 : in.n;
}

enum connect_answer connect_read(struct rk_slice in, size_t seen, struct h1_head *scratch)
{
	int used = 0;

	/* without a line end among the new bytes there is nothing new to learn; like an answer
	 * to HEAD: no body whatever the fields say */
	if (in.n >= CONNECT_MAX_HEAD || memchr(in.p + seen, '\n', in.n - seen))
		used = h1_parse_response(in, CONNECT_MAX_HEAD, true, scratch);
	if (used == 0)
		return CONNECT_MORE;
	if (used < 0 || (size_t)used != in.n || scratch->status == 101)
		return CONNECT_BAD;
	if (scratch->status < 200)
		return CONNECT_INTERIM;
	if (scratch->status < 300)
		return CONNECT_OPEN;
	if (scratch->status == 407)
		return CONNECT_AUTH;
	return scratch->status < 500 ? CONNECT_REFUSED : CONNECT_FAILED;
}

const char *connect_detail(enum connect_answer answer)
{
	switch (answer) {
	case CONNECT_AUTH:
		return "proxy_auth_required";
	case CONNECT_REFUSED:
		return "proxy_refused";
	case CONNECT_FAILED:
		return "proxy_failed";
	case CONNECT_BAD:
		return "proxy_answer_not_valid";
	default:
		return NULL;
	}
}
