/*
 * The roles of those who manage the broker. What each may do stands beside the command that it
 * is about (keeper/manage.c); nothing else decides it.
 */
#ifndef POLICY_MGMT_ROLE_H
#define POLICY_MGMT_ROLE_H

#include "base/err.h"
#include "base/slice.h"

enum mgmt_role {
	ROLE_NOBODY, /* not authenticated: what anyone may do, with a code or a signature */
	ROLE_ADMIN,
	ROLE_OPERATOR,
	ROLE_AUDITOR,     /* reads everything, changes nothing */
	ROLE_PROVISIONER, /* mints relay keys within its own key's constraints */
	ROLE_COUNT
};

enum {
	MAY_ANYONE = 1 << ROLE_NOBODY,
	MAY_ADMIN = 1 << ROLE_ADMIN,
	MAY_OPERATE = MAY_ADMIN | 1 << ROLE_OPERATOR,
	MAY_READ = MAY_OPERATE | 1 << ROLE_AUDITOR,
	MAY_MINT = MAY_OPERATE | 1 << ROLE_PROVISIONER,
	MAY_EVERY_ROLE = MAY_READ | MAY_MINT,
};

/* "nobody", "admin", "operator", "auditor", "provisioner"; "unknown" otherwise. */
const char *mgmt_role_name(unsigned role);

/* Of a role that a key can have: RK_E_INVALID for "nobody" too. */
RK_MUST_CHECK int mgmt_role_parse(struct rk_slice name, enum mgmt_role *out);

/* Whether `role` is among `may`, a mask of the above. */
bool mgmt_role_may(unsigned role, unsigned may);

#endif
