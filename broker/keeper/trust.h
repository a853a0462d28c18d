/*
 * What the keeper does about an address that a holder was not seen at before (PRODUCT.md,
 * section 5). The pipeline decides and asks; here the address is claimed in the index, the
 * audit row written, the store changed, and only then the index again:
 *
 *   first    the holder's first address is trusted on the spot: who asks waits for it. Of two
 *            that come at once the one that was claimed first wins, the other is refused.
 *   locked   every other one is refused (423) and kept as pending, with one mail to the
 *            holder. What is kept and mailed is bounded: HOLDER_MAX_PENDING addresses a
 *            holder, one mail an address while its code is open, so many mails a key and day.
 *
 * A code is 6 characters for the number of the address and TRUST_CODE_SECRET random ones; only
 * its SHA-256 is kept. Wrong codes are counted by client address.
 *
 * Loop thread only.
 */
#ifndef KEEPER_TRUST_H
#define KEEPER_TRUST_H

#include "keeper/index_holder.h"
#include "keeper/pipeline.h"

enum {
	TRUST_CODE_NUMBER = 6,
	TRUST_CODE_SECRET = 28, /* 166 bits */
	TRUST_CODE = TRUST_CODE_NUMBER + TRUST_CODE_SECRET,
	TRUST_MAX_JOBS = 256,   /* being stored at once; more are refused without a mail */
	TRUST_WRONG_CODES = 10, /* of one client address a minute */
	TRUST_ID = sizeof "ip_4294967295",
};

struct keeper;
struct trust;

/* From the settings. */
struct trust_terms {
	bool first;              /* the first address is trusted on the spot */
	struct rk_slice presets; /* LIST of prefixes that always are */
	uint32_t mails_per_key_day;
	int64_t confirm_ttl_ms;
};

/* `terms` is asked before each decision; what it fills in is borrowed until the loop turns. */
RK_MUST_CHECK int trust_new(struct keeper *k,
                            void (*terms)(struct keeper *k, struct trust_terms *out),
                            struct trust **out);

/* Begins nothing more: call before the worker pools end. Accepts NULL. */
void trust_stop(struct trust *t);
/* After the pools. Accepts NULL. */
void trust_free(struct trust *t);

/* For pipeline_params.trust; t may be set later than the params are made. */
struct pipeline_trust trust_hooks(struct keeper *k);

/* "203.0.113.42", or with the bits of a prefix. */
void trust_address(const struct index_trust *t, char out[RK_CIDR_TEXT]);

/* "ip_17" and back; RK_E_NOTFOUND for what is none. */
void trust_id(uint32_t number, char out[TRUST_ID]);
RK_MUST_CHECK int trust_find(const struct keeper *k, struct rk_slice id,
                             struct index_trust **out, struct rk_fault *fault);

/*
 * The pending address that a code opens, or RK_E_NOTFOUND with one text whatever is wrong with
 * it; RK_E_AGAIN when that client address has tried too many wrong ones.
 */
RK_MUST_CHECK int trust_by_code(struct keeper *k, struct rk_slice code,
                                const uint8_t client_ip[16], int64_t now_ms,
                                struct index_trust **out, struct rk_fault *fault);

#endif
