/*
 * What to ask a provider for when a connection is tested: a path that costs nothing, changes
 * nothing and answers 401 to a wrong key. Pure.
 */
#ifndef POLICY_PROVIDER_PROBE_H
#define POLICY_PROVIDER_PROBE_H

#include "base/slice.h"

/* "/v1/models", behind the provider's usual base URL; "" for a provider without one. Static. */
const char *provider_probe_path(struct rk_slice provider);

#endif
