/*
 * Holders in the index: who a relay key belongs to, all keys of one, and the addresses that it
 * is trusted at. Trust is the holder's and not the key's: a second stolen key of the same
 * holder must not open a door that the first one could not.
 *
 * A holder is there from its first key on and never goes away. Its addresses are few
 * (HOLDER_MAX_TRUSTED, HOLDER_MAX_PENDING), so judging one is a short walk without allocation.
 * IPv6 addresses count by their /64.
 *
 * Loop thread only, like the index.
 */
#ifndef KEEPER_INDEX_HOLDER_H
#define KEEPER_INDEX_HOLDER_H

#include "ipc/messages_trust.h"
#include "keeper/index.h"
#include "keeper/store_trust.h"

enum { HOLDER_MAX_TRUSTED = 128, HOLDER_MAX_PENDING = 16 };

struct index_trust {
	struct index_holder *holder;
	uint32_t number; /* "ip_<number>"; ascending, never used twice */
	struct rk_cidr net;
	uint8_t state; /* enum trust_state */
	uint8_t how;   /* enum trust_how */
	bool busy;     /* a change of it is being stored: it is as it was, and nobody else's */
	bool fresh;    /* not in the store yet: shown to nobody */
	uint32_t revision;
	struct index_key *key; /* it was first seen with; NULL: somebody added it */
	const char *conn_id;   /* likewise, interned */
	int64_t first_ms, decided_ms;
	int64_t mailed_ms; /* the last time */
	uint8_t code_digest[32];
	int64_t code_expires_ms; /* 0: no code is open */
	char user_agent[];
};

struct index_holder {
	uint32_t number; /* in order of creation */
	uint32_t keys, revision;
	uint16_t trusts, trust_cap;
	uint16_t mail_day; /* that the keys' `mails` are of */
	uint8_t kind;
	bool settled;            /* it has had a trusted address: none is the first any more */
	const char *name;        /* interned */
	char *email;             /* owned; NULL: none */
	struct index_key *first; /* its keys, the newest first */
	struct index_trust **trust; /* ascending by number */
	struct index_trust *claim;  /* the first one, while that is being stored */
};

/* ---- holders ---- */

struct index_holder *index_holder_find(const struct index *ix, enum holder_kind kind,
                                       struct rk_slice name);
/* "kind:name". RK_E_NOTFOUND, also when it is not written so. */
RK_MUST_CHECK int index_holder_resolve(const struct index *ix, struct rk_slice ref,
                                       struct index_holder **out, struct rk_fault *fault);
/* In order of creation: NULL to start; NULL at the end. */
struct index_holder *index_holder_next(const struct index *ix,
                                       const struct index_holder *after);
size_t index_holder_count(const struct index *ix);
/* Its keys, the newest first: NULL to start; NULL at the end. */
struct index_key *index_holder_key(const struct index *ix, const struct index_holder *h,
                                   const struct index_key *after);

/* From the store's form. */
RK_MUST_CHECK int index_add_holder(struct index *ix, const struct store_holder *h,
                                   struct rk_fault *fault);
/* Empty: none any more. */
RK_MUST_CHECK int index_holder_set_email(struct index *ix, struct index_holder *h,
                                         struct rk_slice email);

/* ---- addresses ---- */

/* What an address counts as: itself, of IPv6 its /64. */
struct rk_cidr index_trust_net(const uint8_t ip[16]);

enum trust_verdict {
	TRUST_NO,
	TRUST_YES,
	TRUST_FIRST, /* may be trusted on the spot, once that is stored */
};
enum trust_verdict index_trust_judge(const struct index *ix, const struct index_holder *h,
                                     const uint8_t ip[16]);

/* Whether a first address is trusted on the spot, and the prefixes that always are: a LIST that
 * was checked; what does not parse or is too much trusts nobody. */
void index_trust_rule(struct index *ix, bool first, struct rk_slice presets);

/* From the store's form; of an unknown holder RK_E_NOTFOUND. */
RK_MUST_CHECK int index_add_trust(struct index *ix, const struct store_trust *t,
                                  struct rk_fault *fault);
/* The highest number that was ever given. */
void index_trust_last(struct index *ix, uint32_t number);
/* A pending one that is busy, under a new number. RK_E_NOMEM. */
RK_MUST_CHECK int index_trust_new(struct index *ix, struct index_holder *h,
                                  const struct rk_cidr *net, struct rk_slice user_agent,
                                  struct index_trust **out);
/* Takes it out and frees it. */
void index_trust_drop(struct index *ix, struct index_trust *t);

/* Exactly this address or prefix; NULL. */
struct index_trust *index_trust_at(const struct index_holder *h, const struct rk_cidr *net);
struct index_trust *index_trust_by_number(const struct index *ix, uint32_t number);
/* The first with a higher number, of one holder or (NULL) of all; NULL at the end. */
struct index_trust *index_trust_next(const struct index *ix, const struct index_holder *h,
                                     uint32_t after);
enum { HOLDER_MAX_MAILS = 255 }; /* of a key and day; no limit is higher */

/* A mail about an address went to the key's holder; how many did on that day. */
void index_mail_count(const struct index *ix, struct index_key *k, int64_t at_ms);
uint32_t index_mails(const struct index_key *k, int64_t now_ms);

/* How many are in that state. */
unsigned index_trust_count(const struct index_holder *h, enum trust_state state);

#endif
