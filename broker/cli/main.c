/*
 * relaykey(1): the command line of the broker, over its control socket or, from elsewhere, its
 * management interface.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"
#include "cli/cli.h"

enum { CLI_ARENA_BYTES = 512 * 1024, CLI_REMOTE_ARENA_BYTES = 1536 * 1024 };

static int top_level(struct cli *c, int argc, char **argv)
{
	const struct cli_entry *e = cli_find(argv[0]);

	if (e && e->group)
		return cli_dispatch(c, e->group, e->name, argc - 1, argv + 1);
	if (e)
		return cli_run(c, &(struct cli_command){e->name, e->run, e->usage}, argc, argv);
	cli_fail(CLI_USAGE, "there is no command '%s'", argv[0]);
	cli_print_usage(stderr);
	return CLI_USAGE;
}

/* NULL: not set, or empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"url", required_argument, NULL, 'u'},
	    {"token-file", required_argument, NULL, 't'},
	    {"ca", required_argument, NULL, 'a'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	static struct cli c = {.sock = -1};
	const char *config = NULL, *url = NULL;
	struct rk_fault fault;
	int opt, status;

	c.config_path = getenv("RELAYKEY_CONFIG");
	c.url = variable("RELAYKEY_URL");
	c.token_file = variable("RELAYKEY_TOKEN_FILE");
	c.ca_file = variable("RELAYKEY_CA");
	while ((opt = getopt_long(argc, argv, "+c:jhV", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			c.config_path = config = optarg;
			break;
		case 'u':
			c.url = url = optarg;
			break;
		case 't':
			c.token_file = optarg;
			break;
		case 'a':
			c.ca_file = optarg;
			break;
		case 'j':
			c.json = true;
			break;
		case 'h':
			cli_print_usage(stdout);
			return CLI_DONE;
		case 'V':
			puts("relaykey " RELAYKEY_VERSION);
			return CLI_DONE;
		default:
			cli_print_usage(stderr);
			return CLI_USAGE;
		}
	}
	if (optind >= argc) {
		cli_print_usage(stderr);
		return CLI_USAGE;
	}
	if (config && url)
		return cli_fail(CLI_USAGE,
		                "--config and --url: the broker here, or the one there?");
	/* what is said here is meant, whatever the environment says */
	if (config)
		c.url = NULL;
	if (secret_arena_init(c.url ? CLI_REMOTE_ARENA_BYTES : CLI_ARENA_BYTES,
	                      SECRET_BACKING_BEST, &fault))
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
