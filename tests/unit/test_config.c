#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/file.h"
#include "base/log.h"

static const char conf_path[] = "/etc/relaykey/relaykeyd.conf";

/* The required keys, each on a line of its own: 6 lines. */
static const char required[] = "token-module /usr/lib/softhsm/libsofthsm2.so\n"
                               "token relaykey\n"
                               "tls-certificate server.pem\n"
                               "tls-key server.key\n"
                               "proxy 127.0.0.1:8443\n"
                               "console [::1]:8444\n";

static struct rk_config conf;
static struct rk_fault fault;

static int parse(const char *extra)
{
	char text[8192];
	int n = snprintf(text, sizeof text, "%s%s", required, extra);

	assert_in_range(n, 0, sizeof text - 1);
	fault.text[0] = '\0';
	return config_parse(rk_slice(text, (size_t)n), conf_path, &conf, &fault);
}

static void assert_accepts(const char *extra)
{
	if (parse(extra))
		fail_msg("refused: %s", fault.text);
}

/* Refused, and the text names the file and line 7 and what was wrong. */
static void assert_refuses(const char *extra, const char *why)
{
	assert_int_equal(parse(extra), RK_E_INVALID);
	if (!strstr(fault.text, "/etc/relaykey/relaykeyd.conf:7: ") || !strstr(fault.text, why))
		fail_msg("\"%s\" does not say \"%s\"", fault.text, why);
}

static void test_trusted_proxies_are_prefixes_and_at_most_sixteen(void **state)
{
	char lines[1024] = "";

	(void)state;
	assert_accepts("");
	assert_false(conf.proxy_protocol);
	assert_int_equal(conf.trusted_proxies.count, 0);
	assert_accepts(
	    "proxy-protocol on\ntrusted-proxy 10.0.0.0/8\ntrusted-proxy 2001:db8::1\n");
	assert_true(conf.proxy_protocol);
	assert_int_equal(conf.trusted_proxies.count, 2);
	assert_int_equal(conf.trusted_proxies.at[1].bits, 128);
	assert_accepts("proxy-protocol off\n");
	assert_refuses("proxy-protocol on\n", "trusted-proxy");
	assert_refuses("proxy-protocol yes\n", "off or on");
	assert_refuses("trusted-proxy 10.0.0.1/8\n", "10.0.0.0/8");
	assert_refuses("trusted-proxy balancer\n", "balancer");
	for (int i = 0; i < 16; i++)
		strcat(lines, "trusted-proxy 10.0.0.0/8\n");
	assert_accepts(lines);
	strcat(lines, "trusted-proxy 10.0.0.0/8\n");
	assert_int_equal(parse(lines), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "more than 16"));
}

static void test_an_egress_proxy_is_a_host_and_a_port_or_none(void **state)
{
	(void)state;
	assert_accepts("");
	assert_int_equal(conf.egress.kind, EGRESS_DEFAULT);
	assert_accepts("egress-proxy http://Proxy.example:3128 # squid\n");
	assert_int_equal(conf.egress.kind, EGRESS_PROXY);
	assert_string_equal(conf.egress.host, "proxy.example");
	assert_int_equal(conf.egress.port, 3128);
	assert_accepts("egress-proxy none\n");
	assert_int_equal(conf.egress.kind, EGRESS_DIRECT);
	assert_refuses("egress-proxy proxy.example:3128\n", "http://HOST:PORT");
	/* a credential has no place in this file, nor in the message about it */
	assert_refuses("egress-proxy http://user:hunter2@proxy:3128\n",
	               "without user and password");
	assert_null(strstr(fault.text, "hunter2"));
}

static void test_the_defaults_are_as_documented(void **state)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	(void)state;
	assert_accepts("");
	assert_string_equal(conf.path, conf_path);
	assert_string_equal(conf.dir, "/etc/relaykey");
	assert_string_equal(conf.state_dir, "/etc/relaykey");
	assert_string_equal(conf.control_socket, "/etc/relaykey/control.sock");
	assert_string_equal(conf.upstream_ca, "/etc/ssl/certs/ca-certificates.crt");
	assert_int_equal(conf.relays, cores > CONFIG_MAX_RELAYS ? CONFIG_MAX_RELAYS : cores);
	assert_int_equal(conf.log_level, LOG_LEVEL_INFO);
	assert_false(conf.journal_sync_normal);
	assert_false(conf.secret_memory_locked);
	assert_string_equal(conf.user, "");
	assert_string_equal(conf.token_pin_file, "");
	assert_string_equal(conf.token_init_args, "");
	assert_int_equal(conf.token_env_count, 0);
	assert_int_equal(conf.max_connections, 0);
	assert_int_equal(conf.max_connections_per_client, 0);
}

