#include "policy/key_shape.h"

#define WORD   "0-9A-Za-z_-"
#define ALNUM  "0-9A-Za-z"
#define HEX    "0-9a-f"
#define BASE64 "0-9A-Za-z+/=,_-"
#define DIGLOW "0-9a-z"

static const struct key_shape shapes[] = {
    /* sk-: the long prefixes before the short one */
    {"anthropic", "sk-ant-", WORD, 24, 200, NULL, NULL, NULL, NULL},
    {"openrouter", "sk-or-v1-", HEX, 64, 64, NULL, NULL, NULL, NULL},
    {"openai", "sk-proj-", WORD, 20, 250, NULL, NULL, NULL, NULL},
    {"openai", "sk-svcacct-", WORD, 20, 250, NULL, NULL, NULL, NULL},
    {"openai", "sk-service-", WORD, 20, 250, NULL, NULL, NULL, NULL},
    {"openai", "sk-", WORD, 40, 250, "T3BlbkFJ", NULL, NULL, NULL},
    {"deepseek", "sk-", DIGLOW, 32, 32, NULL, "DEEPSEEK", NULL, NULL},
    {"openai", "sk-", ALNUM, 32, 64, NULL, "OPENAI", NULL, NULL},
    /* sk_ and rk_ */
    {"stripe", "sk_live_", ALNUM, 16, 247, NULL, NULL, NULL, NULL},
    {"stripe", "sk_test_", ALNUM, 16, 247, NULL, NULL, NULL, NULL},
    {"stripe", "rk_live_", ALNUM, 16, 247, NULL, NULL, NULL, NULL},
    {"stripe", "rk_test_", ALNUM, 16, 247, NULL, NULL, NULL, NULL},
    {"elevenlabs", "sk_", HEX, 48, 48, NULL, NULL, NULL, NULL},
    {"elevenlabs", "", HEX, 32, 32, NULL, "ELEVENLABS ELEVEN_LABS XI_API", NULL, NULL},
    /* prefixes that are a provider's own */
    {"airtable", "pat", "0-9A-Za-z.", 79, 79, ".", NULL, NULL, NULL},
    {"cloudflare", "cfut_", ALNUM, 48, 48, NULL, NULL, NULL, NULL},
    {"cloudflare", "cfat_", ALNUM, 48, 48, NULL, NULL, NULL, NULL},
    {"cloudflare", "", WORD, 40, 40, NULL, "CLOUDFLARE CF_API_TOKEN CF_TOKEN", NULL, NULL},
    {"flyio", "FlyV1 fm", BASE64, 40, 4096, NULL, NULL, NULL, "FlyV1 "},
    {"flyio", "fm2_", BASE64, 40, 4096, NULL, NULL, NULL, NULL},
    {"flyio", "fm1r_", BASE64, 40, 4096, NULL, NULL, NULL, NULL},
    {"flyio", "fm1a_", BASE64, 40, 4096, NULL, NULL, NULL, NULL},
    {"flyio", "fo1_", WORD, 43, 43, NULL, NULL, NULL, NULL},
    {"gemini", "AIza", WORD, 35, 35, NULL, NULL, NULL, NULL},
    {"gemini", "AQ.", WORD, 20, 200, NULL, NULL, NULL, NULL},
    {"github", "github_pat_", "0-9A-Za-z_", 82, 82, NULL, NULL, NULL, NULL},
    {"github", "ghp_", ALNUM, 36, 255, NULL, NULL, NULL, NULL},
    {"github", "gho_", ALNUM, 36, 255, NULL, NULL, NULL, NULL},
    {"github", "ghu_", ALNUM, 36, 255, NULL, NULL, NULL, NULL},
    {"gitlab", "glpat-", "0-9A-Za-z_.-", 20, 300, NULL, NULL, NULL, NULL},
    {"grafana", "glsa_", "0-9A-Za-z_", 41, 41, "_", NULL, NULL, NULL},
    {"grafana", "glc_", BASE64, 32, 400, NULL, NULL, NULL, NULL},
    {"groq", "gsk_", ALNUM, 52, 52, NULL, NULL, NULL, NULL},
    {"hubspot", "pat-", "0-9A-Za-z-", 36, 44, "-", "HUBSPOT", NULL, NULL},
    {"huggingface", "hf_", ALNUM, 34, 34, NULL, NULL, NULL, NULL},
    {"jira", "ATATT", "0-9A-Za-z+/=_-", 40, 400, NULL, NULL,
     "JIRA_EMAIL JIRA_USER JIRA_USERNAME ATLASSIAN_EMAIL", NULL},
    {"linear", "lin_api_", ALNUM, 40, 40, NULL, NULL, NULL, NULL},
    {"mailgun", "key-", DIGLOW, 32, 32, NULL, NULL, NULL, NULL},
    {"mailgun", "", "0-9a-f-", 50, 50, "-", "MAILGUN", NULL, NULL},
    {"notion", "ntn_", ALNUM, 46, 46, NULL, NULL, NULL, NULL},
    {"notion", "secret_", ALNUM, 43, 43, NULL, "NOTION", NULL, NULL},
    {"perplexity", "pplx-", ALNUM, 48, 48, NULL, NULL, NULL, NULL},
    {"pinecone", "pcsk_", "0-9A-Za-z_", 69, 70, "_", NULL, NULL, NULL},
    {"postmark", "", "0-9a-f-", 36, 36, "-", "POSTMARK", NULL, NULL},
    {"replicate", "r8_", WORD, 37, 37, NULL, NULL, NULL, NULL},
    {"resend", "re_", "0-9A-Za-z_", 20, 80, NULL, NULL, NULL, NULL},
    {"sendgrid", "SG.", "0-9A-Za-z_.-", 60, 76, ".", NULL, NULL, NULL},
    {"sentry", "sntryu_", HEX, 64, 64, NULL, NULL, NULL, NULL},
    {"sentry", "sntrys_", BASE64, 100, 1000, NULL, NULL, NULL, NULL},
    {"slack", "xoxb-", WORD, 20, 200, NULL, NULL, NULL, NULL},
    {"slack", "xoxp-", WORD, 20, 200, NULL, NULL, NULL, NULL},
    {"supabase", "sb_secret_", WORD, 20, 100, NULL, NULL, NULL, NULL},
    {"tavily", "tvly-", "0-9A-Za-z-", 20, 80, NULL, NULL, NULL, NULL},
    {"vercel", "vcp_", ALNUM, 20, 80, NULL, NULL, NULL, NULL},
    {"xai", "xai-", "0-9A-Za-z_", 80, 80, NULL, NULL, NULL, NULL},
    /* the name alone tells */
    {"twilio", "", HEX, 32, 32, NULL, "TWILIO_AUTH_TOKEN TWILIO_TOKEN",
     "TWILIO_ACCOUNT_SID TWILIO_SID", NULL},
    {"twilio", "", ALNUM, 32, 32, NULL, "TWILIO_API_SECRET TWILIO_API_KEY_SECRET",
     "TWILIO_API_KEY TWILIO_API_KEY_SID", NULL},
    {"mistral", "", ALNUM, 32, 32, NULL, "MISTRAL", NULL, NULL},
    {"cohere", "", ALNUM, 40, 40, NULL, "COHERE CO_API_KEY", NULL, NULL},
};

