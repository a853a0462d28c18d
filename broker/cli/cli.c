#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

int cli_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("relaykey: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int cli_run(struct cli *c, const struct cli_command *cmd, int argc, char **argv)
{
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(cmd->usage, stdout);
			return CLI_DONE;
		}
	}
	status = cmd->run(c, argc, argv);
	if (status == CLI_USAGE)
		fputs(cmd->usage, stderr);
	return status;
}

int cli_dispatch(struct cli *c, const struct cli_command *table, const char *what, int argc,
                 char **argv)
{
	const struct cli_command *cmd = table;

	if (argc >= 1) {
		for (; cmd->name; cmd++) {
			if (strcmp(argv[0], cmd->name) == 0)
				return cli_run(c, cmd, argc, argv);
		}
	}
	if (argc >= 1 && strcmp(argv[0], "--help") == 0) {
		for (cmd = table; cmd->name; cmd++)
			fputs(cmd->usage, stdout);
		return CLI_DONE;
	}
	cli_fail(CLI_USAGE, argc >= 1 ? "%s: there is no '%s'" : "%s: what about it?", what,
	         argc >= 1 ? argv[0] : "");
	for (cmd = table; cmd->name; cmd++)
		fputs(cmd->usage, stderr);
	return CLI_USAGE;
}
