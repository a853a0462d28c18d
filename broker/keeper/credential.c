#include "keeper/credential.h"

#include <inttypes.h>
#include <stdio.h>

static struct rk_slice place(const char *kind, struct rk_slice conn_id, uint32_t version,
                             char out[CREDENTIAL_PLACE_MAX])
{
	int n = snprintf(out, CREDENTIAL_PLACE_MAX, "%s|%.*s|%" PRIu32, kind, RK_FMT(conn_id),
	                 version);

	return rk_slice(out, n < 0 ? 0 : (size_t)n);
}

struct rk_slice credential_place(struct rk_slice conn_id, uint32_t version,
                                 char out[CREDENTIAL_PLACE_MAX])
{
	return place("cred", conn_id, version, out);
}

struct rk_slice credential_dial_place(enum store_egress_kind kind, struct rk_slice conn_id,
                                      uint32_t version, char out[CREDENTIAL_PLACE_MAX])
{
	return place(kind == STORE_IDENTITY ? "identity" : "proxy", conn_id, version, out);
}
