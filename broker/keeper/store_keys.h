/*
 * The keys of the two databases: random, wrapped by the token, kept in small files
 * beside them (policy.key, journal.key). Without the token neither store opens.
 */
#ifndef KEEPER_STORE_KEYS_H
#define KEEPER_STORE_KEYS_H

#include "base/secret.h"
#include "pkcs11/token.h"

/* Makes a new key and writes DIR/<name>.key exclusively (RK_E_EXISTS). Used by set-up. */
RK_MUST_CHECK int store_key_create(struct token *t, const char *state_dir, const char *name,
                                   struct rk_fault *fault);

/* Unwraps DIR/<name>.key into *out (DB_KEY_BYTES). */
RK_MUST_CHECK int store_key_load(struct token *t, const char *state_dir, const char *name,
                                 struct rk_secret *out, struct rk_fault *fault);

#endif
