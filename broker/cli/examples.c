#include <stdio.h>

#include "cli/cli.h"

/* By "group command"; several lines where one does not tell enough. */
static const struct {
	const char *command, *text;
} examples[] = {
    {"setup", "relaykey setup --dir /srv/relaykey --proxy 0.0.0.0:8443\n"},
    {"status", "relaykey status --json | jq .sealed\n"},
    {"conn add",
     "relaykey conn add openai --base-url https://api.openai.com/v1 --provider openai\n"
     "relaykey conn add mail --base-url https://api.mailgun.net --auth basic:api \\\n"
     "    --secret-file - < key.txt\n"},
    {"conn list", "relaykey conn list --json | jq -r .name\n"},
    {"conn show", "relaykey conn show openai\n"},
    {"conn rotate", "relaykey conn rotate openai --secret-file new-key.txt\n"},
    {"conn set-identity", "relaykey conn set-identity bank --client-cert client.pem \\\n"
                          "    --client-key-file client.key\n"},
    {"conn set-proxy",
     "relaykey conn set-proxy openai --egress-proxy http://proxy.example:3128\n"},
    {"conn disable", "relaykey conn disable stripe\n"},
    {"conn enable", "relaykey conn enable stripe\n"},
    {"conn remove", "relaykey conn remove old --force\n"},
    {"key issue",
     "relaykey key issue --conn openai --holder agent:support-bot --method POST \\\n"
     "    --path /v1/responses --ttl 7d --rate 60/min\n"
     "relaykey key issue --conn stripe --holder vendor:auditors --method GET \\\n"
     "    --path '/v1/charges/*' --ip 198.51.100.0/24 --ttl 24h\n"},
    {"key list", "relaykey key list --holder agent: --live\n"},
    {"key show", "relaykey key show rk_vendor...91k\n"},
    {"key revoke", "relaykey key revoke rk_vendor...91k\n"},
    {"key extend", "relaykey key extend key_4f9Qm2LxTz0a --ttl 30d\n"},
    {"revoke", "relaykey revoke rk_vendor...91k\n"},
    {"audit list", "relaykey audit list --decision denied --since 2026-05-01 --limit 20\n"},
    {"audit tail", "relaykey audit tail --conn openai --json | jq -r .path\n"},
    {"audit export", "relaykey audit export --format csv --since 2026-05-01 > may.csv\n"},
    {"audit verify", "relaykey audit verify || echo 'the journal was tampered with'\n"},
};

void cli_print_help(FILE *out, const char *command, const char *usage)
{
	fputs(usage, out);
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		const char *p = examples[i].text, *before = "example: ";

		if (strcmp(examples[i].command, command) != 0)
			continue;
		while (*p) {
			const char *end = strchr(p, '\n');

			fprintf(out, "%s%.*s\n", before, (int)(end - p), p);
			before = "         ";
			p = end + 1;
		}
	}
}
