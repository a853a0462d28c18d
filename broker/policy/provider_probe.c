#include "policy/provider_probe.h"

/* Sorted by provider; paths as the provider documents them, without a query. */
static const struct {
	const char *provider, *path;
} probes[] = {
    {"airtable", "/v0/meta/whoami"},
    {"anthropic", "/v1/models"},
    {"azure_openai", "/openai/v1/models"},
    {"cloudflare", "/user/tokens/verify"},
    {"datadog", "/api/v1/validate"},
    {"deepseek", "/user/balance"},
    {"elevenlabs", "/v1/user"},
    {"elevenlabs_agents", "/v1/convai/agents"},
    {"flyio_machines", "/v1/apps"},
    {"gemini", "/v1beta/models"},
    {"gemini_openai", "/models"},
    {"github_app", "/app"},
    {"github_pat", "/user"},
    {"gitlab", "/user"},
    {"grafana", "/api/access-control/user/permissions"},
    {"greenhouse_harvest_v1", "/v1/users"},
    {"greenhouse_ingestion", "/current_user"},
    {"groq", "/models"},
    {"hibob", "/company/named-lists"},
    {"hubspot", "/account-info/v3/api-usage/daily/private-apps"},
    {"huggingface", "/api/whoami-v2"},
    {"intercom", "/me"},
    {"jira", "/rest/api/3/myself"},
    {"mailgun", "/v3/domains"},
    {"mistral", "/models"},
    {"notion", "/v1/users"},
    {"openai", "/models"},
    {"openrouter", "/key"},
    {"pagerduty", "/users"},
    {"perplexity", "/async/chat/completions"},
    {"pinecone", "/indexes"},
    {"postmark_account", "/domains"},
    {"postmark_server", "/deliverystats"},
    {"replicate", "/account"},
    {"resend", "/domains"},
    {"sendgrid", "/v3/scopes"},
    {"stripe", "/v1/charges"},
    {"supabase_management", "/projects"},
    {"survicate", "/surveys"},
    {"tavily", "/usage"},
    {"vercel", "/v2/user"},
    {"verint_adherence", "/wfo/user-mgmt-api/v1/organizations"},
    {"verint_wfm", "/wfo/user-mgmt-api/v1/organizations"},
    {"verint_wfm_rm", "/wfo/user-mgmt-api/v1/organizations"},
    {"xai", "/api-key"},
    {"zendesk", "/api/v2/users.json"},
};

const char *provider_probe_path(struct rk_slice provider)
{
	size_t low = 0, high = sizeof probes / sizeof probes[0];

	while (low < high) {
		size_t mid = (low + high) / 2;
		struct rk_slice name = rk_str(probes[mid].provider);
		size_t n = name.n < provider.n ? name.n : provider.n;
		int order = n ? memcmp(provider.p, name.p, n) : 0;

		if (order == 0 && provider.n == name.n)
			return probes[mid].path;
		if (order < 0 || (order == 0 && provider.n < name.n))
			high = mid;
		else
			low = mid + 1;
	}
	return "";
}
