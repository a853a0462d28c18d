#include "policy/mgmt_role.h"

static const char *const names[ROLE_COUNT] = {
    [ROLE_NOBODY] = "nobody",           [ROLE_ADMIN] = "admin",
    [ROLE_OPERATOR] = "operator",       [ROLE_AUDITOR] = "auditor",
    [ROLE_PROVISIONER] = "provisioner",
};

const char *mgmt_role_name(unsigned role)
{
	return role < ROLE_COUNT ? names[role] : "unknown";
}

int mgmt_role_parse(struct rk_slice name, enum mgmt_role *out)
{
	for (unsigned role = ROLE_ADMIN; role < ROLE_COUNT; role++) {
		if (rk_slice_is(name, names[role])) {
			*out = role;
			return 0;
		}
	}
	return RK_E_INVALID;
}

bool mgmt_role_may(unsigned role, unsigned may)
{
	return role < ROLE_COUNT && (may & 1u << role);
}
