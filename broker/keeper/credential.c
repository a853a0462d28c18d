#include "keeper/credential.h"

#include <inttypes.h>
#include <stdio.h>

struct rk_slice credential_place(struct rk_slice conn_id, uint32_t version,
                                 char out[CREDENTIAL_PLACE_MAX])
{
	int n =
	    snprintf(out, CREDENTIAL_PLACE_MAX, "cred|%.*s|%" PRIu32, RK_FMT(conn_id), version);

	return rk_slice(out, n < 0 ? 0 : (size_t)n);
}
