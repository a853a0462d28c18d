/*
 * First line: auth styles separated by tabs; the rest is the secret. Whatever a style accepts
 * renders into exactly its header lines, with no line end that the secret brought along.
 */
#include <stdlib.h>

#include "base/record.h"
#include "policy/auth_style.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

static void check_headers(const struct auth_style *a, struct rk_slice text)
{
	unsigned lines = 0;

	for (size_t i = 0; i < text.n; i++) {
		require(text.p[i] != '\0');
		if (text.p[i] == '\r') {
			require(i + 1 < text.n && text.p[i + 1] == '\n');
			lines++;
		}
		require(text.p[i] != '\n' || (i && text.p[i - 1] == '\r'));
	}
	require(lines == a->count);
	require(text.n >= 2 && text.p[text.n - 1] == '\n');
}

static void check_query(const struct auth_style *a, struct rk_slice text)
{
	size_t name = strlen(a->part[0].name);

	require(text.n > name && text.p[name] == '=');
	for (size_t i = name + 1; i < text.n; i++)
		require(text.p[i] > 0x20 && text.p[i] < 0x7f && !strchr("&;#+=? ", text.p[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	RK_SECRET_AUTO secret = {0}, headers = {0}, query = {0};
	char list[4096], hint[65];
	struct auth_style style;
	struct rk_fault fault = {""};
	size_t used = 0, at = 0, from = 0;

	if (!ready)
		require(secret_arena_init(1 << 20, SECRET_BACKING_LOCKED, NULL) == 0);
	ready = true;
	for (at = 0; at < size && data[at] != '\n'; at++) {
		if (data[at] != '\t')
			continue;
		if (record_list_add(list, sizeof list, &used, rk_slice(data + from, at - from)))
			return 0;
		from = at + 1;
	}
	if (at > from &&
	    record_list_add(list, sizeof list, &used, rk_slice(data + from, at - from)))
		return 0;
	if (auth_style_parse(rk_slice(list, used), &style, &fault)) {
		require(fault.text[0] != '\0');
		return 0;
	}
	require(style.count >= 1 && style.count <= AUTH_MAX_PARTS);
	if (at < size)
		at++;
	if (size - at > SECRET_MAX_BYTES)
		return 0;
	require(rk_secret_alloc(&secret, size - at + 1) == 0);
	require(rk_secret_add(&secret, data + at, size - at) == 0);
	auth_secret_hint(&secret, hint, sizeof hint);
	require(strlen(hint) <= 19);
	if (auth_style_check_secret(&style, &secret, &fault)) {
		require(auth_style_render(&style, &secret, &headers, &query) < 0);
		require(!headers.p && !query.p);
		return 0;
	}
	require(auth_style_render(&style, &secret, &headers, &query) == 0);
	require(auth_style_is_query(&style) ? !headers.p : !query.p);
	if (headers.p)
		check_headers(&style, rk_secret_slice(&headers));
	else
		check_query(&style, rk_secret_slice(&query));
	return 0;
}