static void test_every_key_reaches_its_field(void **state)
{
	(void)state;
	assert_accepts("state-dir state\ncontrol-socket /run/c.sock\nupstream-ca ./ca.pem\n"
	               "max-connections 50000\nmax-connections-per-client 1\n"
	               "relays 3\nuser relaykey\ntoken-init-args configDir='x' # nss\n"
	               "token-env SOFTHSM2_CONF=softhsm2.conf\ntoken-env A_1=b c\n"
	               "token-pin-file pin\njournal-sync normal\nsecret-memory locked\n"
	               "log-level debug\n");
	assert_string_equal(conf.proxy, "127.0.0.1:8443");
	assert_string_equal(conf.console, "[::1]:8444");
	assert_string_equal(conf.tls_certificate, "/etc/relaykey/server.pem");
	assert_string_equal(conf.tls_key, "/etc/relaykey/server.key");
	assert_string_equal(conf.token_module, "/usr/lib/softhsm/libsofthsm2.so");
	assert_string_equal(conf.token, "relaykey");
	assert_string_equal(conf.state_dir, "/etc/relaykey/state");
	assert_string_equal(conf.control_socket, "/run/c.sock");
	assert_string_equal(conf.upstream_ca, "/etc/relaykey/ca.pem");
	assert_int_equal(conf.relays, 3);
	assert_int_equal(conf.max_connections, 50000);
	assert_int_equal(conf.max_connections_per_client, 1);
	assert_string_equal(conf.user, "relaykey");
	assert_string_equal(conf.token_init_args, "configDir='x'");
	assert_int_equal(conf.token_env_count, 2);
	assert_string_equal(conf.token_env[0], "SOFTHSM2_CONF=/etc/relaykey/softhsm2.conf");
	assert_string_equal(conf.token_env[1], "A_1=b c");
	assert_string_equal(conf.token_pin_file, "/etc/relaykey/pin");
	assert_true(conf.journal_sync_normal);
	assert_true(conf.secret_memory_locked);
	assert_int_equal(conf.log_level, LOG_LEVEL_DEBUG);
}

static void test_comments_blank_lines_and_tabs_do_not_matter(void **state)
{
	(void)state;
	assert_accepts("# a comment\n\n \t \n\trelays \t 5 # five\ntoken-pin-file pin#1");
	assert_int_equal(conf.relays, 5);
	assert_string_equal(conf.token_pin_file, "/etc/relaykey/pin#1");
}

static void test_each_required_key_is_asked_for(void **state)
{
	static const char *const names[] = {"token-module", "token", "tls-certificate",
	                                    "tls-key",      "proxy", "console"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char text[512] = "", want[64];
		const char *line = required;

		for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
			const char *next = strchr(line, '\n') + 1;

			if (k != i)
				strncat(text, line, (size_t)(next - line));
			line = next;
		}
		snprintf(want, sizeof want, "%s is missing; add a line such as \"%s ", names[i],
		         names[i]);
		assert_int_equal(config_parse(rk_str(text), conf_path, &conf, &fault),
		                 RK_E_INVALID);
		assert_non_null(strstr(fault.text, want));
	}
}

static void test_unknown_repeated_and_empty_keys_are_refused(void **state)
{
	(void)state;
	assert_refuses("relay 3\n", "unknown key \"relay\"");
	assert_refuses("Relays 3\n", "unknown key \"Relays\"");
	assert_refuses("relays=3\n", "unknown key \"relays=3\"");
	assert_refuses("token other\n", "token is set twice");
	assert_refuses("relays\n", "relays has no value");
	assert_refuses("relays # 3\n", "relays has no value");
}

static void test_values_out_of_range_are_refused_with_what_would_be_right(void **state)
{
	(void)state;
	assert_refuses("relays 0\n", "a number from 1 to 64");
	assert_refuses("relays 65\n", "a number from 1 to 64");
	assert_refuses("max-connections 0\n", "a number from 1 to 50000");
	assert_refuses("max-connections 50001\n", "a number from 1 to 50000");
	assert_refuses("max-connections-per-client 0\n", "a number from 1 to 50000");
	assert_refuses("max-connections-per-client many\n", "a number from 1 to 50000");
	assert_refuses("relays two\n", "a number from 1 to 64");
	assert_refuses("journal-sync off\n", "full or normal");
	assert_refuses("secret-memory any\n", "best or locked");
	assert_refuses("log-level trace\n", "debug, info, warn or error");
	assert_refuses("user ro ot\n", "not a user name");
	assert_refuses("user -x\n", "not a user name");
	assert_accepts("relays 1\n");
	assert_accepts("relays 64\n");
}