static bool holds_word(struct rk_slice s, struct rk_slice word)
{
	for (size_t i = 0; i + word.n <= s.n; i++) {
		if (rk_slice_ieq(rk_slice(s.p + i, word.n), word))
			return true;
	}
	return false;
}

static bool holds_one_of(struct rk_slice name, const char *words)
{
	struct rk_slice left = rk_str(words), word;

	while (provider_next_word(&left, &word)) {
		if (holds_word(name, word))
			return true;
	}
	return false;
}

/* "0-9A-F._-": ranges and single bytes; a '-' at the end is itself. */
static bool in_alphabet(unsigned char c, const char *ranges)
{
	for (const char *r = ranges; *r;) {
		if (r[1] == '-' && r[2]) {
			if (c >= (unsigned char)r[0] && c <= (unsigned char)r[2])
				return true;
			r += 3;
		} else if (c == (unsigned char)*r++) {
			return true;
		}
	}
	return false;
}

static bool fits(const struct key_shape *s, struct rk_slice name, struct rk_slice value)
{
	struct rk_slice prefix = rk_str(s->prefix), rest;

	if (!rk_slice_starts(value, prefix))
		return false;
	rest = rk_slice_skip(value, prefix.n);
	if (rest.n < s->min || rest.n > s->max)
		return false;
	for (size_t i = 0; i < rest.n; i++) {
		if (!in_alphabet((unsigned char)rest.p[i], s->alphabet))
			return false;
	}
	if (s->holds && !memmem(rest.p, rest.n, s->holds, strlen(s->holds)))
		return false;
	return !s->named || holds_one_of(name, s->named);
}

const struct key_shape *key_shape_find(struct rk_slice name, struct rk_slice value)
{
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		if (fits(&shapes[i], name, value))
			return &shapes[i];
	}
	return NULL;
}

/* "scheme://user:password@host" */
static bool holds_password(struct rk_slice value)
{
	const char *scheme = value.n ? memmem(value.p, value.n, "://", 3) : NULL;
	struct rk_slice rest;
	const char *at, *colon;

	if (!scheme)
		return false;
	rest = rk_slice_skip(value, (size_t)(scheme - value.p) + 3);
	at = rest.n ? memchr(rest.p, '@', rest.n) : NULL;
	colon = at ? memchr(rest.p, ':', (size_t)(at - rest.p)) : NULL;
	return colon && colon + 1 < at;
}

bool key_shape_suspicious(struct rk_slice name, struct rk_slice value)
{
	static const char words[] = "SECRET PASSWORD PASSWD TOKEN _KEY APIKEY CREDENTIAL";

	return (value.n >= 8 && holds_one_of(name, words)) || holds_password(value);
}

struct rk_slice key_shape_secret(const struct key_shape *s, struct rk_slice value)
{
	return s->strip ? rk_slice_skip(value, strlen(s->strip)) : value;
}
