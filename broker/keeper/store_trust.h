/*
 * policy.db: holders as objects of their own, and the addresses that they are trusted at. Like
 * the calls of keeper/store.h: one transaction each, durable when it returns 0, store worker
 * only. What has to be told (a mail with a link) is stored with the change that it tells of.
 */
#ifndef KEEPER_STORE_TRUST_H
#define KEEPER_STORE_TRUST_H

#include "base/ipaddr.h"
#include "ipc/messages.h"
#include "keeper/store.h"

struct store_holder {
	uint8_t kind;
	struct rk_slice name;
	struct rk_slice email; /* empty: none */
	uint32_t revision;
	bool settled; /* it has had a trusted address */
};

struct store_trust {
	uint32_t number; /* 1, 2, ...; never used twice */
	uint8_t kind;
	struct rk_slice holder;
	struct rk_cidr net;
	uint8_t state, how;
	struct rk_slice key_id, conn_id, user_agent;
	int64_t first_ms, decided_ms, mailed_ms;
	uint8_t code_digest[32];
	int64_t code_expires_ms; /* 0: no code is open */
	uint32_t revision;
};

/* What is to be sent with a change; `notice` NULL: nothing. */
struct store_mail {
	const struct msg_notice *notice;
	struct rk_slice to; /* empty: only webhooks hear of it */
};

/* Links that went to the old address open nothing any more. */
RK_MUST_CHECK int store_holder_set_email(struct store *s, uint8_t kind, struct rk_slice name,
                                         struct rk_slice email, struct rk_fault *fault);
/* All keys of it that are not revoked yet. */
RK_MUST_CHECK int store_holder_revoke(struct store *s, uint8_t kind, struct rk_slice name,
                                      int64_t revoked_ms, struct rk_fault *fault);

/* `replaces`: number of one that makes room for it; 0: none. */
RK_MUST_CHECK int store_trust_add(struct store *s, const struct store_trust *t,
                                  uint32_t replaces, const struct store_mail *mail,
                                  struct rk_fault *fault);
/* A new code for a pending one. */
RK_MUST_CHECK int store_trust_code(struct store *s, const struct store_trust *t,
                                   const struct store_mail *mail, struct rk_fault *fault);
/* Trusted from now on; its code is used up. */
RK_MUST_CHECK int store_trust_decide(struct store *s, uint32_t number, uint8_t how,
                                     int64_t decided_ms, struct rk_fault *fault);
RK_MUST_CHECK int store_trust_remove(struct store *s, uint32_t number, struct rk_fault *fault);

/* ---- for store_load() ---- */

RK_MUST_CHECK int store_load_holders(struct store *s, const struct store_loader *l,
                                     struct rk_fault *fault);
RK_MUST_CHECK int store_load_trust(struct store *s, const struct store_loader *l,
                                   struct rk_fault *fault);

#endif
