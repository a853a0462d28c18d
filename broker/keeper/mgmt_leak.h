/*
 * A management key that turned up where it does not belong. Loop thread only.
 */
#ifndef KEEPER_MGMT_LEAK_H
#define KEEPER_MGMT_LEAK_H

#include "policy/mgmt_key.h"

struct manage;

enum mgmt_leak {
	MGMT_LEAK_UNKNOWN, /* no management key, or none of ours */
	MGMT_LEAK_OVER,    /* revoked or expired before */
	MGMT_LEAK_REVOKED, /* by this call */
};

/*
 * Revokes it if it is one of ours: in force when this returns, and what its bearers have under
 * way is ended. Row and store follow in their turn, before any change that is begun later; one
 * that could not be stored is tried again when it is reported again. A row "key.leaked" tells
 * of `source`, never of the token. The minted relay keys live on. Unless unknown, id and masked
 * are filled.
 */
enum mgmt_leak mgmt_key_revoke_leaked(struct manage *m, const char *actor,
                                      struct rk_slice token, struct rk_slice source,
                                      char id[MGMT_KEY_ID_TEXT], char masked[MGMT_KEY_MASKED]);

#endif
