#include "keeper/mgmt_auth.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/ipaddr.h"
#include "base/siphash.h"
#include "keeper/keeper_int.h"
#include "keeper/manage.h"

enum {
	SETS = 256,
	WAYS = 4, /* addresses whose hashes fall together: the one that is longest quiet goes */
};

struct attempts {
	uint8_t address[16];
	int64_t since_ms; /* monotonic: when its minute began; 0: free */
	unsigned failed;
	unsigned unwritten;
};

struct mgmt_auth {
	uint8_t seed[RK_SIPHASH_KEY];
	struct attempts at[SETS][WAYS];
	int64_t rows_since_ms;
	unsigned rows;
};

int mgmt_auth_new(struct mgmt_auth **out)
{
	struct mgmt_auth *a = calloc(1, sizeof *a);

	if (!a)
		return RK_E_NOMEM;
	rk_random(a->seed, sizeof a->seed);
	*out = a;
	return 0;
}

void mgmt_auth_free(struct mgmt_auth *a)
{
	free(a);
}

const char *mgmt_auth_text(int err)
{
	switch (err) {
	case RK_E_AUTH:
		return "no valid management key was presented";
	case RK_E_AGAIN:
		return "too many attempts without a valid management key: try again in a "
		       "minute";
	case RK_E_INVALID:
		return "an idempotency key is 1 to 128 printable ASCII characters";
	default:
		return "the broker is sealed";
	}
}

/* ---- failed attempts ---- */

/* The entry of an address, whose minute is under way. */
static struct attempts *attempts_of(struct mgmt_auth *a, const uint8_t ip[16], int64_t now_ms)
{
	struct attempts *set, *oldest;
	struct rk_ip address;

	memcpy(address.b, ip, sizeof address.b);
	if (!rk_ip_is_v4(&address))
		memset(address.b + 8, 0, 8);
	set = a->at[rk_siphash(a->seed, rk_slice(address.b, 16)) % SETS];
	oldest = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (memcmp(set[i].address, address.b, 16) == 0 && set[i].since_ms) {
			if (now_ms - set[i].since_ms >= AUTH_WINDOW_MS) {
				set[i].since_ms = now_ms;
				set[i].failed = 0;
			}
			return &set[i];
		}
		if (set[i].since_ms < oldest->since_ms)
			oldest = &set[i];
	}
	*oldest = (struct attempts){.since_ms = now_ms};
	memcpy(oldest->address, address.b, 16);
	return oldest;
}

static bool may_write(struct mgmt_auth *a, int64_t now_ms)
{
	if (!a->rows_since_ms || now_ms - a->rows_since_ms >= AUTH_WINDOW_MS) {
		a->rows_since_ms = now_ms;
		a->rows = 0;
	}
	return a->rows++ < AUTH_MAX_ROWS;
}

/* Somebody at an address. */
static void name_nobody(const struct msg_caller *m, char *out, size_t cap)
{
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	memcpy(ip.b, m->client_ip, sizeof ip.b);
	rk_ip_format(&ip, text);
	snprintf(out, cap, "ip:%s", text);
}

static void write_row(struct keeper *k, const struct msg_caller *m, struct attempts *at,
                      const struct mgmt_entry *e, const char *why)
{
	char detail[96], nobody[RK_IP_TEXT + 4];
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str(e ? e->id : NULL),
	    .action = rk_str("authentication.failed"),
	    .target = rk_str(e ? e->id : NULL),
	    .user_agent = m->user_agent,
	};

	name_nobody(m, nobody, sizeof nobody);
	if (!e)
		row.actor = rk_str(nobody);
	memcpy(row.client_ip, m->client_ip, sizeof row.client_ip);
	if (at->unwritten)
		snprintf(detail, sizeof detail, "%s, and %u more before", why, at->unwritten);
	else
		snprintf(detail, sizeof detail, "%s", why);
	row.detail = rk_str(detail);
	if (pipeline_append_row(k->pipeline, &row, NULL, NULL))
		at->unwritten++;
	else
		at->unwritten = 0;
}

static int refuse(struct keeper *k, const struct msg_caller *m, const struct mgmt_entry *e,
                  const char *why)
{
	int64_t now_ms = rk_mono_us() / 1000;
	struct attempts *at = attempts_of(k->mgmt_auth, m->client_ip, now_ms);

	if (at->failed++ >= AUTH_MAX_FAILED) {
		at->unwritten++;
		return RK_E_AGAIN;
	}
	if (may_write(k->mgmt_auth, now_ms))
		write_row(k, m, at, e, why);
	else
		at->unwritten++;
	return RK_E_AUTH;
}

bool mgmt_auth_exhausted(struct keeper *k, const uint8_t client_ip[16])
{
	return attempts_of(k->mgmt_auth, client_ip, rk_mono_us() / 1000)->failed >=
	       AUTH_MAX_FAILED;
}

int mgmt_auth_refuse(struct keeper *k, const uint8_t client_ip[16], const char *why)
{
	struct msg_caller m = {.if_revision = 0};

	memcpy(m.client_ip, client_ip, sizeof m.client_ip);
	return refuse(k, &m, NULL, why);
}

/* ---- the key ---- */

/* NULL, and what is wrong with it. */
static const char *find(struct keeper *k, struct rk_slice credential, int64_t now_ms,
                        struct mgmt_entry **out)
{
	struct mgmt_key parsed;
	uint8_t digest[32];

	*out = NULL;
	if (mgmt_key_parse(credential, &parsed))
		return "malformed";
	rk_sha256(credential, digest);
	*out = mgmt_keys_by_digest(k->mgmt_keys, digest);
	if (!*out)
		return "unknown";
	if ((*out)->revoked_ms)
		return "revoked";
	return mgmt_entry_live(*out, now_ms) ? NULL : "expired";
}

static int take_terms(const struct msg_caller *m, struct manage_caller *who)
{
	for (size_t i = 0; i < m->idempotency_key.n; i++) {
		if (m->idempotency_key.p[i] < 0x21 || m->idempotency_key.p[i] > 0x7e)
			return RK_E_INVALID;
	}
	if (!rk_slice_cstr(m->idempotency_key, who->idempotency_key,
	                   sizeof who->idempotency_key))
		return RK_E_INVALID;
	who->if_revision = m->if_revision;
	return 0;
}

int mgmt_authenticate(struct keeper *k, const struct msg_caller *m, struct manage_caller *who)
{
	int64_t now_ms = rk_wall_ms();
	struct mgmt_entry *e;
	const char *wrong;

	name_nobody(m, who->actor, sizeof who->actor);
	who->role = ROLE_NOBODY;
	who->mgmt_key = 0;
	who->idempotency_key[0] = '\0';
	who->if_revision = 0;
	if (!m->credential.n)
		return take_terms(m, who);
	if (k->state != KEEPER_OPEN || !k->mgmt_keys || !k->mgmt_auth)
		return RK_E_STATE;
	wrong = find(k, m->credential, now_ms, &e);
	if (wrong)
		return refuse(k, m, e, wrong);
	if (take_terms(m, who))
		return RK_E_INVALID;
	e->last_used_ms = now_ms;
	snprintf(who->actor, sizeof who->actor, "%s", e->id);
	who->role = (enum mgmt_role)e->role;
	who->mgmt_key = e->number;
	return 0;
}
