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

/* `group`: "conn ", or "". */
static int run(struct cli *c, const char *group, const struct cli_command *cmd, int argc,
               char **argv)
{
	char command[64];
	int status;

	/* behind "--" stand no options */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") != 0)
			continue;
		snprintf(command, sizeof command, "%s%s", group, cmd->name);
		cli_print_help(stdout, command, cmd->usage);
		return CLI_DONE;
	}
	status = cmd->run(c, argc, argv);
	if (status == CLI_USAGE)
		fputs(cmd->usage, stderr);
	return status;
}

int cli_run(struct cli *c, const struct cli_command *cmd, int argc, char **argv)
{
	return run(c, "", cmd, argc, argv);
}

static void print_group(const struct cli_command *table, const char *group)
{
	char command[64];

	for (const struct cli_command *cmd = table; cmd->name; cmd++) {
		snprintf(command, sizeof command, "%s %s", group, cmd->name);
		cli_print_help(stdout, command, cmd->usage);
	}
}

int cli_dispatch(struct cli *c, const struct cli_command *table, const char *what, int argc,
                 char **argv)
{
	const struct cli_command *cmd = table;
	char group[32];

	if (argc >= 1) {
		snprintf(group, sizeof group, "%s ", what);
		for (; cmd->name; cmd++) {
			if (strcmp(argv[0], cmd->name) == 0)
				return run(c, group, cmd, argc, argv);
		}
	}
	if (argc >= 1 && strcmp(argv[0], "--help") == 0) {
		print_group(table, what);
		return CLI_DONE;
	}
	cli_fail(CLI_USAGE, argc >= 1 ? "%s: there is no '%s'" : "%s: what about it?", what,
	         argc >= 1 ? argv[0] : "");
	for (cmd = table; cmd->name; cmd++)
		fputs(cmd->usage, stderr);
	return CLI_USAGE;
}