static void test_bytes_that_are_not_text_are_refused(void **state)
{
	(void)state;
	assert_refuses("relays 3\r\n", "LF line ends");
	assert_refuses("relays 3\x01\n", "control byte 0x01");
	assert_refuses("\x1b[31m 3\n", "control byte 0x1b");
	assert_accepts("token-pin-file schl\xc3\xbcssel\n");
}

static void test_a_comment_cannot_hide_a_nul_byte(void **state)
{
	char text[1024];
	size_t n = sizeof required - 1;

	(void)state;
	memcpy(text, required, n);
	memcpy(text + n, "# \0\n", 4);
	assert_int_equal(config_parse(rk_slice(text, n + 4), conf_path, &conf, &fault),
	                 RK_E_INVALID);
	assert_non_null(strstr(fault.text, "control byte 0x00"));
}

static void test_what_the_loader_or_the_broker_reads_may_not_be_set_for_the_module(void **state)
{
	(void)state;
	assert_refuses("token-env LD_PRELOAD=x\n", "may not set LD_PRELOAD");
	assert_refuses("token-env PATH=/x\n", "may not set PATH");
	assert_refuses("token-env RELAYKEY_CONFIG=/x\n", "may not set RELAYKEY_CONFIG");
	assert_refuses("token-env lower=1\n", "A-Z, 0-9 and _");
	assert_refuses("token-env =1\n", "A-Z, 0-9 and _");
	assert_refuses("token-env NAME\n", "NAME=VALUE");
	assert_accepts("token-env PATHS=1\ntoken-env LDX=1\ntoken-env MYLD_PATH=\n");
}

static void test_token_env_may_repeat_but_not_for_one_name_nor_for_ever(void **state)
{
	char text[512] = "";

	(void)state;
	for (int i = 0; i < CONFIG_MAX_ENV; i++)
		snprintf(text + strlen(text), 32, "token-env A%d=x\n", i);
	assert_accepts(text);
	strcat(text, "token-env B=x\n");
	assert_int_equal(parse(text), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "more than 8 lines of token-env"));
	assert_int_equal(parse("token-env A=x\ntoken-env AB=x\ntoken-env A=y\n"), RK_E_INVALID);
	assert_non_null(strstr(fault.text, ":9: token-env A is set twice"));
}

static void test_a_token_is_a_label_or_a_uri(void **state)
{
	char text[1024];
	const char *rest = strstr(required, "tls-certificate");

	(void)state;
	snprintf(text, sizeof text,
	         "token-module m\ntoken pkcs11:token=relaykey;serial=%040d\n%s", 1, rest);
	assert_int_equal(config_parse(rk_str(text), conf_path, &conf, &fault), 0);
	assert_string_equal(conf.token_module, "/etc/relaykey/m");
	snprintf(text, sizeof text, "token-module m\ntoken %033d\n%s", 1, rest);
	assert_int_equal(config_parse(rk_str(text), conf_path, &conf, &fault), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "at most 32 bytes"));
}

static void test_the_control_socket_must_fit_its_address(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof text, "control-socket /%0106d\n", 0);
	assert_accepts(text);
	assert_int_equal(strlen(conf.control_socket), 107);
	snprintf(text, sizeof text, "control-socket /%0107d\n", 0);
	assert_refuses(text, "at most 107 bytes");
}

static void test_proxy_and_console_need_listeners_of_their_own(void **state)
{
	char text[1024];

	(void)state;
	snprintf(text, sizeof text, "%.*sconsole 127.0.0.1:8443\n",
	         (int)(strstr(required, "console") - required), required);
	assert_int_equal(config_parse(rk_str(text), conf_path, &conf, &fault), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "a port of its own"));
}

static void test_a_refused_configuration_leaves_the_old_one_alone(void **state)
{
	(void)state;
	assert_accepts("relays 7\n");
	assert_int_equal(parse("relays 5\nnonsense 1\n"), RK_E_INVALID);
	assert_int_equal(conf.relays, 7);
}

