#include "ipc/roles.h"

const char *ipc_role_name(enum ipc_role role)
{
	static const char *const names[IPC_ROLES] = {
	    [IPC_SUPERVISOR] = "supervisor", [IPC_KEEPER] = "keeper",
	    [IPC_RELAY] = "relay",           [IPC_CONSOLE] = "console",
	    [IPC_COURIER] = "courier",       [IPC_CONTROL] = "control",
	};

	return role < IPC_ROLES ? names[role] : "unknown";
}

bool ipc_roles_may_talk(enum ipc_role a, enum ipc_role b)
{
	static const unsigned may[IPC_ROLES] = {
	    [IPC_SUPERVISOR] = IPC_BIT(IPC_KEEPER) | IPC_BIT(IPC_RELAY) | IPC_BIT(IPC_CONSOLE) |
	                       IPC_BIT(IPC_COURIER),
	    [IPC_KEEPER] = IPC_BIT(IPC_SUPERVISOR) | IPC_BIT(IPC_RELAY) | IPC_BIT(IPC_CONSOLE) |
	                   IPC_BIT(IPC_COURIER) | IPC_BIT(IPC_CONTROL),
	    [IPC_RELAY] = IPC_BIT(IPC_SUPERVISOR) | IPC_BIT(IPC_KEEPER),
	    [IPC_CONSOLE] = IPC_BIT(IPC_SUPERVISOR) | IPC_BIT(IPC_KEEPER),
	    [IPC_COURIER] = IPC_BIT(IPC_SUPERVISOR) | IPC_BIT(IPC_KEEPER),
	    [IPC_CONTROL] = IPC_BIT(IPC_KEEPER),
	};

	return a < IPC_ROLES && b < IPC_ROLES && (may[a] & IPC_BIT(b));
}
