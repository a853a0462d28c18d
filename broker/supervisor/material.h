/*
 * What the supervisor reads from disk for roles that may not: the server's identity
 * (certificate and key) and the bundle that upstream certificates are verified against.
 *
 * The key stands in the secret arena. Checking that it belongs to the certificate makes a copy
 * in OpenSSL's memory for the length of the check, which OpenSSL wipes when it is freed.
 */
#ifndef SUPERVISOR_MATERIAL_H
#define SUPERVISOR_MATERIAL_H

#include "base/buf.h"
#include "base/config.h"
#include "base/secret.h"

struct identity {
	struct rk_secret certificate; /* PEM chain; not secret, sent like the key */
	struct rk_secret key;         /* PEM */
};

/*
 * Reads and checks both files: readable, the key private to its owner and without a pass
 * phrase, the first certificate's own. *out (takes nothing before) is untouched on failure.
 */
RK_MUST_CHECK int identity_load(const char *certificate, const char *key, struct identity *out,
                                struct rk_fault *fault);

void identity_free(struct identity *id);
void identity_move(struct identity *dst, struct identity *src);

/* The trust bundle, at most ROLE_MAX_TRUST bytes with at least one certificate in it. */
RK_MUST_CHECK int trust_load(const char *path, struct rk_buf *out, struct rk_fault *fault);

#endif
