/*
 * Whether a report of leaked keys comes from the secret scanner that it says it comes from:
 * ECDSA over P-256 with SHA-256 (FIPS 186-4), the signature in DER, as GitHub's secret scanning
 * partner programme does it. Pure; any thread.
 */
#ifndef KEEPER_LEAK_VERIFY_H
#define KEEPER_LEAK_VERIFY_H

#include "base/err.h"
#include "base/slice.h"

enum { LEAK_PEM_MAX = 1024 };

/* The PEM under `id` in a LIST of "id\nPEM"; empty when there is none. Borrows. */
struct rk_slice leak_key_find(struct rk_slice keys, struct rk_slice id);

/* 0; RK_E_AUTH when it does not verify; RK_E_INVALID for a key that is none of P-256. */
RK_MUST_CHECK int leak_verify(struct rk_slice pem, struct rk_slice payload,
                              struct rk_slice signature, struct rk_fault *fault);

#endif
