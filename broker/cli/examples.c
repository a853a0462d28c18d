/*
 * One example or more for each command: to be copied, and changed in one word. --help prints
 * them below the usage, the manual pages have them, too; suite guide runs each of them.
 */
#include <stdio.h>

#include "cli/cli.h"

/* By "group command", in the order of cli_tree; several lines where one does not tell enough.
 */
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
    {"conn test", "relaykey conn test openai\n"
                  "relaykey conn test intranet --method HEAD --path /health\n"},
    {"conn update", "relaykey conn update openai --name openai-eu --allow-set-cookie no\n"
                    "relaykey conn update openai --base-url https://eu.api.openai.com/v1 \\\n"
                    "    --secret-file key.txt\n"},
    {"conn versions", "relaykey conn versions openai\n"},
    {"conn rollback", "relaykey conn rollback openai 3\n"},
    {"conn purge", "relaykey conn purge openai 2\n"},
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
     "    --path '/v1/charges/*' --ip 198.51.100.0/24 --ttl 24h\n"
     "relaykey key issue --honey --holder app:decoy\n"},
    {"key mint", "relaykey key mint --conn stripe --method GET --path '/v1/charges/*' \\\n"
                 "    --holder nightly-report --ttl 15m --json | jq -r .key\n"},
    {"key list", "relaykey key list --holder agent: --live\n"},
    {"key show", "relaykey key show rk_vendor...91k\n"},
    {"key revoke", "relaykey key revoke rk_vendor...91k\n"},
    {"key update",
     "relaykey key update key_4f9Qm2LxTz0a --rate 30/min --ip 198.51.100.0/24\n"
     "relaykey key update key_4f9Qm2LxTz0a --conn stripe --method GET --path /v1/charges\n"},
    {"key extend", "relaykey key extend key_4f9Qm2LxTz0a --ttl 30d\n"},
    {"revoke", "relaykey revoke rk_vendor...91k\n"},

    {"panic", "relaykey panic on --reason 'traffic that nobody knows'\n"
              "relaykey panic off --reason 'it was the load test'\n"},
    {"leak", "relaykey leak build.log --source 'log of build 4711'\n"
             "git log -p | relaykey leak - --json\n"},
    {"import", "relaykey import .env --dry-run\n"
               "relaykey import .env --holder app:shop --env production --write .env.relay\n"},

    {"holder list", "relaykey holder list --kind vendor\n"},
    {"holder show", "relaykey holder show person:ada\n"},
    {"holder set", "relaykey holder set person:ada --email ada@example.com\n"},
    {"holder revoke", "relaykey holder revoke vendor:auditors\n"},
    {"trust list", "relaykey trust list --holder person:ada --state trusted\n"},
    {"trust add", "relaykey trust add person:ada 198.51.100.0/24\n"},
    {"trust approve", "relaykey trust approve ip_17\n"},
    {"trust remove", "relaykey trust remove ip_17\n"},
    {"approvals", "relaykey approvals\n"
                  "relaykey approvals --holder person:ada --json | jq -r .id\n"},

    {"mgmt issue",
     "relaykey mgmt issue --role auditor --name siem --ttl 90d\n"
     "relaykey mgmt issue --role provisioner --name ci --conn stripe --method GET \\\n"
     "    --path '/v1/charges/*' --kind agent --max-ttl 1h --max-live 20\n"},
    {"mgmt list", "relaykey mgmt list --live\n"},
    {"mgmt show", "relaykey mgmt show rk_mgmt_provisioner...91k\n"},
    {"mgmt revoke", "relaykey mgmt revoke rk_mgmt_provisioner...91k --cascade\n"},
    {"mgmt extend", "relaykey mgmt extend mkey_4f9Qm2LxTz0a --ttl 90d\n"},
    {"user add", "relaykey user add ada --role operator --email ada@example.com\n"},
    {"user list", "relaykey user list\n"},
    {"user show", "relaykey user show ada\n"},
    {"user update", "relaykey user update ada --role auditor\n"
                    "relaykey user update ada --disable\n"},
    {"user remove", "relaykey user remove ada\n"},

    {"settings show", "relaykey settings show --json | jq .smtp_host\n"},
    {"settings set",
     "relaykey settings set --public-url https://console.example.com \\\n"
     "    --smtp-host mail.example.com --smtp-user relaykey --smtp-password-file - \\\n"
     "    --mail-from relaykey@example.com --alert-mail ops@example.com \\\n"
     "    < password.txt\n"
     "relaykey settings set --trust-first-ip no --trust-preset 10.0.0.0/8\n"
     "relaykey settings set --leak-key scanner-1=scanner.pem\n"},
    {"settings test-mail", "relaykey settings test-mail ada@example.com\n"},
    {"webhook add", "relaykey webhook add siem --url https://siem.example.com/hook \\\n"
                    "    --event key.leaked --event key.honey_used\n"},
    {"webhook list", "relaykey webhook list\n"},
    {"webhook show", "relaykey webhook show siem\n"},
    {"webhook update", "relaykey webhook update siem --event all\n"
                       "relaykey webhook update siem --disable\n"},
    {"webhook rotate", "relaykey webhook rotate siem --json | jq -r .secret\n"},
    {"webhook test", "relaykey webhook test siem\n"},
    {"webhook remove", "relaykey webhook remove siem\n"},
    {"delivery list", "relaykey delivery list --state failed --webhook siem\n"},
    {"delivery show", "relaykey delivery show dlv_7\n"},
    {"delivery replay", "relaykey delivery replay dlv_7\n"},

    {"audit list", "relaykey audit list --decision denied --since 2026-05-01 --limit 20\n"},
    {"audit tail", "relaykey audit tail --conn openai --json | jq -r .path\n"},
    {"audit export", "relaykey audit export --format csv --since 2026-05-01 > may.csv\n"},
    {"audit verify", "relaykey audit verify || echo 'the journal was tampered with'\n"},
    {"completion", "relaykey completion bash > /etc/bash_completion.d/relaykey\n"},
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
