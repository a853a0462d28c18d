/* Whatever is accepted is in its one form: lower-case host, checked path, and it parses again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/ipaddr.h"
#include "http/target.h"
#include "policy/base_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[2 * BASE_URL_MAX];
	struct base_url url, second;
	struct rk_fault fault = {""};
	struct rk_ip ip;
	bool v6;

	if (base_url_parse(rk_slice(data, size), &url, &fault)) {
		require(fault.text[0] != '\0');
		return 0;
	}
	v6 = strchr(url.host, ':') != NULL;
	require(url.port != 0 && url.host[0]);
	require(url.ip_literal == (rk_ip_parse(rk_str(url.host), &ip) == 0));
	require(v6 ? url.ip_literal : 1);
	require(url.path[0] == '\0' || target_check_path(rk_str(url.path), 0) == 0);
	require(url.path[0] == '\0' || url.path[strlen(url.path) - 1] != '/');
	for (const char *c = url.host; *c; c++)
		require(*c < 'A' || *c > 'Z');
	snprintf(again, sizeof again, v6 ? "https://[%s]:%u%s" : "https://%s:%u%s", url.host,
	         url.port, url.path);
	/* adding the port can make a URL of nearly the greatest length too long */
	if (strlen(again) > BASE_URL_MAX)
		return 0;
	require(base_url_parse(rk_str(again), &second, NULL) == 0);
	require(strcmp(url.host, second.host) == 0 && strcmp(url.path, second.path) == 0);
	require(url.port == second.port && url.ip_literal == second.ip_literal);
	return 0;
}
