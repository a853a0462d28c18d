/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of short texts that whoever does not
 * have the key cannot steer. Not for passwords, not as a signature.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/slice.h"

enum { RK_SIPHASH_KEY = 16 };

uint64_t rk_siphash(const uint8_t key[RK_SIPHASH_KEY], struct rk_slice data);

#endif
