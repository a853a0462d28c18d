/*
 * Where a credential version stands, as the token's additional data: a wrapped secret opens
 * only for the connection and version that it was wrapped for. The KEK generation is added by
 * token_wrap() itself.
 */
#ifndef KEEPER_CREDENTIAL_H
#define KEEPER_CREDENTIAL_H

#include "base/slice.h"
#include "keeper/store.h"

enum { CREDENTIAL_PLACE_MAX = 96 };

/* "cred|conn_x|3" into out; the slice borrows it. conn_id is at most MSG_MAX_NAME bytes. */
struct rk_slice credential_place(struct rk_slice conn_id, uint32_t version,
                                 char out[CREDENTIAL_PLACE_MAX]);

/*
 * The same for what a dial takes, "identity|conn_x|3" or "proxy|conn_x|1": each opens as what
 * it is and for nothing else.
 */
struct rk_slice credential_dial_place(enum store_egress_kind kind, struct rk_slice conn_id,
                                      uint32_t version, char out[CREDENTIAL_PLACE_MAX]);

#endif
