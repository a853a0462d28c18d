/*
 * relaykey(1): the command line of the broker, over its control socket.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"
#include "cli/cli.h"

enum { CLI_ARENA_BYTES = 512 * 1024 };

static const char usage_text[] =
    "usage: relaykey [--config FILE] COMMAND ...\n"
    "\n"
    "  setup     make a new broker: token, keys, stores, certificates, configuration\n"
    "  status    what the broker, its token and its audit journal are doing\n"
    "  conn      add | list | show | rotate | set-identity | set-proxy | disable | enable |\n"
    "            remove\n"
    "  key       issue | list | show | revoke | extend\n"
    "  revoke    KEY|ID|rk_vendor...91k\n"
    "  audit     list | tail | export | verify\n"
    "\n"
    "The configuration may also be named by the variable RELAYKEY_CONFIG.\n"
    "'relaykey COMMAND --help' tells more. Secrets are read from standard input, a file or a\n"
    "prompt, never from the command line.\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 broker not reachable.\n";

static int group_conn(struct cli *c, int argc, char **argv)
{
	return cli_dispatch(c, cli_conn_commands, "conn", argc - 1, argv + 1);
}

static int group_key(struct cli *c, int argc, char **argv)
{
	return cli_dispatch(c, cli_key_commands, "key", argc - 1, argv + 1);
}

static int group_audit(struct cli *c, int argc, char **argv)
{
	return cli_dispatch(c, cli_audit_commands, "audit", argc - 1, argv + 1);
}

static int top_level(struct cli *c, int argc, char **argv)
{
	static const struct cli_command single[] = {
	    {"setup", cli_setup, cli_setup_usage},
	    {"status", cli_status, cli_status_usage},
	    {"revoke", cli_key_revoke, cli_revoke_usage},
	    {NULL, NULL, NULL},
	};
	static const struct {
		const char *name;
		int (*run)(struct cli *c, int argc, char **argv);
	} groups[] = {{"conn", group_conn}, {"key", group_key}, {"audit", group_audit}};

	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		if (strcmp(argv[0], groups[i].name) == 0)
			return groups[i].run(c, argc, argv);
	}
	for (const struct cli_command *cmd = single; cmd->name; cmd++) {
		if (strcmp(argv[0], cmd->name) == 0)
			return cli_run(c, cmd, argc, argv);
	}
	cli_fail(CLI_USAGE, "there is no command '%s'", argv[0]);
	fputs(usage_text, stderr);
	return CLI_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	static struct cli c = {.sock = -1};
	struct rk_fault fault;
	int opt, status;

	c.config_path = getenv("RELAYKEY_CONFIG");
	while ((opt = getopt_long(argc, argv, "+c:jhV", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			c.config_path = optarg;
			break;
		case 'j':
			c.json = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return CLI_DONE;
		case 'V':
			puts("relaykey " RELAYKEY_VERSION);
			return CLI_DONE;
		default:
			fputs(usage_text, stderr);
			return CLI_USAGE;
		}
	}
	if (optind >= argc) {
		fputs(usage_text, stderr);
		return CLI_USAGE;
	}
	if (secret_arena_init(CLI_ARENA_BYTES, SECRET_BACKING_BEST, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	argc -= optind;
	argv += optind;
	optind = 0; /* the commands parse their own options from the start */
	status = top_level(&c, argc, argv);
	cli_close(&c);
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(CLI_FAILED, "writing the output failed");
	return status;
}
