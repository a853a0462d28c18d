/*
 * The processes, and which pairs of them may hold a channel. Everything else about
 * who may say what is in the message catalogue (ipc/catalogue.c).
 */
#ifndef IPC_ROLES_H
#define IPC_ROLES_H

#include <stdbool.h>

enum ipc_role {
	IPC_SUPERVISOR,
	IPC_KEEPER,
	IPC_RELAY,
	IPC_CONSOLE,
	IPC_COURIER,
	IPC_CONTROL, /* a client of the control socket: the CLI */
	IPC_ROLES
};

#define IPC_BIT(role) (1u << (role))

/* "supervisor", "keeper", ...; static storage. */
const char *ipc_role_name(enum ipc_role role);

/* Whether a channel between the two exists in this program at all. */
bool ipc_roles_may_talk(enum ipc_role a, enum ipc_role b);

#endif
