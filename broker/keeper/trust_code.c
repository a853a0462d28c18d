#include <stdio.h>

#include "base/base62.h"
#include "keeper/slots.h"
#include "keeper/trust_int.h"

static const char id_prefix[] = "ip_";

void trust_id(uint32_t number, char out[TRUST_ID])
{
	snprintf(out, TRUST_ID, "%s%u", id_prefix, number);
}

int trust_find(const struct keeper *k, struct rk_slice id, struct index_trust **out,
               struct rk_fault *fault)
{
	struct index_trust *t = NULL;
	uint64_t number;

	if (rk_slice_starts(id, rk_str(id_prefix)) &&
	    rk_slice_u64(rk_slice_skip(id, sizeof id_prefix - 1), &number) &&
	    number <= UINT32_MAX)
		t = index_trust_by_number(k->index, (uint32_t)number);
	if (!t || t->fresh)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no such address");
	*out = t;
	return 0;
}

void trust_address(const struct index_trust *t, char out[RK_CIDR_TEXT])
{
	if (t->net.bits == 128)
		rk_ip_format(&t->net.net, out);
	else
		rk_cidr_format(&t->net, out);
}

/* ---- codes ---- */

void trust_code_make(uint32_t number, char code[TRUST_CODE + 1], uint8_t digest[32])
{
	rk_base62_u64(number, code, TRUST_CODE_NUMBER);
	rk_base62_random(code + TRUST_CODE_NUMBER, TRUST_CODE_SECRET);
	code[TRUST_CODE] = '\0';
	rk_sha256(rk_slice(code, TRUST_CODE), digest);
}

/* The number in front of a code; 0 for what is none. */
static uint32_t code_number(struct rk_slice code)
{
	uint64_t n = 0;

	if (code.n != TRUST_CODE || !rk_base62_is(code))
		return 0;
	for (size_t i = 0; i < TRUST_CODE_NUMBER; i++) {
		char c = code.p[i];
		unsigned digit = c <= '9'   ? (unsigned)(c - '0')
		                 : c <= 'Z' ? (unsigned)(c - 'A') + 10
		                            : (unsigned)(c - 'a') + 36;

		n = n * 62 + digit;
	}
	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

static struct trust_guess *guesses_of(struct trust *t, const uint8_t client_ip[16],
                                      int64_t minute)
{
	struct rk_cidr net = index_trust_net(client_ip);
	struct trust_guess *g =
	    &t->guess[slots_hash_bytes(t->guess_seed, net.net.b, sizeof net.net.b) %
	              GUESS_SLOTS];

	if (g->minute != minute || memcmp(g->net.net.b, net.net.b, sizeof net.net.b) != 0)
		*g = (struct trust_guess){.net = net, .minute = minute};
	return g;
}

static void note_wrong(struct keeper *k, const uint8_t client_ip[16])
{
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str("confirmation-link"),
	    .action = rk_str("ip.confirm.refused"),
	    .detail = rk_str("no open code"),
	};

	memcpy(row.client_ip, client_ip, sizeof row.client_ip);
	/* while the journal is away nothing is refused or confirmed that could matter */
	(void)!pipeline_append_row(k->pipeline, &row, NULL, NULL);
}

int trust_by_code(struct keeper *k, struct rk_slice code, const uint8_t client_ip[16],
                  int64_t now_ms, struct index_trust **out, struct rk_fault *fault)
{
	struct trust_guess *g = guesses_of(k->trust, client_ip, now_ms / 60000);
	struct index_trust *t;
	uint8_t digest[32];

	if (g->count >= TRUST_WRONG_CODES)
		return rk_fail(fault, RK_E_AGAIN,
		               "too many wrong links: try again in a minute");
	t = index_trust_by_number(k->index, code_number(code));
	rk_sha256(code, digest);
	if (t && t->state == TRUST_PENDING && now_ms < t->code_expires_ms &&
	    rk_equal_ct(rk_slice(digest, 32), rk_slice(t->code_digest, 32))) {
		*out = t;
		return 0;
	}
	g->count++;
	note_wrong(k, client_ip);
	return rk_fail(fault, RK_E_NOTFOUND,
	               "this link is not valid: it was used, has expired or is incomplete");
}
