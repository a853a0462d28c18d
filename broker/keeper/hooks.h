/*
 * The webhooks in memory, with their signing secrets: these are opened when the stores are and
 * stay in secret memory, because a lost token is one of the things that webhooks tell of. Loop
 * thread only, but for hooks_load().
 */
#ifndef KEEPER_HOOKS_H
#define KEEPER_HOOKS_H

#include "base/secret.h"
#include "ipc/messages_manage.h"
#include "keeper/store_webhook.h"

struct token;

enum {
	HOOKS_MAX = 32,
	HOOK_ID_TEXT = sizeof "hook_" + 12,
	HOOK_SECRET_CHARS = 40, /* 238 random bits */
	HOOK_SECRET_TEXT = sizeof "whsec_" - 1 + HOOK_SECRET_CHARS,
	HOOK_PLACE_MAX = 64,
};

/* How a target fared lately: one that fails rests. */
struct lane_rest {
	int64_t until_ms;  /* wall time; 0: it does not rest */
	unsigned failures; /* in a row */
};

struct hook {
	struct hook *next;
	char id[HOOK_ID_TEXT], name[MSG_MAX_NAME + 1], url[MSG_MAX_URL + 1];
	uint32_t events, flags;
	struct rk_slice ca_pem; /* owned */
	bool enabled;
	uint32_t secret_version;
	struct rk_slice blob;    /* owned */
	struct rk_secret secret; /* empty: it did not open */
	int64_t created_ms, updated_ms;
	uint32_t revision;
	struct lane_rest rest;
};

struct hooks {
	struct hook *first; /* in order of creation */
	unsigned count;
};

/* From the store; RK_E_TOKEN when the token is away. `t` may be NULL: secrets stay closed. */
RK_MUST_CHECK int hooks_load(struct store *s, struct token *t, struct hooks **out,
                             struct rk_fault *fault);
void hooks_free(struct hooks *h); /* accepts NULL */

/* By id or name; NULL. */
struct hook *hooks_find(const struct hooks *h, struct rk_slice ref);

/* A copy of what the store says, without a secret. */
RK_MUST_CHECK int hook_new(const struct store_webhook *w, struct hook **out);
void hook_free(struct hook *h); /* accepts NULL */
/* Another wrapped secret. */
RK_MUST_CHECK int hook_set_blob(struct hook *h, struct rk_slice blob);
/* Borrows. */
struct store_webhook hook_stored(const struct hook *h);

/* Takes it; it replaces the one with the same id. */
void hooks_put(struct hooks *all, struct hook *h);
void hooks_remove(struct hooks *all, struct rk_slice id);

/* Where a signing secret stands, as the token's additional data. */
struct rk_slice hook_secret_place(struct rk_slice id, uint32_t version,
                                  char out[HOOK_PLACE_MAX]);

#endif