static void test_long_values_and_paths_still_give_a_whole_sentence(void **state)
{
	char value[3000], path[CONFIG_PATH_MAX];

	(void)state;
	snprintf(value, sizeof value, "state-dir %02000d\n", 1);
	assert_refuses(value, "the path of state-dir is too long");
	snprintf(path, sizeof path, "/%0900d/x.conf", 1);
	assert_int_equal(config_parse(rk_str("bogus 1\n"), path, &conf, &fault), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "/x.conf:1: unknown key \"bogus\""));
	assert_int_equal(config_parse(rk_str(required), "relative.conf", &conf, &fault),
	                 RK_E_INVALID);
}

static void test_a_file_is_loaded_by_a_relative_name(void **state)
{
	char dir[] = "/tmp/test_config.XXXXXX", path[64], want[64], home[4096];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_non_null(getcwd(home, sizeof home));
	snprintf(path, sizeof path, "%s/x.conf", dir);
	assert_int_equal(file_write(path, rk_str(required), 0600, true, &fault), 0);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(config_load("x.conf", &conf, &fault), 0);
	assert_int_equal(chdir(home), 0);
	snprintf(want, sizeof want, "%s/server.key", dir);
	assert_string_equal(conf.tls_key, want);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_load(path, &conf, &fault), RK_E_INVALID);
	assert_non_null(strstr(fault.text, path));
	assert_int_equal(config_load(dir, &conf, &fault), RK_E_INVALID);
	assert_int_equal(rmdir(dir), 0);
}

static void test_listen_addresses_are_split(void **state)
{
	char host[46];
	unsigned short port;

	(void)state;
	assert_int_equal(config_split_listen("0.0.0.0:1", host, sizeof host, &port), 0);
	assert_string_equal(host, "0.0.0.0");
	assert_int_equal(port, 1);
	assert_int_equal(config_split_listen("[2001:db8::1]:65535", host, sizeof host, &port),
	                 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 65535);
	assert_int_equal(config_split_listen("0.0.0.0:1", host, 7, &port), RK_E_INVALID);
	assert_int_equal(config_split_listen("0.0.0.0:1", host, 8, &port), 0);
}

static void test_listen_addresses_that_are_not_plain_are_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  ":",
	                                  "8443",
	                                  ":8443",
	                                  "127.0.0.1",
	                                  "127.0.0.1:",
	                                  "127.0.0.1:0",
	                                  "127.0.0.1:65536",
	                                  "127.0.0.1:+1",
	                                  "127.0.0.1:1 ",
	                                  "localhost:8443",
	                                  "*:8443",
	                                  "::1:8443",
	                                  "[::1]",
	                                  "[::1]8443",
	                                  "[127.0.0.1]:8443",
	                                  "[]:8443",
	                                  "[::1:8443",
	                                  "::1]:8443",
	                                  "[fe80::1%eth0]:8443",
	                                  "127.0.0.1:000001"};
	char host[46] = "same";
	unsigned short port = 9;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(config_split_listen(bad[i], host, sizeof host, &port),
		                 RK_E_INVALID);
	assert_string_equal(host, "same");
	assert_int_equal(port, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_trusted_proxies_are_prefixes_and_at_most_sixteen),
	    cmocka_unit_test(test_an_egress_proxy_is_a_host_and_a_port_or_none),
	    cmocka_unit_test(test_the_defaults_are_as_documented),
	    cmocka_unit_test(test_every_key_reaches_its_field),
	    cmocka_unit_test(test_comments_blank_lines_and_tabs_do_not_matter),
	    cmocka_unit_test(test_each_required_key_is_asked_for),
	    cmocka_unit_test(test_unknown_repeated_and_empty_keys_are_refused),
	    cmocka_unit_test(test_values_out_of_range_are_refused_with_what_would_be_right),
	    cmocka_unit_test(test_bytes_that_are_not_text_are_refused),
	    cmocka_unit_test(test_a_comment_cannot_hide_a_nul_byte),
	    cmocka_unit_test(
	        test_what_the_loader_or_the_broker_reads_may_not_be_set_for_the_module),
	    cmocka_unit_test(test_token_env_may_repeat_but_not_for_one_name_nor_for_ever),
	    cmocka_unit_test(test_a_token_is_a_label_or_a_uri),
	    cmocka_unit_test(test_the_control_socket_must_fit_its_address),
	    cmocka_unit_test(test_proxy_and_console_need_listeners_of_their_own),
	    cmocka_unit_test(test_a_refused_configuration_leaves_the_old_one_alone),
	    cmocka_unit_test(test_long_values_and_paths_still_give_a_whole_sentence),
	    cmocka_unit_test(test_a_file_is_loaded_by_a_relative_name),
	    cmocka_unit_test(test_listen_addresses_are_split),
	    cmocka_unit_test(test_listen_addresses_that_are_not_plain_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
