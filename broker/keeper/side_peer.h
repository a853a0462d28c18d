/*
 * The channels to console and courier: the console brings commands (keeper/side_caller.h) and
 * asks for the status (health checks), the courier delivers (keeper/dispatch.h). One that
 * breaks the protocol loses its channel.
 */
#ifndef KEEPER_SIDE_PEER_H
#define KEEPER_SIDE_PEER_H

#include "ipc/role_env.h"

struct keeper;
struct side_peers;

/* `k` is borrowed. */
RK_MUST_CHECK int side_peers_new(struct keeper *k, struct side_peers **out);
/* Accepts NULL. */
void side_peers_free(struct side_peers *s);
/* Takes sock. */
RK_MUST_CHECK int side_peers_attach(struct side_peers *s, enum ipc_role role, int sock);

#endif
