/*
 * The configuration: whatever the text, no crash; what is accepted is complete, and what is
 * refused says where.
 */
#include "tests/fuzz/fuzz.h"

#include "base/config.h"

static const char path[] = "/etc/relaykey/relaykeyd.conf";

static void check_accepted(const struct rk_config *c)
{
	char host[64];
	unsigned short port;

	REQUIRE(config_split_listen(c->proxy, host, sizeof host, &port) == 0 && port);
	REQUIRE(config_split_listen(c->console, host, sizeof host, &port) == 0 && port);
	REQUIRE(c->token_module[0] == '/' && c->tls_key[0] == '/' &&
	        c->tls_certificate[0] == '/');
	REQUIRE(c->control_socket[0] == '/' && c->state_dir[0] == '/' &&
	        c->upstream_ca[0] == '/');
	REQUIRE(c->token[0]);
	REQUIRE(strlen(c->control_socket) <= 107);
	REQUIRE(c->relays >= 1 && c->relays <= CONFIG_MAX_RELAYS);
	REQUIRE(c->token_env_count <= CONFIG_MAX_ENV);
	for (unsigned i = 0; i < c->token_env_count; i++) {
		REQUIRE(strchr(c->token_env[i], '='));
		REQUIRE(strncmp(c->token_env[i], "LD_", 3) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rk_config conf;
	struct rk_fault fault = {.text = ""};

	if (config_parse(rk_slice(data, size), path, &conf, &fault) == 0)
		check_accepted(&conf);
	else
		REQUIRE(strncmp(fault.text, path, sizeof path - 1) == 0);
	return 0;
}
