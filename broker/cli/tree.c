#include <stdio.h>

#include "cli/import.h"

/* In the order in which people read them. */
const struct cli_entry cli_tree[] = {
    {"setup", "make a new broker: token, keys, stores, certificates, configuration", NULL,
     cli_setup, cli_setup_usage},
    {"status", "what the broker, its token and its audit journal are doing", NULL, cli_status,
     cli_status_usage},
    {"conn", "connections: protected upstreams and their real keys", cli_conn_commands, NULL,
     NULL},
    {"key", "relay keys", cli_key_commands, NULL, NULL},
    {"revoke", "end a relay key, now", NULL, cli_key_revoke, cli_revoke_usage},
    {"panic", "stop all traffic, or let it go on", NULL, cli_panic, cli_panic_usage},
    {"leak", "report leaked keys: those of this broker are revoked", NULL, cli_leak,
     cli_leak_usage},
    {"import", "make connections and relay keys out of a .env file", NULL, cli_import,
     cli_import_usage},
    {"holder", "who holds relay keys: applications, agents, people, vendors",
     cli_holder_commands, NULL, NULL},
    {"trust", "addresses from which a holder's keys may be used", cli_trust_commands, NULL,
     NULL},
    {"approvals", "addresses that wait for somebody's yes", NULL, cli_approvals,
     cli_approvals_usage},
    {"mgmt", "management keys: who else may manage this broker", cli_mgmt_commands, NULL, NULL},
    {"user", "people who sign in", cli_user_commands, NULL, NULL},
    {"settings", "mail, links, addresses and what else holds for the whole broker",
     cli_settings_commands, NULL, NULL},
    {"webhook", "who else is told of alerts", cli_webhook_commands, NULL, NULL},
    {"delivery", "mails and calls of webhooks on their way", cli_delivery_commands, NULL, NULL},
    {"audit", "the audit journal", cli_audit_commands, NULL, NULL},
    {"completion", "a script with which your shell completes all of this", NULL, cli_completion,
     cli_completion_usage},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct cli_entry *cli_find(const char *name)
{
	for (const struct cli_entry *e = cli_tree; e->name; e++) {
		if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

/* "  conn      connections: ...", and below it its commands, wrapped. */
static void print_entry(FILE *out, const struct cli_entry *e)
{
	enum { INDENT = 13, WIDTH = 80 };
	int at = INDENT;

	fprintf(out, "  %-10s %s\n", e->name, e->summary);
	if (!e->group)
		return;
	fprintf(out, "%*s", INDENT, "");
	for (const struct cli_command *cmd = e->group; cmd->name; cmd++) {
		int n = (int)strlen(cmd->name);

		if (cmd != e->group && at + n + 3 > WIDTH) {
			fprintf(out, " |\n%*s", INDENT, "");
			at = INDENT;
		} else if (cmd != e->group) {
			fputs(" | ", out);
			at += 3;
		}
		fputs(cmd->name, out);
		at += n;
	}
	fputc('\n', out);
}

void cli_print_usage(FILE *out)
{
	fputs("usage: relaykey [--config FILE] [--json] COMMAND ...\n"
	      "       relaykey --url https://HOST[:PORT] --token-file FILE|- [--ca FILE] "
	      "[--json] "
	      "COMMAND ...\n\n",
	      out);
	for (const struct cli_entry *e = cli_tree; e->name; e++)
		print_entry(out, e);
	fputs(
	    "\nThe configuration may also be named by the variable RELAYKEY_CONFIG.\n"
	    "With --url all but 'setup' is done from elsewhere, over the management interface, "
	    "as\n"
	    "whom the management key in the token file stands for; --ca names the certificates "
	    "to\n"
	    "trust. Their variables: RELAYKEY_URL, RELAYKEY_TOKEN_FILE, RELAYKEY_CA.\n"
	    "'relaykey COMMAND --help' tells more, with examples; so do the manual pages.\n"
	    "Secrets are read from standard input, a file or a prompt, never from the command\n"
	    "line. Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 broker not "
	    "reachable.\n",
	    out);
}
